"""What is kept of one layer: every path in it, and the few files a base is known by.

A scan depends on the layer's bytes alone, so it is made once per layer and shared by all images that have it.
What the layers amount to together is ``image_files.py``'s.
"""

import hashlib
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Final, Literal

from envbuild.digest import CHUNK
from envbuild.formats.tar_reader import LayerArchive, LayerError, normal_path
from envbuild.oci.layer_paths import BOOKKEEPING, OPAQUE, WHITEOUT

LARGEST_CONTENT: Final = 32 << 20
"""Bytes of one file kept; dpkg's status of a very full image is a quarter of that."""

LARGEST_CONTENTS: Final = 64 << 20
"""Bytes of all files kept of one layer."""

LATEST_TIME: Final = 253_402_300_799
"""Seconds from 1970 to the end of the year 9999; later times are damage, not dates."""


WANTED_FILES: Final = frozenset(
    {
        "etc/apt/apt.conf",
        "etc/apt/preferences",
        "etc/apt/sources.list",
        "etc/apt/trusted.gpg",
        "etc/dpkg/dpkg.cfg",
        "etc/os-release",
        "etc/passwd",
        "lib/apk/db/installed",
        "usr/lib/apk/db/installed",
        "usr/lib/os-release",
        "var/lib/dpkg/arch",
        "var/lib/dpkg/status",
    }
)
"""Files whose content is kept."""

WANTED_FOLDERS: Final = frozenset(
    {
        "etc/apt/apt.conf.d",
        "etc/apt/keyrings",
        "etc/apt/preferences.d",
        "etc/apt/sources.list.d",
        "etc/apt/trusted.gpg.d",
        "etc/dpkg/dpkg.cfg.d",
        "usr/share/keyrings",
        "var/lib/dpkg/status.d",
    }
)
"""Folders whose files are kept, without those below."""

NOTED_FILES: Final = frozenset({"usr/bin/dpkg"})
"""Files that only matter by being there."""

_WANTED = re.compile(
    r"var/lib/dpkg/info/(?:lib)?python3[^/]*\.list"
    r"|(?:.*/)?include/python3\.[0-9]+t?/patchlevel\.h"
)
_PYTHON = re.compile(r"python(?:3(?:\.[0-9]+t?)?)?|libpython3[^/]*\.so(?:\.[0-9.]+)?")
_GLIBC = re.compile(r"libc\.so\.6|libc-2\.[0-9]+\.so")
_MUSL = re.compile(r"ld-musl-[^/]+\.so\.1")

_VERSIONS: Final = (
    (_PYTHON, re.compile(rb"(?<![0-9.])(3\.[0-9]{1,2}\.[0-9]{1,2}(?:(?:a|b|rc)[0-9]{1,2})?\+?)\0")),
    (_GLIBC, re.compile(rb"release version ([0-9]+\.[0-9]+)")),
    (_MUSL, re.compile(rb"(?<![0-9.])(1\.[0-9]+\.[0-9]+)\0")),
)
"""Programs by the name of their file, and what their version looks like in them."""

_OVERLAP: Final = 64
"""Bytes two searched blocks share, so that no version is cut in two."""

_ELF = b"\x7fELF"
_JOURNAL_LEVEL: Final = 1

EntryKind = Literal["d", "f", "s", "h", "o"]
"""Directory, regular file, symbolic link, hard link, and all others: devices, pipes."""

_KINDS: Final[Mapping[bytes, EntryKind]] = {
    tarfile.DIRTYPE: "d",
    tarfile.SYMTYPE: "s",
    tarfile.LNKTYPE: "h",
    tarfile.CHRTYPE: "o",
    tarfile.BLKTYPE: "o",
    tarfile.FIFOTYPE: "o",
}


@dataclass(frozen=True, slots=True)
class Program:
    """An executable or library, by what identifies it; its bytes are not kept."""

    sha256: str
    is_elf: bool
    versions: tuple[str, ...] = ()
    """Everything in it that reads like its version, sorted."""


@dataclass(frozen=True, slots=True)
class LayerEntry:
    """One path a layer adds."""

    kind: EntryKind
    path: str
    target: str = ""
    """Of a link: where it points, as written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerScan:
    """One layer, as far as a base is concerned."""

    digest: str
    newest: int
    """The latest modification time in it, seconds since 1970."""

    whiteouts: tuple[str, ...]
    """Paths it removes from the layers below."""

    opaques: tuple[str, ...]
    """Directories whose content below it removes."""

    journal: bytes
    """Every other entry in the archive's order, packed; see :meth:`entries`."""

    contents: Mapping[str, bytes]
    """Wanted files by their path in this layer."""

    programs: Mapping[str, Program]
    """Interpreters and C libraries by their path in this layer."""

    def entries(self) -> Iterator[LayerEntry]:
        """Yield what the layer adds, in its order."""
        rest = b""
        for block in _unpack(self.journal):
            fields = (rest + block).split(b"\0")
            # two fields an entry; what is left of the last one waits for more
            whole = (len(fields) - 1) // 2 * 2
            rest = b"\0".join(fields[whole:])
            for head, target in zip(fields[0:whole:2], fields[1:whole:2], strict=True):
                text = head.decode(errors="surrogateescape")
                # the first letter is one of ours: see _Journal
                yield LayerEntry(text[0], text[1:], target.decode(errors="surrogateescape"))  # type: ignore[arg-type]


