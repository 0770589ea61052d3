"""Distributions that conda packages bring, or that have addresses: a resolver takes them as they are.

uv resolves against indexes, not against what is installed.  So each such distribution is handed over as a
constraint to a file of its own: a wheel without content, whose metadata says name and version.  What conda
provides requires nothing, for its dependencies are conda's affair; what has an address requires what it says.
"""

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from envbuild.errors import NoSolutionError, Problem
from envbuild.lock.requires_dist import extras_of
from envbuild.resolve.python.backend import Pin, PlacedPin

_EARLIEST = (1980, 1, 1, 0, 0, 0)


def provided_pins(lines: Iterable[str]) -> tuple[Pin, ...]:
    """Return ``name==version`` lines as pins, sorted by name."""
    parts = (line.partition("==") for line in lines)
    pins = (Pin(name=canonicalize_name(name), version=version) for name, _, version in parts)
    return tuple(sorted(pins, key=lambda pin: pin.name))


def stand_ins(provided: Iterable[Pin], folder: Path) -> list[str]:
    """Write a wheel for each distribution into ``folder``; return the constraints that name them."""
    lines = []
    for pin in provided:
        folder.mkdir(exist_ok=True)
        stem = f"{pin.name.replace('-', '_')}-{pin.version}"
        path = folder / f"{stem}-py3-none-any.whl"
        members = {
            "METADATA": _metadata(pin),
            "WHEEL": "Wheel-Version: 1.0\nGenerator: envbuild\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            "RECORD": "",
        }
        with zipfile.ZipFile(path, "w") as wheel:
            for name, text in members.items():
                wheel.writestr(zipfile.ZipInfo(f"{stem}.dist-info/{name}", _EARLIEST), text)
        lines.append(f"{pin.name} @ {path.as_uri()}")
    return lines


def _metadata(pin: Pin) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {pin.name}", f"Version: {pin.version}"]
    if isinstance(pin, PlacedPin):
        lines += [f"Requires-Python: {pin.requires_python}"] if pin.requires_python else []
        lines += [f"Requires-Dist: {line}" for line in pin.requires]
        lines += [f"Provides-Extra: {extra}" for extra in sorted(extras_of(pin.requires))]
    return "".join(f"{line}\n" for line in lines)


def refuse_conflicts(
    requirements: Iterable[str], provided: Iterable[Pin], environment: Mapping[str, str]
) -> None:
    """Raise what is asked of pip and provided by conda in a version that does not satisfy it.

    :raises NoSolutionError: with every such requirement.
    """
    versions: dict[NormalizedName, str] = {pin.name: pin.version for pin in provided}
    problems = []
    for text in sorted(requirements):
        requirement = Requirement(text)
        version = versions.get(canonicalize_name(requirement.name))
        if version is None or not _holds(requirement, environment):
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            problems.append(
                Problem("pip", f"`{text}` is asked of pip, but conda provides {requirement.name} {version}")
            )
    if problems:
        raise NoSolutionError(
            "[pip] and [conda] contradict each other",
            problems=problems,
            hint="ask for the version in [conda] packages, or leave the package to one of them",
        )


def _holds(requirement: Requirement, environment: Mapping[str, str]) -> bool:
    try:
        return requirement.marker is None or requirement.marker.evaluate({**environment, "extra": ""})
    except (UndefinedComparison, UndefinedEnvironmentName):
        return False
