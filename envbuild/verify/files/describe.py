"""A difference between two records of one path, in words."""

from typing import Final

from envbuild.oci.layer_listing import DERIVED, FORM, FileRecord

DIGITS: Final = 12
"""Hexadecimal digits of a digest that are shown."""

KIND_WORDS: Final = {
    "f": "a file",
    "l": "a link",
    "d": "a folder",
    "c": "a character device",
    "b": "a block device",
    "p": "a named pipe",
}


def describe_record(record: FileRecord) -> str:
    """Return what a record is, in short."""
    if record.kind == "f":
        return f"sha256 {(record.content or '')[:DIGITS]}…"
    if record.kind == "l":
        return f"a link to {record.content}"
    device = f" {record.content}" if record.kind in {"c", "b"} else ""
    return f"{KIND_WORDS[record.kind]}{device}"


def describe_change(expected: FileRecord, found: FileRecord) -> tuple[str, str]:
    """Return (expected, found) in words: every field that is not the same.

    Of records that are the same both are empty.
    """
    before: list[str] = []
    after: list[str] = []

    def note(one: str, other: str) -> None:
        before.append(one)
        after.append(other)

    if (expected.kind, expected.content) != (found.kind, found.content):
        note(describe_record(expected), describe_record(found))
    if expected.mode != found.mode and "l" not in {expected.kind, found.kind}:
        note(f"mode {expected.mode:04o}", f"mode {found.mode:04o}")
    if (expected.uid, expected.gid) != (found.uid, found.gid):
        note(f"owner {expected.uid}:{expected.gid}", f"owner {found.uid}:{found.gid}")
    names = sorted({name for name, _ in (*expected.attributes, *found.attributes)})
    for name in names:
        one, other = dict(expected.attributes).get(name), dict(found.attributes).get(name)
        # what a listing works out of a file's content has been said with the content
        if one != other and (name == FORM or not name.startswith(DERIVED)):
            note(_attribute(name, one), _attribute(name, other))
    return ", ".join(before), ", ".join(after)


def _attribute(name: str, value: str | None) -> str:
    if name == FORM:
        return "stored plainly" if value is None else "stored in another form"
    short = name.removeprefix("SCHILY.xattr.")
    return f"no {short}" if value is None else f"{short}={value}"
