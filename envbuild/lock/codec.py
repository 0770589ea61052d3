"""``envbuild.lock`` as text: TOML, one fact a line, and errors that name the field.

Reading is strict about the format version, the fields and the references between them: a lock edited by hand
into nonsense is refused before anything is built from it.

The format version is a fact of the text alone: a lock that uses no table of a later version is written as
version 1, and what was read does not depend on the version it had.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

import tomli_w
from pydantic import ValidationError

from envbuild.errors import LockInvalidError, LockVersionError, Problem
from envbuild.lock.model import Lock
from envbuild.lock.versions import READ_VERSIONS

HEADER = "# Written by envbuild.  Change the spec and run `envbuild lock`; do not edit by hand.\n"

_RESTORE = "restore it from version control, or delete it and run `envbuild lock`"

VERSION_OF_TABLE: Final[Mapping[str, int]] = {
    "request.data": 2,
    "request.variants.*.experiments": 2,
    "request.variants.*.image.prepend": 2,
    "request.variants.*.pip.build": 2,
    "request.variants.*.pip.build-constraints": 2,
    "request.variants.*.pip.build-packages": 2,
    "request.variants.*.pip.find-links": 2,
    "request.variants.*.pip.wheels-only": 2,
    "builders": 2,
    "data": 2,
    "sources": 2,
    "targets.record": 2,
    "wheels.url": 2,
}
"""The format version that a table needs, by its path in a lock.

