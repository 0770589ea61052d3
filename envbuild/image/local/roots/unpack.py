"""One layer as a folder an overlay mount can use: its files, and its removals in the kernel's form.

The kernel's form (Documentation/filesystems/overlayfs.rst): a removed name is a character device 0/0; a
folder that hides what lies below has the attribute ``user.overlay.opaque``.  Owners and modes are the
layer's, so this needs root, or a user namespace with subordinate ids.

Nothing is written outside the folder, whatever the layer holds: links inside it are followed as from a root,
device nodes are left out (a private root brings its own), sockets too.
"""

import contextlib
import errno
import hashlib
import os
import posixpath
import stat
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from envbuild.digest import CHUNK, OciDigest
from envbuild.errors import IntegrityError
from envbuild.files.atomic import write_all
from envbuild.formats.compression import unpacked
from envbuild.formats.tar_reader import LayerArchive, LayerError, normal_path
from envbuild.oci import layer_paths
from envbuild.oci.layer_paths import PathWalk

OPAQUE: Final = "user.overlay.opaque"
CAPABILITY: Final = "security.capability"
"""The one extended attribute of a layer that is kept: what a program may do (capabilities(7))."""

_XATTR: Final = f"SCHILY.xattr.{CAPABILITY}"


@dataclass(frozen=True, slots=True)
class Extent:
    """What a folder holds: enough to notice what a power cut took, or a copy did not keep."""

    entries: int
    size: int
    """Bytes of the regular files."""

    listing: str
    """sha256 (hexadecimal) over the path, kind, mode, owner, time and attributes of each entry."""


def unpack_layer(chunks: Iterable[bytes], folder: Path, *, diff_id: OciDigest) -> None:
    """Unpack the layer in ``chunks``, compressed as it is, into the empty ``folder``.

    :raises IntegrityError: it is not the layer of ``diff_id``; only then is the whole of it known.
    :raises LayerError: it is no readable archive, or holds what no layer should.
    """
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for block in unpacked(iter(chunks)):
            digest.update(block)
            yield block

    archive = LayerArchive(hashed())
    tree = _Tree(os.fspath(folder))
    with archive.whole():
        for entry, content in archive.entries():
            tree.add(entry, content)
    if f"sha256:{digest.hexdigest()}" != diff_id:
        raise IntegrityError(
            f"a layer unpacks to something else than {diff_id[:19]}",
            hint="the image's configuration contradicts its layers; choose another image",
        )
    tree.finish()


def extent_of(folder: Path) -> Extent:
    """Measure a folder, links not followed."""
    entries = size = 0
    listing = hashlib.sha256()
    pending = [b""]
    top = os.fsencode(folder)
    while pending:
        below = pending.pop()
        with os.scandir(top + below) as found:
            # bytes: names of a layer need not be text
            listed = sorted(found, key=lambda entry: entry.name)
        for entry in listed:
            state = entry.stat(follow_symlinks=False)
            path = below + b"/" + entry.name
            entries += 1
            facts = [state.st_mode, state.st_uid, state.st_gid, int(state.st_mtime), state.st_rdev]
            kept = b""
            if stat.S_ISDIR(state.st_mode):
                pending.append(path)
                kept = _attribute(entry.path, OPAQUE)
            elif stat.S_ISLNK(state.st_mode):
                kept = os.readlink(entry.path)
            elif stat.S_ISREG(state.st_mode):
                size += state.st_size
                facts.append(state.st_size)
                kept = _attribute(entry.path, CAPABILITY)
            listing.update(b"%s\0%s\0%s\0" % (path, repr(facts).encode(), kept))
    return Extent(entries, size, listing.hexdigest())


def _attribute(path: bytes, name: str) -> bytes:
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError as error:
        if error.errno in {errno.ENODATA, errno.ENOTSUP}:
            return b""
        raise


