"""Source archives on this machine: fetched once, verified, kept in the store."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from envbuild.cache.folders import STAGED
from envbuild.errors import IntegrityError, NoSolutionError
from envbuild.files.temporary import temporary_folder
from envbuild.formats.source_archive import SourceArchiveError, SourceDescription, read_source_archive
from envbuild.lock.model import Wheel
from envbuild.progress import Progress
from envbuild.remote.index.client import PythonIndex
from envbuild.resolve.sources.release import SourceRelease
from envbuild.store.artifact import Artifact
from envbuild.store.fetch import fetch_all
from envbuild.store.locators import IndexLocator
from envbuild.store.plan import artifact_of
from envbuild.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceArchives:
    """Brings source archives into the store and reads them."""

    index: PythonIndex
    store: Store
    cache: Path
    vendor: Path | None
    progress: Progress

    def fetch(self, release: SourceRelease) -> SourceRelease:
        """Return ``release`` with the size and sha256 of its archive, which the store has from then on.

        :raises NetworkError: it cannot be had.
        :raises IntegrityError: it is not what the index says.
        """
        file = release.file
        if file.sha256 is not None and (path := self.store.path_of(file.sha256)) is not None:
            return replace(release, file=replace(file, size=path.stat().st_size))
        if file.sha256 is None:
            return self._fetch_unknown(release)
        file = replace(file, size=self.index.size(file, release.index))
        self.progress.on_item(f"fetching {file.filename}")
        fetch_all(
            [self._artifact(replace(release, file=file))],
            store=self.store,
            vendor=self.vendor,
            progress=self.progress,
        )
        return replace(release, file=file)

    def path(self, release: SourceRelease) -> Path:
        """Return the verified archive of a release that was fetched.

        :raises IntegrityError: it is damaged.
        """
        if release.file.sha256 is None:
            raise ValueError(f"{release.file.filename} was not fetched")
        self.store.open_verified(release.file.sha256).close()
        return self.store.place_of(release.file.sha256)

    def describe(self, release: SourceRelease) -> SourceDescription:
        """Return what the archive of a release that was fetched says of its project.

        :raises NoSolutionError: it is no source archive of a Python project.
        """
        try:
            return read_source_archive(
                self.path(release), subdirectory=release.subdirectory, is_tree=release.commit is not None
            )
        except SourceArchiveError as error:
            raise NoSolutionError(
                f"`{release.file.filename}` cannot be built: {error}",
                hint="take another version, or one that has a wheel",
            ) from error

    def _fetch_unknown(self, release: SourceRelease) -> SourceRelease:
        workspaces = STAGED.path(self.cache)
        workspaces.mkdir(parents=True, exist_ok=True)
        with temporary_folder(workspaces) as folder:
            path = folder / "source"
            sha256, size = self.index.download(release.file, path, release.index)
            self.store.add_file(path, sha256=sha256)
        file = replace(release.file, sha256=sha256, size=size)
        return replace(release, file=file, is_hash_computed=True)

    def _artifact(self, release: SourceRelease) -> Artifact:
        file = release.file
        if file.sha256 is None or file.size is None:
            raise IntegrityError(f"nothing says what `{file.filename}` must be")
        return Artifact(
            kind="source",
            name=str(release),
            filename=file.filename,
            sha256=file.sha256,
            size=file.size,
            locate=lambda: (self.index.file_address(file.url, release.index),),
        )


def fetch_build_wheels(
    wheels: Iterable[Wheel], *, index: PythonIndex, store: Store, vendor: Path | None, progress: Progress
) -> Mapping[str, Path]:
    """Bring what something is built with into the store; return the verified file of each by name.

    :raises NetworkError: a wheel cannot be had.
    :raises IntegrityError: one is not what its sha256 says.
    """
    wanted, locator = tuple(wheels), IndexLocator(lambda: index)
    fetch_all(
        [artifact_of(wheel, locator) for wheel in wanted], store=store, vendor=vendor, progress=progress
    )
    for wheel in wanted:
        store.open_verified(wheel.sha256).close()
    return {wheel.file: store.place_of(wheel.sha256) for wheel in wanted}
