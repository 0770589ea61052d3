"""`docker-bake.json`: rendered folders as targets any BuildKit builds, on remote and Kubernetes drivers too.

Source: Docker's Bake file reference.  Addresses are variables, so the file names no host: bake takes their
values from the environment of whoever runs it.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from envbuild.errors import Problem, SpecError

NOT_GIVEN = "https://address-not-given.invalid"
"""Value of an address nobody gave; the fetch then fails with a name that says so."""

FILE = "docker-bake.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeTarget:
    """One image of a bake file."""

    name: str
    folder: str
    """The rendered folder, relative to the bake file."""

    reference: str
    platform: str
    epoch: int
    """SOURCE_DATE_EPOCH, seconds since 1970."""

    arguments: tuple[str, ...]
    """Build arguments that hold addresses."""


def target_names(parts: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return a name bake accepts for each target: letters, digits, ``-`` and ``_``.

    ``parts`` are what names are made of, by what a person calls the target.

    :raises SpecError: two targets would have one name, and one image would be lost.
    """
    called: dict[str, list[str]] = {}
    for what, words in parts.items():
        name = "-".join(re.sub(r"[^A-Za-z0-9_-]+", "-", word) for word in words)
        called.setdefault(name, []).append(what)
    problems = [
        Problem(name, f"is {' and '.join(several)}", "give their specs, or variants, names that differ")
        for name, several in sorted(called.items())
        if len(several) > 1
    ]
    if problems:
        raise SpecError("several images would have one name in the bake file", problems=problems)
    return {what: name for name, (what,) in called.items()}


def render_bake(targets: Iterable[BakeTarget]) -> str:
    """Return the text of a bake file that builds ``targets``."""
    ordered = sorted(targets, key=lambda target: target.name)
    arguments = sorted({argument for target in ordered for argument in target.arguments})
    document = {
        "variable": {argument: {"default": NOT_GIVEN} for argument in arguments},
        "group": {"default": {"targets": [target.name for target in ordered]}},
        "target": {target.name: _target(target) for target in ordered},
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _target(target: BakeTarget) -> dict[str, object]:
    addresses = {argument: f"${{{argument}}}" for argument in target.arguments}
    return {
        "context": target.folder,
        "tags": [target.reference],
        "platforms": [target.platform],
        "args": addresses | {"SOURCE_DATE_EPOCH": str(target.epoch)},
        # attestations carry the time of the build, and would change the digest of an unchanged image
        "attest": ["type=provenance,disabled=true", "type=sbom,disabled=true"],
    }