class _Tree:
    """A folder being filled."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._parents: dict[str, str] = {"": folder}
        self._times: dict[str, int] = {}
        self._hidden: set[str] = set()
        # whatever the umask: the root of an image is for everybody
        os.chmod(folder, 0o755)  # noqa: S103

    def add(self, entry: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        parent, _, name = entry.name.rpartition("/")
        if not name:
            if entry.isdir():
                self._own(self._folder, entry)
            return
        place = f"{self._parent(parent)}/{name}"
        if name.startswith(layer_paths.WHITEOUT):
            self._remove(place, name)
        elif entry.isdir():
            self._make_folder(place, entry)
        elif not (entry.ischr() or entry.isblk()):
            self._replace(place)
            self._make(place, entry, content)

    def finish(self) -> None:
        """Give the folders their times, which filling them has changed."""
        for place in sorted(self._times, reverse=True):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.utime(place, (self._times[place], self._times[place]), follow_symlinks=False)

    def _make(self, place: str, entry: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        if entry.islnk():
            self._link(place, entry)
            return
        if entry.issym():
            os.symlink(entry.linkname, place)
            self._forget()
        elif entry.isfifo():
            os.mkfifo(place)
        elif content is not None:
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            try:
                while block := content.read(CHUNK):
                    write_all(descriptor, block)
            finally:
                os.close(descriptor)
        else:
            raise LayerError(f"a layer has an entry of an unknown kind: {entry.name!r}")
        self._own(place, entry)

    def _own(self, place: str, entry: tarfile.TarInfo) -> None:
        if not (0 <= entry.uid < 1 << 32 and 0 <= entry.gid < 1 << 32):
            raise LayerError(f"a layer has an owner no system has: {entry.name!r}")
        try:
            os.chown(place, entry.uid, entry.gid, follow_symlinks=False)
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise LayerError(
                    f"a layer has a file of uid {entry.uid}, which is not among this user's subordinate ids",
                    hint="give the user more of them in /etc/subuid and /etc/subgid, or run as root",
                ) from error
            raise
        if not entry.issym():
            # after the owner: changing that takes set-user-ID away
            os.chmod(place, entry.mode & 0o7777)
        capability = entry.pax_headers.get(_XATTR)
        if capability is not None:
            os.setxattr(place, CAPABILITY, capability.encode(errors="surrogateescape"), follow_symlinks=False)
        time = max(0, min(int(entry.mtime), (1 << 34) - 1))
        if entry.isdir():
            self._times[place] = time
        else:
            os.utime(place, (time, time), follow_symlinks=False)

    def _link(self, place: str, entry: tarfile.TarInfo) -> None:
        target = normal_path(entry.linkname)
        parent, _, name = target.rpartition("/")
        try:
            os.link(f"{self._parent(parent, make=False)}/{name}", place, follow_symlinks=False)
        except OSError as error:
            raise LayerError(f"a layer links {entry.name!r} to {target!r}, which it does not hold") from error

    def _make_folder(self, place: str, entry: tarfile.TarInfo) -> None:
        if not _is_folder(place):
            self._make_anew(place)
        self._own(place, entry)

    def _make_anew(self, place: str) -> None:
        removed = _is_removal(place)
        self._replace(place)
        os.mkdir(place)
        if removed or place in self._hidden:
            # the name was removed and made anew: nothing from below shows through
            os.setxattr(place, OPAQUE, b"y")

    def _replace(self, place: str) -> None:
        """Make room for an entry: of two of one name the later wins, and a file replaces a folder."""
        try:
            found = os.lstat(place)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(found.st_mode):
            _remove_tree(place)
            self._forget()
        else:
            os.unlink(place)
            if stat.S_ISLNK(found.st_mode):
                self._forget()

    def _remove(self, place: str, name: str) -> None:
        if name == layer_paths.OPAQUE:
            os.setxattr(posixpath.dirname(place), OPAQUE, b"y")
        elif not name.startswith(layer_paths.BOOKKEEPING):
            removed = name.removeprefix(layer_paths.WHITEOUT)
            if removed in {"", ".", ".."}:
                raise LayerError(f"a layer removes what no folder holds: {name!r}")
            hidden = f"{posixpath.dirname(place)}/{removed}"
            self._hidden.add(hidden)
            # a removal is of what lies below; an entry of this very layer stays
            if _is_folder(hidden):
                os.setxattr(hidden, OPAQUE, b"y")
            elif not os.path.lexists(hidden):
                os.mknod(hidden, stat.S_IFCHR | 0o000, os.makedev(0, 0))

    def _parent(self, path: str, *, make: bool = True) -> str:
        """Return the real folder of a path in the tree, links followed as from a root."""
        known = self._parents.get(path)
        if known is None:
            known = self._parents[path] = self._walk(path, make=make)
        return known

    def _walk(self, path: str, *, make: bool) -> str:
        walk = PathWalk(self._folder, path)
        for folder, name in walk:
            here = f"{folder}/{name}"
            try:
                mode = os.lstat(here).st_mode
            except FileNotFoundError:
                mode = 0
            if stat.S_ISLNK(mode):
                if not walk.follow(os.readlink(here)):
                    raise LayerError(f"a layer has links in a circle: {path!r}")
                continue
            if not stat.S_ISDIR(mode):
                if not make:
                    raise LayerError(f"a layer links to {path!r}, which it does not hold")
                # a folder that is only implied
                self._make_anew(here)
                os.chmod(here, 0o755)  # noqa: S103 - as engines make it
            walk.enter(name, here)
        return walk.folder

    def _forget(self) -> None:
        self._parents = {"": self._folder}


def _is_folder(place: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(place).st_mode)
    except FileNotFoundError:
        return False


def _is_removal(place: str) -> bool:
    try:
        found = os.lstat(place)
    except FileNotFoundError:
        return False
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _remove_tree(place: str) -> None:
    with os.scandir(place) as found:
        for entry in list(found):
            if entry.is_dir(follow_symlinks=False):
                _remove_tree(entry.path)
            else:
                os.unlink(entry.path)
    os.rmdir(place)
