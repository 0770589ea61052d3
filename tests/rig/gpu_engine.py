"""A Docker Engine whose containers find a driver, as those find one that the NVIDIA runtime starts."""

import contextlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from envbuild.image.docker.engine import DockerEngine
from envbuild.image.engine import RunRequest
from tests.rig.driver import LIBRARY_FOLDER


class EngineWithDriver(DockerEngine):
    """Mounts a driver's libraries where the NVIDIA runtime does; the driver is a test double."""

    def __init__(
        self,
        driver: Path | None,
        *,
        folders: Mapping[Path, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Give containers the libraries in ``driver``, further ``folders`` and variables."""
        super().__init__()
        files = sorted(driver.glob("lib*.so*")) if driver else []
        mounts = {path: f"{LIBRARY_FOLDER}/{path.name}" for path in files if not path.is_symlink()}
        mounts |= folders or {}
        self._volumes = [f"{outside}:{inside}:ro" for outside, inside in mounts.items()]
        self._links = {path.name: str(path.readlink()) for path in files if path.is_symlink()}
        self._more = dict(environment or {})

    def close(self) -> None:
        """Let go of the engine."""
        self.client.close()

    @contextlib.contextmanager
    def _container(self, request: RunRequest, **options: Any) -> Iterator[Container]:
        if request.gpus:
            options = {"volumes": self._volumes, "environment": self._more, **options}
        with super()._container(request, **options) as container:
            if self._links and request.gpus:
                container.put_archive(LIBRARY_FOLDER, _links(self._links))
            yield container


def _links(targets: Mapping[str, str]) -> bytes:
    """Return a tar of links: the runtime mounts the files of a driver and links their sonames to them."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, target in targets.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()
