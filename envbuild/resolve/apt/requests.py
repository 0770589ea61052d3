"""Packages as a spec asks for them: ``name`` or ``name=version``."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from envbuild.errors import Problem, SpecError

_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
"""Debian Policy 5.6.1."""

_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~:-]*")
"""Debian Policy 5.6.12."""


@dataclass(frozen=True, slots=True, order=True)
class PackageRequest:
    """One package asked for."""

    name: str
    version: str | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}={self.version}"


@dataclass(frozen=True, slots=True)
class AskedPackages:
    """All packages asked for, and where in the spec each stands."""

    requests: tuple[PackageRequest, ...]
    fields: Mapping[str, str]

    def where(self, name: str) -> str:
        """Return the field path a package was asked for in."""
        return self.fields.get(name, "system.packages")


def parse_requests(texts: Iterable[str], *, fields: Mapping[str, str] | None = None) -> AskedPackages:
    """Read requests, sorted and each once.  ``fields`` gives the field path of a text, where it is known.

    Only names go to apt: the rest of what it understands (``name-`` removes, patterns, ``/suite``) would
    make a lock hold something else than what the spec seems to say.

    :raises SpecError: all that cannot be read, and names asked for in two versions.
    """
    problems = []
    found: dict[str, PackageRequest] = {}
    places: dict[str, str] = {}
    for text in sorted(set(texts)):
        where = (fields or {}).get(text, "system.packages")
        name, equals, version = text.strip().partition("=")
        if not _NAME.fullmatch(name) or name.endswith("-"):
            problems.append(Problem(where, f"`{text}` is not a package name", _hint(text)))
        elif equals and not _VERSION.fullmatch(version):
            problems.append(Problem(where, f"`{version}` is not a version of a Debian package"))
        elif name in found and found[name].version and equals:
            message = f"`{name}` is asked for as {found[name].version} and as {version}"
            problems.append(Problem(where, message))
        else:
            if equals or name not in found:
                found[name] = PackageRequest(name, version or None)
            places[name] = where
    if problems:
        raise SpecError.of(problems)
    return AskedPackages(tuple(sorted(found.values(), key=str)), places)


def _hint(text: str) -> str | None:
    if ":" in text.partition("=")[0]:
        return "packages are always those of the target's architecture: write the name alone"
    if re.search(r"[<>~!]", text):
        return "write `name` or `name=version`: apt knows no other conditions"
    return "write `name` or `name=version`" if text.lower() == text else "package names are lower case"
