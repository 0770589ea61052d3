"""The Python of each base as the last lock found it: what the next one most likely finds."""

from dataclasses import dataclass
from pathlib import Path

from envbuild.cache.notes import read_note, try_note
from envbuild.digest import canonical_json, sha256_bytes
from envbuild.lock.model import Libc
from envbuild.platforms import PLATFORMS, PlatformName
from envbuild.resolve.python.target import TargetPython
from envbuild.spec.request import VariantRequest


@dataclass(frozen=True, slots=True)
class ExpectedPythons:
    """Notes of Pythons in a folder of the cache: good for a guess, never for an answer."""

    folder: Path

    def find(self, request: VariantRequest, platform: PlatformName) -> TargetPython | None:
        """Return the Python that the base of ``request`` had last time, or None."""
        return read_note(
            self._path(request, platform),
            lambda document: TargetPython(
                platform=PLATFORMS[platform],
                libc=Libc.model_validate(document["libc"]),
                version=str(document["version"]),
            ),
        )

    def note(self, request: VariantRequest, platform: PlatformName, target: TargetPython) -> None:
        """Keep the Python that the base of ``request`` has."""
        if self.find(request, platform) != target:
            document = {"libc": target.libc.model_dump(mode="json"), "version": target.version}
            try_note(self._path(request, platform), document)

    def _path(self, request: VariantRequest, platform: PlatformName) -> Path:
        asked = request.model_dump(mode="json", include={"base", "python", "snapshot"})
        name = sha256_bytes(canonical_json(["python", asked, platform, request.gpu is None]))
        return self.folder / name[:2] / f"{name}.json"
