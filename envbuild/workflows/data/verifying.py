"""Verifying data: every file that is here, compared with its manifest."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from envbuild.files.sizes import counted
from envbuild.workflows.data.entries import DataEntry, locked_entries, read_data_lock
from envbuild.workflows.html import table
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project

if TYPE_CHECKING:
    from envbuild.data.comparison import FileDifference
    from envbuild.lock.model import Lock

DataOutcome = Literal["ok", "missing", "changed"]

MOST_DIFFERENCES: Final = 1000
"""Files of one entry that a result names; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataState:
    """One entry as it is here."""

    name: str
    path: str
    """As the person who opened the project calls it."""

    state: DataOutcome
    locked: str
    """Digest in the lock."""

    found: str | None = None
    """Digest of what is here; None: nothing is."""

    size: int = 0
    """Bytes of all files that are here."""

    files: int = 0
    """Number of files that are here."""

    read: int = 0
    """Bytes that were read; what was remembered was not."""

    differences: tuple["FileDifference", ...] = ()
    """Files that are not as they are locked, sorted; the first :data:`MOST_DIFFERENCES`."""

    differing: int = 0
    """How many there are."""

    @property
    def line(self) -> str:
        """Return it on one line."""
        if self.state == "ok":
            return f"{self.path}: {counted(self.files, 'file')}, {self.locked}"
        if self.state == "missing":
            return f"{self.path}: nothing is here; locked {self.locked}"
        return (
            f"{self.path}: locked {self.locked}, found {self.found}: "
            f"{counted(self.differing, 'file')} {'differs' if self.differing == 1 else 'differ'}"
        )

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "name": self.name,
            "path": self.path,
            "state": self.state,
            "locked": self.locked,
            "found": self.found,
            "size": self.size,
            "files": self.files,
            "read": self.read,
            "differing": self.differing,
            "differences": [
                {"path": item.path, "kind": item.kind, "locked": item.locked, "found": item.found}
                for item in self.differences
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DataVerifyResult:
    """All entries that were asked about."""

    project: Project
    data: tuple[DataState, ...]

    @property
    def succeeded(self) -> bool:
        """Whether all of them are here as they are locked."""
        return all(item.state == "ok" for item in self.data)

    def document(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {"succeeded": self.succeeded, "data": [item.document() for item in self.data]}

    def _repr_html_(self) -> str:
        """Return it as a table, for notebooks."""
        rows = [(item.name, item.state, item.line) for item in self.data]
        return table("data", ("name", "state", "what"), rows)


def verify_data(
    project: Project,
    names: Collection[str] = (),
    *,
    remembers: bool = True,
    machine: Machine | None = None,
) -> DataVerifyResult:
    """Compare the locked data called ``names``, all without any, with what is here.

    With ``remembers`` a file that is surely as it was when it was read last is not read again.

    :raises LockError: there is no lock, or its data does not answer the spec.
    :raises IntegrityError: a manifest is not the one that the lock says.
    :raises EnvbuildError: data cannot be read, or changes meanwhile.
    """
    machine = machine or Machine()
    return verify_locked_data(project, read_data_lock(project), names, remembers=remembers, machine=machine)


def verify_locked_data(
    project: Project,
    lock: "Lock",
    names: Collection[str] = (),
    *,
    remembers: bool = True,
    machine: Machine,
) -> DataVerifyResult:
    """Compare the data of ``lock`` with what is here; see :func:`verify_data`."""
    entries = locked_entries(project, lock.data, names)
    for entry in entries:
        # others need it, also where everything is as it is locked
        entry.manifest_bytes()
    return DataVerifyResult(
        project=project, data=tuple(verify_entry(entry, machine, remembers=remembers) for entry in entries)
    )


def verify_entry(entry: DataEntry, machine: Machine, *, remembers: bool = True) -> DataState:
    """Compare one entry with what is here; see :func:`verify_data`."""
    from envbuild.data.comparison import compare_files
    from envbuild.data.hashing import HashedData

    locked = entry.locked
    found = entry.look(machine, remembers=remembers)
    differences: tuple[FileDifference, ...] = ()
    if found is not None and found.digest != locked.digest:
        # file by file where it says what differs alone: there may be a million
        found = found if isinstance(found, HashedData) else entry.hashed(machine)
        if found is not None:
            differences = compare_files(entry.manifest().files, found.digests)
    if found is None:
        return DataState(name=locked.name, path=entry.shown, state="missing", locked=locked.digest)
    return DataState(
        name=locked.name,
        path=entry.shown,
        state="ok" if found.digest == locked.digest else "changed",
        locked=locked.digest,
        found=found.digest,
        size=found.size,
        files=found.files,
        read=found.read,
        differences=differences[:MOST_DIFFERENCES],
        differing=len(differences),
    )
