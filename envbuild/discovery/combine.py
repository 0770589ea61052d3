"""What several files give, put together: lists are joined, and of what contradicts the first is taken."""

from collections.abc import Iterable
from typing import Any

from envbuild.discovery.content import FileContent
from envbuild.errors import Problem

_EITHER = (("base", "image"), ("base", "packages"))
"""Keys of which only one can be there."""


class Combination:
    """Tables of a spec from several files; what a file gives is laid below what those before it gave."""

    def __init__(self) -> None:
        self.content = FileContent()
        self._origins: dict[tuple[str, ...], str] = {}

    def add(self, content: FileContent) -> None:
        """Lay what one more file gives below all that is there."""
        origin = _origin(content)
        for table, keys in content.tables.items():
            for key, value in keys.items():
                self._value((table, key), value, origin)
        for name in ("names", "pythons", "files"):
            known = getattr(self.content, name)
            known += [item for item in getattr(content, name) if item not in known]
        self.content.taken += content.taken
        self.content.left += content.left

    def _value(self, place: tuple[str, str], value: Any, origin: str) -> None:
        table, key = place
        known = self.content.tables.setdefault(table, {})
        if isinstance(value, list) and not _is_one_choice(place):
            self.content.add(table, key, value)
        elif isinstance(value, dict):
            for name, item in value.items():
                self._item(known.setdefault(key, {}), (table, key, name), item, origin)
        elif rival := self._rival(place):
            self._contradicts(".".join(place), self._origins[rival], origin)
        else:
            self._item(known, (table, key), value, origin)

    def _item(self, known: dict[str, Any], place: tuple[str, ...], value: Any, origin: str) -> None:
        name = place[-1]
        if known.setdefault(name, value) == value:
            self._origins.setdefault(place, origin)
        elif isinstance(value, list) and place[:2] == ("image", "prepend"):
            known[name] = [*known[name], *(item for item in value if item not in known[name])]
        else:
            self._contradicts(".".join(place), self._origins.get(place, "another file"), origin)

    def _rival(self, place: tuple[str, str]) -> tuple[str, ...] | None:
        rivals = [other for other in _EITHER if place in _EITHER and other != place]
        return next((other for other in rivals if other in self._origins), None)

    def _contradicts(self, key: str, taken: str, origin: str) -> None:
        message = f"`{key}` differs from that of {taken}, which is taken"
        self.content.left.append(Problem(origin, message, f"edit `{key}` of the spec if {origin} is right"))


def combine(contents: Iterable[FileContent]) -> FileContent:
    """Return what all give; what contradicts an earlier one is in ``left``, both files named."""
    combination = Combination()
    for content in contents:
        combination.add(content)
    return combination.content


def _origin(content: FileContent) -> str:
    if content.taken:
        return content.taken[0].file
    places = [*(python.where for python in content.pythons), *(left.where for left in content.left)]
    return places[0].partition(":")[0] if places else "another file"


def _is_one_choice(place: tuple[str, ...]) -> bool:
    return place == ("image", "command")
