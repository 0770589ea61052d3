"""Locking: the exact files that satisfy a spec."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from envbuild.errors import NetworkError, Problem, SourcesNeededError, UsageError
from envbuild.files.sizes import counted
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import names_of
from envbuild.workflows.project import Project, fresh_lock, lock_hint, lock_missing, read_project_lock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from envbuild.lock.model import Lock
    from envbuild.platforms import PlatformName
    from envbuild.progress import Progress
    from envbuild.resolve.resolvers import OpenResolvers, Resolvers
    from envbuild.resolve.upgrade import Upgrade
    from envbuild.spec.request import Request
    from envbuild.workflows.editing.files import FileChange
    from envbuild.workflows.many import ProjectResult

MOST_ROUNDS = 8
"""How often packages to build are added to a spec before locking gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOptions:
    """Options of locking.

    :raises UsageError: they contradict each other, or a field has a value that it cannot have.
    """

    check: bool = False
    """Write nothing: a lock that is missing or stale is an error."""

    upgrade: bool = False
    """Take the newest of everything, in place of what the previous lock has."""

    upgrade_packages: frozenset[str] = frozenset()
    """Names of packages, of Python, conda or apt, to take the newest of.  Any iterable of texts will do."""

    add_builds: bool = False
    """Write what must be built from source into ``build`` of [pip], and lock with that."""

    platform: str | None = None
    """The one platform to lock; what the previous lock has for others is kept only by locking them again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "upgrade_packages", names_of("upgrade_packages", self.upgrade_packages))
        if self.check and (self.upgrade or self.upgrade_packages):
            raise UsageError("--check writes nothing, so there is nothing to upgrade")
        if self.check and self.add_builds:
            raise UsageError("--check writes nothing, so --add-builds has nowhere to write")


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSummary:
    """What a lock has for one variant on one platform."""

    variant: str
    platform: str
    digest: str
    """Of the target; its first digits are the tag of the image."""

    distribution: str
    python: str
    conda: int
    """Number of conda packages."""

    wheels: int
    debs: int
    """Number of Debian packages, those of a base made of packages included."""

    def __str__(self) -> str:
        conda = f"{counted(self.conda, 'conda package')}, " if self.conda else ""
        return (
            f"{self.variant} on {self.platform}: {self.distribution}, Python {self.python}, "
            f"{conda}{counted(self.wheels, 'wheel')}, {counted(self.debs, 'deb')}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LockResult:
    """A lock that answers its spec."""

    project: Project
    lock: "Lock"
    written: bool
    """False: the lock that was there answers the spec, and there was nothing to upgrade."""

    @property
    def targets(self) -> tuple[TargetSummary, ...]:
        """What is locked, by variant and platform."""
        from envbuild.lock.identity import target_digest

        return tuple(
            TargetSummary(
                variant=target.variant,
                platform=target.platform,
                digest=target_digest(self.lock, target),
                distribution=base.os.pretty_name,
                python=target.interpreter.version,
                conda=len(target.conda),
                wheels=len(target.wheels),
                debs=len(target.debs) + len(self.lock.base_debs_of(base)),
            )
            for target in self.lock.targets
            for base in [self.lock.base(target)]
        )

    def document(self) -> dict[str, object]:
        """Return the result as plain JSON values."""
        return {
            "lock": str(self.project.shown(self.project.lock)),
            "written": self.written,
            "targets": [
                {
                    "variant": target.variant,
                    "platform": target.platform,
                    "target": target.digest,
                    "conda": target.conda,
                    "wheels": target.wheels,
                    "debs": target.debs,
                }
                for target in self.targets
            ],
        }

    def _repr_html_(self) -> str:
        from envbuild.workflows.html import table

        lock = self.project.shown(self.project.lock)
        return table(
            f"{lock} {'was written' if self.written else 'answers the spec'}",
            ("variant", "platform", "base", "Python", "conda packages", "wheels", "debs"),
            [
                (
                    item.variant,
                    item.platform,
                    item.distribution,
                    item.python,
                    item.conda,
                    item.wheels,
                    item.debs,
                )
                for item in self.targets
            ],
        )


def lock_project(
    project: Project,
    options: LockOptions | None = None,
    *,
    machine: Machine | None = None,
    resolvers: "OpenResolvers | None" = None,
    on_stale: Callable[[Project, Problem], None] = lambda _project, _problem: None,
    allow_builds: Callable[[SourcesNeededError], bool] = lambda _error: False,
) -> LockResult:
    """Return the lock of ``project``, resolved and written when it does not answer the spec.

    ``resolvers`` opens what answers questions about indexes, archives and registries; None: this machine's.
    ``on_stale`` is called with each thing the previous lock does not answer, before it is resolved.
    ``allow_builds`` is asked whether what must be built from source may be written into the spec, unless the
    options say so.  It is written after the lock: where there is none in the end, the spec is as it was.

    :raises SpecError: the spec has problems.
    :raises LockError: only a check is wanted, and the lock is missing or does not answer the spec; or a lock
        is there that cannot be read.
    :raises NoSolutionError: nothing satisfies the spec.
    :raises SourcesNeededError: something must be built from source, and nobody allowed it.
    :raises BuildFailedError: a source cannot be built.
    :raises EngineError: something must be built, and no engine of this machine can do it.
    :raises NetworkError: an index, archive or registry cannot be reached, or the machine is offline.
    """
    machine, options = machine or Machine(), options or LockOptions()
    resolved = resolve_lock(
        project, options, machine=machine, resolvers=resolvers, on_stale=on_stale, allow_builds=allow_builds
    )
    result = _write(resolved, machine)
    _note_unknown(options, (result,), machine)
    return result


def _write(resolved: "ResolvedLock", machine: Machine) -> LockResult:
    """Write a lock that is new, and into the spec what is built for it."""
    project, written = resolved.project, False
    if resolved.is_new:
        from envbuild.workflows.data.locking import remove_manifests
        from envbuild.workflows.editing.files import write_together

        changes = resolved.changes()
        write_together(changes)
        remove_manifests(project, resolved.previous, resolved.lock)
        written = any(change.path == project.written_lock for change in changes)
    if resolved.builds:
        project = _allowed(project, resolved.builds, machine)
    return LockResult(project=project, lock=resolved.lock, written=written)


def _note_unknown(options: LockOptions, results: Iterable[LockResult], machine: Machine) -> None:
    """Say which of the packages to upgrade are in none of the locks: a name was mistyped."""
    locks = [result.lock for result in results]
    if not options.upgrade_packages or not locks:
        return
    from envbuild.workflows.packages.names import notes_of_unknown

    for note in notes_of_unknown(sorted(options.upgrade_packages), locks):
        machine.progress.on_note(note)


def lock_to_use(project: Project, *, frozen: bool, update: bool, command: str, machine: Machine) -> "Lock":
    """Return the lock that ``command`` works with; ``update`` brings it up to date first.

    :raises LockError: it is missing or out of date, and is not to be brought up to date.
    :raises EnvbuildError: it cannot be locked; see :func:`lock_project`.
    """
    if not update:
        return fresh_lock(project, frozen=frozen, updates=command)
    result = lock_project(project, machine=machine)
    if result.written:
        machine.progress.on_note(f"{project.lock.name} was brought up to date")
    return result.lock


def refuse_frozen_update(*, frozen: bool, update: bool) -> None:
    """Refuse options that say to take a lock as it is, and to bring it up to date.

    :raises UsageError: both are given.
    """
    if frozen and update:
        raise UsageError("--frozen takes the lock as it stands, and --lock brings it up to date: choose one")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedLock:
    """A lock that answers a spec and is not written yet."""

    project: Project
    """The project with a spec that allows ``builds``."""

    lock: "Lock"
    previous: "Lock | None"
    """The lock that was there."""

    builds: tuple[str, ...] = ()
    """What must be built from source, and the spec on disk does not allow."""

    manifests: "tuple[FileChange, ...]" = ()
    """What is written beside the lock: the manifests of data that is new or changed."""

    def changes(self) -> "list[FileChange]":
        """Return the files to be written together: the manifests and the lock, where they are new."""
        from envbuild.workflows.editing.files import FileChange

        place, text = self.project.written_lock, self.text.encode()
        before = place.read_bytes() if place.exists() else None
        lock = [FileChange(place, before, text)] if before != text else []
        return [*self.manifests, *lock]

    @property
    def is_new(self) -> bool:
        """Whether the lock was resolved; else the one that was there answers."""
        return self.lock is not self.previous

    @property
    def text(self) -> str:
        """What is in the file of the lock."""
        from envbuild.lock.codec import dumps

        return dumps(self.lock)


def resolve_lock(
    project: Project,
    options: LockOptions | None = None,
    *,
    machine: Machine,
    resolvers: "OpenResolvers | None" = None,
    on_stale: Callable[[Project, Problem], None] = lambda _project, _problem: None,
    allow_builds: Callable[[SourcesNeededError], bool] = lambda _error: False,
) -> ResolvedLock:
    """Return the lock of ``project`` and write nothing; see :func:`lock_project`."""
    options = options or LockOptions()
    asked = options.add_builds
    tried = project
    packages: tuple[str, ...] = ()
    for _ in range(MOST_ROUNDS):
        try:
            lock, previous, manifests = _lock_once(tried, options, machine, resolvers, on_stale)
            break
        except SourcesNeededError as error:
            asked = asked or allow_builds(error)
            if not asked:
                raise
            packages = error.packages
            tried = _allowing(tried, packages)
    else:
        lock, previous, manifests = _lock_once(tried, options, machine, resolvers, on_stale)
    return ResolvedLock(
        project=tried, lock=lock, previous=previous, builds=packages, manifests=tuple(manifests)
    )


def _allowing(project: Project, packages: Sequence[str]) -> Project:
    """Return the project as if its spec allowed these builds; the file is not changed yet."""
    from envbuild.workflows.upkeep.spec_edits import read_exactly, require_writable, with_builds

    require_writable(project.spec)
    text = with_builds(project.text or read_exactly(project.spec), packages, name=project.spec.name)
    return replace(project, text=text)


def _allowed(project: Project, packages: Sequence[str], machine: Machine) -> Project:
    """Write what is built into the spec, which may have been edited meanwhile; return it to be read again."""
    from envbuild.workflows.upkeep.spec_edits import set_builds

    set_builds(project.spec, packages)
    note_builds(project, packages, machine)
    return Project(project.spec, named=project.named)


def note_builds(project: Project, packages: Sequence[str], machine: Machine) -> None:
    """Say what the spec now allows to be built."""
    machine.progress.on_note(f"{project.spec.name} now allows builds from source: {', '.join(packages)}")


def _lock_once(
    project: Project,
    options: LockOptions,
    machine: Machine,
    resolvers: "OpenResolvers | None",
    on_stale: Callable[[Project, Problem], None],
) -> "tuple[Lock, Lock | None, list[FileChange]]":
    """Return the lock that answers, the one that was there, and the manifests of its data that are new.

    The two locks are the same one when nothing had to be done.
    """
    from envbuild.lock.freshness import stale_fields, stale_lock
    from envbuild.spec.load import shown_name

    request = project.request
    platform = _platform(options.platform, request)
    previous = read_project_lock(project) if project.lock.exists() else None
    stale = stale_fields(request, previous.request) if previous else ()
    if previous and previous.data and not stale:
        from envbuild.workflows.data.locking import stale_manifests

        stale = stale_manifests(project, previous)
    if previous and not stale and not options.upgrade and not options.upgrade_packages:
        return previous, previous, []
    if options.check:
        raise (
            stale_lock(shown_name(project.lock), shown_name(project.spec), stale, hint=lock_hint(project))
            if previous
            else lock_missing(project.lock.name, hint=lock_hint(project))
        )
    from envbuild.workflows.data.locking import lock_with_data

    for problem in stale:
        on_stale(project, problem)
    upgrades = options.upgrade or options.upgrade_packages
    if previous and not upgrades and all(problem.where.startswith("data.") for problem in stale):
        # the environment answers: nobody is asked about it
        lock, manifests = lock_with_data(project, previous, previous, machine)
        return lock, previous, manifests
    if machine.offline:
        raise NetworkError(
            "locking asks the index, the archive and the registry",
            hint="run `envbuild lock` with a network, then the other commands with --offline",
        )

    from envbuild.catalog.active import catalog_in_force
    from envbuild.resolve.lock_environment import lock_environment
    from envbuild.resolve.upgrade import Upgrade

    open_resolvers = resolvers or partial(_open_resolvers, machine, project)
    upgrade = Upgrade(options.upgrade, options.upgrade_packages)
    with open_resolvers(upgrade, machine.progress) as opened:
        if previous is None or upgrade.everything:
            for variant, target in request.targets():
                if platform in {None, target}:
                    opened.expect_lists(request.variants[variant], target)
        # imported while archives are asked: it takes a while
        from envbuild.resolve.lock_environment import lock_environment

        lock = lock_environment(
            request,
            previous=previous,
            resolvers=opened,
            upgrade=upgrade,
            progress=machine.progress,
            catalog=catalog_in_force(machine.environment),
            platform=platform,
        )
    lock, manifests = lock_with_data(project, lock, previous, machine)
    return lock, previous, manifests


def _platform(name: str | None, request: "Request") -> "PlatformName | None":
    """Return the platform that is called ``name``.

    :raises UsageError: the spec has none of that name.
    """
    for platform in request.platforms:
        if platform == name:
            return platform
    if name is not None:
        raise UsageError(
            f"the spec has no platform `{name}`", hint=f"platforms: {', '.join(request.platforms)}"
        )
    return None


def lock_projects(
    projects: Sequence[Project],
    options: LockOptions | None = None,
    *,
    machine: Machine | None = None,
    on_stale: Callable[[Project, Problem], None] = lambda _project, _problem: None,
) -> "tuple[ProjectResult[LockResult], ...]":
    """Lock several projects side by side; what several of them ask alike is asked of the world once.

    An error of one is in its result, and does not stop the others.
    """
    from envbuild.resolve.shared_resolvers import Answers, share_resolvers
    from envbuild.workflows.many import for_each_project

    answers = Answers()
    machine, options = machine or Machine(), options or LockOptions()

    def lock_one(project: Project, machine: Machine) -> LockResult:
        resolvers = share_resolvers(partial(_open_resolvers, machine, project), answers)
        resolved = resolve_lock(project, options, machine=machine, resolvers=resolvers, on_stale=on_stale)
        return _write(resolved, machine)

    results = for_each_project(projects, lock_one, machine=machine)
    _note_unknown(options, [result.value for result in results if result.value is not None], machine)
    return results


def _open_resolvers(
    machine: Machine, project: Project, upgrade: "Upgrade", progress: "Progress"
) -> "AbstractContextManager[Resolvers]":
    from envbuild.resolve.live import open_resolvers
    from envbuild.workflows.sources.containers import apt_containers
    from envbuild.workflows.sources.kept import find_built
    from envbuild.workflows.sources.sandbox import EngineSandbox

    return open_resolvers(
        upgrade,
        progress,
        environment=machine.environment,
        sandbox=EngineSandbox.of_project(project, machine),
        built_elsewhere=partial(find_built, machine=machine, repository=project.request.repository),
        apt_containers=apt_containers(machine),
    )
