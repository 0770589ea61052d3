"""Local files as a tar a container is fed with: a remote engine sees no folder of this machine."""

import io
import posixpath
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

from envbuild.errors import UsageError


def tar_of(
    paths: Iterable[Path], *, uid: int, gid: int, on_left_out: Callable[[str], None] = lambda _: None
) -> bytes:
    """Return a tar of ``paths`` by their last names, owned by the image's user so that it may write there.

    Of the current folder, ``.``, it has what is in it.  What is named itself may be a link: its content is
    copied.  A link below that leads out of what is copied is left out, and told to ``on_left_out``: engines
    refuse the whole archive for it.

    :raises UsageError: one does not exist; all are named.
    """
    wanted = tuple(paths)
    refuse_missing(wanted)

    def own(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if entry.issym() and _leads_out(entry):
            on_left_out(f"{entry.name} -> {entry.linkname}")
            return None
        entry.uid, entry.gid = uid, gid
        entry.uname = entry.gname = ""
        return entry

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in wanted:
            # the current folder is not copied as one, but what is in it; `..` has no name of its own
            name = "." if path == Path() else path.name if path.name != ".." else path.resolve().name
            archive.add(path.resolve(), arcname=name, filter=own)
    return buffer.getvalue()


def _leads_out(link: tarfile.TarInfo) -> bool:
    """Return whether a relative link leads out of the folder that the archive is unpacked in."""
    if link.linkname.startswith("/"):
        return False
    target = posixpath.normpath(posixpath.join(posixpath.dirname(link.name), link.linkname))
    return target.split("/")[0] == ".."


def owned(archive: bytes, *, uid: int, gid: int) -> bytes:
    """Return a tar of :func:`tar_of` with another owner."""
    buffer = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as before,
        tarfile.open(fileobj=buffer, mode="w") as after,
    ):
        for entry in before:
            entry.uid, entry.gid = uid, gid
            after.addfile(entry, before.extractfile(entry) if entry.isreg() else None)
    return buffer.getvalue()


def refuse_missing(paths: Iterable[Path]) -> None:
    """Return if all of ``paths`` exist.

    :raises UsageError: one does not; all that do not are named.
    """
    missing = [f"`{path}`" for path in paths if not path.exists()]
    if missing:
        raise UsageError(f"there is no {', '.join(missing)} to copy", hint="check the spelling of its path")
