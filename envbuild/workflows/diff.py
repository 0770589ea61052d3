"""Comparing two locks: of a file, of a revision in git, or what an image carries."""

import errno
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envbuild import process
from envbuild.errors import EngineError, EnvbuildError, LockInvalidError, LockMissingError, UsageError
from envbuild.files.sizes import readable_size
from envbuild.lock.diff import (
    LockDiff,
    PackageChange,
    PackageVersion,
    Projections,
    TargetDiff,
    diff_projections,
    projections_of,
)
from envbuild.lock.image_paths import IMAGE_LOCK
from envbuild.workflows.engines import EngineName, engine_of
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import (
    LOCK_NAME,
    SPEC_NAME,
    Project,
    find_project,
    lock_missing,
    open_project,
    read_lock,
)

if TYPE_CHECKING:
    from envbuild.image.engine import Engine

__all__ = ["DiffResult", "LockDiff", "PackageChange", "TargetDiff", "diff_locks", "open_compared", "sizes_of"]

LARGEST_LOCK = 64_000_000
"""Bytes of a lock that are read from an image."""

HEAD = "HEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffResult:
    """What changed between two locks."""

    old: str
    """What the old side is called."""

    new: str
    changes: LockDiff

    @property
    def differs(self) -> bool:
        """Whether the two make different images."""
        return self.changes.differs

    def document(self) -> dict[str, Any]:
        """Return the differences as plain JSON values."""
        return {
            "old": self.old,
            "new": self.new,
            "differs": self.differs,
            "added": [_named(key) for key in self.changes.added],
            "removed": [_named(key) for key in self.changes.removed],
            "targets": [_target_document(target) for target in self.changes.targets],
        }

    def _repr_html_(self) -> str:
        from envbuild.workflows.html import table

        return table(f"{self.old} → {self.new}", ("target", "what", self.old, self.new), self._rows())

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        for variant, platform in self.changes.added:
            yield f"{variant} on {platform}", "target", "", "new"
        for variant, platform in self.changes.removed:
            yield f"{variant} on {platform}", "target", "", "gone"
        for target in self.changes.targets:
            lost, gained = " ".join(target.architectures_lost), " ".join(target.architectures_gained)
            changes = [
                *((fact.name, fact.old, fact.new) for fact in target.facts),
                *([("architectures", lost, gained)] if lost or gained else []),
                *((f"{package.kind} {package.name}", *package.versions) for package in target.packages),
            ]
            for what, old, new in changes:
                yield f"{target.variant} on {target.platform}", what, old or "", new or ""


def open_compared(spec: Path | None) -> Project:
    """Return the project that names are read from.

    That is the one of ``spec``, else the nearest of the current folder and those above; a folder without any
    will do where two images or two files are compared.

    :raises SpecError: a folder holds two specs, or what was found above belongs to another user.
    """
    if spec is None:
        return find_project(frozen=True) or Project(Path(SPEC_NAME))
    if spec.is_dir() and not any((spec / name).exists() for name in (LOCK_NAME, SPEC_NAME)):
        return Project(spec / SPEC_NAME)
    return open_project(spec, frozen=True)


def diff_locks(
    project: Project,
    old: str | None = None,
    new: str | None = None,
    *,
    engine: EngineName | None = None,
    machine: Machine | None = None,
) -> DiffResult:
    """Return how ``new`` differs from ``old``; only what makes images differ.

    Each is the name of a lock or its folder, of a git revision, ``REVISION:PATH``, or of an image that the
    engine holds: the first of these that exists.  ``file:``, ``git:`` and ``image:`` before a name leave no
    choice.  ``old`` is by default the lock of the last commit, ``new`` the lock in the project's folder.

    Names of files are relative to the current folder, as on the command line, and not to the project's.
    Revisions are those of the repository that the project's folder is in.

    :raises UsageError: there is nothing of that name, or no engine could say so; or the two have no target
        in common.
    :raises LockError: there is no lock, or it cannot be used.
    :raises EngineError: the engine does not answer about a name after ``image:``, or does not give the lock
        of an image it holds.
    """
    reader = _SideReader(project, engine, machine or Machine())
    before = reader.last_commit() if old is None else reader.named(old)
    after = reader.current() if new is None else reader.named(new)
    if before.is_image or after.is_image:
        before, after = _shared_targets(before, after)
    changes = diff_projections(before.projections, after.projections)
    return DiffResult(old=before.label, new=after.label, changes=changes)


