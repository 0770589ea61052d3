"""Source archives of Python projects: what they say of themselves without any of their code being run.

Formats: PEP 517 and PEP 625 (``.tar.gz``), older ``.zip``, ``.tar.bz2`` and ``.tar.xz``; core metadata 2.2
says which fields a build may still change (PEP 643).
"""

import io
import tarfile
import tomllib
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from email.policy import compat32
from lzma import LZMAError
from pathlib import Path
from typing import IO, Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from envbuild.formats.core_metadata import headers_of

LARGEST_MEMBER: Final = 8 << 20
"""Bytes of PKG-INFO, pyproject.toml or requires.txt that are read."""

MOST_MEMBERS: Final = 200_000
"""Entries of an archive that are looked at."""

LARGEST_UNPACKED: Final = 4 << 30
"""Bytes of an archive that are unpacked while looking for a file."""

STATIC_SINCE: Final = Version("2.2")
"""Core metadata from which on what is not named ``Dynamic`` cannot change in a build (PEP 643)."""

SETUPTOOLS: Final = ("setuptools>=40.8.0",)
"""What builds a project that names nothing (PEP 517, "Source trees"; pip and uv ask for the same)."""

_DEPENDENCY_FIELDS = frozenset({"requires-dist", "requires-python", "provides-extra"})


