"""What changed between two locks, target by target, in the words of a review.

Compared are projections (:func:`envbuild.lock.identity.project_target`): what an image is made of.  A lock
holds one for each target and an image carries its own, so either can stand on either side.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from envbuild.digest import canonical_json, sha256_bytes
from envbuild.lock.identity import project_target, tag_of
from envbuild.lock.model import Lock

Kind = Literal["wheel", "deb", "conda"]
KINDS: tuple[Kind, ...] = ("wheel", "conda", "deb")
"""In the order a reader wants them."""

TargetKey = tuple[str, str]
"""Variant and platform."""

Projections = Mapping[TargetKey, Mapping[str, Any]]

_SHOWN_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageVersion:
    """One package of one side."""

    version: str
    sha256: str | None
    """None: a package of an image base, of which no file is locked."""

    size: int
    """Bytes of its file; 0 when no file is locked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageChange:
    """A package that came, went, or is another."""

    kind: Kind
    name: str
    old: PackageVersion | None
    new: PackageVersion | None

    @property
    def verb(self) -> Literal["added", "removed", "changed"]:
        """What happened to the package."""
        if self.old is None:
            return "added"
        return "removed" if self.new is None else "changed"

    @property
    def versions(self) -> tuple[str | None, str | None]:
        """Both versions as shown: with a digest when only the file differs."""
        if self.old and self.new and self.old.version == self.new.version:
            return _with_digest(self.old), _with_digest(self.new)
        return (self.old.version if self.old else None), (self.new.version if self.new else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class FactChange:
    """A fact that is another; None: it was, or is, not there."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDiff:
    """What changed in one target.  Without any change all lists are empty."""

    variant: str
    platform: str
    old_tag: str
    new_tag: str
    facts: tuple[FactChange, ...]
    packages: tuple[PackageChange, ...]
    architectures_gained: tuple[str, ...]
    architectures_lost: tuple[str, ...]
    old_size: int
    """Bytes of all locked files."""

    new_size: int

    @property
    def differs(self) -> bool:
        """Whether the two make different images."""
        return self.old_tag != self.new_tag

    @property
    def content(self) -> tuple[object, ...]:
        """What changed, without for whom: equal for targets that can be shown together."""
        return (self.facts, self.packages, self.architectures_gained, self.architectures_lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class LockDiff:
    """What changed between two sides."""

    targets: tuple[TargetDiff, ...]
    """Those both sides have, sorted."""

    added: tuple[TargetKey, ...]
    removed: tuple[TargetKey, ...]

    @property
    def differs(self) -> bool:
        """Whether anything differs."""
        return bool(self.added or self.removed) or any(target.differs for target in self.targets)


def projections_of(lock: Lock) -> Projections:
    """Return the projection of every target of ``lock``."""
    return {(target.variant, target.platform): project_target(lock, target) for target in lock.targets}


def diff_projections(old: Projections, new: Projections) -> LockDiff:
    """Return how ``new`` differs from ``old``."""
    return LockDiff(
        targets=tuple(_diff_target(key, old[key], new[key]) for key in sorted(old.keys() & new.keys())),
        added=tuple(sorted(new.keys() - old.keys())),
        removed=tuple(sorted(old.keys() - new.keys())),
    )


def _diff_target(key: TargetKey, old: Mapping[str, Any], new: Mapping[str, Any]) -> TargetDiff:
    before, after = _architectures(old), _architectures(new)
    return TargetDiff(
        variant=key[0],
        platform=key[1],
        old_tag=_tag(old),
        new_tag=_tag(new),
        facts=tuple(_facts_changed(dict(_facts(old)), dict(_facts(new)))),
        packages=tuple(_packages_changed(dict(_packages(old)), dict(_packages(new)))),
        architectures_gained=tuple(sorted(after - before, key=_by_number)),
        architectures_lost=tuple(sorted(before - after, key=_by_number)),
        old_size=_size(old),
        new_size=_size(new),
    )


def _tag(projection: Mapping[str, Any]) -> str:
    return tag_of("sha256:" + sha256_bytes(canonical_json(dict(projection))))


def _packages(projection: Mapping[str, Any]) -> Iterator[tuple[tuple[Kind, str], PackageVersion]]:
    for wheel in projection["wheels"]:
        yield ("wheel", wheel["name"]), _package(wheel)
    for package in (projection.get("conda") or {}).get("packages", ()):
        yield ("conda", package["name"]), _package(package)
    native = projection["platform"].partition("/")[2]
    for listed in projection["base"]["debs"]:
        name, _, rest = listed.partition("=")
        version, _, architecture = rest.rpartition(":")
        yield _deb_key(name, architecture, native), PackageVersion(version=version, sha256=None, size=0)
    for deb in projection["debs"]:
        yield _deb_key(deb["name"], deb["architecture"], native), _package(deb)


def _deb_key(name: str, architecture: str, native: str) -> tuple[Kind, str]:
    # a package of a second architecture is another package; the usual one needs no suffix
    return "deb", name if architecture in {native, "all"} else f"{name}:{architecture}"


def _package(fields: Mapping[str, Any]) -> PackageVersion:
    build = f" {fields['build']}" if fields.get("build") else ""
    return PackageVersion(version=f"{fields['version']}{build}", sha256=fields["sha256"], size=fields["size"])


def _packages_changed(
    old: Mapping[tuple[Kind, str], PackageVersion], new: Mapping[tuple[Kind, str], PackageVersion]
) -> Iterator[PackageChange]:
    for kind, name in sorted(old.keys() | new.keys(), key=lambda key: (KINDS.index(key[0]), key[1])):
        before, after = old.get((kind, name)), new.get((kind, name))
        if before != after:
            yield PackageChange(kind=kind, name=name, old=before, new=after)


def _facts(projection: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is true of a target beside its packages, the weightiest first."""
    base, interpreter = projection["base"], projection["interpreter"]
    yield "base", _base(base)
    yield "operating system", base["os"]["pretty-name"]
    yield "libc", f"{base['libc']['family']} {base['libc']['version']}"
    yield "Python", interpreter["version"]
    yield "interpreter", f"{interpreter['path']} ({interpreter['provider']})"
    yield "prefix", projection["prefix"]
    yield from _gpu(projection.get("gpu") or {})
    yield "user", "{name} ({uid}:{gid})".format_map(projection["user"])
    yield "workdir", projection["workdir"]
    yield "command", " ".join(projection["command"])
    for name, value in sorted(projection["env"].items()):
        yield f"env {name}", value
    yield "installer", f"{projection['installer']['name']} {projection['installer']['version']}"
    yield "recipe format", str(projection["format"])


def _base(base: Mapping[str, Any]) -> str:
    if image := base.get("image"):
        return f"{image['reference']} ({image['digest'].removeprefix('sha256:')[:_SHOWN_DIGITS]})"
    return str(base["packages"]["distribution"])


def _gpu(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not facts:
        return
    kind = "ROCm" if facts["vendor"] == "amd" else "CUDA"
    yield "GPU vendor", facts["vendor"]
    named = {
        kind: facts.get("toolkit") or facts.get("runtime"),
        "minimum driver": facts.get("driver-minimum"),
        "GPU base": facts.get("image"),
    }
    yield from ((name, str(value)) for name, value in named.items() if value)
    for library in facts.get("libraries", ()):
        yield f"{library['name']} ({library['soname']})", f"{library['version']} by {library['provider']}"
    for verdict in facts.get("fleet", ()):
        yield (
            f"fleet {verdict['target']}",
            f"{'runs' if verdict['ok'] else 'cannot run'}: {verdict['reason']}",
        )


def _facts_changed(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[FactChange]:
    for name in (*new, *(name for name in old if name not in new)):
        if old.get(name) != new.get(name):
            yield FactChange(name=name, old=old.get(name), new=new.get(name))


def _architectures(projection: Mapping[str, Any]) -> set[str]:
    """Return what frameworks have machine code or PTX for; support libraries only add to it."""
    found: set[str] = set()
    for library in (projection.get("gpu") or {}).get("architectures", ()):
        if library["role"] == "framework":
            found |= {*library.get("cubins", ()), *library.get("ptx", ())}
    return found


def _by_number(architecture: str) -> tuple[int, str]:
    digits = "".join(character for character in architecture if character.isdigit())
    return int(digits or 0), architecture


def _size(projection: Mapping[str, Any]) -> int:
    return sum(package.size for _, package in _packages(projection))


def _with_digest(package: PackageVersion) -> str:
    return f"{package.version} ({package.sha256[:_SHOWN_DIGITS]})" if package.sha256 else package.version
