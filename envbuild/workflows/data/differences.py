"""What changed in data: between a lock and what is here, or between two locks."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Literal

from envbuild import process
from envbuild.errors import EnvbuildError, UsageError
from envbuild.lock.data import MANIFEST_FOLDER, LockedData
from envbuild.workflows.data.entries import DataEntry, locked_entries, read_data_lock, require_names
from envbuild.workflows.data.verifying import MOST_DIFFERENCES, verify_entry
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import LOCK_NAME, Project

if TYPE_CHECKING:
    from envbuild.data.comparison import FileDifference

LARGEST_SHOWN: Final = 1 << 28
GIT_SECONDS: Final = 60

Change = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DataChange:
    """One entry that differs between two sides."""

    name: str
    change: Change
    old: str | None
    """Digest."""

    new: str | None
    facts: tuple[tuple[str, str | None, str | None], ...] = ()
    """What else the lock says otherwise: name of the fact, old, new."""

    files: tuple["FileDifference", ...] = ()
    """The first of them, ``locked`` on the old side."""

    differing: int = 0

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "name": self.name,
            "change": self.change,
            "old": self.old,
            "new": self.new,
            "facts": [{"name": name, "old": old, "new": new} for name, old, new in self.facts],
            "differing": self.differing,
            "files": [
                {"path": item.path, "kind": _kind(item), "old": item.locked, "new": item.found}
                for item in self.files
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DataDiffResult:
    """What changed in data."""

    old: str
    """What the old side is called."""

    new: str
    changes: tuple[DataChange, ...]

    @property
    def differs(self) -> bool:
        """Whether anything changed."""
        return bool(self.changes)

    def document(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "old": self.old,
            "new": self.new,
            "differs": self.differs,
            "changes": [change.document() for change in self.changes],
        }


def diff_data(
    project: Project,
    revision: str | None = None,
    names: Collection[str] = (),
    *,
    machine: Machine | None = None,
) -> DataDiffResult:
    """Return what changed: from the lock to what is here; with a git ``revision``, from its lock to this one.

    :raises LockError: there is no lock, or it cannot be used.
    :raises UsageError: there is no such revision, or no such data.
    """
    machine = machine or Machine()
    lock = read_data_lock(project)
    if revision is None:
        changes = [_from_lock(entry, machine) for entry in locked_entries(project, lock.data, names)]
        found = tuple(change for change in changes if change is not None)
        return DataDiffResult(old="the lock", new="this machine", changes=found)
    old = _OldLock(project, revision, machine)
    before, after = old.data(), {data.name: data for data in lock.data}
    require_names(names, {**before, **after})
    compared = [
        _between(project, old, before.get(name), after.get(name))
        for name in sorted(names or before.keys() | after.keys())
    ]
    changed = tuple(change for change in compared if change is not None)
    return DataDiffResult(old=revision, new="the lock", changes=changed)


def _from_lock(entry: DataEntry, machine: Machine) -> DataChange | None:
    state = verify_entry(entry, machine)
    if state.state == "ok":
        return None
    return DataChange(
        name=entry.name,
        change="removed" if state.state == "missing" else "changed",
        old=state.locked,
        new=state.found,
        files=state.differences,
        differing=state.differing,
    )


def _between(
    project: Project, old: "_OldLock", before: LockedData | None, after: LockedData | None
) -> DataChange | None:
    from envbuild.data.comparison import compare_files

    if before == after:
        return None
    if before is None or after is None:
        one = before or after
        return DataChange(
            name=one.name if one else "",
            change="added" if before is None else "removed",
            old=before.digest if before else None,
            new=after.digest if after else None,
        )
    differences: tuple[FileDifference, ...] = ()
    if before.digest != after.digest:
        manifest = old.manifest(before)
        differences = compare_files(manifest, DataEntry(project, after).manifest().files)
    return DataChange(
        name=after.name,
        change="changed",
        old=before.digest,
        new=after.digest,
        facts=_facts(before, after),
        files=differences[:MOST_DIFFERENCES],
        differing=len(differences),
    )


def _facts(before: LockedData, after: LockedData) -> tuple[tuple[str, str | None, str | None], ...]:
    old, new = (side.model_dump(mode="json", by_alias=True) for side in (before, after))
    return tuple(
        (name, _text(old[name]), _text(new[name]))
        for name in old
        if old[name] != new[name] and name not in {"name", "digest"}
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _kind(item: "FileDifference") -> Change:
    if item.locked is None:
        return "added"
    return "removed" if item.found is None else "changed"


@dataclass(frozen=True, slots=True)
class _OldLock:
    """A lock and its manifests as a git revision has them."""

    project: Project
    revision: str
    machine: Machine

    def data(self) -> dict[str, LockedData]:
        """Return its data by name."""
        from envbuild.lock.codec import loads

        content = self._file(LOCK_NAME)
        if content is None:
            raise UsageError(
                f"there is no revision `{self.revision}` with a lock", hint="`git log` shows revisions"
            )
        return {data.name: data for data in loads(content.decode(errors="replace")).data}

    def manifest(self, data: LockedData) -> dict[str, str]:
        """Return the files of one entry, as its manifest of that revision has them."""
        from envbuild.data.manifest import parse_manifest
        from envbuild.digest import sha256_bytes
        from envbuild.errors import IntegrityError

        name = f"{MANIFEST_FOLDER}/{data.manifest_file}"
        content = self._file(name)
        if content is None:
            raise EnvbuildError(
                f"{self.revision} has no {name}", hint="commit manifests together with the lock"
            )
        found = f"sha256:{sha256_bytes(content)}"
        if found != data.digest:
            raise IntegrityError(
                f"{name} of {self.revision} is not what its lock says: {data.digest} expected, got {found}"
            )
        return dict(parse_manifest(content, label=f"{name} of {self.revision}").files)

    def _file(self, name: str) -> bytes | None:
        """Return a file of the revision, beside the lock; None: there is none."""
        # an empty one would be the index
        if not self.revision or self.revision.startswith("-"):
            return None
        path = PurePosixPath(name)
        try:
            result = process.run(
                ["git", "cat-file", "blob", f"{self.revision}:./{path}"],
                environment=self.machine.environment,
                folder=self.project.written_lock.parent,
                timeout=GIT_SECONDS,
                output_limit=LARGEST_SHOWN,
            )
        except process.ProgramMissingError:
            return None
        return result.stdout_bytes if result.succeeded else None
