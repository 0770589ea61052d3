"""This machine, as a value: its environment variables, its cache folder, and who watches the work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.errors import EngineError
from envbuild.progress import Progress, SilentProgress

if TYPE_CHECKING:
    from envbuild.lock.model import Lock, Target
    from envbuild.store.store import Store
    from envbuild.store.target_artifacts import TargetArtifacts


def _refuse_restart() -> None:
    """Refuse to start the program again: it is somebody else's.

    :raises EngineError: always.
    """
    raise EngineError(
        "the local engine needs root, or root of a user namespace, in this process",
        hint="run the program as root or under `unshare --user --map-auto --map-root-user`, "
        "or choose the docker engine",
    )


def _configured_environment() -> Mapping[str, str]:
    from envbuild.workflows.configuration.environment import configured_environment

    return configured_environment()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a workflow uses of this machine, silently by default.

    :raises ConfigurationError: no ``environment`` is given, and the user's configuration file cannot be used.
    """

    environment: Mapping[str, str] = field(default_factory=_configured_environment, repr=False)
    """Environment variables: the engine, the cache folder, proxies, registries, credentials.  The default is
    those of this process, with what the user's configuration file says where they say nothing."""

    offline: bool = False
    """Whether only the cache may be used."""

    progress: Progress = field(default_factory=SilentProgress)
    """Is told what is being done; called from several threads."""

    restart_as_root: Callable[[], None] = _refuse_restart
    """Called when the local engine needs root and this process has not got it.  The command line starts
    itself again in a user namespace; a program that imports envbuild gets an :class:`EngineError`."""

    @property
    def cache(self) -> Path:
        """The cache folder, absolute; it need not exist yet."""
        from envbuild.cache.location import cache_folder

        return cache_folder(self.environment)

    @property
    def vendor(self) -> Path | None:
        """The folder of vendored artifacts, if one is named.

        :raises UsageError: ``ENVBUILD_VENDOR_DIR`` names no folder.
        """
        from envbuild.cache.location import vendor_folder

        return vendor_folder(self.environment)

    @property
    def store(self) -> "Store":
        """The store of artifacts in the cache folder."""
        from envbuild.store.store import Store

        return Store(self.cache)

    def artifacts(self, lock: "Lock", target: "Target") -> "TargetArtifacts":
        """Return the artifacts of a target, as this machine fetches them."""
        from envbuild.store.target_artifacts import TargetArtifacts

        return TargetArtifacts(
            lock,
            target,
            store=self.store,
            progress=self.progress,
            offline=self.offline,
            environment=self.environment,
        )
