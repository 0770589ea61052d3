"""Lines of ``Requires-Dist`` (PEP 508): read as leniently as resolvers do, and tested for a machine."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

_EXTRA_TEST = re.compile(r"""\bextra\s*==\s*["']([^"']*)["']""")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@lru_cache(maxsize=16384)
def parse_requirement(line: str) -> Requirement:
    """Return a requirement; of a line that is none by today's rules, its name alone.

    Old releases state things like ``foo (>=1.0.*)``; resolvers repair them; here only name and marker
    count.

    :raises InvalidRequirement: not even a name can be made out.
    """
    try:
        return Requirement(line)
    except InvalidRequirement:
        name = _NAME.match(line)
        if name is None:
            raise
        _, separator, marker = line.partition(";")
        return Requirement(f"{name[0]}{separator}{marker}")


def extras_of(lines: Iterable[str]) -> set[NormalizedName]:
    """Return the extras that ``Requires-Dist`` lines speak of."""
    return {canonicalize_name(name) for line in lines for name in _EXTRA_TEST.findall(line) if name}


def may_hold(line: str, extra: str) -> bool:
    """Return False for lines that only hold under another extra: parsing them would take most of the time."""
    if "extra" not in line:
        return not extra
    tested = _EXTRA_TEST.findall(line)
    if not tested or " or " in line:
        return True
    return canonicalize_name(extra) in {canonicalize_name(name) for name in tested}


def holds(requirement: Requirement, environment: Mapping[str, str], extra: str) -> bool:
    """Return whether the marker of ``requirement`` holds there under ``extra``; empty: without an extra."""
    if requirement.marker is None:
        return True
    try:
        return requirement.marker.evaluate({**environment, "extra": extra})
    except (UndefinedComparison, UndefinedEnvironmentName):
        # such a marker can be true nowhere; resolvers ignore the line as well
        return False
