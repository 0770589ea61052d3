"""The lock of the cache folder: shared by those who use what is in it, exclusive to those who remove some."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from envbuild.cache.folders import TAG, USE_LOCK
from envbuild.errors import EnvbuildError
from envbuild.files.atomic import write_bytes
from envbuild.files.disk import disk_errors
from envbuild.files.locks import exclusive, shared

_TAG: Final = b"Signature: 8a477f597d28d172789f06886806bc55\n# Files that envbuild can fetch again.\n"
_READ_ONLY: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def prepare(cache: Path) -> None:
    """Create the cache folder with its tag.  :raises OSError: when it cannot be."""
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / TAG).exists():
        write_bytes(cache / TAG, _TAG)


def is_tagged(cache: Path) -> bool:
    """Return whether envbuild made the folder its cache.  :raises OSError: the tag cannot be read."""
    try:
        return (cache / TAG).read_bytes() == _TAG
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def use(cache: Path) -> Iterator[None]:
    """Hold what is in the cache folder: while any process is inside, nothing is pruned.

    :raises EnvbuildError: the folder cannot be used.
    """
    with contextlib.ExitStack() as stack:
        with disk_errors(cache):
            try:
                prepare(cache)
                stack.enter_context(shared(cache / USE_LOCK))
            except OSError as error:
                # a cache this user may only read works too
                if error.errno not in _READ_ONLY or not cache.is_dir():
                    raise
        yield


@contextlib.contextmanager
def try_own(cache: Path, *, wait_seconds: float = 0) -> Iterator[bool]:
    """Hold the cache folder alone, to remove some of it; yield whether it was free in time.

    :raises EnvbuildError: the folder cannot be used.
    """
    with contextlib.ExitStack() as stack:
        with disk_errors(cache):
            prepare(cache)
            held = stack.enter_context(exclusive(cache / USE_LOCK, wait_seconds=wait_seconds))
        yield held


@contextlib.contextmanager
def own(cache: Path, *, wait_seconds: float) -> Iterator[None]:
    """Hold the cache folder alone, to remove some of it.

    :raises EnvbuildError: another process still uses it after ``wait_seconds``, or it cannot be used.
    """
    with try_own(cache, wait_seconds=wait_seconds) as held:
        if not held:
            raise EnvbuildError(
                f"another envbuild is using the cache folder {cache}",
                hint="wait for it to end, then try again",
            )
        yield
