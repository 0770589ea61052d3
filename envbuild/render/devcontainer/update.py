"""The text of a configuration, written for the first time or brought up to date."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envbuild.digest import sha256_bytes
from envbuild.formats import jsonc
from envbuild.render.devcontainer.configuration import RECORD
from envbuild.render.devcontainer.merge import Conflict, Record, apply, merge, record_of

HEADER = """\
// Written by `envbuild devcontainer` from the lock.  What you change or add here stays: writing it again
// changes only values that are as envbuild left them, and refuses where both have changed.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a configuration says of its own making."""

    variant: str = ""
    platform: str = ""
    target: str = ""
    """Digest of the target it was written for."""

    image: str = ""
    """The image it was written for."""

    wrote: Record = field(default_factory=dict)
    """The values that were written."""

    files: Mapping[str, str] = field(default_factory=dict)
    """sha256 of each file that was written beside it."""


@dataclass(frozen=True, slots=True)
class Updated:
    """A configuration as it should be."""

    text: str
    value: Mapping[str, Any]
    conflicts: tuple[Conflict, ...]


def known_of(value: Mapping[str, Any]) -> Known:
    """Return what a configuration says of its own making; what makes no sense in it counts as not said."""
    record: Any = value
    for key in RECORD:
        record = record.get(key) if isinstance(record, dict) else None
    if not isinstance(record, dict):
        return Known()

    def text(key: str) -> str:
        return record[key] if isinstance(record.get(key), str) else ""

    def table(key: str) -> dict[str, Any]:
        return record[key] if isinstance(record.get(key), dict) else {}

    return Known(
        variant=text("variant"),
        platform=text("platform"),
        target=text("target"),
        image=text("image"),
        wrote={pointer: digest for pointer, digest in table("wrote").items() if pointer.startswith("/")},
        files={name: digest for name, digest in table("files").items() if isinstance(digest, str)},
    )


def update(
    text: str | None, document: Mapping[str, Any], know: Known, *, known: Known, replace: bool
) -> Updated:
    """Return the configuration that says ``document``, with everything in ``text`` that is somebody else's.

    ``known`` is what ``text`` says of its making, ``know`` what the new text is to say.  With conflicts the
    text is the old one.

    :raises JsoncError: ``text`` cannot be read.
    """
    record = _record(document, know)
    if text is None:
        whole = _with_record(document, record)
        return Updated(HEADER + jsonc.dumps(whole), whole, ())
    current = jsonc.parse(text).value
    merged = merge(current, document, known.wrote, replace=replace)
    if merged.conflicts:
        return Updated(text, current, merged.conflicts)
    edited = apply(text, merged.edits)
    outer = jsonc.parse(edited).value.get(RECORD[0], {})
    if not isinstance(outer, dict):
        return Updated(text, current, (Conflict(RECORD[:1], outer, {RECORD[1]: record}),))
    if outer.get(RECORD[1]) != record:
        edited = jsonc.set_value(edited, RECORD, record)
    return Updated(edited, jsonc.parse(edited).value, ())


def digest_of_file(text: str) -> str:
    """Return what is remembered of a file beside the configuration."""
    return sha256_bytes(text.encode())


def _record(document: Mapping[str, Any], know: Known) -> dict[str, Any]:
    return {
        "variant": know.variant,
        "platform": know.platform,
        "target": know.target,
        "image": know.image,
        "wrote": record_of(document),
        **({"files": dict(sorted(know.files.items()))} if know.files else {}),
    }


def _with_record(document: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    outer, inner = RECORD
    return {**document, outer: {**document.get(outer, {}), inner: record}}
