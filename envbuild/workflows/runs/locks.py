"""The lock of a recorded run: of the project, of its commit, or of the tracker that keeps it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from envbuild.digest import sha256_bytes
from envbuild.errors import IntegrityError, LockError, NetworkError, RecordError, UsageError
from envbuild.process import ProgramMissingError, ProgramTimeoutError

if TYPE_CHECKING:
    from envbuild.lock.model import Lock, Target
    from envbuild.records.found import FoundRun
    from envbuild.records.model import RunRecord
    from envbuild.workflows.machine import Machine
    from envbuild.workflows.project import Project

LARGEST_LOCK: Final = 64 << 20
LOCK_FILE: Final = "envbuild/envbuild.lock"
"""What ``envbuild_runtime`` attaches to a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLock:
    """A lock that has the target of a recorded run."""

    lock: "Lock"
    target: "Target"
    sha256: str
    """Of its text."""

    origin: str
    """Where it was found, in words."""

    is_exact: bool
    """Whether it is the file that was recorded, to the byte; the target is the recorded one in any case."""


def lock_of_run(found: "FoundRun", project: "Project | None", machine: "Machine") -> RunLock | None:
    """Return the lock of a recorded run; None: neither the project, its history nor the tracker has one.

    Without a project there is nothing to use a lock with.

    :raises RecordError: the record is of a recipe that this envbuild does not know.
    :raises IntegrityError: the recorded lock has another target than the record says.
    """
    record = found.record
    _require_known_format(record)
    for text, origin in _candidates(found, project, machine):
        digest = sha256_bytes(text)
        is_exact = record.lock is not None and digest == record.lock.sha256
        lock = _parsed(text)
        if lock is None:
            continue
        target = _target_of(lock, record)
        if target is not None:
            return RunLock(lock=lock, target=target, sha256=digest, origin=origin, is_exact=is_exact)
        if is_exact and record.target is not None:
            raise IntegrityError(
                f"the record lies: {origin} is the lock that it names, and has no target {record.target}",
                hint="the record was changed, or envbuild was; start the run with `envbuild run` yourself",
            )
    return None


def _require_known_format(record: "RunRecord") -> None:
    from envbuild.lock.identity import FORMAT_CHANGES, RECIPE_FORMAT

    if record.format is not None and record.format not in FORMAT_CHANGES:
        raise RecordError(
            f"the image is of recipe format {record.format}, and this envbuild knows {RECIPE_FORMAT}",
            hint="use a newer envbuild",
        )


def _candidates(run: "FoundRun", project: "Project | None", machine: "Machine") -> "list[tuple[bytes, str]]":
    """Return the texts that may be the lock, the recorded one first where it is known."""
    if project is None:
        return []
    record = run.record
    found: list[tuple[bytes, str]] = []
    if project.lock.is_file() and project.lock.stat().st_size <= LARGEST_LOCK:
        found.append((project.lock.read_bytes(), f"{project.lock.name} in {project.label}"))
    recorded = record.lock.sha256 if record.lock else None
    if all(sha256_bytes(text) != recorded for text, _ in found):
        found += _of_commit(record, project, machine)
    if recorded is not None and all(sha256_bytes(text) != recorded for text, _ in found):
        attached = _attached(run)
        # a tracker may be written to by anybody: only the recorded file is taken from it
        if attached is not None and sha256_bytes(attached) == recorded:
            found.append((attached, f"{LOCK_FILE}, attached to the run"))
    return sorted(found, key=lambda item: sha256_bytes(item[0]) != recorded)


def _of_commit(record: "RunRecord", project: "Project", machine: "Machine") -> "list[tuple[bytes, str]]":
    if record.git is None or record.lock is None:
        return []
    from envbuild.records.git import file_at, repository_root

    root = repository_root(project.folder.resolve())
    if root is None:
        return []
    commit, path = record.git.commit, record.lock.path
    try:
        text = file_at(root, commit, path, machine.environment, limit=LARGEST_LOCK)
    except (ProgramMissingError, ProgramTimeoutError):
        # there may be another one
        return []
    return [] if text is None else [(text, f"{path} of commit {commit[:12]}")]


def _attached(run: "FoundRun") -> bytes | None:
    try:
        return run.attached(LOCK_FILE, LARGEST_LOCK)
    except NetworkError:
        # the record was read: that the lock cannot be is said with what cannot be had
        return None


def _parsed(text: bytes) -> "Lock | None":
    from envbuild.lock.codec import loads

    try:
        return loads(text.decode())
    except (LockError, UnicodeDecodeError):
        return None


def _target_of(lock: "Lock", record: "RunRecord") -> "Target | None":
    from envbuild.lock.identity import RECIPE_FORMAT, target_digest
    from envbuild.workflows.project import choose_target

    try:
        target = choose_target(lock, variant=record.variant, platform=record.platform)
    except (UsageError, LockError):
        return None
    digest = target_digest(lock, target, recipe_format=record.format or RECIPE_FORMAT)
    return target if digest == record.target else None