def is_wanted(path: str) -> bool:
    """Return whether the content of a file of this path is kept."""
    folder, _, name = path.rpartition("/")
    return (
        path in WANTED_FILES
        or folder in WANTED_FOLDERS
        or (name.endswith((".list", ".h")) and _WANTED.fullmatch(path) is not None)
    )


def is_program(path: str) -> bool:
    """Return whether a file of this path is identified as an interpreter or a C library."""
    return _version_pattern(path) is not None


def is_kept(path: str) -> bool:
    """Return whether anything but its path is known of a regular file of this path."""
    return is_program(path) or is_wanted(path) or path in NOTED_FILES


def scan_layer(chunks: Iterable[bytes], *, digest: str, also: frozenset[str] = frozenset()) -> LayerScan:
    """Read a whole layer and return what is kept of it.

    ``also`` names further paths to keep, as content and as programs.

    :raises LayerError: it is not a readable layer, or what would be kept is absurdly large.
    """
    archive, found = LayerArchive(chunks), _Findings(also)
    with archive.whole():
        for member, content in archive.entries():
            found.note(member, content)
    return LayerScan(
        digest=digest,
        newest=found.newest,
        whiteouts=tuple(found.whiteouts),
        opaques=tuple(found.opaques),
        journal=found.journal.packed(),
        contents=found.contents,
        programs=found.programs,
    )


class _Findings:
    """What has been seen of a layer so far."""

    def __init__(self, also: frozenset[str]) -> None:
        self.newest = 0
        self.whiteouts: list[str] = []
        self.opaques: list[str] = []
        self.journal = _Journal()
        self.contents: dict[str, bytes] = {}
        self.programs: dict[str, Program] = {}
        self._also = also
        self._kept_bytes = 0

    def note(self, member: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        """Take in one entry."""
        path = member.name
        folder, _, name = path.rpartition("/")
        if name.startswith(WHITEOUT):
            self._remove(folder, name)
        elif path:
            if 0 <= member.mtime <= LATEST_TIME:
                self.newest = max(self.newest, int(member.mtime))
            self.journal.add(member)
            if content is not None:
                self._read(path, content, member.size)

    def _remove(self, folder: str, name: str) -> None:
        if name == OPAQUE:
            self.opaques.append(folder)
        elif not name.startswith(BOOKKEEPING):
            self.whiteouts.append(f"{folder}/{name[len(WHITEOUT) :]}".lstrip("/"))

    def _read(self, path: str, content: IO[bytes], size: int) -> None:
        if is_wanted(path) or (path in self._also and size <= LARGEST_CONTENT):
            data = self.contents[path] = _content(content, path, size)
            self._kept_bytes += len(data)
            if self._kept_bytes > LARGEST_CONTENTS:
                raise LayerError("a layer has more package lists and settings than can be right")
            if path in self._also:
                self.programs[path] = _identify([data], path)
        elif is_program(path) or path in self._also:
            self.programs[path] = _identify(_blocks(content), path)


class _Journal:
    """The growing list of a layer's entries, packed as it grows."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(_JOURNAL_LEVEL)
        self._parts: list[bytes] = []

    def add(self, member: tarfile.TarInfo) -> None:
        # as tar: a type nobody knows is a regular file
        kind = _KINDS.get(member.type, "f")
        target = normal_path(member.linkname) if kind == "h" else member.linkname if kind == "s" else ""
        line = f"{kind}{member.name}\0{target}\0"
        self._parts.append(self._packer.compress(line.encode(errors="surrogateescape")))

    def packed(self) -> bytes:
        return b"".join((*self._parts, self._packer.flush()))


def _unpack(journal: bytes) -> Iterator[bytes]:
    unpacker = zlib.decompressobj()
    while not unpacker.eof:
        yield unpacker.decompress(journal, CHUNK)
        journal = unpacker.unconsumed_tail


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(CHUNK):
        yield block


def _content(stream: IO[bytes], path: str, size: int) -> bytes:
    if size > LARGEST_CONTENT:
        raise LayerError(f"`/{path}` has {size} bytes, more than such a file can need")
    return stream.read()


def _identify(blocks: Iterable[bytes], path: str) -> Program:
    """Hash a program and look for its version."""
    pattern = _version_pattern(path) or _VERSIONS[0][1]
    state, versions, start, tail = hashlib.sha256(), set[str](), b"", b""
    for block in blocks:
        state.update(block)
        start = start or block[: len(_ELF)]
        versions |= {match.decode() for match in pattern.findall(tail + block)}
        tail = block[-_OVERLAP:]
    return Program(state.hexdigest(), start == _ELF, tuple(sorted(versions)))


def _version_pattern(path: str) -> re.Pattern[bytes] | None:
    name = path.rpartition("/")[2]
    # nearly all files fail here: no expression is tried on them
    if "python" not in name and not name.startswith(("libc", "ld-musl")):
        return None
    return next((version for file, version in _VERSIONS if file.fullmatch(name)), None)
