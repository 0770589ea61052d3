"""What `envbuild diff` may be given: a lock, a revision of one, or an image; and how it is found."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.errors import EngineError, EnvbuildError, LockInvalidError, LockMissingError, UsageError

if TYPE_CHECKING:
    from envbuild.lock.diff import Projections
    from envbuild.workflows.project import Project

IMAGE_LOCK = "/etc/envbuild/lock.json"
"""The target's lock that an image carries."""

_KINDS = ("file", "git", "image")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a comparison."""

    label: str
    projections: "Projections"
    is_image: bool = False
    """An image carries one target: what else the other side has cannot be compared with it."""


def read_side(text: str, project: "Project") -> Side:
    """Return what ``text`` names: a file or folder, a git revision, ``REVISION:PATH``, or an image.

    The first of these that exists is taken; ``file:``, ``git:`` and ``image:`` before it leave no choice.

    :raises UsageError: there is nothing of that name.
    :raises LockError: the lock cannot be used.
    """
    kind, _, rest = text.partition(":")
    if kind in _KINDS and rest:
        found = {"file": _of_file, "git": _of_revision, "image": _of_image}[kind](rest, project)
        if found is None:
            nouns = {"file": "file", "git": "revision", "image": "image"}
            raise UsageError(f"there is no {nouns[kind]} `{rest}`")
        return found
    for attempt in (_of_file, _of_revision, _of_image):
        try:
            found = attempt(text, project)
        except EngineError as error:
            raise UsageError(
                f"`{text}` is neither a file nor a revision, and no engine can be asked for such an image",
                hint="check the spelling; `git log` shows revisions",
                detail=error.message,
            ) from error
        if found is not None:
            return found
    raise UsageError(
        f"there is no file, revision or image `{text}`",
        hint="name a lock or its folder, a revision such as HEAD~1, or an image the engine holds",
    )


def place_of(spec: Path | None) -> "Project":
    """Return the project names are read from: the one of ``spec``, or a folder without any for two images."""
    from envbuild.workflows.project import LOCK_NAME, SPEC_NAME, Project, open_project

    folder = spec or Path()
    if folder.is_dir() and not any((folder / name).exists() for name in (LOCK_NAME, SPEC_NAME)):
        return Project(folder / SPEC_NAME)
    return open_project(spec, frozen=True)


def lock_now(project: "Project") -> Side:
    """Return the lock of the project as it lies there."""
    from envbuild.workflows.project import lock_missing

    side = _of_file(str(project.lock), project)
    if side is None:
        raise lock_missing(project.lock.name)
    return side


def shared_targets(old: Side, new: Side) -> tuple[Side, Side]:
    """Return both sides with the targets they have in common.

    :raises UsageError: there are none.
    """
    common = old.projections.keys() & new.projections.keys()
    if not common:
        raise UsageError(
            f"{old.label} and {new.label} have no variant and platform in common",
            hint=f"one has {_listed(old)}, the other {_listed(new)}",
        )
    before, after = (
        replace(side, projections={key: side.projections[key] for key in common}) for side in (old, new)
    )
    return before, after


def _listed(side: Side) -> str:
    return ", ".join(f"{variant} on {platform}" for variant, platform in sorted(side.projections))


def _of_file(text: str, _: "Project") -> Side | None:
    from envbuild.lock.diff import projections_of
    from envbuild.workflows.project import LOCK_NAME, read_lock

    path = Path(text)
    if path.is_dir():
        path /= LOCK_NAME
    if not path.exists():
        return None
    return Side(label=str(path), projections=projections_of(read_lock(path)))


def _of_revision(text: str, project: "Project") -> Side | None:
    from envbuild.lock.codec import loads
    from envbuild.lock.diff import projections_of

    revision, _, path = text.partition(":")
    if not revision or revision.startswith("-") or not _is_revision(revision, project.folder):
        return None
    # `./` makes git read the path from the folder it runs in, as a person in that folder means it
    place = path or f"./{project.lock.name}"
    shown = _git(["show", f"{revision}:{place}"], project.folder)
    if shown is None:
        raise LockMissingError(
            f"there is no {path or project.lock.name} in revision {revision}",
            hint="name another revision, or the lock's path as REVISION:PATH",
        )
    try:
        return Side(label=text, projections=projections_of(loads(shown)))
    except EnvbuildError as error:
        error.message = f"{text}: {error.message}"
        raise


def _is_revision(text: str, folder: Path) -> bool:
    return (
        _git(["rev-parse", "--quiet", "--verify", "--end-of-options", f"{text}^{{commit}}"], folder)
        is not None
    )


def _git(arguments: list[str], folder: Path) -> str | None:
    """Return what git says, or None when it refuses or is not there."""
    from envbuild import process

    try:
        result = process.run(["git", *arguments], environment=os.environ, folder=folder, timeout=60)
    except process.ProgramMissingError:
        return None
    return result.stdout if result.succeeded else None


def _of_image(text: str, _: "Project") -> Side | None:
    from envbuild.image.docker.engine import DockerEngine

    engine = DockerEngine()
    facts = engine.find(text)
    if facts is None:
        return None
    outcome = engine.run(facts.identifier, ("cat", IMAGE_LOCK), files={}, user=None)
    try:
        carried = json.loads(outcome.stdout)
        key = (carried["variant"], carried["platform"])
    except (ValueError, KeyError, TypeError) as error:
        raise LockInvalidError(
            f"the image {text} carries no lock",
            hint=f"envbuild puts one at {IMAGE_LOCK}; build the image with `envbuild build`",
        ) from error
    return Side(label=text, projections={key: carried}, is_image=True)
