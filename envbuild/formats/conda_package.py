"""The files inside a conda package, of both its formats, read from front to back without unpacking to disk.

Formats: conda documentation, "Package specification" and "Package metadata" (``.tar.bz2``, ``.conda``).
"""

import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import zstandard

from envbuild.errors import IntegrityError
from envbuild.formats.json_text import parse_json

BROKEN = (
    EOFError,
    KeyError,
    OSError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    zstandard.ZstdError,
)
"""What reading a file that is no package, or a broken one, ends in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaMember:
    """One file or link of a package."""

    path: str
    """As packaged, relative, without ``..``."""

    kind: Literal["file", "link"]
    is_executable: bool = False
    content: bytes = b""
    target: str = ""
    """Of a link."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """Where a file holds the prefix it was built for."""

    placeholder: str
    mode: Literal["text", "binary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageInfo:
    """What a package says of itself."""

    index: dict[str, Any]
    """``info/index.json``."""

    paths: tuple[str, ...]
    """Of its files and links, as packaged."""

    replacements: dict[str, Replacement]
    """By path."""

    entry_points: tuple[str, ...] = ()
    """``name = module:function``, of a noarch Python package."""


class CondaArchive:
    """A package file.  ``name`` is the package's own (a store may keep it under another)."""

    def __init__(self, path: Path, *, name: str) -> None:
        self._path = path
        self._name = name

    def info(self) -> PackageInfo:
        """Return what the package says of itself.

        :raises IntegrityError: it is no package.
        """
        with self._errors():
            files = {member.path: member.content for member in self._members("info") if member.kind == "file"}
            index = parse_json(files["info/index.json"])
            return PackageInfo(
                index=index,
                paths=_paths(files),
                replacements=dict(_replacements(files)),
                entry_points=_entry_points(files),
            )

    def files(self) -> Iterator[CondaMember]:
        """Yield the files of the package without its ``info``, in the order of the archive.

        :raises IntegrityError: it is no package, or one of its paths leaves the prefix.
        """
        with self._errors():
            yield from (member for member in self._members("pkg") if not member.path.startswith("info/"))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except BROKEN as error:
            said = str(error) or type(error).__name__
            raise IntegrityError(f"{self._name} is not a conda package that can be read: {said}") from error

    def _members(self, part: Literal["info", "pkg"]) -> Iterator[CondaMember]:
        if self._name.endswith(".conda"):
            with zipfile.ZipFile(self._path) as archive:
                (inner,) = (
                    name
                    for name in archive.namelist()
                    if name.startswith(f"{part}-") and name.endswith(".tar.zst")
                )
                with (
                    archive.open(inner) as packed,
                    zstandard.ZstdDecompressor().stream_reader(packed) as stream,
                    tarfile.open(fileobj=io.BufferedReader(cast("Any", stream)), mode="r|") as opened,
                ):
                    yield from self._entries(opened)
            return
        with tarfile.open(self._path, mode="r:bz2") as opened:
            for member in self._entries(opened):
                if member.path.startswith("info/") == (part == "info"):
                    yield member

    def _entries(self, opened: tarfile.TarFile) -> Iterator[CondaMember]:
        for entry in opened:
            if entry.isdir():
                continue
            path = _safe(entry.name)
            executable = bool(entry.mode & 0o111)
            if entry.issym():
                member = CondaMember(path=path, kind="link", target=entry.linkname)
            elif entry.islnk():
                # rare enough to read the archive again rather than to remember every file's content
                first = next(member for member in self.files() if member.path == _safe(entry.linkname))
                yield replace(first, path=path)
                continue
            elif entry.isreg():
                stream = opened.extractfile(entry)
                content = stream.read() if stream else b""
                member = CondaMember(path=path, kind="file", content=content, is_executable=executable)
            else:
                raise ValueError(f"{entry.name} is neither a file nor a link")
            yield member


def _safe(path: str) -> str:
    plain = path.removeprefix("./")
    if plain.startswith("/") or ".." in plain.split("/") or not plain or "\0" in plain:
        raise ValueError(f"{path} lies outside the prefix")
    return plain


def _paths(files: dict[str, bytes]) -> tuple[str, ...]:
    if "info/paths.json" in files:
        entries = parse_json(files["info/paths.json"])["paths"]
        return tuple(_safe(entry["_path"]) for entry in entries if entry.get("path_type") != "directory")
    # packages from before 2016
    return tuple(_safe(line) for line in files.get("info/files", b"").decode().splitlines() if line)


def _replacements(files: dict[str, bytes]) -> Iterator[tuple[str, Replacement]]:
    if "info/paths.json" in files:
        for entry in parse_json(files["info/paths.json"])["paths"]:
            path = _safe(entry["_path"])
            if entry.get("prefix_placeholder"):
                mode = entry.get("file_mode", "text")
                yield path, Replacement(entry["prefix_placeholder"], "binary" if mode == "binary" else "text")
        return
    # packages from before 2016
    for line in files.get("info/has_prefix", b"").decode().splitlines():
        words = [word.strip("\"'") for word in line.split(" ")]
        if len(words) == 3:  # noqa: PLR2004 - placeholder, mode, path
            yield _safe(words[2]), Replacement(words[0], "binary" if words[1] == "binary" else "text")
        elif words[0]:
            yield _safe(words[0]), Replacement("/opt/anaconda1anaconda2anaconda3", "text")


def _entry_points(files: dict[str, bytes]) -> tuple[str, ...]:
    link = parse_json(files.get("info/link.json", b"{}"))
    noarch = link.get("noarch") or {}
    return tuple(noarch.get("entry_points") or ()) if noarch.get("type") == "python" else ()
