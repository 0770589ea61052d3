"""YAML with the line of every value, each scalar as it is written: ``3.10`` stays ``3.10``.

Nothing is constructed from tags; keys that are there twice, and documents that are too deep or too large, are
reported.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from envbuild.discovery.content import FileContent
from envbuild.errors import Problem

LONGEST: Final = 2_000_000
"""Characters of a document."""

_DEEPEST: Final = 30
_MOST_NODES: Final = 100_000


@dataclass(slots=True)
class YamlNode:
    """One value."""

    line: int
    text: str | None = None
    """A scalar as it is written, without quotes; empty for none; None for a list or a table."""

    items: "list[YamlNode] | None" = None
    members: "dict[str, YamlNode] | None" = None

    @property
    def kind(self) -> str:
        """What it is, in words."""
        if self.members is not None:
            return "a table"
        return "a list" if self.items is not None else "one value"

    @property
    def is_true(self) -> bool:
        """Whether it is YAML's ``true``."""
        return (self.text or "").lower() in {"true", "yes", "on"}


@dataclass(slots=True)
class _Reading:
    file: str
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0


def read_yaml(text: str, file: str, content: FileContent) -> YamlNode | None:
    """Return the one document of ``text``; None, and a problem, where it is none that can be read."""
    # a fifth of all start-up time, for those who have such files
    import yaml  # noqa: PLC0415

    if len(text) > LONGEST:
        content.leave(file, f"is longer than {LONGEST} characters", "it is not read")
        return None
    reading = _Reading(file)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        node = _node(root, reading, 0) if root is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        content.leave(f"{file}:{mark.line + 1}" if mark else file, "is not YAML", "it is not read")
        return None
    except (RecursionError, _TooLargeError):
        content.leave(file, "is nested too deeply, or too large", "it is not read")
        return None
    content.left += reading.problems
    return node


def table_of(node: YamlNode | None, where: str, content: FileContent) -> dict[str, YamlNode]:
    """Return the keys of a table; reports what is none."""
    if node is None or node.text == "":
        return {}
    if node.members is None:
        content.leave(where, f"must be a table, not {node.kind}", "it is not taken")
        return {}
    return node.members


def list_of(node: YamlNode | None, where: str, content: FileContent) -> Iterator[YamlNode]:
    """Yield the items of a list; reports what is none."""
    if node is None or node.text == "":
        return
    if node.items is None:
        content.leave(where, f"must be a list, not {node.kind}", "it is not taken")
        return
    yield from node.items


class _TooLargeError(Exception):
    """More nodes, aliases followed, than a file of a project has."""


def _node(node: Any, reading: _Reading, depth: int) -> YamlNode:
    reading.nodes += 1
    if depth > _DEEPEST or reading.nodes > _MOST_NODES:
        raise _TooLargeError
    line = node.start_mark.line + 1
    if node.id == "scalar":
        is_null = node.tag == "tag:yaml.org,2002:null"
        return YamlNode(line, "" if is_null else str(node.value))
    if node.id == "sequence":
        return YamlNode(line, items=[_node(item, reading, depth + 1) for item in node.value])
    members: dict[str, YamlNode] = {}
    for key, value in node.value:
        name = str(key.value) if key.id == "scalar" else ""
        where = f"{reading.file}:{key.start_mark.line + 1}"
        if key.id != "scalar":
            reading.problems.append(Problem(where, "a key must be one value", "it is not taken"))
        elif name in members:
            reading.problems.append(Problem(where, f"`{name}` is there twice", "the first one is taken"))
        else:
            members[name] = _node(value, reading, depth + 1)
    return YamlNode(line, members=members)
