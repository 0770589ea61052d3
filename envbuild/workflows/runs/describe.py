"""`envbuild describe --run`: what is known of a recorded run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envbuild.workflows.machine import Machine
from envbuild.workflows.runs.again import find_recorded

if TYPE_CHECKING:
    from envbuild.records.found import FoundRun


@dataclass(frozen=True, slots=True)
class RunDescription:
    """A recorded run, described."""

    run: "FoundRun"

    def card(self) -> str:
        """Return the card of the run as Markdown."""
        from envbuild.records.card import card

        return card(self.run)

    def document(self) -> dict[str, Any]:
        """Return all that is known of the run as plain JSON values."""
        run = self.run
        return {
            "source": run.source,
            "place": run.place,
            "name": run.name,
            "status": run.status,
            "record": run.record.document(),
            "parameters": dict(run.parameters),
            "metrics": dict(run.metrics),
            "artifacts": list(run.artifacts),
            "missing": list(run.missing),
        }


def describe_run(source: str, *, machine: Machine | None = None) -> RunDescription:
    """Return what is known of the run that ``source`` names, such as ``mlflow:RUN_ID``.

    :raises UsageError: it has another form.
    :raises NetworkError: the tracker is out of reach, refuses, or has no such run.
    :raises RecordError: the run has no record, or one that cannot be used.
    """
    return RunDescription(find_recorded(source, machine or Machine()))
