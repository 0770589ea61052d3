"""The service of Docker Compose that a dev container runs in: its image, or the Dockerfile it is built with.

Format: the Compose Specification, "Build".  Other keys are about containers, not about their image.
"""

import posixpath
from dataclasses import dataclass

from envbuild.discovery.container.devcontainer import DockerfileCall
from envbuild.discovery.content import FileContent
from envbuild.discovery.environments.yaml_nodes import YamlNode, read_yaml, table_of


@dataclass(frozen=True, slots=True)
class ComposeService:
    """What a service runs."""

    call: DockerfileCall | None = None
    image: str | None = None
    """Where nothing is built."""

    line: int = 0


def read_service(text: str, file: str, service: str, content: FileContent) -> ComposeService | None:
    """Return what ``service`` runs; None, and a report, where the file does not say."""
    document = table_of(read_yaml(text, file, content), file, content)
    services = table_of(document.get("services"), f"{file}: services", content)
    if service not in services:
        content.leave(file, f"has no service `{service}`", "write the one that devcontainer.json names")
        return None
    keys = table_of(services[service], f"{file}: services.{service}", content)
    build, image = keys.get("build"), keys.get("image")
    if build is not None:
        return ComposeService(_call(build, file, content), line=build.line)
    if image is not None and image.text and "$" not in image.text:
        return ComposeService(image=image.text, line=image.line)
    content.leave(file, f"service `{service}` names neither image nor build", "name the base in [base]")
    return None


def _call(build: YamlNode, file: str, content: FileContent) -> DockerfileCall:
    keys = {"context": build} if build.text is not None else table_of(build, f"{file}: build", content)
    context = _inside(posixpath.dirname(file), _text(keys, "context", "."))
    arguments: dict[str, str] = {}
    written = keys.get("args")
    for item in (written.items or ()) if written else ():
        name, equals, value = (item.text or "").partition("=")
        arguments |= {name: value} if equals and "$" not in value else {}
    for name, node in ((written.members or {}) if written else {}).items():
        arguments |= {name: node.text} if node.text and "$" not in node.text else {}
    return DockerfileCall(
        _inside(context, _text(keys, "dockerfile", "Dockerfile")),
        context,
        arguments,
        _text(keys, "target", "") or None,
    )


def _text(keys: dict[str, YamlNode], key: str, default: str) -> str:
    node = keys.get(key)
    return node.text if node and node.text and "$" not in node.text else default


def _inside(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path))
