"""Locking data: what each entry is now, by digest; everything else of the lock stays as it is."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from envbuild.errors import (
    EnvbuildError,
    IntegrityError,
    LockMissingError,
    NetworkError,
    Problem,
    UsageError,
)
from envbuild.lock.data import LockedData
from envbuild.workflows.data.entries import (
    DataEntry,
    hashed_root,
    is_inside,
    manifest_path,
    refuse_git,
    require_names,
    shown_root,
)
from envbuild.workflows.data.kinds import key_of, source_of_request
from envbuild.workflows.editing.files import FileChange, write_together
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, lock_hint, read_lock_text

if TYPE_CHECKING:
    from envbuild.data.hashing import HashedData
    from envbuild.lock.model import Lock
    from envbuild.spec.request import DataRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class DataLocking:
    """The data part of a lock, not written yet."""

    data: tuple[LockedData, ...]
    """All entries, sorted by name."""

    manifests: Mapping[str, bytes] = field(default_factory=dict)
    """Bytes of the manifests that are new, by the name of the entry."""

    def changes(self, project: Project) -> list[FileChange]:
        """Return what is to be written beside the lock, together with it."""
        changes = []
        for name, after in sorted(self.manifests.items()):
            path = manifest_path(project, name)
            before = path.read_bytes() if path.exists() else None
            if before != after:
                changes.append(FileChange(path, before, after))
        return changes


@dataclass(frozen=True, slots=True, kw_only=True)
class DataLockResult:
    """What locking of data found."""

    project: Project
    data: tuple[LockedData, ...]
    written: bool
    """False: everything is as it was locked."""

    def document(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "lock": str(self.project.shown(self.project.lock)),
            "written": self.written,
            "data": [data.model_dump(mode="json", by_alias=True, exclude_none=True) for data in self.data],
        }


def locked_data(
    project: Project,
    previous: "Lock | None",
    machine: Machine,
    *,
    again: Collection[str] = (),
    outside: bool = False,
) -> DataLocking:
    """Return the data part of the lock for the spec of ``project``: what is new or changed there is hashed.

    Entries called ``again`` are locked again whatever the previous lock says.  With ``outside`` data may lie
    outside of the project's folder: what is locked, containers may read.

    :raises UsageError: an entry lies outside, and nobody allowed it.
    :raises EnvbuildError: data is missing, or cannot be read or had.
    """
    held = {data.name: data for data in previous.data} if previous else {}
    asked = previous.request.data if previous else {}
    data: list[LockedData] = []
    manifests: dict[str, bytes] = {}
    for name, request in sorted(project.request.data.items()):
        kept = held.get(name)
        is_same = kept is not None and name in asked and key_of(asked[name]) == key_of(request)
        if kept is not None and is_same and name not in again:
            data.append(_relabelled(kept, request))
            manifests |= _lost_manifest(DataEntry(project, kept), machine)
            continue
        refuse_git(name, project.folder / request.path)
        if not outside and not is_inside(project, project.folder / request.path):
            raise UsageError(
                f"data `{name}` lies outside of the project: {request.path}",
                hint="runs in containers may read what is locked; if that is meant, run "
                f"`{project.command('data lock', '--outside', name)}`",
            )
        locked, manifest = _lock_entry(project, name, request, machine)
        data.append(locked)
        manifests[name] = manifest
    return DataLocking(data=tuple(data), manifests=manifests)


def stale_manifests(project: Project, lock: "Lock") -> tuple[Problem, ...]:
    """Return what is wrong with the manifests beside a lock: one lacks, or is not the one that is locked."""
    faults = [(data.name, _fault(DataEntry(project, data))) for data in lock.data]
    return tuple(Problem(f"data.{name}", fault.message) for name, fault in faults if fault is not None)


def _fault(entry: DataEntry) -> EnvbuildError | None:
    """Return why the manifest of an entry cannot be used; None: it can."""
    try:
        entry.manifest_bytes()
    except (LockMissingError, IntegrityError) as error:
        return error
    return None


def _lost_manifest(entry: DataEntry, machine: Machine) -> dict[str, bytes]:
    """Return the manifest of an entry that stays as it is locked, where it lacks and the data is here.

    :raises EnvbuildError: it lacks, and what is here is not what is locked.
    """
    from envbuild.data.manifest import manifest_of

    fault = _fault(entry)
    if fault is None:
        return {}
    hashed = entry.hashed(machine)
    if hashed is None or hashed.digest != entry.locked.digest:
        raise fault
    return {entry.name: manifest_of(hashed.digests).data}


def lock_with_data(
    project: Project, lock: "Lock", previous: "Lock | None", machine: Machine
) -> "tuple[Lock, list[FileChange]]":
    """Return a lock that was resolved anew, with its data; and the manifests to be written together with it.

    What the previous lock has of data stays, unless the spec asks for other data now.  When the lock is
    written, :func:`remove_manifests` removes what it no longer has.

    :raises UsageError: new data lies outside of the project.
    :raises EnvbuildError: data is missing, or cannot be read or had.
    """
    locking = locked_data(project, previous, machine)
    asked = lock.request.model_copy(update={"data": project.request.data})
    return lock.model_copy(update={"data": locking.data, "request": asked}), locking.changes(project)


def lock_data(
    project: Project, names: Collection[str] = (), *, outside: bool = False, machine: Machine | None = None
) -> DataLockResult:
    """Lock the data called ``names``, all without any, as it is now, and write that into the lock.

    Everything else of the lock stays.  Nothing is written unless all of it can be.

    :raises LockError: there is no lock, or it cannot be used.
    :raises SpecError: the spec has problems.
    :raises EnvbuildError: see :func:`locked_data`.
    """
    from envbuild.lock.codec import dumps, loads

    machine = machine or Machine()
    try:
        text = read_lock_text(project.lock, shown=project.shown(project.lock))
    except LockMissingError as error:
        raise LockMissingError(error.message, hint=lock_hint(project)) from error
    before = loads(text)
    request = project.request.data
    require_names(names, request)
    asked, wanted = request, _named(project, before, names) if names else project
    locking = locked_data(wanted, before, machine, again=names or asked.keys(), outside=outside)
    after = before.model_copy(
        update={
            "data": locking.data,
            "request": before.request.model_copy(update={"data": wanted.request.data}),
        }
    )
    # what did not change is not even formatted anew
    new = text if after == before else dumps(after)
    changes = locking.changes(project)
    if new != text:
        changes.append(FileChange(project.written_lock, text.encode(), new.encode()))
    write_together(changes)
    if new != text:
        remove_manifests(project, before, after)
    return DataLockResult(project=project, data=locking.data, written=bool(changes))


def remove_manifests(project: Project, before: "Lock | None", after: "Lock") -> None:
    """Remove the manifests of entries that a new lock no longer has."""
    gone = {data.name for data in before.data} if before else set()
    for name in gone - {data.name for data in after.data}:
        manifest_path(project, name).unlink(missing_ok=True)


def _named(project: Project, before: "Lock", names: Collection[str]) -> Project:
    """Return the project as if its spec asked for the data called ``names``, and else for what is locked."""
    data = {**before.request.data, **{name: project.request.data[name] for name in names}}
    named = replace(project)
    # a cached property, which is looked up before it is computed
    named.__dict__["request"] = project.request.model_copy(update={"data": dict(sorted(data.items()))})
    return named


def _relabelled(kept: LockedData, request: "DataRequest") -> LockedData:
    """Return a locked entry with what a request says besides its content."""
    labels = {"target": request.target, "version": request.version}
    if request.license is not None:
        labels["license"] = request.license
    return kept.model_copy(update=labels)


def _lock_entry(
    project: Project, name: str, request: "DataRequest", machine: Machine
) -> tuple[LockedData, bytes]:
    """Return what one entry is now, and its manifest."""
    from envbuild.data.manifest import manifest_of

    facts: dict[str, str | None] = {}
    if request.kind == "files":
        hashed = _hashed_here(project, name, request, machine)
        digests, size = hashed.digests, hashed.size
    elif request.kind == "dvc":
        from envbuild.workflows.data.dvc_pointers import hash_output

        hashed, facts["md5"] = hash_output(project, name, request, machine)
        digests, size = hashed.digests, hashed.size
    else:
        digests, size, facts = _listed(project, name, request, machine)
    if not digests:
        raise EnvbuildError(
            f"data `{name}` has no files: {shown_root(project, request.path)}", hint="put files there first"
        )
    manifest = manifest_of(digests)
    locked = LockedData(
        name=name,
        kind=request.kind,
        path=request.path,
        target=request.target,
        digest=manifest.digest,
        size=size,
        files=len(digests),
        version=request.version,
        license=request.license or facts.get("license"),
        source=request.source,
        repository_type=request.repository_type,
        revision=facts.get("revision"),
        md5=facts.get("md5"),
    )
    return locked, manifest.data


def _hashed_here(project: Project, name: str, request: "DataRequest", machine: Machine) -> "HashedData":
    shown = shown_root(project, request.path)
    hashed = hashed_root(project.folder / request.path, shown, machine)
    if hashed is None:
        raise EnvbuildError(
            f"data `{name}` is not here: {shown}",
            hint="put it there, or say in the spec where it can be had: dvc, url, huggingface or s3",
        )
    return hashed


def _listed(
    project: Project, name: str, request: "DataRequest", machine: Machine
) -> tuple[dict[str, str], int, dict[str, str | None]]:
    """Return the digests and sizes of what a server has, and what else it says."""
    from envbuild.workflows.data.receiving import receive_unknown

    if machine.offline:
        raise NetworkError(f"locking `{name}` asks {request.source}", hint="run it once without --offline")
    source = source_of_request(request, machine)
    if source is None:
        raise AssertionError(request.kind)
    machine.progress.on_stage(f"asking about {name}")
    try:
        listing = source.list_files()
        unknown = [file for file in listing.files if file.sha256 is None or file.size is None]
        machine.progress.on_stage(f"receiving {name}")
        received = receive_unknown(
            [replace(file, sha256=None) for file in unknown], source, project.folder / request.path, machine
        )
    finally:
        source.close()
    digests = {file.path: file.sha256 or received[file.path][0] for file in listing.files}
    if request.sha256 is not None:
        for path, (sha256, _) in received.items():
            if sha256 != request.sha256:
                raise IntegrityError(
                    f"`{path}` from {request.source} is not what the spec says: "
                    f"sha256 {request.sha256} expected, got {sha256}",
                    hint="do not use it before you know why",
                )
    sizes = {file.path: file.size or 0 for file in listing.files}
    sizes |= {path: size for path, (_, size) in received.items()}
    return digests, sum(sizes.values()), {"revision": listing.revision, "license": listing.license}
