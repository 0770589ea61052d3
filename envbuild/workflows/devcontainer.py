"""Dev containers joined to this machine: the files that are there, the registry, and what is written."""

import difflib
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.errors import EnvbuildError, Problem, UsageError
from envbuild.formats import jsonc
from envbuild.lock.identity import target_digest
from envbuild.progress import SilentProgress
from envbuild.render.devcontainer import features_lock
from envbuild.render.devcontainer.configuration import ImageChoice, configuration_of, is_editable
from envbuild.render.devcontainer.editable import FILES, editable_files
from envbuild.render.devcontainer.update import Known, Updated, digest_of_file, known_of, update
from envbuild.workflows.machine import Machine
from envbuild.workflows.many import ProjectResult, for_each_project
from envbuild.workflows.project import LOCK_NAME, Project, choose_target, fresh_lock

if TYPE_CHECKING:
    from envbuild.lock.model import Lock, Target
    from envbuild.oci.documents import Document
    from envbuild.oci.manifest import Descriptor
    from envbuild.oci.reference import ImageReference
    from envbuild.remote.registry.client import RegistryClient
    from envbuild.spec.model import DevContainerTable

FOLDER = ".devcontainer"
FILE = "devcontainer.json"

_FILES = f"*/{FILE}"
"""Those in folders of their own."""

_OTHER = ".devcontainer.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class DevContainerOptions:
    """Options of writing dev containers.

    :raises UsageError: they contradict each other.
    """

    check: bool = False
    """Write nothing and ask no registry: a file that would change is an error."""

    variant: str | None = None
    """None: all of the spec, each in a folder."""

    platform: str | None = None
    """None: as written last, or this machine's."""

    local: bool = False
    """Build the image on each machine, even if it is pushed."""

    replace: bool = False
    """Overwrite values that were edited where they have to change."""

    upgrade: bool = False
    """Take the newest release of each feature."""

    frozen: bool = False
    """Use the lock as it stands, without comparing it with the spec."""

    def __post_init__(self) -> None:
        if self.check and (self.replace or self.upgrade):
            raise UsageError("--check writes nothing, so there is nothing to replace or to upgrade")


@dataclass(frozen=True, slots=True, kw_only=True)
class DevContainerResult:
    """The files of a project's dev containers, by their names below its folder."""

    files: tuple[str, ...] = ()
    """Empty: there is no dev container, and none was wanted."""

    written: tuple[str, ...] = ()
    """Those that were written or deleted now."""

    def document(self) -> dict[str, object]:
        """Return the result as plain JSON values."""
        return {"files": sorted(self.files), "written": list(self.written)}


def write_devcontainer(
    project: Project, options: DevContainerOptions | None = None, *, machine: Machine | None = None
) -> DevContainerResult:
    """Write the dev containers of a project's lock; what people changed in them stays, comments too.

    :raises LockError: the lock is missing, stale or cannot be used.
    :raises NetworkError: the registry of the image or of a feature cannot be reached.
    :raises EnvbuildError: a file cannot be read or written, was edited where it has to change, or would
        change and only a check was wanted.
    """
    options = options or DevContainerOptions()
    lock = fresh_lock(project, frozen=options.frozen)
    plan = _DevContainerPlanner(project, lock, options, machine or Machine()).plan_all()
    changed = plan.changed
    names = tuple(path.relative_to(project.folder).as_posix() for path in changed)
    if options.check and (changed or plan.unpinned):
        raise EnvbuildError(
            "the dev container is out of date",
            hint="run `envbuild devcontainer`",
            problems=plan.unpinned,
            detail=plan.difference(project.folder) or None,
        )
    _write(plan.texts, changed)
    files = tuple(path.relative_to(project.folder).as_posix() for path in plan.texts)
    return DevContainerResult(files=files, written=names)


def update_devcontainers(
    projects: Sequence[Project],
    options: DevContainerOptions | None = None,
    *,
    machine: Machine | None = None,
) -> tuple[ProjectResult[DevContainerResult], ...]:
    """Do :func:`write_devcontainer` for every project that has a dev container envbuild wrote.

    An error of one is in its result, and does not stop the others.
    """

    def update_one(project: Project, machine: Machine) -> DevContainerResult:
        if not _has_one(project):
            return DevContainerResult()
        return write_devcontainer(project, options, machine=machine)

    return for_each_project(projects, update_one, machine=machine or Machine())


