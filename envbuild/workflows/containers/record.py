"""The record of a run that begins, and the variables that carry it into the container.

It is written as plain values: the model of records, which reads what others wrote, takes longer to load than
all of this.
"""

import re
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from envbuild.digest import sha256_file
from envbuild.errors import EnvbuildError
from envbuild.visible import visible
from envbuild.workflows.project import LOCK_NAME

if TYPE_CHECKING:
    from envbuild.image.container_options import Mount
    from envbuild.image.engine import BuiltImage
    from envbuild.lock.model import Lock, Target
    from envbuild.records.git import GitFolder
    from envbuild.workflows.containers.options import RunOptions
    from envbuild.workflows.machine import Machine
    from envbuild.workflows.project import Project

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,255}")
"""What a record takes for the name of a variable; engines take anything."""

_OPTIONS: Final = ("network", "shm_size", "memory", "cpus", "user", "workdir")

LARGEST: Final = 60_000
"""Bytes of a record that is written; a little more is read."""

MOST_WORDS: Final = 4096
MOST_ITEMS: Final = 256
"""Of a command, and of each list: as many as are read; the model of records itself loads slowly."""

LONGEST_LINE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunRun:
    """What is known of a run when its image is there."""

    command: Sequence[str] | None
    """None: a shell."""

    options: "RunOptions"
    image: "BuiltImage"
    engine: str
    mounts: "Sequence[Mount]"
    """That were asked for, the spec's folder not among them."""

    passed: Mapping[str, str] = field(repr=False)
    """Variables that the caller passed."""

    mounted: bool
    folder: str | None
    """Where the command starts, below the mounted folder."""

    is_here: bool = True
    """Whether the engine is on this machine, and its containers get this machine's GPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedRun:
    """A recorded run that is started again."""

    source: str
    """As a person names it: ``mlflow:RUN_ID``."""

    lock: "Lock"
    lock_sha256: str
    """Of the text of the lock, wherever that was found."""


class RunRecorder:
    """Looks at git and the lock while the engine is asked for the image, and records the run then."""

    def __init__(
        self,
        project: "Project",
        command: Sequence[str],
        machine: "Machine",
        again: RepeatedRun | None = None,
    ) -> None:
        """Begin to look; nothing is waited for."""
        # git knows a folder by its real place
        self._folder = Path(project.folder).resolve()
        self._again = again
        pool = ThreadPoolExecutor(1, thread_name_prefix="envbuild-record")
        self._look: Future[_Look] = pool.submit(
            _look, self._folder, project.lock, command, machine.environment
        )
        pool.shutdown(wait=False)

    def record(self, run: BegunRun, lock: "Lock", target: "Target") -> dict[str, Any]:
        """Return the record of ``run`` as plain JSON values.

        :raises OSError: the lock cannot be read any more.
        """
        from envbuild.lock.identity import target_digest
        from envbuild.records.switches import switches_of
        from envbuild.records.target import recorded_target
        from envbuild.render.labels import TARGET

        # engines give no image for a target whose label says another; to compute it takes milliseconds
        digest = run.image.facts.labels.get(TARGET) or target_digest(lock, target)
        again = self._again
        look = self._look.result()
        passed = switches_of(run.passed)
        names = sorted(run.passed.keys() - passed.keys())
        # what the image itself says of seeds and threads, and what the caller says in its place
        switches = dict(sorted({**switches_of(target.env), **passed}.items()))
        digest_of_lock = again.lock_sha256 if again else look.lock
        git = look.git if look.git and _is_inside_path(look.git.folder) else None
        path = (self._folder / LOCK_NAME).relative_to(git.root).as_posix() if git else LOCK_NAME
        found = {
            **recorded_target(lock, target, digest),
            "lock": {"sha256": digest_of_lock, "path": path} if digest_of_lock else None,
            "image": _image(run, lock),
            "git": git.document() if git else None,
            "command": list(look.words) if run.command else None,
            "redacted": look.is_redacted if run.command else None,
            "folder": run.folder if run.folder and _is_inside_path(run.folder) else None,
            "mounted": run.mounted,
            "options": _options(run.options),
            "variables": switches,
            "variable-names": [name for name in names if _NAME.fullmatch(name)][:MOST_ITEMS],
            "mounts": [
                {"target": mount.target, "read-only": mount.read_only}
                for mount in run.mounts
                if _is_line(mount.target) and ".." not in PurePosixPath(mount.target).parts
            ][:MOST_ITEMS],
            "data": [data.recorded for data in lock.data][:MOST_ITEMS],
            **_hardware(run, target),
            "again": {"source": again.source} if again else None,
        }
        # whether it was mounted is known
        known = {key: value for key, value in found.items() if value or key == "mounted"}
        return bounded(known)


@dataclass(frozen=True, slots=True)
class _Look:
    git: "GitFolder | None"
    lock: str
    words: tuple[str, ...]
    is_redacted: bool


def _look(folder: Path, lock: Path, command: Sequence[str], environment: Mapping[str, str]) -> _Look:
    from envbuild.records.git import git_folder
    from envbuild.records.redaction import redacted

    # JSON has text alone, and names of files need not be UTF-8
    words = tuple(word.encode(errors="replace").decode() for word in command)
    shown, _ = redacted(words)
    git = git_folder(folder, environment)
    return _Look(git, sha256_file(lock) if lock.is_file() else "", shown, shown != tuple(command))


def recorded_variables(
    recorder: RunRecorder, run: BegunRun, lock: "Lock", target: "Target", machine: "Machine"
) -> dict[str, str]:
    """Return what a container is told of ``run``; a run that cannot be recorded goes on, with a note.

    Variables of trackers that the image or the caller has are left alone.
    """
    from envbuild.records.variables import variables_of

    try:
        record = recorder.record(run, lock, target)
        # what the base sets is among what the target has
        return variables_of(record, taken={*target.env, *run.passed})
    except (EnvbuildError, OSError, ValueError) as error:
        reason = error.message if isinstance(error, EnvbuildError) else type(error).__name__
        machine.progress.on_note(f"the run is not recorded: {reason}")
        return {}


def bounded(document: dict[str, Any]) -> dict[str, Any]:
    """Return a record small enough to be read again: without a command that is as long as a program.

    That one was left out is said by ``redacted``.
    """
    from envbuild.records.variables import record_text

    if len(document.get("command", ())) <= MOST_WORDS and len(record_text(document).encode()) <= LARGEST:
        return document
    return {key: value for key, value in document.items() if key != "command"} | {"redacted": True}


def start_below(workdir: str, mounted_at: str) -> str | None:
    """Return where a command starts below the mounted folder; None: elsewhere."""
    place = PurePosixPath(workdir)
    return str(place.relative_to(mounted_at)) if place.is_relative_to(mounted_at) else None


def _image(run: BegunRun, lock: "Lock") -> dict[str, str]:
    image, repository = run.image, lock.request.repository
    known = [name.rpartition("@")[2] for name in image.facts.names if name.startswith(f"{repository}@")]
    content = image.content.descriptor.digest if image.content else None
    found = {
        "reference": image.reference,
        "digest": next(iter(known), None) or content or image.facts.identifier,
        "engine": run.engine,
    }
    return {**found, "repository": repository} if repository else found


def _options(options: "RunOptions") -> dict[str, str]:
    given = {name.replace("_", "-"): getattr(options, name) for name in _OPTIONS}
    given["gpus"] = None if options.gpus == "auto" else options.gpus
    return {name: value for name, value in given.items() if value and _is_line(value)}


def _is_inside_path(path: str) -> bool:
    return _is_line(path) and "\\" not in path


def _is_line(text: str) -> bool:
    """Return whether a record may have a text: what cannot be shown is not read again."""
    return len(text) <= LONGEST_LINE and visible(text) == text


def _hardware(run: BegunRun, target: "Target") -> dict[str, Any]:
    if target.gpu is None or target.gpu.vendor != "nvidia" or not run.is_here or run.options.gpus == "none":
        return {}
    from envbuild.records.hardware import driver_here, gpus_here

    return {"gpus": list(gpus_here()), "driver": driver_here()}
