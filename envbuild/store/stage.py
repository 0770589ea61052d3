"""Verified artifacts laid out in a folder, under the names an engine or an installer wants them by."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from envbuild.digest import CHUNK, sha256_file
from envbuild.errors import IntegrityError, Problem
from envbuild.files.disk import disk_errors
from envbuild.files.temporary import temporary_folder
from envbuild.parallel import run_all
from envbuild.store.artifact import Artifact
from envbuild.store.partial import MODE, MODIFIED
from envbuild.store.store import HASHERS, Store

FOLDER_MODE = 0o755

# another device; another owner (protected_hardlinks); too many links; a file system without links
_NO_LINK = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
)


class DamagedError(IntegrityError):
    """Stored files are not what their names say, or are gone; the store no longer has them."""

    def __init__(self, artifacts: Sequence[Artifact]) -> None:
        names = sorted(artifact.filename for artifact in artifacts)
        super().__init__(
            "stored files were damaged" if len(names) > 1 else "a stored file was damaged",
            problems=(Problem(name, "does not have the locked sha256; removed") for name in names),
            hint="run the command again, and they are fetched anew; if it happens often, check the disk",
        )
        self.artifacts = tuple(artifacts)


def stage(files: Mapping[str, Artifact], *, store: Store, folder: Path) -> None:
    """Lay every artifact out under its relative name in ``folder``, hashing each as it lies there.

    Hard links where the file system allows, else copies; mode 0644, folders 0755, whatever the umask; the
    modification time is the same for all.  The artifacts must be in the store.

    :raises ValueError: a name is not a relative path below ``folder``.
    :raises DamagedError: some are damaged; they are removed from store and folder.
    """
    for name in files:
        if PurePosixPath(name).is_absolute() or {"", ".", ".."} & set(name.split("/")):
            raise ValueError(f"not a path below the folder: {name!r}")
    damaged: dict[str, Artifact] = {}

    def lay(item: tuple[str, Artifact]) -> None:
        name, artifact = item
        if not _lay(store.place_of(artifact.sha256), folder / name, artifact.sha256):
            damaged[artifact.sha256] = artifact
        else:
            store.touch(artifact.sha256)

    with store.use(), disk_errors(store.folder):
        _make_folders(folder, files)
        run_all(lay, sorted(files.items(), key=lambda item: (-item[1].size, item[0])), workers=HASHERS)
        for sha256 in damaged:
            store.discard(sha256)
    if damaged:
        raise DamagedError(tuple(damaged.values()))


@contextlib.contextmanager
def staged(
    files: Mapping[str, Artifact], *, store: Store, fetch: Callable[[Sequence[Artifact]], None]
) -> Iterator[Path]:
    """Yield a folder with every artifact under its relative name, verified; it is removed afterwards.

    ``fetch`` brings artifacts into the store (:func:`~envbuild.store.fetch.fetch_all`); stored files that
    turn out damaged are fetched once more.

    :raises DamagedError: they are damaged again.
    """
    with store.use(), workspace(store) as folder:
        fetch(tuple(files.values()))
        try:
            stage(files, store=store, folder=folder)
        except DamagedError as error:
            fetch(error.artifacts)
            stage(files, store=store, folder=folder)
        yield folder


@contextlib.contextmanager
def workspace(store: Store) -> Iterator[Path]:
    """Yield an empty folder on the store's file system, removed afterwards whatever happens.

    One left by a killed process is removed when the next is made.
    """
    with contextlib.ExitStack() as stack:
        with disk_errors(store.folder):
            store.prepare()
            store.sweep()
            folder = stack.enter_context(temporary_folder(store.contexts_folder, mode=FOLDER_MODE))
        yield folder


def _make_folders(folder: Path, names: Mapping[str, Artifact]) -> None:
    below = {parent for name in names for parent in PurePosixPath(name).parents} - {PurePosixPath()}
    for path in sorted(below):
        (folder / path).mkdir(exist_ok=True)
        (folder / path).chmod(FOLDER_MODE)


def _lay(source: Path, target: Path, sha256: str) -> bool:
    """Return whether ``target`` now has the content its digest says; if not, it does not exist."""
    target.unlink(missing_ok=True)
    try:
        got = _link(source, target) or _copy(source, target)
    except FileNotFoundError:
        return False
    if got == sha256:
        return True
    target.unlink()
    return False


def _link(source: Path, target: Path) -> str | None:
    """Link the file and return its sha256, or None where links are not possible."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in _NO_LINK:
            return None
        raise
    if target.stat().st_mode & 0o7777 != MODE:
        # somebody changed it by hand; only its owner can change it back
        target.unlink()
        return None
    return sha256_file(target)


def _copy(source: Path, target: Path) -> str:
    state = hashlib.sha256()
    with source.open("rb") as stream, target.open("xb") as copy:
        os.fchmod(copy.fileno(), MODE)
        while chunk := stream.read(CHUNK):
            state.update(chunk)
            copy.write(chunk)
    os.utime(target, (MODIFIED, MODIFIED))
    return state.hexdigest()
