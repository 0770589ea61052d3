"""Files and folders that come back from a container, whose content nobody vouches for.

Nothing is written outside the destination: no entry has a path that leaves it, no link is followed, and links
that lead out of it are left out.
"""

import contextlib
import os
import shutil
import stat
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Final

from envbuild.errors import CopyOutError, Problem, from_os_error
from envbuild.formats.tar_reader import LayerArchive, LayerError
from envbuild.image.container_options import CopyOut

_PERMISSIONS: Final = 0o777
"""Neither set-user-ID nor sticky bits come along."""


def take_all(wanted: Iterable[CopyOut], take: Callable[[CopyOut], None], *, exit_status: int) -> None:
    """Call ``take`` for each of ``wanted``, also after one that fails.

    :raises CopyOutError: some could not be copied; all are named, and it has the ``exit_status``.
    """
    errors = []
    for copy in wanted:
        try:
            take(copy)
        except CopyOutError as error:
            errors.append(error)
    if not errors:
        return
    first = errors[0]
    others = tuple(Problem("", error.message) for error in errors[1:])
    failed = CopyOutError(
        first.message, hint=first.hint, problems=(*first.problems, *others), detail=first.detail
    )
    failed.exit_status = exit_status
    raise failed


def unpack_copy(chunks: Iterable[bytes], wanted: CopyOut) -> None:
    """Unpack a tar of one file or folder so that it is at the destination of ``wanted``.

    What is there is overwritten, folders are joined.  All files belong to the user of this process.

    :raises CopyOutError: some entries were left out, each is named; or something of this machine is in the
        way, or the archive is not what it should be.
    """
    unpacking = _Unpacking(wanted.destination)
    archive = LayerArchive(chunks)
    try:
        with archive.whole():
            for entry, content in archive.entries():
                unpacking.take(entry, content)
        left_out = unpacking.finish()
    except LayerError as error:
        raise CopyOutError(
            f"{wanted.path} could not be copied: {error.message}", detail=error.detail
        ) from error
    except OSError as error:
        problem = from_os_error(error)
        raise CopyOutError(
            f"{wanted.path} could not be copied: {problem.message}", hint=problem.hint
        ) from error
    if left_out:
        raise CopyOutError(
            f"parts of {wanted.path} were not copied",
            problems=[
                Problem(name, "it is no file, or a link that leads out of the copy") for name in left_out
            ],
            hint="everything else was copied",
        )


class _Unpacking:
    def __init__(self, destination: Path) -> None:
        self._destination = destination
        self._top: str | None = None
        self._links: list[tuple[Path, str]] = []
        self._folders: list[tuple[Path, tarfile.TarInfo]] = []
        self._files: dict[str, Path] = {}
        self._left_out: list[str] = []

    def take(self, entry: tarfile.TarInfo, content: IO[bytes] | None) -> None:
        top, _, below = entry.name.partition("/")
        if self._top is None:
            self._top = top
        if top != self._top:
            raise CopyOutError("the archive from the container has more than one file or folder")
        path = self._destination / below if below else self._destination
        self._make_parents(below)
        if entry.isdir():
            self._make_folder(path)
            self._folders.append((path, entry))
        elif entry.isreg() and content is not None:
            self._write(path, entry, content)
            self._files[entry.name] = path
        elif entry.issym():
            self._links.append((path, entry.linkname))
        elif entry.islnk() and entry.linkname.strip("/") in self._files:
            self._clear(path)
            shutil.copy2(self._files[entry.linkname.strip("/")], path, follow_symlinks=False)
        else:
            self._left_out.append(entry.name)

    def finish(self) -> tuple[str, ...]:
        """Make the links and give folders their modes: until now nothing could lead anywhere else."""
        for path, target in self._links:
            if self._leads_out(path, target):
                self._left_out.append(path.name)
                continue
            self._clear(path)
            path.symlink_to(target)
        for path, entry in reversed(self._folders):
            # whoever cannot write into it could not remove it either
            _finish(path, entry, extra=stat.S_IRWXU)
        if self._top is None:
            raise CopyOutError("the archive from the container is empty")
        return tuple(sorted(self._left_out))

    def _leads_out(self, path: Path, target: str) -> bool:
        # a link that is copied alone leads to nothing that is copied
        if target.startswith("/") or path == self._destination:
            return True
        links = {link for link, _ in self._links}
        place, is_through_link = path.parent, False
        for part in target.split("/"):
            if part in {"", "."}:
                continue
            if part == "..":
                # above where a link leads to is a place that its words do not tell
                if is_through_link or place == self._destination:
                    return True
                place = place.parent
            else:
                place /= part
                is_through_link = is_through_link or place in links or place.is_symlink()
        return False

    def _make_parents(self, below: str) -> None:
        self._destination.parent.mkdir(parents=True, exist_ok=True)
        path = self._destination
        for part in below.split("/")[:-1]:
            self._make_folder(path)
            path /= part
        if below:
            self._make_folder(path)

    def _make_folder(self, path: Path) -> None:
        # the destination itself may be a link: its owner named it
        if path.is_dir() and (path == self._destination or not path.is_symlink()):
            return
        self._clear(path)
        path.mkdir()

    def _clear(self, path: Path) -> None:
        """Remove a file or link that is in the way.

        :raises CopyOutError: it is a folder.
        """
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(path.lstat().st_mode):
                raise CopyOutError(f"{path} is a folder, and a file of the container has its name")
            path.unlink()

    def _write(self, path: Path, entry: tarfile.TarInfo, content: IO[bytes]) -> None:
        self._clear(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
        _finish(path, entry)


def _finish(path: Path, entry: tarfile.TarInfo, *, extra: int = 0) -> None:
    path.chmod((entry.mode & _PERMISSIONS) | extra)
    with contextlib.suppress(OverflowError, OSError):
        os.utime(path, (entry.mtime, entry.mtime))
