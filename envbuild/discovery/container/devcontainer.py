"""devcontainer.json: what the environment of a dev container asks for.

Format: containers.dev, "Dev Container metadata reference".  What is only for the dev container itself stays
in that file: `envbuild devcontainer` keeps it.
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from envbuild.discovery.commands.apt import take_system_packages
from envbuild.discovery.commands.build_state import SOURCES, BuildState
from envbuild.discovery.commands.numbered_text import joined
from envbuild.discovery.commands.shell_lines import read_command_words, read_shell
from envbuild.discovery.container.base_images import read_base_image
from envbuild.discovery.container.environment_variables import take_variable
from envbuild.discovery.content import FileContent, PythonEvidence, Taken
from envbuild.formats.jsonc import JsoncError, Node, find, parse
from envbuild.spec import rules
from envbuild.spec.problems import RefusedError, near

PATTERNS: Final = (".devcontainer/devcontainer.json", ".devcontainer.json", "devcontainer.json")

LONGEST: Final = 1_000_000
"""Characters of a file that is read."""

_TAKEN: Final = frozenset({
    "image", "build", "dockerFile", "context", "dockerComposeFile", "service", "features", "containerEnv",
    "remoteEnv", "postCreateCommand", "onCreateCommand", "updateContentCommand", "customizations",
    "extensions",
    "runArgs", "hostRequirements",
})  # fmt: skip
_KEPT: Final = frozenset({
    "$schema", "name", "settings", "forwardPorts", "portsAttributes", "otherPortsAttributes", "appPort",
    "mounts",
    "workspaceFolder", "workspaceMount", "postStartCommand", "postAttachCommand", "initializeCommand",
    "waitFor", "userEnvProbe", "shutdownAction", "overrideCommand", "init", "privileged", "capAdd",
    "securityOpt", "updateRemoteUserUID", "remoteUser", "containerUser", "runServices", "secrets", "id",
    "overrideFeatureInstallOrder", "devPort", "version", "description", "documentationURL", "options",
})  # fmt: skip
"""Keys of the dev container alone: nothing of the environment is in them."""

_COMMANDS: Final = ("onCreateCommand", "updateContentCommand", "postCreateCommand")


@dataclass(frozen=True, slots=True)
class DockerfileCall:
    """The Dockerfile a dev container is built with, and how."""

    file: str
    """Relative to the folder."""

    context: str = "."
    arguments: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None


def read_devcontainer(text: str, file: str, *, exists: Callable[[str], bool]) -> FileContent:
    """Return what a devcontainer.json asks for, besides its Dockerfile: see :func:`dockerfile_of`."""
    content = FileContent()
    root = _parsed(text, file, content)
    if root is None:
        return content
    state = BuildState(content, file, exists, workdir=SOURCES, copied={SOURCES: "."})
    reader = _DevContainerReader(text, root, state)
    reader.report_unknown()
    # the Python a feature installs comes before the image's own
    reader.features()
    reader.image()
    reader.gpu()
    reader.variables()
    reader.extensions()
    for key in _COMMANDS:
        reader.command(key)
    if content.tables or content.pythons or content.files:
        tables = [f"[{table}]" for table in sorted(content.tables)]
        what = [*tables, *(f"Python {python.text}" for python in content.pythons), *content.files]
        content.taken.append(Taken(file, ", ".join(what)))
    return content


def dockerfile_of(text: str, file: str) -> DockerfileCall | None:
    """Return the Dockerfile that a devcontainer.json names, None where it names none."""
    root = _parsed(text, file, FileContent())
    document: dict[str, Any] = root.value if root else {}
    build = _object(document, "build")
    name = build.get("dockerfile") or document.get("dockerFile")
    if not isinstance(name, str):
        return None
    folder = posixpath.dirname(file)
    context = build.get("context") or document.get("context") or "."
    given = _object(build, "args")
    target = build.get("target")
    return DockerfileCall(
        posixpath.normpath(posixpath.join(folder, name)),
        posixpath.normpath(posixpath.join(folder, str(context))),
        {str(key): value for key, value in given.items() if isinstance(value, str) and "${" not in value},
        target if isinstance(target, str) else None,
    )


def compose_of(text: str, file: str) -> tuple[list[str], str] | None:
    """Return the files of Docker Compose that a devcontainer.json names, and its service in them."""
    root = _parsed(text, file, FileContent())
    document: dict[str, Any] = root.value if root else {}
    named, service = document.get("dockerComposeFile"), document.get("service")
    files = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    if not files or not isinstance(service, str):
        return None
    folder = posixpath.dirname(file)
    return [posixpath.normpath(posixpath.join(folder, str(name))) for name in files], service


def _parsed(text: str, file: str, content: FileContent) -> Node | None:
    if len(text) > LONGEST:
        content.leave(file, f"is longer than {LONGEST} characters", "it is not read")
        return None
    try:
        root = parse(text)
    except JsoncError as error:
        content.leave(f"{file}:{error.line}", f"is not JSON with comments: {error.message}", "it is not read")
        return None
    if not isinstance(root.value, dict):
        content.leave(file, "must be an object", "it is not read")
        return None
    return root


@dataclass(frozen=True, slots=True)
class _DevContainerReader:
    text: str
    root: Node
    state: BuildState

    def where(self, node: Node) -> str:
        """Return ``file:line`` of a value."""
        return self.state.place(self.line(node))

    def line(self, node: Node) -> int:
        return self.text.count("\n", 0, node.start) + 1

    def at(self, *path: str) -> Node | None:
        return find(self.root, path)

    def report_unknown(self) -> None:
        for key, member in self.root.members.items():
            if key not in _TAKEN and key not in _KEPT:
                hint = near(key, (*_TAKEN, *_KEPT)) or "it stays in that file"
                self.state.content.leave(self.where(member.node), f"`{key}` is not known", hint)

    def image(self) -> None:
        node = self.at("image")
        if node is None:
            return
        if not isinstance(node.value, str) or "${" in node.value:
            self.state.content.leave(self.where(node), "`image` names no image", "write `name:tag`")
            return
        self.state.distribution_python = read_base_image(node.value, self.where(node), self.state.content)

    def features(self) -> None:
        node = self.at("features")
        for name, feature in _members(node):
            options = feature.value if isinstance(feature.value, dict) else {"version": feature.value}
            if not self._known_feature(name, options, feature):
                self._other_feature(name, options, feature)

    def _known_feature(self, name: str, options: Mapping[str, Any], node: Node) -> bool:
        """Take a feature that envbuild has a table for."""
        kind = re.sub(r"[:@].*$", "", name.rpartition("/")[2])
        version = str(options.get("version", ""))
        content = self.state.content
        if kind == "python":
            if re.fullmatch(r"3(?:\.[0-9]+){1,2}", version):
                content.pythons.append(PythonEvidence(version, self.where(node)))
            return True
        if kind in {"apt-packages", "apt-get-packages", "apt"}:
            words = re.split(r"[\s,]+", str(options.get("packages", "")).strip())
            take_system_packages([word for word in words if word], self.state, self.line(node))
            return True
        if kind == "nvidia-cuda":
            content.tables.setdefault("gpu", {}).setdefault("cuda", "auto")
            return True
        return kind in {
            "conda",
            "miniconda",
            "anaconda",
            "mamba",
            "micromamba",
            "uv",
            "poetry",
            "pipx-package",
        }

    def _other_feature(self, name: str, options: Mapping[str, Any], node: Node) -> None:
        content = self.state.content
        plain = {
            key: value
            for key, value in options.items()
            if isinstance(value, str | bool) and key and value != ""
        }
        try:
            rules.feature(name)
        except RefusedError as error:
            content.left.append(error.at(self.where(node)))
            return
        features = content.tables.setdefault("devcontainer", {}).setdefault("features", {})
        features[name] = plain if isinstance(node.value, dict) else {}

    def gpu(self) -> None:
        arguments, wanted = self.at("runArgs"), self.at("hostRequirements", "gpu")
        words = arguments.value if arguments and isinstance(arguments.value, list) else []
        if any(str(word).startswith(("--gpus", "--runtime=nvidia")) for word in words) or (
            wanted and wanted.value
        ):
            self.state.content.tables.setdefault("gpu", {}).setdefault("cuda", "auto")

    def variables(self) -> None:
        for key in ("containerEnv", "remoteEnv"):
            for name, node in _members(self.at(key)):
                value = node.value
                if value is None:
                    continue
                if not isinstance(value, str):
                    self.state.content.leave(self.where(node), f"`{key}.{name}` is no text", "quote it")
                    continue
                # what the container has is what the image has
                written = re.sub(r"\$\{containerEnv:([A-Za-z_][A-Za-z0-9_]*)\}", r"${\1}", value)
                if re.search(r"\$\{(?:local|container)\w+(?::[^}]*)?\}", written):
                    hint = f"it stays in {self.state.file}"
                    self.state.content.leave(
                        self.where(node), f"`{name}` is known when the container starts", hint
                    )
                    continue
                take_variable(name, written, self.where(node), self.state, {})

    def extensions(self) -> None:
        for node in (self.at("customizations", "vscode", "extensions"), self.at("extensions")):
            items = node.items if node else []
            names = [item.value for item in items if isinstance(item.value, str) and item.value.strip()]
            if names:
                self.state.content.add(
                    "devcontainer", "extensions", [name for name in names if name[0] != "-"]
                )

    def command(self, key: str) -> None:
        node = self.at(key)
        for command in _commands(node):
            line = self.line(command)
            if isinstance(command.value, str):
                # what JSON writes on one line stays on it
                lines = ((part, line) for part in command.value.split("\n"))
                read_shell(joined(lines, between="\n"), self.state)
            elif command.items and all(isinstance(item.value, str) for item in command.items):
                read_command_words([item.value for item in command.items], line, self.state)
            elif command.value:
                self.state.content.leave(self.where(command), f"`{key}` is no command", "write one text")


def _object(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _members(node: Node | None) -> Iterator[tuple[str, Node]]:
    for name, member in (node.members if node else {}).items():
        yield name, member.node


def _commands(node: Node | None) -> Iterator[Node]:
    """Yield the commands of a hook: itself, or each of an object's."""
    if node is None:
        return
    if isinstance(node.value, dict):
        yield from (member.node for member in node.members.values())
    else:
        yield node
