"""Local files as a tar a container is fed with: a remote engine sees no folder of this machine."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from envbuild.errors import UsageError


def tar_of(paths: Iterable[Path], *, uid: int, gid: int) -> bytes:
    """Return a tar of ``paths`` by their last names, owned by the image's user so that it may write there.

    :raises UsageError: one does not exist; all are named.
    """
    wanted = tuple(paths)
    refuse_missing(wanted)

    def own(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid, entry.gid = uid, gid
        entry.uname = entry.gname = ""
        return entry

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in wanted:
            archive.add(path, arcname=path.resolve().name, filter=own)
    return buffer.getvalue()


def refuse_missing(paths: Iterable[Path]) -> None:
    """Return if all of ``paths`` exist.

    :raises UsageError: one does not; all that do not are named.
    """
    missing = [f"`{path}`" for path in paths if not path.exists()]
    if missing:
        raise UsageError(f"there is no {', '.join(missing)} to copy", hint="check the spelling of its path")
