"""`envbuild run --from`: a recorded run, started again."""

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from envbuild.visible import LONGEST, visible
from envbuild.workflows.containers.record import RepeatedRun
from envbuild.workflows.containers.run import PreparedRun, prepare_run
from envbuild.workflows.engines import choose_engine, open_engine
from envbuild.workflows.runs.plan import RunPlan

MOST_SHOWN: Final = LONGEST - 400
"""Characters of a line of a plan, besides what it is about."""

if TYPE_CHECKING:
    from envbuild.records.found import FoundRun
    from envbuild.workflows.engines import EngineName
    from envbuild.workflows.machine import Machine
    from envbuild.workflows.project import Project


def find_recorded(source: str, machine: "Machine") -> "FoundRun":
    """Return the run that ``source`` names.

    It is ``mlflow:RUN_ID``, ``wandb:FOLDER``, ``tensorboard:FOLDER`` or ``dvc:REVISION``.

    :raises UsageError: it has another form, or asks a server and the machine is offline.
    :raises NetworkError: the tracker is out of reach, refuses, or has no such run.
    :raises RecordError: the run has no record, or one that cannot be used.
    """
    from envbuild.records.sources.find import find_run
    from envbuild.workflows.images.registry import require_network

    if source.startswith("mlflow:"):
        address = source.partition("@")[2] or machine.environment.get("MLFLOW_TRACKING_URI", "")
        if address.lower().startswith("http"):
            require_network(machine, "mlflow:")
    return find_run(source, machine.environment, Path.cwd())


def require_privileges(project: "Project | None", engine: "EngineName | None", machine: "Machine") -> None:
    """Return if the engine can work in this process; before anything is asked of a person.

    :raises EngineError: this machine and user allow no such engine.
    """
    with closing(open_engine(choose_engine(engine, project, machine.environment), machine)) as chosen:
        chosen.require_privileges(machine.restart_as_root)


def prepare_again(plan: RunPlan, machine: "Machine") -> PreparedRun:
    """Return the run of a plan ready to start, its image pulled or built if need be.

    :raises EnvbuildError: see :func:`envbuild.run_command`.
    """
    if plan.lock is None or plan.project is None:
        from envbuild.workflows.runs.by_digest import prepare_by_digest

        return prepare_by_digest(plan, machine)
    if plan.fetches:
        from envbuild.workflows.data.fetching import fetch_data

        fetch_data(plan.project, plan.fetches, machine=machine)
    again = RepeatedRun(source=plan.found.public_source, lock=plan.lock.lock, lock_sha256=plan.lock.sha256)
    prepared = prepare_run(plan.project, plan.command, plan.options, machine=machine, again=again)
    _note_other_image(plan, prepared, machine)
    return prepared


def _note_other_image(plan: RunPlan, prepared: PreparedRun, machine: "Machine") -> None:
    """Say that the image is another one of the same target: an engine may build it with other bytes."""
    recorded = plan.record.image.digest if plan.record.image else None
    text = prepared.request.env.get("ENVBUILD_RUN")
    now = json.loads(text).get("image", {}).get("digest") if text else None
    if recorded is not None and now is not None and now != recorded:
        machine.progress.on_note(f"the image is {now}, recorded was {recorded}: both are of the same target")


def plan_lines(plan: RunPlan) -> Sequence[str]:
    """Return a plan for people: what is used, what differs, what cannot be had."""
    lines = [f"run again: {plan.found.source}"]
    for kind, heading in (
        ("uses", None),
        ("differs", "differs from the run:"),
        ("missing", "cannot be had:"),
    ):
        items = [item for item in plan.items if item.kind == kind]
        if items and heading:
            lines.append(heading)
        width = max((len(item.what) for item in items), default=0)
        for item in items:
            # who agrees has seen all of it: lines that are too long for one are cut where they are written
            pieces = _pieces(visible(item.text, limit=None))
            lines += [
                f"  {what.ljust(width)}  {piece}"
                for what, piece in zip((item.what, *[""] * len(pieces)), pieces, strict=False)
            ]
    return lines


def _pieces(text: str) -> list[str]:
    """Return a text in pieces that are shown whole, each on a line of its own; the first of an empty one."""
    return [text[start : start + MOST_SHOWN] for start in range(0, max(1, len(text)), MOST_SHOWN)]
