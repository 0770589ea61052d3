"""Builds from source at a desk: sdists that need nothing to be built with, and what may build them."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from envbuild.lock.model import Wheel
from envbuild.resolve.python.resolution import PythonResolution
from envbuild.resolve.python.resolve import resolve_python
from envbuild.resolve.python.target import TargetPython
from envbuild.resolve.python.uv import UvResolver
from envbuild.resolve.sources.archives import SourceArchives
from envbuild.resolve.sources.build import SourceBuilder
from envbuild.resolve.sources.builder import ResolvedBuilder
from envbuild.resolve.sources.sandbox import NoSandbox, Sandbox
from envbuild.spec.request import BaseRequest, PipRequest, VariantRequest
from envbuild.store.store import Store
from tests.rig.desk import TARGET, Desk
from tests.rig.locks import BASE_DEBS, INSTALLER, packages_base, sample_lock

BACKEND = """\
import base64, hashlib, os, zipfile

NAME, VERSION, REQUIRES = {name!r}, {version!r}, {requires!r}


def metadata():
    lines = ["Metadata-Version: 2.1", "Name: " + NAME, "Version: " + VERSION]
    return "\\n".join(lines + ["Requires-Dist: " + line for line in REQUIRES] + [""]).encode()


def files():
    return {{NAME + ".py": b"VALUE = 1\\n"}}


TAG = "py3-none-any"

{extra}


def build_wheel(folder, config_settings=None, metadata_directory=None):
    stem = NAME + "-" + VERSION
    info = stem + ".dist-info/"
    content = dict(files())
    content[info + "METADATA"] = metadata()
    content[info + "WHEEL"] = ("Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: " + TAG + "\\n").encode()
    name = stem + "-" + TAG + ".whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for path, data in content.items():
            wheel.writestr(path, data)
        wheel.writestr(info + "RECORD", "")
    return name
"""  # noqa: E501 - a program


def make_source(
    folder: Path,
    name: str,
    version: str,
    *,
    requires: tuple[str, ...] = (),
    backend: str = "",
    pkg_info: str | None = None,
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write an sdist that brings the backend which builds it, and return its path.

    ``backend`` is code that changes what the backend does; ``pkg_info`` replaces PKG-INFO, which is of a
    format that does not promise what a build requires.
    """
    stem = f"{name}-{version}"
    info = pkg_info or f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    contents = {
        "PKG-INFO": info,
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n',
        "own.py": BACKEND.format(name=name, version=version, requires=list(requires), extra=backend),
        **(files or {}),
    }
    path = folder / f"{stem}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for inner, text in contents.items():
            entry = tarfile.TarInfo(f"{stem}/{inner}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def request_of(*requirements: str, **pip: Any) -> VariantRequest:
    return VariantRequest(
        python="3.11", base=BaseRequest(image="base"), pip=PipRequest(requirements=requirements, **pip)
    )


def sample_builder() -> ResolvedBuilder:
    return ResolvedBuilder(
        base=packages_base(),
        base_debs=BASE_DEBS,
        interpreter=sample_lock().targets[0].interpreter,
        debs=(),
        installer=INSTALLER,
        request=request_of(),
    )


def builder_at(desk: Desk, *, sandbox: Sandbox | None = None, **options: Any) -> SourceBuilder:
    """Return what builds at ``desk``: nothing, unless there is a sandbox."""

    def no_wheels(requirements: object) -> tuple[Wheel, ...]:
        assert not requirements, "these sources need nothing to be built with"
        return ()

    client = desk.client()
    return SourceBuilder(
        target=options.pop("target", TARGET),
        archives=SourceArchives(
            index=client, store=Store(desk.cache), cache=desk.cache, vendor=None, progress=desk.progress
        ),
        builder=sample_builder,
        sandbox=sandbox or NoSandbox(),
        uv=UvResolver(desk.configuration, environment=desk.environment, on_loopback=True),
        resolve_wheels=no_wheels,
        fetch_wheels=lambda _: {},
        cache=desk.cache,
        progress=desk.progress,
        **options,
    )


def resolve_with_sources(
    desk: Desk,
    request: VariantRequest,
    *,
    sandbox: Sandbox | None = None,
    previous: PythonResolution | None = None,
    target: TargetPython = TARGET,
) -> PythonResolution:
    """Return what ``request`` comes to at ``desk`` when sources count."""
    before = previous or PythonResolution()
    locked = before.builds.by_source(before.wheels)
    return resolve_python(
        request,
        target,
        resolver=desk.resolver(),
        index=desk.client(),
        cache=desk.cache,
        progress=desk.progress,
        previous=before.wheels,
        sources=builder_at(desk, sandbox=sandbox, locked=locked, target=target),
    )


def names_of(resolution: PythonResolution) -> list[str]:
    return [f"{canonicalize_name(wheel.name)}=={wheel.version}" for wheel in resolution.wheels]
