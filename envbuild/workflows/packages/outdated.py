"""What of a lock is older than what there is by now."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from envbuild.errors import EngineError, NoSolutionError, SpecError, UsageError
from envbuild.resolve.outdated.model import PackageUpdate
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, choose_target, fresh_lock
from envbuild.workflows.status import BaseState, base_state, registry_reader

if TYPE_CHECKING:
    from collections.abc import Mapping

    from envbuild.lock.graph.model import PackageGraph
    from envbuild.lock.model import Lock, Target
    from envbuild.resolve.live import LiveResolvers
    from envbuild.resolve.reuse import PreviousTarget
    from envbuild.resolve.upgrade import Upgrade

__all__ = ["OutdatedOptions", "OutdatedResult", "PackageUpdate", "outdated_packages"]

_MOST_BOUNDS = 2
"""How many packages that hold another one back are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutdatedOptions:
    """Options of a comparison with what there is by now."""

    direct: bool = False
    """Only what the spec names, in place of everything that is locked."""

    variant: str | None = None
    """None: the default variant."""

    platform: str | None = None
    """None: this machine's."""

    frozen: bool = False
    """Take the lock as it stands, without comparing it with the spec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutdatedResult:
    """What of one target is older than what there is by now."""

    variant: str
    platform: str
    base: str
    """Reference of the base image, or the distribution."""

    base_state: BaseState
    """``from packages``: its packages are among ``packages``."""

    packages: tuple[PackageUpdate, ...]
    """Every package that was asked about, by kind and name."""

    direct: frozenset[tuple[str, str]]
    """Kind and name of what the spec names."""

    reasons: tuple[str, ...] = ()
    """Why something is not known."""

    @property
    def outdated(self) -> tuple[PackageUpdate, ...]:
        """Packages of which there is another version, security updates first."""
        found = [package for package in self.packages if package.is_outdated]
        return tuple(sorted(found, key=lambda package: package.security is None))

    @property
    def security(self) -> tuple[PackageUpdate, ...]:
        """Packages of which there is a security update."""
        return tuple(package for package in self.packages if package.security is not None)

    @property
    def is_outdated(self) -> bool:
        """Whether the spec allows something newer than what is locked, or the base has moved."""
        newer = any(package.allowed not in {None, package.locked} for package in self.packages)
        return newer or self.base_state in {"moved", "gone"}

    def is_direct(self, package: PackageUpdate) -> bool:
        """Return whether the spec names ``package``."""
        return (package.kind, package.name) in self.direct

    def document(self) -> dict[str, object]:
        """Return the result as plain JSON values."""
        return {
            "variant": self.variant,
            "platform": self.platform,
            "base": {"reference": self.base, "state": self.base_state},
            "checked": len(self.packages),
            "outdated": self.is_outdated,
            "packages": [
                {
                    "kind": package.kind,
                    "name": package.name,
                    "locked": package.locked,
                    "allowed": package.allowed,
                    "newest": package.newest,
                    "security": package.security,
                    "direct": self.is_direct(package),
                    "notes": list(package.notes),
                }
                for package in self.outdated
            ],
            "unknown-because": list(self.reasons),
        }


def outdated_packages(
    project: Project, options: OutdatedOptions | None = None, *, machine: Machine | None = None
) -> OutdatedResult:
    """Return what of one target of a project's lock is older than what there is by now.

    Indexes, archives, channels and the registry of the base are asked.  Nothing is written, fetched to be
    installed, or built.

    :raises UsageError: the machine is offline, or the lock has no such target.
    :raises LockError: the lock is missing, stale, or cannot be used.
    :raises NetworkError: an archive or a channel cannot be reached.
    """
    options, machine = options or OutdatedOptions(), machine or Machine()
    if machine.offline:
        raise UsageError(
            "`outdated` asks indexes, archives and registries, and --offline asks nobody",
            hint="run it with a network",
        )
    lock = fresh_lock(project, frozen=options.frozen)
    target = choose_target(lock, variant=options.variant, platform=options.platform)
    return _TargetComparison(lock, target, machine, direct=options.direct).result()


class _TargetComparison:
    """One target, compared with what there is by now."""

    def __init__(self, lock: "Lock", target: "Target", machine: Machine, *, direct: bool) -> None:
        self._lock, self._target, self._machine = lock, target, machine
        self._only_direct = direct
        self._reasons: list[str] = []
        self._graph = _graph_of(lock, target)
        self._direct = frozenset((item.target[1], item.target[2]) for item in self._graph.requested)

    def result(self) -> OutdatedResult:
        from envbuild.resolve.live import open_resolvers
        from envbuild.resolve.reuse import PreviousTarget

        upgrade = self._upgrade()
        previous = PreviousTarget.of(self._lock, self._target.variant, self._target.platform, upgrade)
        if previous is None:
            raise ValueError("the target is of this lock")
        base = previous.foundation.base
        updates: list[PackageUpdate] = []
        with open_resolvers(
            upgrade, self._machine.progress, environment=self._machine.environment
        ) as resolvers:
            updates += self._wheels(resolvers, previous)
            updates += self._conda(resolvers, previous)
            updates += self._debs(resolvers, previous)
        state = base_state(base, registry_reader(self._machine) if base.image else None, self._reasons)
        return OutdatedResult(
            variant=self._target.variant,
            platform=self._target.platform,
            base=self._graph.base,
            base_state=state,
            packages=tuple(map(self._with_bounds, updates)),
            direct=self._direct,
            reasons=tuple(dict.fromkeys(self._reasons)),
        )

    def _is_wanted(self, kind: str, name: str) -> bool:
        return not self._only_direct or (kind, name) in self._direct

    def _upgrade(self) -> "Upgrade":
        """Return what would be upgraded: all but what would have to be built from source again."""
        from envbuild.resolve.upgrade import Upgrade

        built = {wheel.name for wheel in self._lock.wheels_of(self._target) if wheel.hash_source == "built"}
        if not built:
            return Upgrade(everything=True)
        wheels = {wheel.name for wheel in self._lock.wheels_of(self._target)} - built
        return Upgrade(packages=frozenset(wheels | {item.name for item in self._lock.conda_of(self._target)}))

    def _wheels(self, resolvers: "LiveResolvers", previous: "PreviousTarget") -> tuple[PackageUpdate, ...]:
        from envbuild.resolve.live_builds import target_python
        from envbuild.resolve.outdated.wheels import wheel_updates

        wheels = tuple(wheel for wheel in previous.python.wheels if self._is_wanted("wheel", wheel.name))
        if not wheels:
            return ()
        foundation, pip = previous.foundation.under(previous.conda), previous.request.pip
        index = resolvers.index.bound_to(pip.indexes, pip.find_links)
        for wheel in wheels:
            if not wheel.url:
                index.prefetch((wheel.name,), wheel.index)
        allowed: Mapping[str, str] | None = None
        try:
            resolved = resolvers.python(previous.request, foundation, previous=previous.python)
            allowed = {wheel.name: wheel.version for wheel in resolved.wheels}
        except (NoSolutionError, SpecError, EngineError) as error:
            # without an answer the newest versions are still worth knowing
            self._reasons.append(f"what the spec allows of pip: {error.message}")
        built = {wheel.name for wheel in wheels if wheel.hash_source == "built"}
        updates = wheel_updates(
            wheels, allowed, index=index, target=target_python(foundation), snapshot=previous.request.snapshot
        )
        return tuple(
            replace(update, allowed=None, notes=(*update.notes, "built from source: not resolved again"))
            if update.name in built and update.newest not in {None, update.locked}
            else update
            for update in updates
        )

    def _conda(self, resolvers: "LiveResolvers", previous: "PreviousTarget") -> tuple[PackageUpdate, ...]:
        packages = previous.conda.packages if previous.conda else ()
        packages = tuple(package for package in packages if self._is_wanted("conda", package.name))
        if not packages:
            return ()
        from envbuild.resolve.outdated.conda import conda_updates

        return conda_updates(resolvers.conda_resolver, previous.request, previous.foundation.base, packages)

    def _debs(self, resolvers: "LiveResolvers", previous: "PreviousTarget") -> tuple[PackageUpdate, ...]:
        debs = [
            deb for deb in (*previous.foundation.debs, *previous.debs) if self._is_wanted("deb", deb.name)
        ]
        if not debs:
            return ()
        from envbuild.resolve.outdated.debs import deb_updates

        archives = resolvers.archives(previous.request, previous.foundation)
        self._machine.progress.on_stage("comparing Debian packages with the archives")
        asked = previous.request.system.packages
        return tuple(
            sorted(deb_updates(resolvers.apt, archives, debs, asked=asked), key=lambda update: update.name)
        )

    def _with_bounds(self, update: PackageUpdate) -> PackageUpdate:
        """Return ``update`` with who keeps the newest version out, where the lock says so."""
        if update.kind == "deb" or update.allowed is None or update.newest in {None, update.allowed}:
            return update
        from envbuild.lock.graph.reasons import reasons_for

        package = self._graph.packages[("environment", update.kind, update.name)]
        bounds = [f"{bound.by}: {bound.bound}" for bound in reasons_for(self._graph, package).bounds]
        if not bounds:
            return update
        more = f" and {len(bounds) - _MOST_BOUNDS} more" if len(bounds) > _MOST_BOUNDS else ""
        held = f"limited by {', '.join(bounds[:_MOST_BOUNDS])}{more}"
        return replace(update, notes=(held, *update.notes))


def _graph_of(lock: "Lock", target: "Target") -> "PackageGraph":
    from envbuild.lock.codec import dumps
    from envbuild.lock.graph.read import read_targets

    targets = read_targets(dumps(lock)).targets
    return next(
        item.graph() for item in targets if (item.variant, item.platform) == (target.variant, target.platform)
    )
