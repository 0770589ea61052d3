"""What it takes to start a recorded run again: what is used, what differs, what cannot be had any more."""

import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from envbuild.errors import RecordError, UsageError
from envbuild.workflows.containers.options import RunOptions, variables
from envbuild.workflows.runs.code import CodeState, code_here
from envbuild.workflows.runs.data import missing_data
from envbuild.workflows.runs.locks import RunLock, lock_of_run

if TYPE_CHECKING:
    from envbuild.records.found import FoundRun
    from envbuild.records.model import RunRecord
    from envbuild.workflows.machine import Machine
    from envbuild.workflows.project import Project

Kind = Literal["uses", "differs", "missing"]


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One line of a plan."""

    kind: Kind
    what: str
    """``image``, ``command``, ``data images``…"""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A recorded run as it is started again."""

    found: "FoundRun"
    project: "Project | None"
    lock: RunLock | None
    """None: the image is had by its digest alone."""

    command: tuple[str, ...]
    options: RunOptions
    code: CodeState
    items: tuple[PlanItem, ...]
    fetches: tuple[str, ...] = ()
    """Names of the data that is fetched first."""

    @property
    def record(self) -> "RunRecord":
        """The record of the run."""
        return self.found.record

    def document(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        listed = [{"kind": item.kind, "what": item.what, "text": item.text} for item in self.items]
        return {"source": self.found.source, "command": list(self.command), "items": listed}

    def require_same_code(self) -> None:
        """Return if the code here is that of the run, as far as that can be known.

        :raises UsageError: it is not; says how it is had.
        """
        if self.code.state == "differs" and self.options.mounts_folder:
            raise UsageError(
                f"the code here is not that of the run: {self.code.text}",
                hint="--into FOLDER makes a clean checkout of that commit; or check it out here first",
            )


def plan_run(
    found: "FoundRun",
    project: "Project | None",
    command: Sequence[str],
    options: RunOptions,
    machine: "Machine",
) -> RunPlan:
    """Return how the run ``found`` is started again; ``command`` and ``options`` of the caller go first.

    Nothing of the record reaches this machine: no path, no network, no user, no variable but known switches.

    :raises UsageError: an option contradicts the record, or it has no command that can be started.
    :raises RecordError: neither a lock nor an image can be had for the record.
    :raises IntegrityError: the record contradicts the lock that it names.
    """
    record = found.record
    for name, given, recorded in (
        ("--variant", options.variant, record.variant),
        ("--platform", options.platform, record.platform),
    ):
        if given is not None and recorded is not None and given != recorded:
            raise UsageError(f"{name} {given}: the run was in {recorded}", hint=f"leave {name} out")
    words = _command(record, command)
    lock = lock_of_run(found, project, machine)
    if lock is None and (record.image is None or record.image.digest is None):
        raise RecordError(
            f"{found.source}: no lock here has its target, and its image was not recorded by digest",
            hint="change to the folder of its spec, at the commit of the run; or give --into FOLDER",
        )
    merged = _options(record, project, lock, options, machine)
    code = code_here(record, project, machine) if merged.mounts_folder else _no_code(record)
    fetches = [data.name for data in missing_data(lock, project)] if lock and project and merged.data else []
    items = (
        *_used(found, lock, words, merged),
        *(PlanItem("missing", "of the run", text) for text in found.missing),
        *_code_items(code, record, merged),
        *_data_items(record, project, lock, fetches),
        *_not_taken(record, merged, machine),
        *_machine_items(record),
        *_format_items(record, lock),
    )
    return RunPlan(
        found=found,
        project=project,
        lock=lock,
        command=words,
        options=merged,
        code=code,
        items=items,
        fetches=tuple(fetches),
    )


def _command(record: "RunRecord", command: Sequence[str]) -> tuple[str, ...]:
    if command:
        return tuple(command)
    if record.command is None:
        raise UsageError("the record has no command", hint="give one after `--`")
    if record.redacted:
        raise UsageError(
            f"a secret in the command was not recorded: {shlex.join(record.command)}",
            hint="give the command yourself, after `--`",
        )
    return record.command


def _options(
    record: "RunRecord",
    project: "Project | None",
    lock: RunLock | None,
    options: RunOptions,
    machine: "Machine",
) -> RunOptions:
    """Return the caller's options, and those of the record that can do no harm."""
    from envbuild.records.switches import switches_of

    recorded = record.options
    mounts = options.mount and record.mounted is not False and project is not None
    given = variables(options, machine.environment, tty=False)
    switches = {name: value for name, value in switches_of(record.variables).items() if name not in given}
    taken: dict[str, Any] = {
        "variant": record.variant or options.variant,
        "platform": record.platform or options.platform,
        "env": {**switches, **options.env},
        "mount": mounts,
        "frozen": True,
        "lock": False,
    }
    if recorded is not None:
        taken |= {
            name: getattr(options, name) or getattr(recorded, name)
            for name in ("shm_size", "memory", "cpus", "workdir")
        }
        if options.network is None and recorded.network == "none":
            taken["network"] = "none"
        if options.gpus == "auto" and recorded.gpus == "none":
            taken["gpus"] = "none"
    # what is copied lies in the image's own working directory
    shares = mounts and not options.copies
    if not taken.get("workdir") and not options.workdir and lock is not None and shares:
        taken["workdir"] = str(PurePosixPath(lock.target.workdir, record.folder or "."))
    return replace(options, **taken)


def _no_code(record: "RunRecord") -> CodeState:
    where = "the folder was not mounted" if record.mounted is False else "the folder is not mounted"
    return CodeState(state="unknown", text=f"{where}, so that no code of it is seen")


def _used(
    found: "FoundRun", lock: RunLock | None, words: Sequence[str], options: RunOptions
) -> list[PlanItem]:
    from envbuild.records.switches import switches_of

    record = found.record
    image = record.image
    shown = [f"target {record.target}"] if record.target else []
    if image and image.digest:
        shown.append(f"{image.reference or 'image'}@{image.digest}")
    items = [PlanItem("uses", "record", found.place), PlanItem("uses", "image", ", ".join(shown))]
    if lock is not None:
        exact = "" if lock.is_exact else "; not the recorded file, and the same target"
        items.append(PlanItem("uses", "lock", f"{lock.origin}{exact}"))
    else:
        items.append(PlanItem("missing", "lock", "not found here; the image is had by its digest alone"))
    items.append(PlanItem("uses", "command", shlex.join(words)))
    given = {
        name.replace("_", "-"): getattr(options, name)
        for name in ("workdir", "network", "shm_size", "memory", "cpus", "user")
    }
    given["gpus"] = None if options.gpus == "auto" else options.gpus
    items += [PlanItem("uses", f"--{name}", value) for name, value in sorted(given.items()) if value]
    items += [PlanItem("uses", "--mount", text) for text in options.mounts]
    items += [PlanItem("uses", "--publish", text) for text in options.ports]
    # of the caller's own variables a record may name any, and their values may be secret
    switches = switches_of({name: options.env[name] for name in record.variables if name in options.env})
    items += [PlanItem("uses", "variable", f"{name}={value}") for name, value in switches.items()]
    return items


def _code_items(code: CodeState, record: "RunRecord", options: RunOptions) -> list[PlanItem]:
    items = [PlanItem("uses" if code.state == "same" else "differs", "code", code.text)]
    if record.git is not None and record.git.dirty and options.mounts_folder:
        items.append(
            PlanItem("missing", "code", "files had changes that were not committed: it cannot be had exactly")
        )
    return items


def _data_items(
    record: "RunRecord", project: "Project | None", lock: RunLock | None, fetches: Collection[str]
) -> list[PlanItem]:
    locked = {data.name: data for data in lock.lock.data} if lock else {}
    items = []
    for data in record.data:
        here, what = locked.get(data.name), f"data {data.name}"
        if here is None:
            items.append(PlanItem("missing", what, f"no lock here has it; recorded {data.digest}"))
        elif here.digest != data.digest:
            items.append(PlanItem("differs", what, f"recorded {data.digest}, locked here {here.digest}"))
        elif data.name in fetches:
            items.append(
                PlanItem("uses", what, f"{data.digest} at {here.target}, fetched from {here.source}")
            )
        elif project is not None and not (project.folder / here.path).exists():
            items.append(PlanItem("missing", what, f"{here.path} is not there; recorded {data.digest}"))
        else:
            items.append(PlanItem("uses", what, f"{data.digest} at {here.target}"))
    return items


def _not_taken(record: "RunRecord", options: RunOptions, machine: "Machine") -> list[PlanItem]:
    """Return what only the caller can give: places, secrets and rights of this machine."""
    from envbuild.records.switches import is_switch

    given = variables(options, machine.environment, tty=False)
    unknown = sorted(name for name, value in record.variables.items() if not is_switch(name, value))
    names = [name for name in (*record.variable_names, *unknown) if name not in given]
    items = [PlanItem("missing", "variable", f"{name}: give --env {name}") for name in names]
    for mount in record.mounts:
        if not any(f":{mount.target}" in text or f"={mount.target}" in text for text in options.mounts):
            only = ":ro" if mount.read_only else ""
            items.append(
                PlanItem("missing", "mount", f"{mount.target}: give --mount SOURCE:{mount.target}{only}")
            )
    recorded = record.options
    if recorded is not None:
        for name in ("network", "user", "gpus"):
            value, used = getattr(recorded, name), getattr(options, name)
            if value is not None and used != value:
                items.append(PlanItem("missing", f"--{name}", f"{value} is not taken from a record: give it"))
    return items


def _format_items(record: "RunRecord", lock: RunLock | None) -> list[PlanItem]:
    from envbuild.lock.identity import RECIPE_FORMAT

    if lock is None or record.format in {None, RECIPE_FORMAT}:
        return []
    text = (
        f"of recipe format {record.format}, made here by {RECIPE_FORMAT} of the same lock: its tag is another"
    )
    return [PlanItem("differs", "image", text)]


def _machine_items(record: "RunRecord") -> list[PlanItem]:
    from envbuild import platforms
    from envbuild.records.hardware import driver_here, gpus_here

    items = []
    host = platforms.host()
    if record.platform is not None and (host is None or host.name != record.platform):
        here = host.name if host else "unknown"
        items.append(PlanItem("differs", "platform", f"recorded {record.platform}, here {here}"))
    if record.gpus and (here_gpus := gpus_here()) != record.gpus:
        shown = ", ".join(here_gpus) or "none"
        items.append(PlanItem("differs", "GPUs", f"recorded {', '.join(record.gpus)}, here {shown}"))
    if record.driver and (driver := driver_here()) != record.driver:
        items.append(PlanItem("differs", "driver", f"recorded {record.driver}, here {driver or 'none'}"))
    return items
