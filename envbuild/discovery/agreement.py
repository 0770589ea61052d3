"""What files of containers ask for beside the project itself: what it has already, and what it excludes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envbuild.discovery.content import FileContent
from envbuild.errors import Problem

Requirements = Sequence[tuple[str, Iterable[str]]]
"""Files, and what each of them requires."""

LineOf = Callable[[str, str], str]
"""Gives ``file:line`` of a file and a requirement in it, as far as that can be seen."""


def fold_own(contents: Iterable[FileContent], name: str | None, line_of: LineOf) -> None:
    """Take requirements of the project itself out of ``contents``: its extras are asked for in their place.

    ``name`` is the project's, normalised.
    """
    for content in contents:
        pip = content.tables.get("pip", {})
        for text in list(pip.get("packages", ())):
            requirement = Requirement(text)
            if name is None or canonicalize_name(requirement.name) != name:
                continue
            pip["packages"].remove(text)
            content.extras += sorted(requirement.extras)
            message = f"`{text}` is the project itself: only what it requires is taken"
            place = line_of(origin_of(content), text)
            content.leave(place, message, "mount the project when a container starts")


def origin_of(content: FileContent) -> str:
    """Return the file that ``content`` was read from."""
    places = [taken.file for taken in content.taken] + [left.where for left in content.left]
    return places[0].partition(":")[0] if places else "another file"


def origins_of(contents: Iterable[FileContent]) -> dict[str, str]:
    """Return the file of each requirement that is written into the spec."""
    found: dict[str, str] = {}
    for content in contents:
        for text in content.tables.get("pip", {}).get("packages", ()):
            found.setdefault(text, origin_of(content))
    return found


def drop_stale(found: FileContent, required: Requirements, kept: Requirements) -> None:
    """Take out what contradicts a lock: a list of requirements beside a project, else the lock itself.

    ``required`` are files with what they require, ``kept`` the lock with its versions.
    """
    pip = found.tables["pip"]
    for lock, pin, file, text in contradictions([*required, *kept]):
        if lock not in pip.get("locks", ()):
            continue
        stands_beside = pip.get("project") and file in pip.get("requirements", ())
        if stands_beside:
            pip["requirements"].remove(file)
            message = f"not taken: its `{text}` contradicts `{pin}` of {lock}"
            hint = "make it anew from the lock, or remove it"
        elif file in {name for name, _ in required}:
            pip.pop("locks")
            message = f"its versions are not taken: `{pin}` contradicts `{text}` of {file}"
            hint = f'make it anew, then write `locks = ["{lock}"]` in [pip]'
        else:
            continue
        dropped = file if stands_beside else lock
        found.taken = [taken for taken in found.taken if taken.file != dropped]
        found.leave(dropped, message, hint)


def drop_excluded(
    pip: dict[str, Any],
    sources: Requirements,
    origins: Mapping[str, str],
    line_of: LineOf,
) -> list[Problem]:
    """Take out of ``pip`` the packages that what stands before them excludes; both files are named.

    ``sources`` are files with what they require, the first ones believed; ``origins`` are the files of
    packages, by requirement.
    """
    packages = pip.get("packages", [])
    by_file: dict[str, list[str]] = {}
    for text in packages:
        by_file.setdefault(origins.get(text, ""), []).append(text)
    problems = []
    for file, text, other, pin in contradictions([*sources, *by_file.items()]):
        if file in by_file and text in packages and text in by_file[file]:
            packages.remove(text)
            message = f"`{text}` contradicts `{pin}` of {other or 'another file'}, which is taken"
            problems.append(
                Problem(line_of(file, text), message, "write it into the spec in its place if it is right")
            )
    return problems


def contradictions(sources: Iterable[tuple[str, Iterable[str]]]) -> Iterator[tuple[str, str, str, str]]:
    """Yield file and requirement of each that excludes an exact version, or is one, and the other file's."""
    known: dict[str, list[tuple[str, Requirement]]] = {}
    for file, requirements in sources:
        for text in sorted(requirements):
            requirement = Requirement(text)
            earlier = known.setdefault(canonicalize_name(requirement.name), [])
            other = next((one for one in earlier if not _fit(requirement, one[1])), None)
            if other is not None:
                yield file, text, other[0], str(other[1])
            else:
                earlier.append((file, requirement))


def _fit(one: Requirement, other: Requirement) -> bool:
    """Return whether an exact version of one of two requirements is among those of the other."""
    if one.marker or other.marker:
        return True
    return _allows(one, other) and _allows(other, one)


def _allows(requirement: Requirement, pin: Requirement) -> bool:
    versions = [part.version for part in pin.specifier if part.operator == "==" and "*" not in part.version]
    return all(requirement.specifier.contains(version, prereleases=True) for version in versions)
