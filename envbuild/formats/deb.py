"""The files inside a Debian package (deb(5)), read from front to back without unpacking to disk."""

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Literal, cast

import zstandard
from debian.arfile import ArError, ArFile, ArMember

from envbuild.digest import CHUNK
from envbuild.formats.compression import LARGEST_WINDOW

LARGEST_CONTROL: Final = 1 << 24
"""Bytes of one file of the package's control information."""

_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    ArError,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    zstandard.ZstdError,
)


class DebError(Exception):
    """The file is no Debian package, or a broken one."""


class DebArchive:
    """A package file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def conffiles(self) -> frozenset[str]:
        """Return the absolute paths of its configuration files, which their owner may change.

        :raises DebError: it cannot be read.
        """
        with self._open("control.tar") as control:
            for member in control:
                if _plain(member.name) != "conffiles" or not member.isreg():
                    continue
                if member.size > LARGEST_CONTROL:
                    raise DebError(f"its list of configuration files has {member.size} bytes")
                lines = cast("IO[bytes]", control.extractfile(member)).read().decode().splitlines()
                # `remove-on-upgrade` lines name files that are not shipped (deb-conffiles(5))
                return frozenset(line.strip() for line in lines if line.startswith("/"))
        return frozenset()

    def entries(self) -> Iterator[tuple[tarfile.TarInfo, Iterator[bytes] | None]]:
        """Yield each entry in the package's order, with the chunks of its content if it is a regular file.

        Names, and those that hard links lead to, are relative to the root, which is left out; ``..`` is not
        taken away.  A hard link comes after the file it leads to.  Content is gone once the next entry is
        asked for.

        :raises DebError: it cannot be read; the chunks raise it, too.
        """
        with self._open("data.tar") as data:
            for entry in data:
                entry.name = _plain(entry.name)
                if entry.islnk():
                    entry.linkname = _plain(entry.linkname)
                if entry.name:
                    yield entry, _chunks(data, entry) if entry.isreg() else None

    @contextmanager
    def _open(self, part: Literal["control.tar", "data.tar"]) -> Iterator[tarfile.TarFile]:
        """Open one of the two tars inside, whatever it is compressed with."""
        with _errors(), self._path.open("rb") as stream:
            members = ArFile(fileobj=stream).getmembers()
            found = [member for member in members if member.name.startswith(part)]
            if len(found) != 1:
                raise DebError(f"it has {len(found)} members {part}")
            packed = cast("IO[bytes]", _Readable(found[0]))
            if not found[0].name.endswith(".zst"):
                with tarfile.open(fileobj=packed, mode="r|*") as opened:
                    yield opened
                return
            # not `tarfile`'s before Python 3.14
            unpacker = zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW)
            with (
                unpacker.stream_reader(packed) as unpacked,
                tarfile.open(fileobj=unpacked, mode="r|") as opened,
            ):
                yield opened


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        raise DebError(str(error)) from error


def _chunks(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> Iterator[bytes]:
    with _errors(), cast("IO[bytes]", archive.extractfile(entry)) as content:
        while chunk := content.read(CHUNK):
            yield chunk


def _plain(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in {"", "."})


class _Readable:
    """An ar member read once from its start."""

    def __init__(self, member: ArMember) -> None:
        self._member = member
        member.seek(0)

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._member.read(max(size, 0))
        return data