def sizes_of(target: TargetDiff) -> str:
    """Return the sizes of all locked files before and after, as people read them."""
    before, after = readable_size(target.old_size), readable_size(target.new_size)
    return before if before == after else f"{before} → {after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """One side of a comparison."""

    label: str
    projections: Projections
    is_image: bool = False
    """An image carries one target: what else the other side has cannot be compared with it."""


@dataclass(frozen=True, slots=True)
class _SideReader:
    """Finds what a name means: files from the current folder, revisions from the project's, then images."""

    project: Project
    engine: EngineName | None
    machine: Machine

    def named(self, text: str) -> _Side:
        """Return the first thing that ``text`` names.

        :raises UsageError: there is none.
        """
        attempts = {"file": self._file, "git": self._revision, "image": self._image}
        kind, _, rest = text.partition(":")
        if kind in attempts and rest:
            found = attempts[kind](rest)
            if found is None:
                noun = {"git": "revision"}.get(kind, kind)
                raise UsageError(f"there is no {noun} `{rest}`")
            return found
        found = self._file(text) or self._revision(text) or self._image(text, is_meant=False)
        if found is not None:
            return found
        raise UsageError(
            f"there is no file, revision or image `{text}`",
            hint="name a lock or its folder, a revision such as HEAD~1, or an image the engine holds",
        )

    def current(self) -> _Side:
        """Return the project's lock as it is now.

        :raises LockMissingError: there is none.
        """
        side = self._file(str(self.project.lock))
        if side is None:
            raise lock_missing(self.project.lock.name)
        return side

    def last_commit(self) -> _Side:
        """Return the project's lock as it was committed last.

        :raises UsageError: there is no commit.
        :raises LockMissingError: it has no lock.
        """
        default = "OLD defaults to the lock of the last commit"
        hint = "name OLD: a lock or its folder, a git revision, or an image"
        try:
            repository = self._git("rev-parse", "--git-dir")
        except process.ProgramMissingError as error:
            raise UsageError(f"{default}, and git is not installed", hint=hint) from error
        if not repository.succeeded:
            detail = repository.stderr.strip()
            raise UsageError(f"{default}, and there is no git repository here", hint=hint, detail=detail)
        try:
            side = self._revision(HEAD)
        except LockMissingError as error:
            raise LockMissingError(
                f"{default}, which has none", hint=f"commit the lock, or {hint}"
            ) from error
        if side is None:
            raise UsageError(f"{default}, and nothing is committed yet", hint=hint)
        return side

    def _file(self, text: str) -> _Side | None:
        path = Path(text)
        try:
            if path.is_dir():
                path /= LOCK_NAME
            if not path.exists():
                return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # no file can have that name, an image might
                return None
            raise
        return _Side(label=str(path), projections=projections_of(read_lock(path)))

    def _revision(self, text: str) -> _Side | None:
        from envbuild.lock.codec import loads

        revision, _, path = text.partition(":")
        if not revision or revision.startswith("-") or not self._is_revision(revision):
            return None
        lock = self.project.lock.name
        # `./` makes git read the path from the folder it runs in, as a person in that folder means it
        shown = self._git("show", f"{revision}:{path or f'./{lock}'}")
        if not shown.succeeded:
            raise LockMissingError(
                f"there is no {path or lock} in revision {revision}",
                hint="name another revision, or the lock's path as REVISION:PATH",
            )
        try:
            return _Side(label=text, projections=projections_of(loads(shown.stdout)))
        except EnvbuildError as error:
            error.message = f"{text}: {error.message}"
            raise

    def _is_revision(self, text: str) -> bool:
        try:
            return self._git(
                "rev-parse", "--quiet", "--verify", "--end-of-options", f"{text}^{{commit}}"
            ).succeeded
        except process.ProgramMissingError:
            return False

    def _git(self, *arguments: str) -> process.ProcessResult:
        return process.run(
            ["git", *arguments],
            environment=self.machine.environment,
            folder=self.project.folder,
            timeout=60,
        )

    def _image(self, text: str, *, is_meant: bool = True) -> _Side | None:
        """Return what an image carries; ``is_meant`` says that nothing else than an image can be meant."""
        from envbuild.lock.embedded import read_projection

        with closing(engine_of(self.project, self.engine, self.machine)) as engine:
            try:
                facts = engine.find(text)
            except EngineError as error:
                if is_meant:
                    raise
                reason = (
                    "the engine could not say whether it holds such an image"
                    if _answers(engine)
                    else "no engine can be asked for such an image"
                )
                raise UsageError(
                    f"`{text}` is neither a file nor a revision, and {reason}",
                    hint="check the spelling; `git log` shows revisions",
                    detail=error.detail or error.message,
                ) from error
            if facts is None:
                return None
            content = engine.read_file(facts.identifier, IMAGE_LOCK, limit=LARGEST_LOCK)
        if not content:
            raise LockInvalidError(
                f"the image {text} carries no lock",
                hint=f"envbuild puts one at {IMAGE_LOCK}; build the image with `envbuild build`",
            )
        try:
            carried = read_projection(content)
        except LockInvalidError as error:
            error.message = f"image {text}: {error.message}"
            raise
        key = (carried["variant"], carried["platform"])
        return _Side(label=text, projections={key: carried}, is_image=True)


def _answers(engine: "Engine") -> bool:
    """Return whether an engine answers at all: asked for an image of a well-formed name that none has."""
    try:
        engine.find(f"sha256:{'0' * 64}")
    except EngineError:
        return False
    return True


def _shared_targets(old: _Side, new: _Side) -> tuple[_Side, _Side]:
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


def _listed(side: _Side) -> str:
    return ", ".join(f"{variant} on {platform}" for variant, platform in sorted(side.projections))


def _target_document(target: TargetDiff) -> dict[str, Any]:
    return {
        "variant": target.variant,
        "platform": target.platform,
        "differs": target.differs,
        "tag": {"old": target.old_tag, "new": target.new_tag},
        "size": {"old": target.old_size, "new": target.new_size},
        "facts": [{"name": fact.name, "old": fact.old, "new": fact.new} for fact in target.facts],
        "architectures": {
            "gained": list(target.architectures_gained),
            "lost": list(target.architectures_lost),
        },
        "packages": [
            {
                "kind": package.kind,
                "name": package.name,
                "change": package.verb,
                "old": _package(package.old),
                "new": _package(package.new),
            }
            for package in target.packages
        ],
    }


def _package(package: PackageVersion | None) -> dict[str, Any] | None:
    if package is None:
        return None
    return {"version": package.version, "sha256": package.sha256, "size": package.size}


def _named(key: tuple[str, str]) -> dict[str, str]:
    return {"variant": key[0], "platform": key[1]}
