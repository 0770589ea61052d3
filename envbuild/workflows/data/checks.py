"""The data of a project as checks of `verify`."""

from typing import TYPE_CHECKING, Final

from envbuild.errors import EnvbuildError
from envbuild.workflows.data.entries import DataEntry, locked_entries
from envbuild.workflows.data.verifying import verify_entry
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project

if TYPE_CHECKING:
    from envbuild.lock.model import Lock
    from envbuild.verify.checks.report import CheckResult, Outcome

GROUP: Final = "data"


def data_checks(project: Project, lock: "Lock", machine: Machine) -> "tuple[CheckResult, ...]":
    """Return a result for each data entry of a lock; of one that changed, one for each file that differs.

    The evidence is what this machine stores, and no image is asked.
    """
    return tuple(
        result for entry in locked_entries(project, lock.data, ()) for result in _checks(entry, machine)
    )


def _checks(entry: DataEntry, machine: Machine) -> "list[CheckResult]":
    from envbuild.verify.checks.report import CheckResult

    def result(outcome: "Outcome", **facts: str | None) -> CheckResult:
        return CheckResult(
            id=f"{GROUP}/{entry.name}",
            group=GROUP,
            title=entry.name,
            outcome=outcome,
            expected=entry.locked.digest,
            evidence="stored",
            **facts,
        )

    try:
        state = verify_entry(entry, machine)
    except EnvbuildError as error:
        return [result("failed", found="cannot be read", reason=error.message)]
    if state.state == "missing":
        hint = entry.project.command("data fetch", entry.name)
        return [result("skipped", reason=f"nothing is at {entry.shown}: `{hint}`")]
    if state.state == "ok":
        return [result("passed", found=state.found)]
    more = f"{state.differing:,} files differ" if state.differing > len(state.differences) else None
    return [
        result("failed", found=state.found, reason=more),
        *(
            CheckResult(
                id=f"{GROUP}/{entry.name}/{item.path}",
                group=GROUP,
                title=f"{entry.name}: {item.path}",
                outcome="failed",
                expected=f"sha256:{item.locked}" if item.locked else "not in the lock",
                found=f"sha256:{item.found}" if item.found else "missing",
                evidence="stored",
            )
            for item in state.differences
        ),
    ]
