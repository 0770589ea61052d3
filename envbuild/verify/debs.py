"""The files a locked deb holds: path, digest or link, and mode of each, read from the package file itself."""

import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import zstandard
from debian.arfile import ArError, ArFile, ArMember

from envbuild.digest import sha256_chunks
from envbuild.errors import IntegrityError
from envbuild.verify.checks.expected_files import ExpectedEntry, Tree

_CHUNK = 1 << 20
_KINDS = {tarfile.REGTYPE: "f", tarfile.AREGTYPE: "f", tarfile.SYMTYPE: "l", tarfile.DIRTYPE: "d"}


def deb_tree(path: Path, *, file: str) -> Tree:
    """Return the files of the deb at ``path`` by absolute path as packaged, sorted (deb(5)).

    ``file`` names it in errors.  Where it says ``/bin/ls``, a merged-/usr system has ``/usr/bin/ls``; the
    comparison follows the links it finds.

    :raises IntegrityError: the file is no Debian package.
    """
    try:
        with path.open("rb") as stream:
            archive = ArFile(fileobj=stream)
            conffiles = _conffiles(archive)
            with _open_part(archive, "data.tar") as data:
                entries = dict(_entries(data, conffiles))
    except (
        OSError,
        EOFError,
        ArError,
        KeyError,
        tarfile.TarError,
        lzma.LZMAError,
        zlib.error,
        zstandard.ZstdError,
    ) as error:
        raise IntegrityError(f"{file} is not a Debian package: {error}") from error
    return dict(sorted(entries.items()))


def _entries(archive: tarfile.TarFile, conffiles: frozenset[str]) -> Iterator[tuple[str, ExpectedEntry]]:
    seen: dict[str, ExpectedEntry] = {}
    for member in archive:
        path = "/" + member.name.removeprefix("./").strip("/")
        if path in {"/", "/."}:
            continue
        if member.islnk():
            # a hard link is the file it names, which came before it
            entry = seen["/" + member.linkname.removeprefix("./").strip("/")]
        else:
            kind = _KINDS.get(member.type, "o")
            content = member.linkname if kind == "l" else None
            if kind == "f":
                content = _digest(archive, member)
            entry = ExpectedEntry(kind, member.mode & 0o7777, content, path in conffiles)
        seen[path] = entry
        yield path, entry


def _digest(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    stream = archive.extractfile(member)
    if stream is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    with stream:
        return sha256_chunks(iter(lambda: stream.read(_CHUNK), b""))


def _conffiles(archive: ArFile) -> frozenset[str]:
    with _open_part(archive, "control.tar") as control:
        for member in control:
            stream = control.extractfile(member) if member.name.removeprefix("./") == "conffiles" else None
            if stream is not None:
                lines = stream.read().decode().splitlines()
                # `remove-on-upgrade` lines name files that are not shipped (deb-conffiles(5))
                return frozenset(line.strip() for line in lines if line.startswith("/"))
    return frozenset()


@contextmanager
def _open_part(archive: ArFile, name: str) -> Iterator[tarfile.TarFile]:
    """Open one of the two tars inside, whatever it is compressed with, front to back."""
    parts = [member for member in archive.getmembers() if member.name.startswith(name)]
    if len(parts) != 1:
        raise tarfile.ReadError(f"it has {len(parts)} members {name}")
    part = parts[0]
    if part.name.endswith(".zst"):
        # not `tarfile`'s before Python 3.14
        with (
            zstandard.ZstdDecompressor().stream_reader(cast("IO[bytes]", _Readable(part))) as stream,
            tarfile.open(fileobj=stream, mode="r|") as opened,
        ):
            yield opened
    else:
        with tarfile.open(fileobj=cast("IO[bytes]", _Readable(part)), mode="r|*") as opened:
            yield opened


class _Readable:
    """An ar member read once from its start."""

    def __init__(self, member: ArMember) -> None:
        self._member = member
        member.seek(0)

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._member.read(max(size, 0))
        return data
