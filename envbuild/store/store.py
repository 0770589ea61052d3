"""The folder of artifacts by sha256, shared by all projects and processes of a user.

Layout below the cache folder::

    sha256/ab/ab01…       artifacts, whole and verified when they appeared
    partial/ab01…         being fetched, or left by a process that was stopped; resumed by the next one
    partial/add-…         being added, of a digest not yet known
    contexts/…            folders of staged artifacts, each with a lock file beside it

Nothing is believed because of a name or a time: whoever uses an artifact hashes it first.
"""

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from envbuild.cache import use_lock
from envbuild.cache.folders import ARTIFACTS, PARTIALS, STAGED
from envbuild.cache.prune import PrunableItem, file_items
from envbuild.digest import CHUNK, SHA256_HEX, sha256_bytes, sha256_file
from envbuild.errors import EnvbuildError, IntegrityError
from envbuild.files.disk import disk_errors
from envbuild.files.locks import create_locked, wait_for_lock
from envbuild.files.temporary import remove_unless_locked, sweep_folders
from envbuild.parallel import run_all
from envbuild.store.partial import MODIFIED, Partial

ADDING = "add-"
"""How a file in ``partial/`` begins whose digest is not yet known."""

HASHERS = min(8, os.cpu_count() or 1)
"""Threads that hash at once: hashing is bound by the processor."""