A table (or field) that version 1 lacks is added here with version 2.  Its path has a dot between keys, passes
over the items of lists, and writes ``*`` for any key: ``targets.models``, ``request.variants.*.models``.  Its
default is one that is not written (None or empty), and :mod:`envbuild.lock.identity` leaves it out of the tag
where it is absent.  See docs/adr/0044-versions-of-the-lock.md."""


def dumps(lock: Lock, *, version_of_table: Mapping[str, int] = VERSION_OF_TABLE) -> str:
    """Return the text of ``lock`` in the lowest format version that has its tables.

    Equal locks give equal text.
    """
    document = _plain(lock.model_dump(mode="python", by_alias=True, exclude_none=True))
    needed = (version for table, version in version_of_table.items() if _has(document, table.split(".")))
    return HEADER + tomli_w.dumps({"version": max(needed, default=READ_VERSIONS[0]), **document})


def loads(text: str) -> Lock:
    """Return the lock that ``text`` holds.

    :raises LockVersionError: written in a format version that this release does not read.
    :raises LockInvalidError: not TOML, a field is wrong, or a reference leads nowhere; all problems at once.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LockInvalidError(
            f"the lock is not valid TOML: {error}", hint=_merge_hint(text) or _RESTORE
        ) from error
    except (RecursionError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise LockInvalidError("the lock is not TOML anybody would write", hint=_RESTORE) from error
    version = document.pop("version", None)
    _require_version(version)
    try:
        lock = Lock.model_validate(document)
    except ValidationError as error:
        unknown = {item["type"] for item in error.errors(include_url=False)} == {"extra_forbidden"}
        if unknown and version != READ_VERSIONS[0]:
            raise LockVersionError(
                "the lock has tables that this release does not know",
                hint="upgrade envbuild: a newer release wrote the lock",
                problems=problems_of(error),
            ) from error
        raise _invalid(problems_of(error)) from error
    problems = tuple(_inconsistencies(lock))
    if problems:
        raise _invalid(problems)
    return lock


def _require_version(version: object) -> None:
    if isinstance(version, int) and not isinstance(version, bool):
        if version in READ_VERSIONS:
            return
        known = " and ".join(str(number) for number in READ_VERSIONS)
        is_newer = version > READ_VERSIONS[-1]
        raise LockVersionError(
            f"the lock has format version {version}; this envbuild reads versions {known}",
            hint=f"upgrade envbuild to a release that reads version {version}"
            if is_newer
            else "delete it and run `envbuild lock`",
        )
    raise LockInvalidError(
        "the lock has no format version",
        hint=_RESTORE,
        problems=(Problem("version", "must be an integer"),),
    )


def _invalid(problems: tuple[Problem, ...]) -> LockInvalidError:
    return LockInvalidError(
        "the lock is not valid",
        hint=_RESTORE,
        problems=problems,
    )


def _merge_hint(text: str) -> str | None:
    if any(line.startswith("<<<<<<< ") for line in text.splitlines()):
        return "it holds an unresolved merge: take one side whole, then run `envbuild lock`"
    return None


def problems_of(error: ValidationError) -> tuple[Problem, ...]:
    """Return what is wrong with a document, each with its field."""
    return tuple(
        Problem(_field_path(item["loc"]), _message(item["type"], item["msg"]))
        for item in error.errors(include_url=False, include_input=False)
    )


def _field_path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _message(kind: str, message: str) -> str:
    plain = {"missing": "is missing", "extra_forbidden": "is not a field of this format"}
    return plain.get(kind) or message[:1].lower() + message[1:]


def _inconsistencies(lock: Lock) -> Iterator[Problem]:
    """Yield every reference that leads nowhere and every list out of order or with doubles."""
    wheels = tuple(wheel.file for wheel in lock.wheels)
    debs = tuple(deb.file for deb in lock.debs)
    bases = tuple(base.key for base in lock.bases)
    yield from _disorder("wheels", wheels)
    yield from _disorder("debs", debs)
    packages = tuple(package.key for package in lock.conda)
    yield from _disorder("bases", bases)
    yield from _disorder("conda", packages)
    yield from _disorder("data", tuple(data.name for data in lock.data))
    for position, target in enumerate(lock.targets):
        where = f"targets[{position}]"
        yield from _dangling(f"{where}.base", (target.base,), bases, "bases")
        yield from _dangling(f"{where}.installer", (target.installer,), wheels, "wheels")
        yield from _dangling(f"{where}.wheels", target.wheels, wheels, "wheels")
        yield from _dangling(f"{where}.debs", target.debs, debs, "debs")
        yield from _dangling(f"{where}.conda", target.conda, packages, "conda packages")
        if (target.conda_installer is None) != (not target.conda):
            yield Problem(f"{where}.conda-installer", "must be there exactly when there are conda packages")
        elif target.conda_installer:
            tool = (target.conda_installer.wheel,)
            yield from _dangling(f"{where}.conda-installer.wheel", tool, wheels, "wheels")
    for position, base in enumerate(lock.bases):
        if (base.image is None) == (base.packages is None):
            yield Problem(f"bases[{position}]", "must have either an image or packages")
        if base.packages:
            yield from _dangling(f"bases[{position}].packages.debs", base.packages.debs, debs, "debs")
    yield from _dangling_sources(lock, wheels=wheels, debs=debs, bases=bases)
    yield from _uncovered(lock)


def _dangling_sources(
    lock: Lock, *, wheels: tuple[str, ...], debs: tuple[str, ...], bases: tuple[str, ...]
) -> Iterator[Problem]:
    builders = tuple(builder.key for builder in lock.builders)
    yield from _disorder("sources", tuple(source.wheel for source in lock.sources))
    yield from _disorder("builders", builders)
    for position, source in enumerate(lock.sources):
        where = f"sources[{position}]"
        yield from _dangling(f"{where}.wheel", (source.wheel,), wheels, "wheels")
        yield from _dangling(f"{where}.requires", source.requires, wheels, "wheels")
        yield from _dangling(f"{where}.builder", (source.builder,), builders, "builders")
    for position, builder in enumerate(lock.builders):
        yield from _dangling(f"builders[{position}].base", (builder.base,), bases, "bases")
        yield from _dangling(f"builders[{position}].debs", builder.debs, debs, "debs")
    built = {source.wheel for source in lock.sources}
    for wheel in lock.wheels:
        if (wheel.hash_source == "built") != (wheel.file in built):
            yield Problem("sources", f"`{wheel.file}` must have a source exactly when it is built")


def _disorder(field: str, keys: tuple[str, ...]) -> Iterator[Problem]:
    for before, after in pairwise(keys):
        if before >= after:
            fault = "stands twice" if before == after else f"is out of order after `{before}`"
            yield Problem(field, f"`{after}` {fault}")


def _dangling(field: str, keys: tuple[str, ...], known: tuple[str, ...], kind: str) -> Iterator[Problem]:
    for key in sorted(set(keys) - set(known)):
        yield Problem(field, f"`{key}` is not among the {kind}")


def _uncovered(lock: Lock) -> Iterator[Problem]:
    asked = set(lock.request.targets())
    held = {(target.variant, target.platform) for target in lock.targets}
    for variant, platform in sorted(asked ^ held):
        fault = "is missing" if (variant, platform) in asked else "was not asked for"
        yield Problem("targets", f"variant `{variant}` on {platform} {fault}")
    for name in sorted(lock.request.data.keys() ^ {data.name for data in lock.data}):
        fault = "is missing" if name in lock.request.data else "was not asked for"
        yield Problem("data", f"`{name}` {fault}")


def _has(value: Any, path: Sequence[str]) -> bool:
    """Return whether there is something at ``path``; see :data:`VERSION_OF_TABLE`."""
    if isinstance(value, list):
        return any(_has(item, path) for item in value)
    if not path or not isinstance(value, dict):
        return not path
    key, *rest = path
    items = value.values() if key == "*" else [value[key]] if key in value else []
    return any(_has(item, rest) for item in items)


def _plain(value: Any) -> Any:
    """Return ``value`` as TOML writes it: lists for tuples, whole-second UTC for times."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item not in ((), {})}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(microsecond=0)
    return value
