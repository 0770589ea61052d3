"""``devcontainer-lock.json``: which release of each feature a dev container gets.

The form is the dev container CLI's own (containers.dev, "Lockfiles"), to the byte, so that its
``--frozen-lockfile`` accepts what is written here.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envbuild.errors import EnvbuildError
from envbuild.formats.json_text import parse_json

FILE = "devcontainer-lock.json"

# The CLI sorts with JavaScript's localeCompare: punctuation first, in the order of Unicode's root collation.
_PUNCTUATION = "_-,;:!?.'\"()[]{}@*/\\&#%"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedFeature:
    """One feature, pinned."""

    version: str
    """As its own metadata says."""

    resolved: str
    """``registry/repository@sha256:…``, or the address of an archive."""

    integrity: str
    """``sha256:…`` of the manifest, or of the archive."""

    depends_on: tuple[str, ...] = ()
    """The features it needs, as its metadata names them."""


def dumps(features: Mapping[str, LockedFeature]) -> str:
    """Return the file for features by the names they are referred to."""
    entries = {}
    for name in sorted(features, key=_collated):
        feature = features[name]
        entries[name] = {
            "version": feature.version,
            "resolved": feature.resolved,
            "integrity": feature.integrity,
            **({"dependsOn": list(feature.depends_on)} if feature.depends_on else {}),
        }
    return json.dumps({"features": entries}, indent=2, ensure_ascii=False) + "\n"


def loads(text: str, shown: str) -> dict[str, LockedFeature]:
    """Return the features of a file; an empty file has none.  ``shown`` is what messages call it.

    :raises EnvbuildError: it is not such a file.
    """
    if not text.strip():  # how the CLI is told to make one
        return {}
    try:
        features = parse_json(text)["features"]
        return {name: _feature(entry) for name, entry in features.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvbuildError(
            f"{shown} is not a lock of dev container features", hint="delete it; it is made anew"
        ) from error


def _feature(entry: dict[str, Any]) -> LockedFeature:
    return LockedFeature(
        version=_text(entry["version"]),
        resolved=_text(entry["resolved"]),
        integrity=_text(entry["integrity"]),
        depends_on=tuple(_text(item) for item in _list(entry.get("dependsOn", []))),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    value.encode()  # half a surrogate pair could not be written again: UnicodeEncodeError, a ValueError
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(value)
    return value


def _collated(name: str) -> tuple[tuple[int, str], ...]:
    return tuple(
        (_PUNCTUATION.index(character), "") if character in _PUNCTUATION else (100, character)
        for character in name.lower()
    )
