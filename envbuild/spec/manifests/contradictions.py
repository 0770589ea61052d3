"""Versions that two files ask for and that exclude each other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A requirement that cannot hold beside an exact version that another file asks for."""

    file: str
    requirement: str
    pin: str
    pinned_by: str

    @property
    def message(self) -> str:
        """What contradicts what."""
        return f"`{self.requirement}` contradicts `{self.pin}` of {self.pinned_by}"


def contradictions_of(sources: Iterable[tuple[str, Iterable[str]]]) -> Iterator[Contradiction]:
    """Yield what contradicts an exact version of another file; each file is given with its requirements.

    Requirements with markers, whose sides may never meet, are left out of account.
    """
    pins: dict[str, tuple[str, Requirement]] = {}
    asked = [(file, Requirement(text)) for file, texts in sources for text in sorted(texts)]
    asked = [(file, item) for file, item in asked if not item.marker and not item.url]
    for file, item in asked:
        if _version(item) is not None:
            pins.setdefault(canonicalize_name(item.name), (file, item))
    for file, item in asked:
        pinned_by, pin = pins.get(canonicalize_name(item.name), (file, item))
        version = _version(pin)
        if pinned_by != file and version and not item.specifier.contains(version, prereleases=True):
            yield Contradiction(file, str(item), str(pin), pinned_by)


def _version(item: Requirement) -> str | None:
    """Return the one version a requirement asks for, if it asks for one."""
    exact = [part.version for part in item.specifier if part.operator == "==" and "*" not in part.version]
    return exact[0] if len(exact) == 1 else None
