"""A spec and its lock as files: found, read, compared."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.errors import LockMissingError, LockStaleError

if TYPE_CHECKING:
    from envbuild.lock.model import Lock, Target

LOCK_NAME = "envbuild.lock"
SPEC_NAME = "envbuild.toml"


@dataclass(frozen=True, slots=True)
class Project:
    """Where a spec and its lock lie."""

    spec: Path

    @property
    def folder(self) -> Path:
        """The folder both lie in."""
        return self.spec.parent

    @property
    def lock(self) -> Path:
        """The lock beside the spec."""
        return self.folder / LOCK_NAME


def find_project(spec: Path | None, *, frozen: bool = False) -> Project:
    """Return the project of ``spec``: a file, a folder, or where the command runs.

    With ``frozen`` a folder that holds a lock alone will do: nothing looks at its spec.

    :raises SpecError: there is no spec.
    """
    from envbuild.spec.load import find_spec

    path = spec or Path()
    if path.is_file():
        return Project(path)
    if frozen and (path / LOCK_NAME).is_file():
        return Project(path / SPEC_NAME)
    return Project(find_spec(path))


def read_lock(path: Path) -> "Lock":
    """Return the lock at ``path``.

    :raises LockMissingError: there is none.
    :raises LockError: it cannot be used.
    """
    from envbuild.lock.codec import loads

    return loads(read_lock_text(path))


def read_lock_text(path: Path) -> str:
    """Return the text of the lock at ``path``; see :func:`read_lock`."""
    from envbuild.errors import LockInvalidError

    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise LockMissingError(
            f"there is no {path.name} in {path.parent}", hint="run `envbuild lock`"
        ) from error
    except UnicodeDecodeError as error:
        raise LockInvalidError(
            "the lock is not UTF-8 text",
            hint="restore it from version control, or delete it and run `envbuild lock`",
        ) from error


def fresh_lock(project: Project, *, frozen: bool) -> "Lock":
    """Return the lock of ``project``, compared with its spec unless ``frozen``.

    :raises LockStaleError: it no longer answers the spec; the fields are named.
    """
    lock = read_lock(project.lock)
    if not frozen:
        from envbuild.lock.freshness import stale_fields
        from envbuild.spec.normalize import request_of

        problems = stale_fields(request_of(project.spec), lock.request)
        if problems:
            raise LockStaleError(
                f"{project.lock.name} does not answer {project.spec.name} any more",
                hint="run `envbuild lock`, or use the lock as it stands with --frozen",
                problems=problems,
            )
    return lock


def choose_target(lock: "Lock", *, variant: str | None, platform: str | None) -> "Target":
    """Return the target a command line means; see :func:`envbuild.lock.target_choice.select_target`."""
    from envbuild import platforms
    from envbuild.lock.target_choice import select_target

    return select_target(lock, variant=variant, platform=platform, host=platforms.host())
