"""Merging locks in git by what they mean.

Source: gitattributes(5), "Defining a custom merge driver".
"""

from dataclasses import dataclass
from pathlib import Path

from envbuild.errors import EnvbuildError
from envbuild.workflows.machine import Machine

DRIVER = "envbuild"
ATTRIBUTE = f"envbuild.lock merge={DRIVER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """What came of a merge."""

    merged: bool
    """False: git merged the lines, and left its markers where they contradict."""

    conflicts: tuple[str, ...] = ()
    """What keeps the two sides apart."""


def install_merge_driver(*, machine: Machine | None = None) -> bool:
    """Make git merge locks with envbuild, in the repository of the current folder.

    Returns whether a line was added to ``.gitattributes``, which is to be committed.

    :raises EnvbuildError: git is not installed, or refuses.
    """
    from envbuild.files import atomic

    machine = machine or Machine()
    attributes = Path(_git(machine, "rev-parse", "--show-toplevel")) / ".gitattributes"
    text = attributes.read_text(encoding="utf-8") if attributes.exists() else ""
    is_missing = ATTRIBUTE not in text.splitlines()
    if is_missing:
        separator = "" if not text or text.endswith("\n") else "\n"
        atomic.write_text(attributes, f"{text}{separator}{ATTRIBUTE}\n")
    _git(machine, "config", f"merge.{DRIVER}.name", "locks of envbuild")
    _git(machine, "config", f"merge.{DRIVER}.driver", "envbuild merge-driver run %O %A %B %P")
    return is_missing


def merge_lock_files(base: Path, ours: Path, theirs: Path, *, machine: Machine | None = None) -> MergeResult:
    """Merge three locks into ``ours``; where they cannot be joined, do what git does without a driver."""
    from envbuild import process
    from envbuild.files import atomic
    from envbuild.lock.codec import dumps, loads
    from envbuild.resolve.merge import join_locks

    try:
        locks = [loads(path.read_text(encoding="utf-8")) for path in (base, ours, theirs)]
        joined = join_locks(*locks)
        lock, conflicts = joined.lock, tuple(map(str, joined.conflicts))
    except (EnvbuildError, UnicodeDecodeError) as error:
        # one side is no lock this release reads: git may still merge its lines
        lock, conflicts = None, (str(error),)
    if lock is not None:
        text = dumps(lock)
        loads(text)
        atomic.write_text(ours, text)
        return MergeResult(merged=True)
    labels = ("-L", "ours", "-L", "base", "-L", "theirs")
    # its exit status is the number of conflicts
    process.run(
        ["git", "merge-file", *labels, str(ours), str(base), str(theirs)],
        environment=(machine or Machine()).environment,
    )
    return MergeResult(merged=False, conflicts=conflicts)


def _git(machine: Machine, *arguments: str) -> str:
    from envbuild import process

    try:
        result = process.run(["git", *arguments], environment=machine.environment)
    except process.ProgramMissingError as error:
        raise EnvbuildError(error.message, hint="install git") from error
    if not result.succeeded:
        raise EnvbuildError(
            "git refused", hint="run this inside a git repository", detail=result.stderr.strip()
        )
    return result.stdout.rstrip("\n")
