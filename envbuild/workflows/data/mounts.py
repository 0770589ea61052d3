"""Data for a container: verified, then mounted read-only."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from envbuild.errors import Problem, VerificationError
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envbuild.image.container_options import ContainerOptions, Mount
    from envbuild.lock.data import LockedData
    from envbuild.lock.model import Lock
    from envbuild.workflows.data.entries import DataEntry
    from envbuild.workflows.data.verifying import DataState

MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class MountedData:
    """The data that a container gets, and what a record says of it."""

    mounts: tuple["Mount", ...] = ()
    data: tuple["LockedData", ...] = ()
    """What is mounted, sorted by name."""

    @property
    def record(self) -> list[dict[str, str]]:
        """Name, digest and target of each entry."""
        return [data.recorded for data in self.data]

    def added_to(self, container: "ContainerOptions") -> "ContainerOptions":
        """Return the options of a container that gets the data too."""
        return replace(container, mounts=(*container.mounts, *self.mounts))

    def recorded(self, lock: "Lock") -> "Lock":
        """Return a lock as a record of the run has it: with the data that was mounted."""
        return lock.model_copy(update={"data": self.data})


def data_mounts(
    project: Project, lock: "Lock", machine: Machine, *, taken: "Iterable[str]" = ()
) -> MountedData:
    """Return mounts of all data of a lock, once it is here as it is locked.

    An entry whose target is among ``taken`` is left out: the caller mounts something of their own there.

    :raises VerificationError: data is missing or changed; files are named with both digests.
    :raises EnvbuildError: it cannot be read, or changes meanwhile.
    """
    if not lock.data:
        return MountedData()
    # most projects have none, and do not wait for these
    from envbuild.image.container_options import Mount
    from envbuild.workflows.data.entries import locked_entries
    from envbuild.workflows.data.verifying import verify_entry

    own = set(taken)
    entries = [entry for entry in locked_entries(project, lock.data, ()) if entry.locked.target not in own]
    states = [(entry, verify_entry(entry, machine)) for entry in entries]
    _refuse(project, states)
    return MountedData(
        mounts=tuple(
            Mount(target=entry.locked.target, source=Path(entry.root).resolve(), read_only=True)
            for entry in entries
        ),
        data=tuple(entry.locked for entry in entries),
    )


def _refuse(project: Project, states: "list[tuple[DataEntry, DataState]]") -> None:
    changed = [state for _, state in states if state.state == "changed"]
    missing = [entry for entry, state in states if state.state == "missing"]
    if changed:
        raise VerificationError(
            "data is not as it is locked: " + ", ".join(state.name for state in changed),
            problems=[problem for state in changed for problem in problems_of_state(state)],
            hint=f"see `{project.command('data verify')}`; restore it, or lock it as it is: "
            f"`{project.command('data lock', *(state.name for state in changed))}`",
        )
    if missing:
        names = [entry.name for entry in missing]
        unknown = all(entry.locked.kind == "files" for entry in missing)
        raise MissingDataError(
            f"data is not here: {', '.join(names)}",
            problems=[Problem(entry.name, f"nothing is at {entry.shown}") for entry in missing],
            hint="put it there: the lock knows nowhere to fetch it; or run with --no-data"
            if unknown
            else f"run `{project.command('data fetch', *names)}`",
        )


class MissingDataError(VerificationError):
    """Data that is locked is not on this machine."""


def problems_of_state(state: "DataState") -> list[Problem]:
    """Return what is wrong with an entry: its digests, then its files with theirs."""
    problems = [Problem(state.name, state.line)]
    problems += [Problem("", str(difference)) for difference in state.differences[:MOST_NAMED]]
    more = state.differing - MOST_NAMED
    return [*problems, Problem("", f"and {more:,} more")] if more > 0 else problems
