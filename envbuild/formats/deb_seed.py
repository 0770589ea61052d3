"""The seed of a bootstrapped base: the essential packages, unpacked into one tar, before any dpkg runs.

An engine can unpack a tar into an empty root but not a package; this is the one step it cannot do itself.
The seed starts a throw-away stage and never reaches an image.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from envbuild.errors import IntegrityError
from envbuild.formats.deb import DebArchive, DebError

MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Top-level folders that are links into /usr on every supported release (Debian's usrmerge)."""


def write_seed(debs: Iterable[Path], destination: Path, *, epoch: int) -> None:
    """Write the files of ``debs`` into one tar at ``destination``, the same bytes for the same packages.

    Entries are sorted by path and the last package wins where two own one; the clock, the umask and this
    machine's accounts have no part in it.  ``epoch`` (seconds) caps modification times.

    :raises IntegrityError: a package cannot be read, or one of its paths would leave the root.
    """
    entries: dict[str, tuple[tarfile.TarInfo, bytes]] = {}
    for deb in debs:
        for entry, content in _entries_of(deb):
            known = entries.get(entry.name)
            if known is None or not entry.isdir():
                entries[entry.name] = (entry, content)
    for folder in MERGED:
        if any(name.startswith(f"usr/{folder}/") for name in entries):
            entries[folder] = (_link(folder, epoch), b"")
    with tarfile.open(destination, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(entries):
            entry, content = entries[name]
            entry.mtime = min(int(entry.mtime), epoch)
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)


def _entries_of(deb: Path) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    contents: dict[str, bytes] = {}
    try:
        for packed, chunks in DebArchive(deb).entries():
            # a hard link becomes a copy: sorted by name it could stand before its target
            content = contents[packed.linkname] if packed.islnk() else b"".join(chunks or ())
            contents[packed.name] = content
            name = _safe_name(packed.name, deb)
            if name not in MERGED:
                yield _copy(packed, name, len(content)), content
    except (DebError, KeyError) as error:
        raise IntegrityError(
            f"{deb.name} cannot be unpacked",
            hint="the archive published a broken package; lock again, or take another mirror",
            detail=str(error),
        ) from error


def _copy(packed: tarfile.TarInfo, name: str, size: int) -> tarfile.TarInfo:
    """Return what of an entry belongs to the package: numeric owners, no names of this machine."""
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.REGTYPE if packed.islnk() else packed.type
    entry.mode = packed.mode
    entry.uid, entry.gid = packed.uid, packed.gid
    entry.size = size
    entry.mtime = int(packed.mtime)
    entry.linkname = packed.linkname if packed.issym() else ""
    entry.devmajor, entry.devminor = packed.devmajor, packed.devminor
    return entry


def _safe_name(name: str, deb: Path) -> str:
    """Return the path inside the root, through the merged-/usr links."""
    if ".." in name.split("/"):
        raise IntegrityError(f"{deb.name} has a file outside the root: {name}")
    top, _, rest = name.partition("/")
    return f"usr/{name}" if top in MERGED and rest else name


def _link(folder: str, epoch: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(folder)
    entry.type = tarfile.SYMTYPE
    entry.linkname = f"usr/{folder}"
    entry.mode = 0o777
    entry.mtime = epoch
    return entry
