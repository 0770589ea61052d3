"""What a full, read-only or odd disk means to the user."""

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path

from envbuild.errors import EnvbuildError
from envbuild.files.sizes import readable_size

CACHE_VARIABLE = "ENVBUILD_CACHE_DIR"
"""Names the cache folder; what errors about it say to change."""

# EFBIG: a limit on file sizes (`ulimit -f`)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_WITHOUT_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP})
_BROKEN = frozenset({errno.EIO, errno.EROFS})
_ELSEWHERE = f"or name another cache folder in {CACHE_VARIABLE}"


def is_of_disk(error: OSError) -> bool:
    """Return whether the disk is full, broken or unfit, so that the next file meets the same error."""
    return error.errno in _FULL | _BROKEN | _WITHOUT_LOCKS


class DiskFullError(EnvbuildError):
    """There is no room for what must be stored."""


def no_room(
    folder: Path, *, needed: int | None = None, free: int | None = None, detail: str | None = None
) -> DiskFullError:
    """Return the error that says the cache folder has no room; sizes in bytes, left out when unknown."""
    message = f"no room left in the cache folder {folder}"
    if needed is not None:
        message += f": {readable_size(needed)} more are needed"
    if free is not None:
        message += f", {readable_size(free)} are free"
    hint = f"free some space (`envbuild cache prune`), {_ELSEWHERE}"
    return DiskFullError(message, hint=hint, detail=detail)


@contextlib.contextmanager
def disk_errors(folder: Path, *, needed: Callable[[], int | None] = lambda: None) -> Iterator[None]:
    """Turn an :class:`OSError` met while using ``folder`` into an error a user can act on.

    ``needed`` is asked for the bytes still to be written when the disk is full.

    :raises DiskFullError: the disk, a quota or a file size limit is exhausted.
    :raises EnvbuildError: anything else, with the system's reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise no_room(folder, needed=needed()) from error
        if error.errno in _DENIED:
            place = error.filename or folder
            raise EnvbuildError(
                f"the cache folder {folder} cannot be used: {error.strerror} ({place})",
                hint=f"check its owner and permissions, {_ELSEWHERE}",
            ) from error
        if error.errno in _WITHOUT_LOCKS:
            raise EnvbuildError(
                f"the file system of the cache folder {folder} has no file locks",
                hint=f"name a folder on a local disk in {CACHE_VARIABLE}",
            ) from error
        reason = error.strerror or type(error).__name__
        place = f" ({error.filename})" if error.filename else ""
        raise EnvbuildError(
            f"the cache folder {folder} cannot be used: {reason}{place}",
            hint=f"check the disk, {_ELSEWHERE}",
        ) from error