class SourceArchiveError(ValueError):
    """A file is no source archive of a Python project."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDescription:
    """What a source archive says of its project."""

    name: str | None
    version: str | None
    requires: tuple[str, ...]
    """``Requires-Dist`` lines."""

    requires_python: str | None

    is_final: bool
    """Whether a wheel built from it has these requirements for certain; else they are what its author's own
    build had, and may be missing."""

    build_requires: tuple[str, ...]
    """What building it needs: ``[build-system] requires``."""

    backend: str | None
    """``build-backend``; None: setuptools, in the way of old."""

    backend_path: tuple[str, ...] = ()
    """``backend-path``: folders of the project where the backend is found first."""

    headers: bytes = b""
    """PKG-INFO without the description."""


def read_source_archive(path: Path, *, subdirectory: str = "", is_tree: bool = False) -> SourceDescription:
    """Return what the archive at ``path`` says; the project lies in ``subdirectory`` of it.

    ``is_tree`` says that it holds the files themselves, rather than one folder with all of them.

    :raises SourceArchiveError: it cannot be read, or is no source archive.
    """
    try:
        with path.open("rb") as stream:
            found = _members(stream, subdirectory, is_tree=is_tree)
    except (
        tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, OSError, ValueError,
        NotImplementedError, RuntimeError,
    ) as error:  # fmt: skip
        # tarfile tells of each compression it tried, on lines of their own
        said, _, _ = str(error).partition(":\n")
        raise SourceArchiveError(f"not a source archive: {said}") from error
    return describe(found)


def describe(files: dict[str, bytes]) -> SourceDescription:
    """Return what the files of a project say: ``PKG-INFO``, ``pyproject.toml`` and ``requires.txt``.

    :raises SourceArchiveError: ``pyproject.toml`` is not what PEP 517 and PEP 621 allow.
    """
    headers = headers_of(files.get("PKG-INFO", b""))
    message = HeaderParser(policy=compat32).parsestr(headers.decode(errors="replace"))
    document = _document(files.get("pyproject.toml"))
    system = document.get("build-system") or {}
    table = document.get("project")
    project: dict[str, Any] = table if isinstance(table, dict) else {}
    requires = tuple(" ".join(str(line).split()) for line in message.get_all("Requires-Dist", ()))
    python = message.get("Requires-Python")
    final = _is_static(message)
    declared = _declared(project)
    name, version = message.get("Name") or project.get("name"), message.get("Version") or _version(project)
    if not final and declared is not None and version:
        requires, python, final = declared, project.get("requires-python") or python, True
        # a line that has several would be several headers where this is served
        requires = tuple(" ".join(line.split()) for line in requires)
    if not final and not requires and "requires.txt" in files:
        requires = tuple(requirements_of_egg(files["requires.txt"].decode(errors="replace")))
    return SourceDescription(
        name=str(name) if name else None,
        version=str(version) if version else None,
        requires=requires,
        requires_python=" ".join(str(python).split()) if python else None,
        is_final=final,
        build_requires=_build_requires(system),
        backend=system.get("build-backend") if isinstance(system.get("build-backend"), str) else None,
        backend_path=_backend_path(system),
        headers=headers,
    )


def requirements_of_egg(text: str) -> Iterator[str]:
    """Yield the requirements of an ``egg-info/requires.txt`` as ``Requires-Dist`` writes them.

    A section ``[extra:marker]`` goes for the lines below it.
    """
    condition = ""
    for line in text.splitlines():
        entry = line.strip()
        if entry.startswith("[") and entry.endswith("]"):
            extra, _, marker = entry[1:-1].partition(":")
            parts = [f"({marker})"] if marker else []
            condition = " and ".join([*parts, *([f'extra == "{extra}"'] if extra else [])])
        elif entry:
            yield from _conditional(entry, condition)


def _conditional(entry: str, condition: str) -> Iterator[str]:
    try:
        own = Requirement(entry)
    except InvalidRequirement:
        return
    marker = " and ".join([*([f"({own.marker})"] if own.marker else []), *([condition] if condition else [])])
    own.marker = None
    yield f"{own}; {marker}" if marker else str(own)


def _is_static(message: Any) -> bool:
    """Return whether no build can change what it requires."""
    try:
        version = Version(str(message.get("Metadata-Version", "")))
    except InvalidVersion:
        return False
    dynamic = {str(name).strip().lower() for name in message.get_all("Dynamic", ())}
    return version >= STATIC_SINCE and not dynamic & _DEPENDENCY_FIELDS


def _declared(project: dict[str, Any]) -> tuple[str, ...] | None:
    """Return the requirements of a ``[project]`` table, or None where only a build tells them all."""
    dynamic = project.get("dynamic", [])
    if "name" not in project or not isinstance(dynamic, list):
        return None
    if {"dependencies", "optional-dependencies", "requires-python"} & {str(item) for item in dynamic}:
        return None
    lines = project.get("dependencies", [])
    extras = project.get("optional-dependencies", {})
    if not isinstance(lines, list) or not isinstance(extras, dict):
        return None
    found = [line for line in lines if isinstance(line, str)]
    for extra, items in sorted(extras.items()):
        for item in items if isinstance(items, list) else ():
            found += _conditional(str(item), f'extra == "{extra}"')
    return tuple(found)


def _version(project: dict[str, Any]) -> str | None:
    version = project.get("version")
    return version if isinstance(version, str) else None


def _build_requires(system: Any) -> tuple[str, ...]:
    requires = system.get("requires") if isinstance(system, dict) else None
    if not isinstance(requires, list) or not all(isinstance(item, str) for item in requires):
        return SETUPTOOLS
    return tuple(requires)


def _backend_path(system: Any) -> tuple[str, ...]:
    folders = system.get("backend-path") if isinstance(system, dict) else None
    return tuple(str(item) for item in folders) if isinstance(folders, list) else ()


def _document(raw: bytes | None) -> dict[str, Any]:
    if raw is None:
        return {}
    try:
        document = tomllib.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise SourceArchiveError("its pyproject.toml is not TOML") from error
    if not isinstance(document.get("build-system", {}), dict):
        raise SourceArchiveError("its pyproject.toml has no table [build-system]")
    return document


def _members(stream: IO[bytes], subdirectory: str, *, is_tree: bool) -> dict[str, bytes]:
    """Return the files that describe the project, by their last name."""
    is_zip = zipfile.is_zipfile(stream)
    stream.seek(0)
    found: dict[str, bytes] = {}
    for path, size, read in _zip(stream) if is_zip else _tar(stream):
        name = _wanted(path, subdirectory, is_tree=is_tree)
        if name is None or name in found:
            continue
        if size > LARGEST_MEMBER:
            raise SourceArchiveError(f"{path} has more than {LARGEST_MEMBER} bytes")
        found[name] = read()
    return found


def _wanted(path: str, subdirectory: str, *, is_tree: bool) -> str | None:
    plain = path.removeprefix("./")
    inner = plain if is_tree else plain.partition("/")[2]
    if subdirectory:
        if not inner.startswith(f"{subdirectory}/"):
            return None
        inner = inner.removeprefix(f"{subdirectory}/")
    if inner in {"PKG-INFO", "pyproject.toml"}:
        return inner
    # of a project below `src/` too
    return "requires.txt" if inner.endswith(".egg-info/requires.txt") else None


def _tar(stream: IO[bytes]) -> Iterator[tuple[str, int, Any]]:
    unpacked = 0
    with tarfile.open(fileobj=stream, mode="r:*") as archive:
        for number, member in enumerate(archive):
            unpacked += member.size
            if number >= MOST_MEMBERS or unpacked > LARGEST_UNPACKED:
                raise SourceArchiveError("it holds more than any source archive would")
            if member.isreg():
                yield member.name, member.size, lambda member=member: _read(archive.extractfile(member))


def _zip(stream: IO[bytes]) -> Iterator[tuple[str, int, Any]]:
    with zipfile.ZipFile(stream) as archive:
        if len(archive.infolist()) > MOST_MEMBERS:
            raise SourceArchiveError("it holds more than any source archive would")
        for member in archive.infolist():
            if not member.is_dir():
                yield member.filename, member.file_size, lambda member=member: _read(archive.open(member))


def _read(stream: IO[bytes] | None) -> bytes:
    with stream or io.BytesIO() as content:
        return content.read(LARGEST_MEMBER)
