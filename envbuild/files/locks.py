"""Locks between processes, held by the kernel for as long as a descriptor is open.

``flock`` on the very file that is being written: the lock ends with the process, even by ``kill -9``, and
leaves no lock file behind.  docs/adr/0007-store.md says why it is not a library.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from envbuild.parallel import StoppedError

POLL_SECONDS = 0.05
"""How often a lock held by another process is asked for again."""

_NO_STOP = threading.Event()


def create_locked(folder: Path, *, prefix: str, suffix: str = "") -> tuple[Path, int]:
    """Create a file nobody else has in ``folder``; return its path and its locked descriptor."""
    while True:
        path = folder / f"{prefix}{secrets.token_hex(8)}{suffix}"
        descriptor = try_lock(path, create=True)
        if descriptor is not None:
            return path, descriptor


def try_lock(path: Path, *, create: bool = False) -> int | None:
    """Return a descriptor that holds the lock on the file at ``path``, or None if another process does.

    :raises FileNotFoundError: there is no such file, and ``create`` was not asked for.
    """
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
    while True:
        descriptor = os.open(path, flags, 0o644)
        try:
            if not _lock_now(descriptor):
                os.close(descriptor)
                return None
            if _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        # the holder finished and renamed or removed the file between the open and the lock
        os.close(descriptor)


def wait_for_lock(path: Path, *, stop: threading.Event = _NO_STOP) -> int:
    """Return a descriptor that holds the lock on the file at ``path``, created if it is missing.

    :raises StoppedError: ``stop`` was set while another process held the lock.
    """
    while True:
        descriptor = try_lock(path, create=True)
        if descriptor is not None:
            return descriptor
        if stop.wait(POLL_SECONDS):
            raise StoppedError


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on the file at ``path``, created if it is missing, when its holder has ended."""
    descriptor = wait_for_lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold a lock that many processes may hold together, waiting for an exclusive holder to end."""
    # reading is all that a shared lock needs, and all that is allowed in a folder of another user
    descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive(path: Path, *, wait_seconds: float) -> Iterator[bool]:
    """Hold a lock nobody else holds, shared or not; yield whether it was free within ``wait_seconds``."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + wait_seconds
        while not (held := _lock_now(descriptor)) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
        yield held
    finally:
        os.close(descriptor)


def _lock_now(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # EACCES: what some network file systems say of a lock held elsewhere
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        named = path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return False
    opened = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
