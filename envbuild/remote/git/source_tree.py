"""Sources as one tar that is the same on every machine: its sha256 is the digest of their content.

Sorted by path, owners and times zero, modes 0644 and 0755, nothing but folders, files and links inside.
"""

import hashlib
import posixpath
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from envbuild.digest import CHUNK
from envbuild.formats.tar_writer import END, FOLDER, SYMLINK, TarEntry, header, padding

MOST_LINKS: Final = 40
"""Links that are followed to see where one leads, as Linux follows at most."""

LFS_POINTER: Final = b"version https://git-lfs.github.com/spec/v1"
"""How a file begins that stands for another one (Git LFS, specification)."""

_LONGEST_POINTER = 1024


class SourceTreeError(ValueError):
    """The sources have something that is not taken; the message says what, and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file, or a link, of the sources."""

    archive: Path | None = None
    """The tar that holds the content, at ``offset``; None: it is ``content``."""

    offset: int = 0
    size: int = 0
    content: bytes = b""
    is_executable: bool = False
    target: bytes | None = None
    """Of a link; None: it is a file."""


@dataclass(slots=True)
class SourceFiles:
    """The files of sources by path, bytes as git has them."""

    files: dict[bytes, SourceFile] = field(default_factory=dict)

    def add_archive(self, archive: Path, *, below: bytes = b"") -> None:
        """Add what a tar holds, under the folder ``below``.

        :raises SourceTreeError: it holds something that sources cannot have.
        """
        with tarfile.open(archive, "r:", encoding="utf-8", errors="surrogateescape") as tar:
            for member in tar:
                if not member.isdir():
                    path = posixpath.join(below, _path(member))
                    self.files[path] = _file(member, archive, path)

    def add_text(self, path: bytes, text: str) -> None:
        """Add a file, in place of one of that path."""
        content = text.encode()
        self.files[path] = SourceFile(content=content, size=len(content))

    def read(self, path: bytes, limit: int) -> bytes | None:
        """Return the first ``limit`` bytes of a file; None: there is none."""
        file = self.files.get(path)
        if file is None or file.target is not None:
            return None
        return b"".join(_content(file, limit))

    def pointers(self) -> tuple[str, ...]:
        """Return the files that stand for others (Git LFS), sorted."""
        small = (path for path, file in self.files.items() if 0 < file.size <= _LONGEST_POINTER)
        found = (path for path in small if (self.read(path, len(LFS_POINTER)) or b"") == LFS_POINTER)
        return tuple(sorted(shown(path) for path in found))

    def write(self, path: Path) -> tuple[str, int]:
        """Write the tar; return its sha256 and its size in bytes.

        :raises SourceTreeError: a link leads out of the tree, or something lies below a link.
        """
        self._refuse_links()
        digest, size = hashlib.sha256(), 0
        with path.open("wb") as stream:
            for block in self._blocks():
                digest.update(block)
                size += len(block)
                stream.write(block)
        return digest.hexdigest(), size

    def _blocks(self) -> Iterator[bytes]:
        folders = {parent for path in self.files for parent in _parents(path)}
        for path in sorted({*self.files, *folders}):
            file = self.files.get(path)
            if file is None:
                yield header(TarEntry(name=path, kind=FOLDER, mode=0o755))
            elif file.target is not None:
                yield header(TarEntry(name=path, kind=SYMLINK, mode=0o777, target=file.target))
            else:
                mode = 0o755 if file.is_executable else 0o644
                yield header(TarEntry(name=path, size=file.size, mode=mode))
                yield from _content(file, file.size)
                yield padding(file.size)
        yield END

    def _refuse_links(self) -> None:
        links = {path: file.target for path, file in self.files.items() if file.target is not None}
        for path in sorted(self.files):
            if below := next((parent for parent in _parents(path) if parent in self.files), None):
                raise SourceTreeError(f"`{shown(path)}` lies below `{shown(below)}`, which is no folder")
        for path in sorted(links):
            if not _stays_inside(path, links):
                raise SourceTreeError(
                    f"`{shown(path)}` is a link to `{shown(links[path])}`, out of the sources"
                )


def shown(path: bytes) -> str:
    """Return a path for people."""
    return path.decode(errors="replace")


def _path(member: tarfile.TarInfo) -> bytes:
    path = member.name.encode("utf-8", "surrogateescape")
    parts = path.split(b"/")
    if {b"", b".", b".."} & set(parts) or any(part.lower() == b".git" for part in parts):
        raise SourceTreeError(f"`{shown(path)}` is no path of sources")
    return path


def _file(member: tarfile.TarInfo, archive: Path, path: bytes) -> SourceFile:
    if member.issym():
        return SourceFile(target=member.linkname.encode("utf-8", "surrogateescape"))
    if not member.isfile():
        raise SourceTreeError(f"`{shown(path)}` is neither a file nor a folder nor a link")
    return SourceFile(
        archive=archive,
        offset=member.offset_data,
        size=member.size,
        is_executable=bool(member.mode & 0o100),
    )


def _content(file: SourceFile, limit: int) -> Iterator[bytes]:
    if file.archive is None:
        yield file.content[:limit]
        return
    with file.archive.open("rb") as stream:
        stream.seek(file.offset)
        yield from _pieces(stream, min(limit, file.size))


def _pieces(stream: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0:
        piece = stream.read(min(CHUNK, size))
        if not piece:
            raise SourceTreeError("the sources were cut short")
        size -= len(piece)
        yield piece


def _parents(path: bytes) -> Iterator[bytes]:
    while path := posixpath.dirname(path):
        yield path


def _stays_inside(path: bytes, links: Mapping[bytes, bytes]) -> bool:
    """Return whether a link leads to a place of the tree, whatever other links are on the way."""
    place: list[bytes] = path.split(b"/")[:-1]
    waiting = list(reversed(links[path].split(b"/")))
    if links[path].startswith(b"/") or not links[path]:
        return False
    followed = 0
    while waiting:
        part = waiting.pop()
        if part == b"..":
            if not place:
                return False
            place.pop()
        elif part not in {b"", b"."}:
            place.append(part)
            target = links.get(b"/".join(place))
            if target is not None:
                followed += 1
                if target.startswith(b"/") or followed > MOST_LINKS:
                    return False
                place.pop()
                waiting.extend(reversed(target.split(b"/")))
    return True
