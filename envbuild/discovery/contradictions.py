"""Files that exclude each other: one is taken whole, of the other what can hold beside it."""

from collections.abc import Callable, Iterable
from typing import Any

from envbuild.errors import Problem
from envbuild.spec.manifests.contradictions import contradictions_of

_PROJECT = "pyproject.toml"
_LISTS = ("project", "extras", "groups")
_SHARED = ("indexes", "find-links", "sources", "build")

Requirements = Callable[[dict[str, Any]], Iterable[str]]
"""What a [pip] table asks for; nothing if it has problems."""


def settle_contradictions(pip: dict[str, Any], requirements: Requirements) -> list[Problem]:
    """Write into ``pip`` what can hold of a file that excludes another one's version; both are named."""
    shared = {key: pip[key] for key in _SHARED if key in pip}
    named = {file: {"requirements": [file]} for file in pip.get("requirements", ())}
    if lists := {key: pip[key] for key in _LISTS if key in pip}:
        named[_PROJECT] = lists
    asked = {file: set(requirements({**shared, **keys})) for file, keys in named.items()}
    problems: dict[Problem, None] = {}
    for found in contradictions_of(asked.items()):
        asked[found.file].discard(found.requirement)
        _write_out(pip, found.file, asked[found.file])
        problems[
            Problem(
                found.file,
                f"{found.message}, which is taken",
                "the rest is written into the spec; change one of the two files to have both",
            )
        ] = None
    return list(problems)


def _write_out(pip: dict[str, Any], file: str, left: Iterable[str]) -> None:
    """Put the requirements of a file into the spec, in place of its name."""
    if file == _PROJECT:
        for key in _LISTS:
            pip.pop(key, None)
    else:
        pip["requirements"] = [name for name in pip.get("requirements", ()) if name != file]
        if not pip["requirements"]:
            del pip["requirements"]
    pip["packages"] = sorted({*pip.get("packages", ()), *left})
