"""The data of a project as it lies on this machine: where each entry is, and what its manifest says."""

import contextlib
import os
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from envbuild.errors import IntegrityError, LockMissingError, UsageError
from envbuild.lock.data import MANIFEST_FOLDER, LockedData, manifest_file
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, lock_hint, read_lock

if TYPE_CHECKING:
    from envbuild.data.hashing import HashedData
    from envbuild.data.manifest import DataManifest
    from envbuild.data.memory import DigestMemory, WholeData
    from envbuild.lock.model import Lock


_CONFLICT: Final = re.compile(rb"^(?:<{7}|>{7}) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class DataEntry:
    """One locked entry on this machine."""

    project: Project
    locked: LockedData

    @property
    def name(self) -> str:
        """Its name in the spec."""
        return self.locked.name

    @property
    def root(self) -> Path:
        """The file or folder; it need not exist."""
        return self.project.folder / self.locked.path

    @property
    def shown(self) -> str:
        """The file or folder as the person who opened the project calls it."""
        return shown_root(self.project, self.locked.path)

    @property
    def manifest_path(self) -> Path:
        """Where its manifest is."""
        return manifest_path(self.project, self.name)

    def manifest(self) -> "DataManifest":
        """Return its manifest, once that is what the lock says.

        :raises LockMissingError: it is not beside the lock.
        :raises IntegrityError: it is another one, or not well formed.
        """
        from envbuild.data.manifest import parse_manifest

        shown = self.shown_manifest
        manifest = parse_manifest(self.manifest_bytes(), label=shown)
        if len(manifest) != self.locked.files:
            raise IntegrityError(
                f"{shown} has {len(manifest)} files, and the lock says {self.locked.files}",
                hint=self._restores,
            )
        return manifest

    @property
    def shown_manifest(self) -> str:
        """Its manifest's path beside the lock."""
        return f"{MANIFEST_FOLDER}/{self.manifest_path.name}"

    @property
    def _restores(self) -> str:
        return f"restore it from version control, or run `{self.project.command('data lock', self.name)}`"

    def manifest_bytes(self) -> bytes:
        """Return the text of its manifest, once that is what the lock says; see :meth:`manifest`."""
        from envbuild.data.manifest import LARGEST_MANIFEST
        from envbuild.digest import sha256_bytes
        from envbuild.errors import from_os_error

        shown, hint = self.shown_manifest, self._restores
        try:
            with self.manifest_path.open("rb") as stream:
                data = stream.read(LARGEST_MANIFEST + 1)
        except FileNotFoundError as error:
            raise LockMissingError(
                f"there is no {shown}, the manifest of `{self.name}`", hint=hint
            ) from error
        except OSError as error:
            raise from_os_error(error) from error
        found = f"sha256:{sha256_bytes(data)}"
        if found != self.locked.digest:
            if _CONFLICT.search(data):
                raise IntegrityError(
                    f"{shown} has the markers of a merge conflict",
                    hint="take the side that the lock has: `git checkout --ours` or `--theirs`, "
                    f"then `{self.project.command('lock')}`",
                )
            raise IntegrityError(
                f"{shown} is not the locked manifest: {self.locked.digest} expected, got {found}", hint=hint
            )
        return data

    def hashed(self, machine: Machine, *, remembers: bool = True) -> "HashedData | None":
        """Return the digests of what is here; None: nothing is.

        With ``remembers`` a file that is surely as it was is not read again.

        :raises EnvbuildError: it cannot be used as data, cannot be read, or changes meanwhile.
        """
        return hashed_root(self.root, self.shown, machine, remembers=remembers)

    def look(self, machine: Machine, *, remembers: bool = True) -> "WholeData | HashedData | None":
        """Return at least the digest of all that is here; None: nothing is.  See :meth:`hashed`."""
        from envbuild.data.hashing import look_at_data

        memory = _memory(machine) if remembers else None
        with _reading(self.root, self.shown, machine):
            return look_at_data(self.root, memory=memory, progress=machine.progress)
        return None


def manifest_path(project: Project, name: str) -> Path:
    """Return where the manifest of an entry is: beside the lock."""
    return project.written_lock.parent / MANIFEST_FOLDER / manifest_file(name)


def shown_root(project: Project, path: str) -> str:
    """Return the path of an entry as the person who opened the project would write it."""
    return path if Path(path).is_absolute() else project.shown(project.folder / path).as_posix()


def hashed_root(
    root: Path, shown: str, machine: Machine, *, remembers: bool = True, with_md5: bool = False
) -> "HashedData | None":
    """Return the digests of what is at ``root``; None: nothing is.  See :meth:`DataEntry.hashed`."""
    from envbuild.data.hashing import hash_data

    memory = _memory(machine) if remembers else None
    with _reading(root, shown, machine):
        return hash_data(root, memory=memory, with_md5=with_md5, progress=machine.progress)
    return None


def _memory(machine: Machine) -> "DigestMemory":
    from envbuild.data.memory import CachedDigests

    return CachedDigests(machine.cache)


@contextlib.contextmanager
def _reading(root: Path, shown: str, machine: Machine) -> Iterator[None]:
    """Say that data is read; where nothing is there, the block ends at once."""
    from envbuild.errors import from_os_error

    machine.progress.on_stage(f"hashing {shown}")
    try:
        yield
    except FileNotFoundError:
        if os.path.lexists(root) and not root.exists():
            machine.progress.on_note(f"{shown} is a link that leads nowhere")
    except OSError as error:
        raise from_os_error(error) from error


def locked_entries(project: Project, locked: Iterable[LockedData], names: Collection[str]) -> list[DataEntry]:
    """Return the entries called ``names``, all without any, sorted by name.

    :raises UsageError: there is none of a name.
    """
    entries = {data.name: DataEntry(project, data) for data in locked}
    require_names(names, entries)
    return [entries[name] for name in sorted(names or entries)]


def require_names(names: Iterable[str], known: Collection[str]) -> None:
    """Refuse names of entries that there are not.

    :raises UsageError: there is one.
    """
    for name in names:
        if name not in known:
            listed = ", ".join(sorted(known))
            raise UsageError(
                f"there is no data `{name}`",
                hint=f"there is {listed}" if listed else "the spec has no [[data]] tables that are locked",
            )


def refuse_git(name: str, root: Path) -> None:
    """Refuse data that leads into a folder of git, whatever links are on the way.

    :raises UsageError: it does.
    """
    from envbuild.data.names import is_of_git

    if is_of_git(os.path.realpath(root)):
        raise UsageError(
            f"data `{name}` leads into a folder of git: {os.path.realpath(root)}",
            hint="name a folder of data",
        )


def is_inside(project: Project, root: Path) -> bool:
    """Return whether a path leads into the project's folder, whatever links are on the way."""
    folder = os.path.realpath(project.folder)
    return os.path.realpath(root).startswith(f"{folder}/")


def read_data_lock(project: Project) -> "Lock":
    """Return the lock of ``project`` for what it says of data; its other parts may be out of date.

    :raises LockMissingError: there is none.
    :raises LockStaleError: its data does not answer the spec.
    """
    from envbuild.errors import LockStaleError, Problem

    try:
        lock = read_lock(project.lock, shown=project.shown(project.lock))
    except LockMissingError as error:
        raise LockMissingError(error.message, hint=lock_hint(project)) from error
    asked, locked = project.request.data, lock.request.data
    problems = [
        Problem(f"data.{name}", "is not locked" if name not in locked else "was locked otherwise")
        for name in sorted(asked)
        if locked.get(name) != asked[name]
    ]
    problems += [
        Problem(f"data.{name}", "is locked, and no longer asked for")
        for name in sorted(locked.keys() - asked)
    ]
    if problems:
        raise LockStaleError(
            "the locked data does not answer the spec",
            problems=problems,
            hint=f"run `{project.command('data lock')}`",
        )
    return lock