@dataclass(slots=True)
class _PlannedFiles:
    """What is to become of files, before anything is written."""

    texts: dict[Path, str] = field(default_factory=dict)
    """Whole content by path."""

    obsolete: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unpinned: list[Problem] = field(default_factory=list)
    """Features that only a registry could pin, where none may be asked."""

    @property
    def changed(self) -> tuple[Path, ...]:
        """The files that are not as they should be."""
        changed = [path for path, text in self.texts.items() if _read(path) != text]
        return (*changed, *(path for path in self.obsolete if path.exists()))

    def difference(self, shown: Path) -> str:
        """Return how the files differ from what they should be, as a unified diff below ``shown``."""
        lines: list[str] = []
        for path in self.changed:
            name = path.relative_to(shown).as_posix()
            before, after = (_read(path) or "").splitlines(), self.texts.get(path, "").splitlines()
            lines += difflib.unified_diff(before, after, name, f"{name} as it should be", lineterm="", n=1)
        return "\n".join(lines)


def _has_one(project: Project) -> bool:
    """Return whether a project has a dev container that says it was written by envbuild.

    :raises EnvbuildError: none says so, and one that cannot be read might.
    """
    unreadable: EnvbuildError | None = None
    for path in (path for pattern in (FILE, _FILES) for path in _configurations(project, pattern)):
        try:
            if _known_at(project, path).variant:
                return True
        except EnvbuildError as error:
            unreadable = unreadable or error
    if unreadable is not None:
        raise unreadable
    return False


def _write(texts: Mapping[Path, str], changed: Sequence[Path]) -> None:
    """Write what changed, and delete what has no text any more; nothing when something could not be.

    :raises EnvbuildError: a file or folder must not be written to.
    """
    refused = sorted({shut for path in changed if (shut := _shut(path)) is not None})
    if refused:
        problems = [Problem(str(path), "no permission to write") for path in refused]
        raise EnvbuildError("the dev container cannot be written", problems=problems)
    from envbuild.files import atomic

    for path in changed:
        if path in texts:
            # a link that somebody made stays one
            atomic.write_text(path.resolve(), texts[path])
        else:
            path.unlink()


