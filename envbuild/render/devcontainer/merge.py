"""Three versions of one configuration: what was written last, what is there now, what is to be there.

A value is envbuild's to change only as long as nobody else did.  What was written last is remembered as
digests of the values, in the file itself.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from envbuild.digest import sha256_bytes
from envbuild.formats import jsonc

Path = tuple[str, ...]
Record = dict[str, Any]
"""Digest of each value by its JSON pointer (RFC 6901); of a list that others may add to, a digest an item."""

SHARED_LISTS: frozenset[Path] = frozenset(
    {("runArgs",), ("mounts",), ("customizations", "vscode", "extensions")}
)
"""Lists whose items stand each for itself."""

COMMANDS = frozenset({"initializeCommand", "postCreateCommand"})
"""Commands that may be written as text or as a list; beside another each has a name (containers.dev,
"Formatting string vs. array properties")."""

OWN_COMMAND = "own"

STARTS: tuple[Path, ...] = (("image",), ("build",), ("dockerFile",), ("dockerComposeFile",))
"""What a dev container can start from: one of them."""

_DIGITS = 12
_ABSENT = object()


@dataclass(frozen=True, slots=True)
class Edit:
    """One change to a file: a value set or removed, or an item of a list added or taken out."""

    action: Literal["set", "remove", "append", "remove-item"]
    path: Path
    value: Any = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """A value that is neither what envbuild wrote last nor what it would write now."""

    path: Path
    found: Any
    wanted: Any

    @property
    def where(self) -> str:
        """The path as a reader would write it."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class DocumentMerge:
    """What is to be done, and what cannot be done without overwriting somebody's value."""

    edits: tuple[Edit, ...]
    conflicts: tuple[Conflict, ...]


def record_of(document: Mapping[str, Any]) -> Record:
    """Return what to remember of a configuration that envbuild writes."""
    return {
        _pointer(path): [_digest(item) for item in value] if path in SHARED_LISTS else _digest(value)
        for path, value in sorted(_leaves(document))
    }


def merge(
    current: Mapping[str, Any], wanted: Mapping[str, Any], record: Record, *, replace: bool
) -> DocumentMerge:
    """Return how ``current`` becomes ``wanted`` where nobody else has changed it since ``record``.

    With ``replace`` the values in conflict are overwritten.
    """
    edits: list[Edit] = []
    conflicts: dict[Path, Conflict] = {}
    leaves = dict(_leaves(wanted))
    for pointer, written in record.items():
        if _path(pointer) not in leaves:
            edits += _gone(current, _path(pointer), written)
    for path, value in leaves.items():
        written, found = record.get(_pointer(path)), _at(current, path)
        if path in SHARED_LISTS and isinstance(found, list):
            edits += _items(path, found, value, written if isinstance(written, list) else [])
        elif value == {} and isinstance(found, Mapping):
            edits += _emptied(path, found, record)
        elif found is _ABSENT:
            edits += _added(current, path, value, conflicts, replace=replace) if written is None else ()
        elif found != value and (written == _digest(found) or replace):
            edits.append(Edit("set", path, value))
        elif found != value and written != _digest(value):
            conflicts[path] = Conflict(path, found, value)
    others = tuple(_other_starts(current, wanted, record))
    if replace:
        edits += [Edit("remove", path) for path in others]
    else:
        conflicts |= {path: Conflict(path, _at(current, path), "nothing") for path in others}
    return DocumentMerge(tuple(edits), tuple(conflicts.values()))


def apply(text: str, edits: Iterable[Edit]) -> str:
    """Return ``text`` with ``edits`` made one after the other."""
    for edit in edits:
        match edit.action:
            case "set":
                text = jsonc.set_value(text, edit.path, edit.value)
            case "remove":
                text = jsonc.remove(text, edit.path)
            case "append":
                text = jsonc.append_item(text, edit.path, edit.value)
            case "remove-item":
                text = jsonc.remove_item(text, edit.path, edit.value)
            case _:
                assert_never(edit.action)
    return text


def _added(
    current: Mapping[str, Any], path: Path, value: Any, conflicts: dict[Path, Conflict], *, replace: bool
) -> Iterator[Edit]:
    """Yield how a value that was never written comes in; what stands in its way is a conflict."""
    blocked = _blocked(current, path)
    if blocked is None:
        yield Edit("set", path, value)
        return
    found = _at(current, blocked)
    if len(blocked) == 1 and blocked[0] in COMMANDS and isinstance(found, (str, list)):
        yield Edit("set", blocked, {OWN_COMMAND: found, path[-1]: value})
    elif replace:
        yield Edit("set", blocked, {})
        yield Edit("set", path, value)
    else:
        conflicts[blocked] = Conflict(blocked, found, {path[-1]: value})


def _other_starts(current: Mapping[str, Any], wanted: Mapping[str, Any], record: Record) -> Iterator[Path]:
    """Yield what else it would start from, unless its locked start was taken out on purpose."""
    ours = next(path for path in STARTS if path[0] in wanted)
    written = {pointer.split("/")[1] for pointer in record}
    if ours[0] in written and ours[0] not in current:
        return
    for path in STARTS:
        if path != ours and path[0] in current and path[0] not in written:
            yield path


def _items(path: Path, found: list[Any], wanted: list[Any], written: list[str]) -> Iterator[Edit]:
    for item in found:
        if _digest(item) in written and item not in wanted:
            yield Edit("remove-item", path, item)
    for item in wanted:
        if item not in found and _digest(item) not in written:
            yield Edit("append", path, item)


def _emptied(path: Path, found: Mapping[str, Any], record: Record) -> Iterator[Edit]:
    """Yield how an object that is to be there with nothing in it loses what envbuild wrote into it."""
    if found and all(record.get(_pointer(here)) == _digest(value) for here, value in _leaves(found, path)):
        yield Edit("set", path, {})


def _gone(current: Mapping[str, Any], path: Path, written: Any) -> Iterator[Edit]:
    """Yield how a value that envbuild no longer writes goes, if it is still as it was written."""
    found = _at(current, path)
    if path in SHARED_LISTS and isinstance(found, list) and isinstance(written, list):
        yield from _items(path, found, [], written)
    elif found is not _ABSENT and _digest(found) == written:
        yield Edit("remove", path)


def _leaves(document: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, value in document.items():
        here = (*path, key)
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, here)
        else:
            yield here, value


def _at(document: Any, path: Path) -> Any:
    for key in path:
        if not isinstance(document, Mapping) or key not in document:
            return _ABSENT
        document = document[key]
    return document


def _blocked(current: Mapping[str, Any], path: Path) -> Path | None:
    """Return the part of ``path`` at which something else than an object stands in the way."""
    for length in range(1, len(path)):
        found = _at(current, path[:length])
        if found is _ABSENT:
            return None
        if not isinstance(found, Mapping):
            return path[:length]
    return None


def _digest(value: Any) -> str:
    # ASCII: a file may hold half a surrogate pair, which has no UTF-8
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return sha256_bytes(text.encode("ascii"))[:_DIGITS]


def _pointer(path: Path) -> str:
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in path)


def _path(pointer: str) -> Path:
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
