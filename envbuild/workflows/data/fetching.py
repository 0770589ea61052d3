"""Fetching data: what lacks, from where it was locked, verified before it has its name."""

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from envbuild.errors import (
    EnvbuildError,
    IntegrityError,
    NetworkError,
    Problem,
    UsageError,
    VerificationError,
)
from envbuild.workflows.data.entries import (
    DataEntry,
    is_inside,
    locked_entries,
    read_data_lock,
    refuse_git,
)
from envbuild.workflows.data.kinds import source_of_locked
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project

if TYPE_CHECKING:
    from envbuild.data.comparison import FileDifference
    from envbuild.data.manifest import DataManifest
    from envbuild.data.sources import DataSource, RemoteFile

MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedData:
    """One entry that is here now."""

    name: str
    path: str
    digest: str
    fetched: int
    """Files that were brought."""

    size: int
    """Bytes of all files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFetchResult:
    """What was fetched."""

    data: tuple[FetchedData, ...]

    def document(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "data": [
                {
                    "name": item.name,
                    "path": item.path,
                    "digest": item.digest,
                    "fetched": item.fetched,
                    "size": item.size,
                }
                for item in self.data
            ]
        }


def fetch_data(
    project: Project,
    names: Collection[str] = (),
    *,
    force: bool = False,
    outside: bool = False,
    machine: Machine | None = None,
) -> DataFetchResult:
    """Bring the locked data called ``names``, all without any, to where the lock says.

    What is here as it is locked stays.  Files that were changed here are overwritten with ``force`` alone;
    files that the lock does not have stay in any case.  What breaks off goes on with the next fetch.  With
    ``outside`` files may be written outside of the project's folder.

    :raises LockError: there is no lock, or its data does not answer the spec.
    :raises VerificationError: files were changed here; each is named with both digests.
    :raises UsageError: an entry lies outside of the project, and nobody allowed that.
    :raises EnvbuildError: data cannot be had; see :mod:`envbuild.workflows.data.receiving`.
    """
    machine = machine or Machine()
    entries = locked_entries(project, read_data_lock(project).data, names)
    options = _FetchOptions(force=force, outside=outside)
    return DataFetchResult(data=tuple(_fetch(entry, options, machine) for entry in entries))


@dataclass(frozen=True, slots=True, kw_only=True)
class _FetchOptions:
    force: bool
    outside: bool


def _fetch(entry: DataEntry, options: _FetchOptions, machine: Machine) -> FetchedData:
    manifest = entry.manifest()
    lacking, size = _lacking(entry, manifest, machine)
    changed = [difference for difference in lacking if difference.found is not None]
    if changed and not options.force:
        raise changed_here(entry, changed)
    if lacking:
        refuse_git(entry.name, entry.root)
        if not options.outside and not is_inside(entry.project, entry.root):
            raise UsageError(
                f"data `{entry.name}` lies outside of the project: {os.path.realpath(entry.root)}",
                hint="if files are to be written there, run "
                f"`{entry.project.command('data fetch', '--outside', entry.name)}`",
            )
        _bring(entry, manifest, lacking, options, machine)
        left, size = _lacking(entry, manifest, machine)
        if left:
            raise IntegrityError(
                f"data `{entry.name}` is still not as it is locked",
                problems=_problems(left),
                hint="try again, or lock it again if it was replaced on purpose",
            )
    return FetchedData(
        name=entry.name,
        path=entry.shown,
        digest=entry.locked.digest,
        fetched=len(lacking),
        size=entry.locked.size or size,
    )


def _lacking(
    entry: DataEntry, manifest: "DataManifest", machine: Machine
) -> tuple[list["FileDifference"], int]:
    """Return the locked files that are not here as they are locked, and the bytes of what is."""
    from envbuild.data.comparison import compare_files

    hashed = entry.hashed(machine)
    if hashed is None:
        return list(compare_files(manifest.files, {})), 0
    differences = compare_files(manifest.files, hashed.digests)
    return [difference for difference in differences if difference.locked is not None], hashed.size


def _bring(
    entry: DataEntry,
    manifest: "DataManifest",
    lacking: list["FileDifference"],
    options: _FetchOptions,
    machine: Machine,
) -> None:
    from envbuild.workflows.data.receiving import receive_known

    locked = entry.locked
    if locked.kind == "dvc":
        from envbuild.workflows.data.dvc_pointers import pull

        pull(entry, machine, force=options.force)
        return
    if locked.kind == "files":
        raise EnvbuildError(
            f"data `{entry.name}` is not as it is locked, and the lock knows nowhere to fetch it",
            problems=_problems(lacking),
            hint=f"put it at {entry.shown}, or give the spec a dvc, url, huggingface or s3 for it",
        )
    if machine.offline:
        raise NetworkError(
            f"data `{entry.name}` is not complete here, and --offline forbids fetching",
            problems=_problems(lacking),
            hint="run once without --offline",
        )
    is_file = locked.kind == "url" or (locked.kind == "s3" and _is_one_file(entry, manifest))
    one = next(iter(manifest.files.values())) if is_file else None
    source = source_of_locked(locked, machine, sha256=one)
    if source is None:
        raise AssertionError(locked.kind)
    try:
        machine.progress.on_stage(f"asking about {entry.name}")
        files = _wanted(entry, source, manifest, {difference.path for difference in lacking})
        machine.progress.on_stage(f"fetching {entry.name}")
        _refuse_links(entry, files, is_file=is_file)
        receive_known(files, source, entry.root, machine, is_file=is_file)
    finally:
        source.close()


def _is_one_file(entry: DataEntry, manifest: "DataManifest") -> bool:
    """Return whether an S3 address is that of the one object, and not of a prefix."""
    key = (entry.locked.source or "").removeprefix("s3://").partition("/")[2]
    return bool(key) and not key.endswith("/") and list(manifest.files) == [entry.root.name]


def _wanted(
    entry: DataEntry, source: "DataSource", manifest: "DataManifest", lacking: set[str]
) -> list["RemoteFile"]:
    """Return what to receive: the files that lack, as the server lists them, and as they are locked.

    :raises IntegrityError: the server no longer has what is locked.
    """
    listed = {file.path: file for file in source.list_files().files}
    problems, wanted = [], []
    for path in sorted(lacking):
        file, sha256 = listed.get(path), manifest.files[path]
        if file is None:
            problems.append(Problem(path, "is no longer there"))
        elif file.sha256 is not None and file.sha256 != sha256:
            problems.append(Problem(path, f"locked sha256:{sha256}, the server has sha256:{file.sha256}"))
        else:
            wanted.append(replace(file, sha256=sha256))
    if problems:
        raise IntegrityError(
            f"{entry.locked.source} no longer has the locked data `{entry.name}`",
            problems=_first(problems),
            hint=f"lock it again if it was replaced on purpose: "
            f"`{entry.project.command('data lock', entry.name)}`",
        )
    return wanted


def _refuse_links(entry: DataEntry, files: list["RemoteFile"], *, is_file: bool) -> None:
    """Refuse to write through a link below the root: it could lead anywhere.

    :raises EnvbuildError: there is one where a folder should be.
    """
    root = os.path.realpath(entry.root)
    for file in () if is_file else files:
        folder = os.path.dirname(f"{root}/{file.path}")  # noqa: PTH120 - there may be a million
        if os.path.realpath(folder) != folder:
            raise EnvbuildError(
                f"`{os.path.dirname(file.path)}` in {entry.shown} is a link, not a folder",  # noqa: PTH120
                hint="remove it, then fetch again",
            )


def changed_here(entry: DataEntry, changed: list["FileDifference"]) -> VerificationError:
    """Return the error of files that a fetch would overwrite."""
    return VerificationError(
        f"data `{entry.name}` was changed here: {entry.shown}",
        problems=_problems(changed),
        hint="move what you want to keep, then overwrite it: "
        f"`{entry.project.command('data fetch', '--force', entry.name)}`; "
        f"or lock it as it is: `{entry.project.command('data lock', entry.name)}`",
    )


def _problems(differences: list["FileDifference"]) -> list[Problem]:
    return _first([Problem("", str(difference)) for difference in differences])


def _first(problems: list[Problem]) -> list[Problem]:
    if len(problems) <= MOST_NAMED:
        return problems
    return [*problems[:MOST_NAMED], Problem("", f"and {len(problems) - MOST_NAMED:,} more")]