@dataclass(frozen=True)
class _DevContainerPlanner:
    """Works out what the files of a project should be."""

    project: Project
    lock: "Lock"
    options: DevContainerOptions
    machine: Machine

    @cached_property
    def registry(self) -> "RegistryClient":
        from envbuild.remote.registry.client import RegistryClient

        return RegistryClient(environment=self.machine.environment)

    def plan_all(self) -> _PlannedFiles:
        """Return what every configuration should be: of one variant, or of all.

        :raises EnvbuildError: a file cannot be read, or holds something else where envbuild would write.
        """
        if (self.project.folder / _OTHER).exists():
            raise EnvbuildError(
                f"{_OTHER} is a dev container already",
                hint=f"move it to {FOLDER}/{FILE}; what you wrote in it stays",
            )
        plan = _PlannedFiles()
        variants = sorted({target.variant for target in self.lock.targets})
        for variant in [self.options.variant] if self.options.variant else variants:
            self._configuration(plan, variant)
        for path in _configurations(self.project, _FILES):
            known = Known()
            with suppress(EnvbuildError):  # of a variant that is asked for it was raised above
                known = _known_at(self.project, path)
            if known.variant and known.variant not in variants:
                self.machine.progress.on_note(
                    f"{path.parent} is of variant `{known.variant}`, which is not locked; delete it"
                )
        if plan.problems:
            raise EnvbuildError(
                "the dev container was edited where it has to change",
                hint="take these values over by hand, or overwrite them with --replace; all else stays",
                problems=plan.problems,
            )
        return plan

    def _configuration(self, plan: _PlannedFiles, variant: str) -> None:
        lock, replaces = self.lock, self.options.replace
        folder = self.project.folder / FOLDER
        if variant != lock.request.default_variant:
            folder /= variant
        path = folder / FILE
        shown = path.relative_to(self.project.folder).as_posix()
        text = _read(path)
        known = known_of(_parse(text, shown)) if text is not None else Known()
        platforms = {target.platform for target in lock.targets if target.variant == variant}
        platform = self.options.platform or (known.platform if known.platform in platforms else None)
        target = choose_target(lock, variant=variant, platform=platform)
        asked = self._asked(target.variant)
        image = self._image(target, known)
        files = editable_files(target, image) if is_editable(target, asked) else {}
        know = Known(
            variant=target.variant,
            platform=target.platform,
            target=target_digest(lock, target),
            image=image.reference,
            files={name: digest_of_file(content) for name, content in files.items()},
        )
        variables = self._recorded(target, image)
        document = configuration_of(lock, target, asked, image=image, variables=variables)
        updated = update(text, document, know, known=known, replace=replaces)
        plan.problems += [
            Problem(
                f"{shown}: {conflict.where}",
                f"is {_short(conflict.found)}, would be {_short(conflict.wanted)}",
            )
            for conflict in updated.conflicts
        ]
        if updated.conflicts:
            return
        plan.texts[path] = updated.text
        _plan_files(plan, folder, shown, files, known, replace=replaces)
        self._features(plan, folder, updated)

    def _features(self, plan: _PlannedFiles, folder: Path, updated: Updated) -> None:
        features = updated.value.get("features")
        path = folder / features_lock.FILE
        text = _read(path)
        if not isinstance(features, dict) or (not features and text is None):
            return
        from envbuild.resolve.devcontainer_features import pin_features

        locked = features_lock.loads(text, features_lock.FILE) if text and not self.options.upgrade else {}
        progress = self.machine.progress
        if self.options.check:
            shown = path.relative_to(self.project.folder).as_posix()
            faults = [Problem(shown, text) for text in _unpinned(features, locked=locked, folder=folder)]
            plan.unpinned += faults
            if faults:
                return
        pinned, unpinned = pin_features(
            features, locked=locked, registry=self.registry, folder=folder, progress=progress
        )
        for name in unpinned:
            progress.on_note(f"{name} is pinned by the dev container CLI, when it first fetches it")
        plan.texts[path] = features_lock.dumps(pinned)

    def _recorded(self, target: "Target", image: ImageChoice) -> dict[str, str]:
        """Return the variables that say to trackers what the container is; see docs/adr/0057.

        The commit and the driver are not among them: both change under a configuration that stays.
        """
        if target.record is False:
            return {}
        from envbuild.digest import sha256_file
        from envbuild.lock.identity import tag_of
        from envbuild.records.target import recorded_target
        from envbuild.records.variables import variables_of

        digest = target_digest(self.lock, target)
        reference, _, pinned = image.reference.partition("@")
        named = {"reference": image.reference if image.is_local else f"{reference}:{tag_of(digest)}"}
        record = {
            **recorded_target(self.lock, target, digest),
            "lock": {"sha256": sha256_file(self.project.lock), "path": LOCK_NAME},
            "image": named | ({"digest": pinned} if pinned else {}),
        }
        return variables_of(record, taken=target.env)

    def _image(self, target: "Target", known: Known) -> ImageChoice:
        """Return the image by its digest where it is pushed, else by the name it has once built.

        A configuration that was written for this very target keeps its image: nobody need be asked.
        """
        from envbuild.image.built_image import image_reference_for

        lock, progress = self.lock, self.machine.progress
        reference = image_reference_for(lock, target)
        if self.options.local or not lock.request.repository:
            return ImageChoice(reference=reference, is_local=True)
        pinned = f"{lock.request.repository}@sha256:"
        if known.target == target_digest(lock, target) and known.image.startswith(pinned):
            return ImageChoice(reference=known.image, is_local=False)
        if self.options.check:
            return ImageChoice(reference=reference, is_local=True)
        from envbuild.oci.reference import parse_reference

        progress.on_stage(f"looking for {reference}")
        digest = self.registry.digest_of(parse_reference(reference))
        if digest is None:
            progress.on_note(
                f"{reference} is not in its registry, so the dev container builds it; after "
                "`envbuild build --push` write the dev container again"
            )
            return ImageChoice(reference=reference, is_local=True)
        return ImageChoice(reference=f"{lock.request.repository}@{digest}", is_local=False)

    def _asked(self, variant: str) -> "DevContainerTable":
        from envbuild.spec.model import DevContainerTable
        from envbuild.spec.variants import effective

        if not self.project.spec.is_file():  # --frozen, with a lock alone
            return DevContainerTable()
        return effective(self.project.reading.checked(), variant).devcontainer


