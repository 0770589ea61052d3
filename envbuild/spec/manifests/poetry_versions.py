"""Version constraints as Poetry and Pipenv write them (``^1.2``, ``~1.2``, ``1.*``), in those of PEP 440.

Format: Poetry documentation, "Dependency specification".
"""

import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from envbuild.spec.problems import RefusedError

_PART = re.compile(r"(?P<operator>\^|~=|~|===|==|!=|<=|>=|<|>|=)?\s*(?P<version>[^\s,^~=!<>]+)")
_MOST = 1000
"""Characters of a constraint."""


def poetry_specifiers(text: str) -> tuple[str, ...]:
    """Return the alternatives of a constraint, each as specifiers of PEP 440, in the order they are written.

    :raises RefusedError: it is not a constraint.
    """
    if len(text) > _MOST:
        raise RefusedError("is not a version constraint")
    return tuple(_alternative(part) for part in re.split(r"\s*\|\|?\s*", text.strip()))


def _alternative(text: str) -> str:
    plain = text.strip().strip(",")
    parts: list[str] = []
    position = 0
    while position < len(plain):
        match = _PART.match(plain, position)
        if match is None:
            raise RefusedError(f"`{text}` is not a version constraint")
        parts += _bounds(match["operator"] or "", match["version"])
        position = match.end()
        while position < len(plain) and plain[position] in ", \t":
            position += 1
    joined = ",".join(parts)
    try:
        SpecifierSet(joined)
    except InvalidSpecifier as error:
        raise RefusedError(f"`{text}` is not a version constraint") from error
    return joined


def _bounds(operator: str, version: str) -> list[str]:
    if version in {"*", "x", "X"}:
        return []
    if operator in {"^", "~"}:
        return _range(operator, version.removesuffix(".*"))
    if operator in {"", "=", "=="}:
        return [f"=={version}"]
    return [f"{operator}{version.removesuffix('.*') if operator not in {'!=', '~='} else version}"]


def _range(operator: str, version: str) -> list[str]:
    try:
        release = Version(version).release
    except InvalidVersion as error:
        raise RefusedError(f"`{operator}{version}` is not a version constraint") from error
    if operator == "~":
        kept = min(2, len(release))
    else:
        kept = next((index for index, number in enumerate(release, start=1) if number), len(release))
    upper = [*release[: kept - 1], release[kept - 1] + 1, *([0] * (max(len(release), 2) - kept))]
    return [f">={version}", f"<{'.'.join(map(str, upper))}"]


def python_marker(text: str) -> str:
    """Return the marker that holds for the Pythons of a constraint, or nothing if for all."""
    alternatives = [_python_alternative(part) for part in poetry_specifiers(text)]
    if not all(alternatives):
        return ""
    return " or ".join(f"({part})" if len(alternatives) > 1 else part for part in alternatives)


def _python_alternative(specifiers: str) -> str:
    return " and ".join(
        _python_condition(part.operator, part.version)
        for part in sorted(SpecifierSet(specifiers), key=str, reverse=True)
    )


def _python_condition(operator: str, version: str) -> str:
    plain = version.removesuffix(".*")
    numbers = plain.split(".")
    exact = len(numbers) > 2 and numbers[2] != "0"  # noqa: PLR2004
    if operator == "==" and len(numbers) == 1:
        return f'python_version >= "{plain}" and python_version < "{int(plain) + 1}"'
    if exact:
        return f'python_full_version {operator} "{plain}"'
    return f'python_version {operator} "{".".join(numbers[:2])}"'
