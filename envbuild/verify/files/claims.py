"""Whose each path is: what the locked artifacts bring, at the places dpkg and the build put it."""

import fnmatch
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from envbuild.oci.layer_listing import FileRecord
from envbuild.verify.checks.target import LockedCondaPackage, LockedDeb, LockedTarget, LockedWheel
from envbuild.verify.files.expected_files import ExpectedEntry, ExpectedFiles, Tree
from envbuild.verify.files.paths import PathIndex

ArtifactKind = Literal["wheels", "conda packages", "debs"]

KINDS: Final[tuple[ArtifactKind, ...]] = ("wheels", "conda packages", "debs")


@dataclass(frozen=True, slots=True)
class Claim:
    """What one artifact says of one path."""

    kind: ArtifactKind
    file: str
    """Name of the artifact."""

    entry: ExpectedEntry


class Claims:
    """Which artifacts bring which path of an image."""

    def __init__(
        self, target: LockedTarget, expected: ExpectedFiles, records: Mapping[str, FileRecord]
    ) -> None:
        """Place the artifacts' files in a tree of ``records``, whose links decide where they lie."""
        self._target = target
        self._expected = expected
        self._index = PathIndex(records)

    @cached_property
    def by_path(self) -> Mapping[str, list[Claim]]:
        """All claims by path.  Several may bring one: debs replace files of each other, wheels share some."""
        found: dict[str, list[Claim]] = {}
        for path, claim in self._claims():
            found.setdefault(path, []).append(claim)
        return found

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """``numpy 2.1.0`` by the name of the artifact."""
        return {item.file: f"{item.name} {item.version}" for _, item in artifacts_of(self._target)}

    def is_excluded(self, path: str) -> bool:
        """Return whether dpkg was told not to unpack ``path`` (``path-exclude``): the last rule wins."""
        excluded = False
        for sign, pattern in self._filters:
            if pattern.fullmatch(path):
                excluded = sign == "-"
        return excluded

    @cached_property
    def _filters(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        # dpkg's * matches slashes too, as Python's does
        return tuple(
            (rule[:1], re.compile(fnmatch.translate(rule[1:]))) for rule in self._target.base.excludes
        )

    def _claims(self) -> Iterator[tuple[str, Claim]]:
        prefix = self._target.prefix
        in_prefix: tuple[tuple[ArtifactKind, Mapping[str, Tree]], ...] = (
            ("conda packages", self._expected.conda),
            ("wheels", self._expected.wheels),
        )
        for kind, trees in in_prefix:
            for file, tree in trees.items():
                for path, entry in tree.items():
                    yield f"{prefix}/{path}", Claim(kind, file, entry)
        for file, tree in self._expected.debs.items():
            for path, entry in tree.items():
                yield self._index.resolve(path), Claim("debs", file, entry)


LockedArtifact = LockedWheel | LockedDeb | LockedCondaPackage


def artifacts_of(target: LockedTarget) -> list[tuple[str, LockedArtifact]]:
    """Return the locked artifacts that bring files, each with the name that results have for it."""
    conda = target.conda.packages if target.conda else ()
    named: list[tuple[str, LockedArtifact]] = []
    named += [(f"wheel/{item.name}", item) for item in sorted(target.wheels, key=lambda item: item.name)]
    named += [(f"conda/{item.name}", item) for item in sorted(conda, key=lambda item: item.name)]
    debs = sorted(target.debs, key=lambda item: item.file)
    named += [(f"deb/{item.name}:{item.architecture}", item) for item in debs]
    return named


def agrees(entry: ExpectedEntry, found: FileRecord) -> bool:
    """Return whether kind and content are the artifact's; mode and owner are compared apart."""
    if entry.kind == "o":
        return found.kind in {"c", "b", "p"}
    if entry.kind != found.kind:
        return False
    return entry.kind == "d" or entry.content == found.content
