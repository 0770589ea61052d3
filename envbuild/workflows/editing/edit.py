"""The way of every edit: the texts are changed, the lock is resolved, and only then is anything written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from envbuild.errors import Problem, SourcesNeededError, UsageError
from envbuild.lock.diff import diff_projections, projections_of
from envbuild.spec.edits.changes import EditedTexts, SpecChange, SpecEdits
from envbuild.spec.edits.scopes import Scope
from envbuild.spec.problems import near
from envbuild.spec.variants import variant_names
from envbuild.workflows.data.locking import remove_manifests
from envbuild.workflows.diff import DiffResult
from envbuild.workflows.editing.files import FileChange, ProjectFiles, write_together
from envbuild.workflows.editing.result import EditResult
from envbuild.workflows.lock import LockOptions, LockResult, ResolvedLock, note_builds, resolve_lock
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from envbuild.resolve.resolvers import OpenResolvers
    from envbuild.spec.model import Spec

_LOCK_WITH_BUILDS = "envbuild lock --add-builds"
"""What the hint of locking names when something must be built from source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Locking:
    """How the edited spec is locked."""

    machine: Machine
    resolvers: "OpenResolvers | None" = None
    on_stale: Callable[[Project, Problem], None] = lambda _project, _problem: None
    allow_builds: Callable[[SourcesNeededError], bool] = lambda _error: False


@dataclass(slots=True)
class OpenEdit:
    """A project that is being edited; nothing is written before :meth:`finish`."""

    project: Project
    files: ProjectFiles = field(init=False)
    texts: EditedTexts = field(init=False)

    def __post_init__(self) -> None:
        """Read nothing yet."""
        self.files = ProjectFiles(self.project)
        self.texts = EditedTexts(self.files.read)

    @property
    def spec(self) -> "Spec":
        """The spec as it was.

        :raises SpecError: it has problems.
        """
        return self.project.reading.checked()

    def edits(self, variant: str | None) -> SpecEdits:
        """Return what edits the part of the spec that is for ``variant``.

        :raises UsageError: the spec has none of that name.
        """
        spec = self.spec
        names = variant_names(spec)
        if variant is not None and variant not in names:
            raise UsageError(
                f"the spec has no variant `{variant}`",
                hint=near(variant, names) or f"write its table first: [variants.{variant}]",
            )
        scope = Scope(
            spec=spec,
            file=self.project.spec.name,
            read=self.texts.read,
            # the variant that is not declared is the spec itself
            variant=variant if variant in spec.variants else None,
        )
        return SpecEdits(scope=scope, texts=self.texts)

    def notes_of_variant(self, variant: str | None) -> list[str]:
        """Return a note where ``variant`` is what all variants share, and there are others."""
        others = self.spec.variants
        if variant is None or not others or variant in others:
            return []
        named = ", ".join(f"`{name}`" for name in sorted(others))
        change = "changes" if len(others) == 1 else "change"
        return [
            f"`{variant}` has no table of its own: it is what all variants share, so {named} {change} too"
        ]

    def finish(
        self,
        changes: Sequence[SpecChange],
        locking: Locking,
        *,
        options: LockOptions | None,
        dry_run: bool,
        notes: Sequence[str] = (),
        command: Sequence[str],
    ) -> EditResult:
        """Lock the edited texts, unless ``options`` is None, and write them and the lock.

        ``command`` are the words of the command line that does this edit.

        :raises EnvbuildError: it cannot be locked or written: all files are as they were.
        """
        changed = self.texts.changed
        if not dry_run:
            for file in changed:
                self.files.require_writable(file)
        edited = self._with_texts(changed)
        resolved, written = None, False
        lock_before = _bytes_of_lock(self.project)
        if options is None:
            # a spec that is not right is not written
            _ = edited.request
        else:
            try:
                resolved = resolve_lock(
                    edited,
                    options,
                    machine=locking.machine,
                    resolvers=locking.resolvers,
                    on_stale=locking.on_stale,
                    allow_builds=locking.allow_builds,
                )
            except SourcesNeededError as error:
                # the spec on disk is as it was, so locking that would build nothing
                again = self.project.command(*command, *(["--dry-run"] if dry_run else []), "--add-builds")
                error.hint = error.hint and error.hint.replace(_LOCK_WITH_BUILDS, again)
                raise
            written = resolved.is_new and resolved.text.encode() != lock_before
            if resolved.builds and resolved.project.text is not None:
                changed = {**changed, self.project.spec.name: resolved.project.text}
        if not dry_run:
            spec = self.project.spec.name
            # the lock comes last: who ends the program in between is left with a lock that is out of date
            writes = [
                self.files.change(file, changed[file]) for file in sorted(changed, key=lambda it: it == spec)
            ]
            if resolved is not None and written:
                lock = FileChange(self.project.written_lock, lock_before, resolved.text.encode())
                writes += [*resolved.manifests, lock]
            write_together(writes)
            if resolved is not None:
                remove_manifests(self.project, resolved.previous, resolved.lock)
            if resolved is not None and resolved.builds:
                note_builds(self.project, resolved.builds, locking.machine)
        project = Project(self.project.spec, named=self.project.named)
        return EditResult(
            project=project,
            changes=tuple(changes),
            files=tuple(sorted(changed)),
            notes=tuple(notes),
            lock=LockResult(project=project, lock=resolved.lock, written=written) if resolved else None,
            difference=_difference(resolved),
            dry_run=dry_run,
        )

    def _with_texts(self, changed: dict[str, str]) -> Project:
        spec = self.project.spec.name
        paths: dict[Path, str] = {self.files.path(file): text for file, text in changed.items()}
        return replace(self.project, text=changed.get(spec), texts=paths)


def _bytes_of_lock(project: Project) -> bytes | None:
    try:
        return project.lock.read_bytes()
    except FileNotFoundError:
        return None


def _difference(resolved: ResolvedLock | None) -> DiffResult | None:
    if resolved is None or resolved.previous is None:
        return None
    changes = diff_projections(projections_of(resolved.previous), projections_of(resolved.lock))
    return DiffResult(old="before", new="after", changes=changes)