class Store:
    """Artifacts of one cache folder.  Nothing is created before something is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.artifacts_folder = ARTIFACTS.path(folder)
        self.partials_folder = PARTIALS.path(folder)
        self.contexts_folder = STAGED.path(folder)

    def place_of(self, sha256: str) -> Path:
        """Return where the artifact is or would be.  :raises ValueError: not 64 hexadecimal digits."""
        if not SHA256_HEX.fullmatch(sha256):
            raise ValueError(f"not a sha256: {sha256!r}")
        return self.artifacts_folder / sha256[:2] / sha256

    def path_of(self, sha256: str) -> Path | None:
        """Return the path of an artifact, not verified, or None when the store lacks it."""
        path = self.place_of(sha256)
        return path if path.is_file() else None

    def holds(self, sha256: str, size: int) -> bool:
        """Return whether there is an artifact of that name and size; its content is not looked at."""
        try:
            return self.place_of(sha256).stat().st_size == size
        except (FileNotFoundError, NotADirectoryError):
            return False

    def open_verified(self, sha256: str) -> BinaryIO:
        """Return the artifact open for reading at its start, hashed just now.

        :raises IntegrityError: it is damaged; it is removed, so that the next fetch brings it anew.
        :raises EnvbuildError: the store lacks it, or it cannot be read.
        """
        path = self.place_of(sha256)
        with disk_errors(self.folder):
            try:
                stream = path.open("rb")
            except FileNotFoundError as error:
                raise EnvbuildError(f"{sha256} is not in the store {self.folder}") from error
            try:
                got = hashlib.file_digest(stream, "sha256").hexdigest()
            except BaseException:
                stream.close()
                raise
            if got == sha256:
                stream.seek(0)
                self.touch(sha256)
                return stream
            stream.close()
            self.discard(sha256)
        raise IntegrityError(
            f"the stored file {path} was damaged: its sha256 is {got}",
            hint="it was removed; run the command again and it is fetched anew",
        )

    def verify(self, sha256: str) -> bool:
        """Return whether the artifact is there and hashes to its name."""
        with disk_errors(self.folder):
            try:
                return sha256_file(self.place_of(sha256)) == sha256
            except FileNotFoundError:
                return False

    def damaged(self, digests: Iterable[str]) -> tuple[str, ...]:
        """Hash many artifacts in parallel; return those that are missing or damaged, sorted."""
        found: list[str] = []

        def check(sha256: str) -> None:
            if not self.verify(sha256):
                found.append(sha256)

        run_all(check, sorted(set(digests)), workers=HASHERS)
        return tuple(sorted(found))

    def digests(self) -> tuple[str, ...]:
        """Return the sha256 of every artifact there is, sorted."""
        with disk_errors(self.folder):
            return tuple(
                sorted(
                    path.name
                    for path in self.artifacts_folder.glob("??/*")
                    if SHA256_HEX.fullmatch(path.name) and path.name[:2] == path.parent.name
                )
            )

    def discard(self, sha256: str) -> None:
        """Remove an artifact if it is there."""
        self.place_of(sha256).unlink(missing_ok=True)

    def touch(self, sha256: str) -> None:
        """Note that the artifact is used now: what was not used for longest is pruned first.

        The access time holds it, set explicitly because many systems do not keep it; the modification
        time stays the same for ever, because staged files share it.
        """
        # the folder may belong to somebody else
        with contextlib.suppress(OSError):
            os.utime(self.place_of(sha256), (time.time(), MODIFIED))

    def add_bytes(self, data: bytes, *, sha256: str | None = None) -> str:
        """Store ``data``; return its sha256.  :raises IntegrityError: it is not the ``sha256`` expected."""
        got = sha256_bytes(data)
        if sha256 in {None, got} and self.verify(got):
            self.touch(got)
            return got
        return self.add_stream((data,), sha256=sha256)

    def add_file(self, path: Path, *, sha256: str | None = None) -> str:
        """Store a copy of a file; return its sha256.

        :raises IntegrityError: it is not the ``sha256`` expected.
        :raises OSError: ``path`` cannot be read.
        """
        with path.open("rb") as stream:
            return self.add_stream(iter(lambda: stream.read(CHUNK), b""), sha256=sha256)

    def add_stream(self, chunks: Iterable[bytes], *, sha256: str | None = None) -> str:
        """Store the chunks laid end to end; return their sha256.  Nothing is kept if ``chunks`` raises.

        :raises IntegrityError: they are not the ``sha256`` expected.
        """
        source = iter(chunks)
        with self._adding() as partial:
            # not inside disk_errors: what the source raises is not about the cache folder
            while (chunk := next(source, None)) is not None:
                with disk_errors(self.folder):
                    partial.append(chunk)
            got = partial.sha256
            if sha256 not in {None, got}:
                raise IntegrityError(f"unexpected content: sha256 expected {sha256}, got {got}")
            with disk_errors(self.folder):
                partial.finish(self.place_of(got))
        self.touch(got)
        return got

    @contextlib.contextmanager
    def partial(self, sha256: str, *, stop: threading.Event | None = None) -> Iterator[Partial]:
        """Yield what was received of an artifact so far, locked: other processes wait until this one ends.

        Ask :meth:`holds` again inside: the process that was waited for may have brought it.

        :raises StoppedError: ``stop`` was set while waiting.
        """
        self.prepare()
        path = self.partials_folder / self.place_of(sha256).name
        descriptor = wait_for_lock(path, stop=stop or threading.Event())
        with contextlib.closing(Partial(path, descriptor)) as partial:
            try:
                yield partial
            finally:
                if partial.position == 0:
                    partial.remove()

    def received(self, sha256: str) -> int:
        """Return how many bytes of an artifact lie in ``partial/``."""
        try:
            return (self.partials_folder / sha256).stat().st_size
        except FileNotFoundError:
            return 0

    def use(self) -> contextlib.AbstractContextManager[None]:
        """Hold the cache folder: while any process is inside, nothing is pruned."""
        return use_lock.use(self.folder)

    def items(self) -> Iterator[PrunableItem]:
        """Yield every artifact, and what was received of others, for pruning."""
        artifacts = (self.place_of(sha256) for sha256 in self.digests())
        yield from file_items(artifacts, used=lambda state: state.st_atime)
        partials = (
            path
            for path in self.partials_folder.glob("*")
            if SHA256_HEX.fullmatch(path.name) or path.name.startswith(ADDING)
        )
        yield from file_items(partials, remove=lambda path: remove_unless_locked(path, path))

    def sweep(self) -> None:
        """Remove what killed processes left and nobody can resume: files being added, and staged folders."""
        for path in self.partials_folder.glob(f"{ADDING}*"):
            remove_unless_locked(path, path)
        sweep_folders(self.contexts_folder)

    def prepare(self) -> None:
        """Create the folders.  :raises OSError: when they cannot be."""
        use_lock.prepare(self.folder)
        for folder in (self.artifacts_folder, self.partials_folder, self.contexts_folder):
            folder.mkdir(exist_ok=True)

    @contextlib.contextmanager
    def _adding(self) -> Iterator[Partial]:
        with disk_errors(self.folder):
            self.prepare()
            path, descriptor = create_locked(self.partials_folder, prefix=ADDING)
        with contextlib.closing(Partial(path, descriptor)) as partial:
            try:
                yield partial
            finally:
                # gone already when it was finished: nobody else makes this name
                partial.remove()
