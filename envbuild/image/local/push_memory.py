"""Where layers have been pushed before: another repository of the same registry can mount them from there.

A hint, no more: a registry that has deleted a layer answers a mount with an upload.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from envbuild.cache.folders import PUSHED
from envbuild.cache.notes import read_note, try_note
from envbuild.oci.reference import ImageReference

MOST_LAYERS: Final = 5000
"""Layers remembered for one registry; the oldest go."""


class PushMemory:
    """One small file for each registry."""

    def __init__(self, cache: Path) -> None:
        self._folder = PUSHED.path(cache)

    def repositories(self, reference: ImageReference) -> dict[str, str]:
        """Return a repository of the registry of ``reference`` by digest of layer, its own left out."""
        known = self._read(reference)
        return {digest: name for digest, name in known.items() if name != reference.repository}

    def note(self, reference: ImageReference, digests: Iterable[str]) -> None:
        """Remember that the repository of ``reference`` has these layers."""
        known = self._read(reference)
        for digest in digests:
            known.pop(digest, None)
            known[digest] = reference.repository
        newest = dict(list(known.items())[-MOST_LAYERS:])
        try_note(self._path(reference), list(newest.items()))

    def _read(self, reference: ImageReference) -> dict[str, str]:
        return read_note(self._path(reference), _repositories) or {}

    def _path(self, reference: ImageReference) -> Path:
        return self._folder / f"{reference.registry.replace(':', '+')}.json"


def _repositories(pairs: Iterable[tuple[object, object]]) -> dict[str, str]:
    return {str(digest): str(name) for digest, name in pairs}