def _plan_files(
    plan: _PlannedFiles, folder: Path, shown: str, files: Mapping[str, str], known: Known, *, replace: bool
) -> None:
    """Plan the files beside a configuration: one that somebody else wrote or changed is not overwritten."""
    for name in FILES:
        path, wanted = folder / name, files.get(name)
        found = _read(path)
        ours = found is None or replace or digest_of_file(found) == known.files.get(name)
        if wanted is None:
            if found is not None and name in known.files and ours:
                plan.obsolete.append(path)
        elif ours or found == wanted:
            plan.texts[path] = wanted
        else:
            where = shown.replace(FILE, name)
            plan.problems.append(Problem(where, "is not as envbuild wrote it"))


class _NotPinnedError(EnvbuildError):
    """A feature, which is the message, has no pin."""


class _ClosedRegistry:
    """The registry of a check, which asks none: a feature that only a registry could pin is not pinned."""

    def document(self, reference: "ImageReference") -> "Document":
        raise _NotPinnedError(str(reference))

    def read_blob(self, reference: "ImageReference", blob: "Descriptor") -> Generator[bytes, None, None]:
        raise _NotPinnedError(f"{reference} ({blob.digest})")


def _unpinned(
    features: Iterable[str], *, locked: Mapping[str, features_lock.LockedFeature], folder: Path
) -> Iterator[str]:
    """Yield what is wrong with each feature that has no pin, or needs one that has none."""
    from envbuild.resolve.devcontainer_features import pin_features

    closed, silent = _ClosedRegistry(), SilentProgress()
    for name in sorted(features):
        try:
            pin_features([name], locked=locked, registry=closed, folder=folder, progress=silent)
        except _NotPinnedError as error:
            if name in locked or name.startswith("."):
                yield f"feature `{error.message}` is not pinned, and `{name}` needs it"
            else:
                yield f"feature `{name}` is not pinned"


def _configurations(project: Project, pattern: str) -> list[Path]:
    """Return the configurations below ``.devcontainer``, relative to the project's folder."""
    found = sorted((project.folder / FOLDER).glob(pattern))
    return [path.relative_to(project.folder) for path in found]


def _known_at(project: Project, path: Path) -> Known:
    """Return what a configuration says of its making.

    :raises EnvbuildError: it cannot be read.
    """
    text = _read(project.folder / path)
    return Known() if text is None else known_of(_parse(text, path.as_posix()))


def _parse(text: str, shown: str) -> dict[str, object]:
    hint = "put it right by hand, or move it away to have it written anew"
    try:
        value = jsonc.parse(text).value
    except jsonc.JsoncError as error:
        where = f"{shown}:{error.line}:{error.column}"
        raise EnvbuildError(
            f"{shown} cannot be read", hint=hint, problems=[Problem(where, error.message)]
        ) from error
    if not isinstance(value, dict):
        raise EnvbuildError(f"{shown} is not a JSON object", hint=hint)
    return value


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise EnvbuildError(f"{path} is not UTF-8 text", hint="save it as UTF-8") from error


def _shut(path: Path) -> Path | None:
    """Return what keeps ``path`` from being written, if anything does."""
    if path.exists() and not os.access(path, os.W_OK):
        return path
    folder = next(parent for parent in path.parents if parent.exists())
    return None if os.access(folder, os.W_OK) else folder


def _short(value: object) -> str:
    text = value if value in ("an object", "nothing") else jsonc.dumps(value).strip()
    text = " ".join(str(text).split())
    return text if len(text) <= 80 else f"{text[:79]}…"  # noqa: PLR2004 - a line's worth
