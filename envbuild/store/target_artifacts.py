"""The artifacts of one target: where they are, and how they come into the store."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from envbuild.cache.location import vendor_folder
from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Lock, Target, Wheel
from envbuild.progress import Progress
from envbuild.spec.request import PipRequest
from envbuild.store.artifact import Artifact
from envbuild.store.store import Store


@dataclass
class TargetArtifacts:
    """The artifacts of one target, fetched as this machine is configured."""

    lock: Lock
    target: Target
    store: Store
    progress: Progress
    offline: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    build_wheels: Callable[[], None] = field(default=lambda: None, repr=False)
    """Brings the wheels that are built from source into the store; called when one of them is missing."""

    @cached_property
    def by_sha256(self) -> dict[str, Artifact]:
        """Every artifact of the target."""
        from envbuild.store.locators import ArchiveLocator, ChannelLocator, IndexLocator  # noqa: PLC0415
        from envbuild.store.plan import artifacts_of  # noqa: PLC0415

        request = self.lock.request.variants[self.target.variant]
        found = artifacts_of(
            self.lock,
            self.target,
            wheels=IndexLocator(lambda: _open_index(request.pip, self.environment)),
            debs=ArchiveLocator(lambda: _read_apt_settings(self.environment), day=request.snapshot),
            conda=ChannelLocator(lambda: _read_channels(self.environment)),
            environment=self.environment,
        )
        return {artifact.sha256: artifact for artifact in found}

    def fetch(self, artifacts: Sequence[Artifact]) -> None:
        """Bring ``artifacts`` into the store.

        :raises NetworkError: one cannot be had.
        :raises IntegrityError: one is not what the lock says.
        """
        from envbuild.store.fetch import fetch_all  # noqa: PLC0415

        built = {source.wheel for source in self.lock.sources_of(self.target)}
        if any(item.filename in built and not self.store.holds(item.sha256, item.size) for item in artifacts):
            self.build_wheels()
        self.progress.on_stage("fetching artifacts")
        fetch_all(
            artifacts,
            store=self.store,
            offline=self.offline,
            vendor=vendor_folder(self.environment),
            progress=self.progress,
        )

    def path(self, sha256: str) -> Path:
        """Return the verified file of a digest, fetched when the store lacks it."""
        if not self.store.verify(sha256):
            self.fetch([self.by_sha256[sha256]])
        return self.store.place_of(sha256)

    @contextlib.contextmanager
    def laid_out(self, files: Mapping[str, str]) -> Iterator[Path]:
        """Yield a folder that holds artifacts, each under its relative path; ``files`` gives their sha256."""
        from envbuild.store.stage import staged  # noqa: PLC0415

        named = {path: self.by_sha256[sha256] for path, sha256 in files.items()}
        with staged(named, store=self.store, fetch=self.fetch) as folder:
            yield folder


def channel_addresses(environment: Mapping[str, str]) -> Callable[[CondaPackage], str]:
    """Return where conda packages are, as this machine is configured; credentials never."""
    configuration = _read_channels(environment)
    return lambda package: f"{configuration.address(package.channel).url}/{package.path}"


@contextlib.contextmanager
def wheel_addresses(
    lock: Lock, variant: str, environment: Mapping[str, str]
) -> Iterator[Callable[[Wheel], str]]:
    """Yield where wheels are, as this machine's index says; it is asked when the first one is wanted."""
    from envbuild.store.locators import IndexLocator  # noqa: PLC0415

    pip = lock.request.variants[variant].pip
    locator = IndexLocator(lambda: _open_index(pip, environment))
    try:
        yield lambda wheel: next(iter(locator.locate(wheel))).url
    finally:
        locator.close()


def _open_index(pip: PipRequest, environment: Mapping[str, str]) -> Any:
    from envbuild.remote.index.client import PythonIndex  # noqa: PLC0415

    return PythonIndex.of_this_machine(environment).bound_to(pip.indexes, pip.find_links)


def _read_apt_settings(environment: Mapping[str, str]) -> Any:
    from envbuild.remote.apt import read_settings  # noqa: PLC0415

    return read_settings(environment)


def _read_channels(environment: Mapping[str, str]) -> Any:
    from envbuild.remote.channels import read_channel_configuration  # noqa: PLC0415

    return read_channel_configuration(environment)
