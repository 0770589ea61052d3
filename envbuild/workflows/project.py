"""A spec and its lock as files: found, read, compared."""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.errors import LockInvalidError, LockMissingError, SpecError

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

    texts: Mapping[Path, str] = field(default_factory=dict, compare=False, repr=False)
    """What is read in place of other files of its folder, each by its path."""

    fault: SpecError | None = field(default=None, compare=False, repr=False)
    """Why there is no one spec.  Raised where it is read, so that it does not stop the work on others."""

    @property
    def folder(self) -> Path:
        """The folder both lie in."""
        return self.spec.parent

    @property
    def lock(self) -> Path:
        """The lock beside the spec."""
        return self.folder / LOCK_NAME

    @property
    def written_lock(self) -> Path:
        """The file that a new lock is written to: where a link of that name leads."""
        return Path(os.path.realpath(self.lock))

    @property
    def label(self) -> str:
        """The folder as the person who opened the project calls it."""
        return self.shown(self.folder).as_posix()

    def command(self, *words: str) -> str:
        """Return a command line of envbuild for this project, as the person who opened it would type it.

        The first word is the command, with its group before it: ``build``, ``data lock``.
        """
        named = self.named or self.spec
        place = named.parent if named.name in {SPEC_NAME, "pyproject.toml"} else named
        is_above = not set(place.parts) - {".."}
        options = () if is_above and self._is_nearest() else ("-f", place.as_posix())
        return shlex.join(["envbuild", *words[0].split(), *options, *words[1:]])

    def _is_nearest(self) -> bool:
        """Return whether a command in the current folder finds this project by itself."""
        try:
            found = find_project(frozen=True)
        except SpecError:
            return False
        return found is not None and found.spec == self.spec.absolute()

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

        :raises SpecError: it is missing, not TOML, or holds no spec; or there are two.
        """
        from envbuild.spec.load import read_spec

        if self.fault is not None:
            raise self.fault
        return read_spec(self.spec, text=self.text)

    @cached_property
    def request(self) -> "Request":
        """What the spec and the files it names ask for.

        :raises SpecError: with everything that is wrong in all of them.
        """
        from envbuild.spec.normalize import request_from

        return request_from(self.reading, texts=self.texts)


def open_project(spec: Path | str | None = None, *, frozen: bool = False) -> Project:
    """Return the project of ``spec``, a file or a folder; without it, that of :func:`find_project`.

    With ``frozen`` a folder that holds a lock alone will do: nothing looks at its spec.

    :raises SpecError: there is no spec, or two, or the one found in a folder above belongs to another user.
    """
    if spec is None:
        found = find_project(frozen=frozen)
        if found is None:
            raise _no_spec()
        return found
    return _opened(Path(spec), frozen=frozen)


def find_project(*, frozen: bool = False) -> Project | None:
    """Return the project of the current folder or of the nearest folder above it; None: there is none.

    The search goes up to the root, as those of uv, pixi and cargo do.  What is found above the current folder
    must belong to a user whom this one trusts; see :func:`envbuild.files.ownership.untrusted_owner`.

    :raises SpecError: a folder holds two specs, or what was found belongs to another user.
    """
    from envbuild.spec.load import holds_spec

    current = Path.cwd()
    for levels in range(len(current.parts)):
        folder = Path(*[".."] * levels)
        if holds_spec(folder) or (frozen and (folder / LOCK_NAME).is_file()):
            found = _opened(folder, frozen=frozen)
            if levels:
                _require_trusted(found.shown(found.spec), found.shown(found.lock))
            return found
    return None


def _no_spec() -> SpecError:
    """Return the error of a spec that was not found; its hint names one a little below, if there is one."""
    from envbuild.spec.load import no_spec

    error = no_spec("here, or in a folder above")
    for pattern in (f"*/{SPEC_NAME}", f"*/*/{SPEC_NAME}"):
        below = min(Path().glob(pattern), default=None)
        if below is not None:
            return SpecError(
                error.message,
                hint=f"there is one in `{below.parent}`: name it with `-f {below.parent}`; "
                "lock, build, verify and status take all with --all",
            )
    return error


def _require_trusted(spec: Path, lock: Path) -> None:
    """Return if this user may take up ``spec`` and ``lock`` without naming them.

    :raises SpecError: one of them belongs to another user.
    """
    from envbuild.files.ownership import untrusted_owner

    for path in (spec, lock):
        owner = untrusted_owner(path)
        if owner is not None:
            raise SpecError(
                f"`{path}` belongs to another user (uid {owner}), so it is not used unless you name it",
                hint=f"if you trust that user, name the spec: `-f {spec}`",
            )


def _opened(path: Path, *, frozen: bool) -> Project:
    from envbuild.spec.load import find_spec

    if path.is_file():
        found = path
    elif frozen and (path / LOCK_NAME).is_file():
        found = path / SPEC_NAME
    else:
        # imported here: who reads the lock alone shall not wait for it
        from envbuild.spec.load import find_spec

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


def fresh_lock(project: Project, *, frozen: bool, updates: str | None = None) -> "Lock":
    """Return the lock of ``project``, compared with its spec unless ``frozen``.

    ``updates`` is a command that would bring it up to date and then go on, for the hint.

    :raises LockMissingError: there is none.
    :raises LockStaleError: it no longer answers the spec; the fields are named.
    """
    try:
        lock = read_project_lock(project)
    except LockMissingError as error:
        raise LockMissingError(error.message, hint=lock_hint(project, updates)) from error
    if not frozen:
        from envbuild.lock.freshness import stale_fields, stale_lock

        problems = stale_fields(project.request, lock.request)
        if problems:
            from envbuild.spec.load import shown_name

            hint = f"{lock_hint(project, updates)}, or use the lock as it stands with --frozen"
            raise stale_lock(shown_name(project.lock), shown_name(project.spec), problems, hint=hint)
    return lock


def lock_hint(project: Project, updates: str | None = None) -> str:
    """Return what to type where a lock is missing or out of date."""
    also = f", or `{project.command(updates, '--lock')}`" if updates else ""
    return f"run `{project.command('lock')}`{also}"


def lock_missing(what: str, *, hint: str = "run `envbuild lock`") -> LockMissingError:
    """Return the error of a lock that is not there."""
    return LockMissingError(f"there is no {what}", hint=hint)


def choose_target(lock: "Lock", *, variant: str | None, platform: str | None) -> "Target":
    """Return the target a command line means; see :func:`envbuild.lock.target_choice.select_target`."""
    from envbuild import platforms
    from envbuild.lock.target_choice import select_target

    return select_target(lock, variant=variant, platform=platform, host=platforms.host())
