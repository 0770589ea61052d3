"""A spec and its lock as files: found, read, compared."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.errors import LockInvalidError, LockMissingError

if TYPE_CHECKING:
    from envbuild.lock.model import Lock, Target
    from envbuild.spec.load import SpecReading
    from envbuild.spec.request import Request

LOCK_NAME = "envbuild.lock"
SPEC_NAME = "envbuild.toml"


@dataclass(frozen=True)
class Project:
    """A spec, and where its lock is.

    The spec is read when it is first needed, and once: open the project again after a change of it.
    """

    spec: Path
    """Absolute where :func:`open_project` found it, whatever folder is the current one later."""

    named: Path | None = field(default=None, compare=False, repr=False)
    """The spec by the name a person opened it with, for people to read; None: as ``spec`` has it."""

    text: str | None = field(default=None, compare=False, repr=False)
    """What is read in place of the spec's own text; None: that.  A change is tried so before it is made."""

    @property
    def folder(self) -> Path:
        """The folder both lie in."""
        return self.spec.parent

    @property
    def lock(self) -> Path:
        """The lock beside the spec."""
        return self.folder / LOCK_NAME

    @property
    def label(self) -> str:
        """The folder as the person who opened the project calls it."""
        return self.shown(self.folder).as_posix()

    def as_named(self) -> "Project":
        """Return this project with all paths as the person who opened it named them.

        For a program whose current folder stays, so that whatever it says has those names.
        """
        return Project(self.named or self.spec)

    def shown(self, path: Path) -> Path:
        """Return ``path`` of this folder by the name of the person who opened the project."""
        named = (self.named or self.spec).parent
        return named / path.relative_to(self.folder)

    @cached_property
    def reading(self) -> "SpecReading":
        """The spec as read, with the problems in it.

        :raises SpecError: it is missing, not TOML, or holds no spec.
        """
        from envbuild.spec.load import read_spec

        return read_spec(self.spec, text=self.text)

    @cached_property
    def request(self) -> "Request":
        """What the spec and the files it names ask for.

        :raises SpecError: with everything that is wrong in all of them.
        """
        from envbuild.spec.normalize import request_from

        return request_from(self.reading)


def open_project(spec: Path | str | None = None, *, frozen: bool = False) -> Project:
    """Return the project of ``spec``: a file, a folder, or the current folder.

    With ``frozen`` a folder that holds a lock alone will do: nothing looks at its spec.

    :raises SpecError: there is no spec.
    """
    from envbuild.spec.load import find_spec

    path = Path(spec or "")
    if path.is_file():
        found = path
    elif frozen and (path / LOCK_NAME).is_file():
        found = path / SPEC_NAME
    else:
        found = find_spec(path)
    return Project(found.absolute(), named=found)


def read_lock(path: Path, *, shown: Path | None = None) -> "Lock":
    """Return the lock at ``path``, which errors call ``shown``.

    :raises LockMissingError: there is none.
    :raises LockError: it cannot be used.
    """
    from envbuild.lock.codec import loads

    return loads(read_lock_text(path, shown=shown))


def read_lock_text(path: Path, *, shown: Path | None = None) -> str:
    """Return the text of the lock at ``path``; see :func:`read_lock`."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        shown = shown or path
        raise lock_missing(f"{shown.name} in {shown.parent}") from error
    except UnicodeDecodeError as error:
        raise LockInvalidError(
            "the lock is not UTF-8 text",
            hint="restore it from version control, or delete it and run `envbuild lock`",
        ) from error


def read_project_lock(project: Project) -> "Lock":
    """Return the lock of ``project``; see :func:`read_lock`."""
    return read_lock(project.lock, shown=project.shown(project.lock))


def fresh_lock(project: Project, *, frozen: bool) -> "Lock":
    """Return the lock of ``project``, compared with its spec unless ``frozen``.

    :raises LockStaleError: it no longer answers the spec; the fields are named.
    """
    lock = read_project_lock(project)
    if not frozen:
        from envbuild.lock.freshness import stale_fields, stale_lock

        problems = stale_fields(project.request, lock.request)
        if problems:
            raise stale_lock(project.lock.name, project.spec.name, problems, frozen=True)
    return lock


def lock_missing(what: str) -> LockMissingError:
    """Return the error of a lock that is not there."""
    return LockMissingError(f"there is no {what}", hint="run `envbuild lock`")


def choose_target(lock: "Lock", *, variant: str | None, platform: str | None) -> "Target":
    """Return the target a command line means; see :func:`envbuild.lock.target_choice.select_target`."""
    from envbuild import platforms
    from envbuild.lock.target_choice import select_target

    return select_target(lock, variant=variant, platform=platform, host=platforms.host())
