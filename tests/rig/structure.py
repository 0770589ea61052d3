"""The structure of a package as its files show it; nothing of it is imported."""

import ast
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(frozen=True)
class Module:
    """One file of a package."""

    name: str
    """With dots; the `__init__.py` of a folder is called as the folder."""
    path: Path

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def statements(self) -> tuple[ast.AST, ...]:
        """Every statement, however deep; walking the expressions too would take ten times as long."""
        found: list[ast.AST] = [self.tree]
        for node in found:
            for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                found += getattr(node, field, ())
        return tuple(found)

    @cached_property
    def imported(self) -> frozenset[str]:
        """What is imported at its head, in a function or for types alone, as `module.name`."""
        found = set()
        for node in self.statements:
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
        return frozenset(found)


Package = Mapping[str, Module]
"""Modules by name."""


def read_package(folder: Path) -> Package:
    """Return the modules of the package in ``folder``."""
    modules = {}
    for path in sorted(folder.rglob("*.py")):
        words = path.relative_to(folder.parent).with_suffix("").parts
        name = ".".join(words[:-1] if words[-1] == "__init__" else words)
        modules[name] = Module(name, path)
    return modules


def imports(package: Package) -> Mapping[str, AbstractSet[str]]:
    """Return which modules of ``package`` each of them imports."""
    return {
        module.name: {found for name in module.imported for found in [_longest(name, package)] if found}
        for module in package.values()
    }


def import_cycles(package: Package) -> AbstractSet[tuple[str, ...]]:
    """Return the groups of modules that import each other, directly or by way of others of the group."""
    graph = imports(package)
    reached = {name: _reached(name, graph) for name in graph}
    groups = (tuple(sorted(other for other in reached[name] if name in reached[other])) for name in graph)
    return {group for group in groups if group}


def crowded(package: Package, most: int) -> AbstractSet[str]:
    """Return the folders with more than ``most`` modules of their own, `__init__.py` not counted."""
    counts = Counter(
        module.name.rpartition(".")[0] for module in package.values() if module.path.name != "__init__.py"
    )
    return {name for name, count in counts.items() if count > most}


def shared_class_names(package: Package) -> AbstractSet[str]:
    """Return the names that several classes have, leading underscores left out."""
    counts = Counter(
        node.name.lstrip("_")
        for module in package.values()
        for node in module.statements
        if isinstance(node, ast.ClassDef)
    )
    return {name for name, count in counts.items() if count > 1}


def comparisons(package: Package, words: Collection[str]) -> Mapping[str, AbstractSet[int]]:
    """Return the modules that do one thing or another by one of ``words``, and in which lines.

    That is what compares with the word or with a constant that holds it, has a `case` of it, or a dictionary
    keyed by it.
    """
    constants = {
        f"{module.name}.{name}"
        for module in package.values()
        for name, value in _constants(module)
        if value in words
    }
    found = {
        module.name: set(_compared(module, frozenset(words), _names_of(module, constants)))
        for module in package.values()
    }
    return {name: lines for name, lines in found.items() if lines}


def _longest(name: str, package: Package) -> str:
    while name and name not in package:
        name = name.rpartition(".")[0]
    return name


def _reached(start: str, graph: Mapping[str, AbstractSet[str]]) -> AbstractSet[str]:
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        found = graph[waiting.pop()] - reached
        reached |= found
        waiting += found
    return reached


def _constants(module: Module) -> Iterator[tuple[str, object]]:
    pairs: list[tuple[ast.expr, ast.expr]]
    for node in module.statements:
        if isinstance(node, ast.AnnAssign) and node.value:
            pairs = [(node.target, node.value)]
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            values = node.value.elts if isinstance(node.value, ast.Tuple) else []
            pairs = list(zip(node.targets[0].elts, values, strict=False))
        elif isinstance(node, ast.Assign):
            pairs = [(target, node.value) for target in node.targets]
        else:
            continue
        for target, value in pairs:
            if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
                yield target.id, value.value


def _names_of(module: Module, constants: AbstractSet[str]) -> AbstractSet[str]:
    """Return how ``module`` spells any of ``constants``."""
    spelled = {name.removeprefix(f"{module.name}.") for name in constants}
    for node in module.statements:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole, called = f"{node.module}.{alias.name}", alias.asname or alias.name
                # the constant itself, or of a module
                spelled |= {called + name.removeprefix(whole) for name in constants if _within(name, whole)}
    return spelled


def _within(name: str, whole: str) -> bool:
    return name == whole or name.startswith(f"{whole}.")


def _compared(module: Module, words: AbstractSet[str], names: AbstractSet[str]) -> Iterator[int]:
    if not any(word in module.text for word in words | {name.rpartition(".")[2] for name in names}):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            sides = [node.value]
        elif isinstance(node, ast.Dict):
            sides = [key for key in node.keys if key]
        else:
            continue
        for side in sides:
            for part in side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]:
                is_word = isinstance(part, ast.Constant) and part.value in words
                is_name = isinstance(part, ast.Name | ast.Attribute) and ast.unparse(part) in names
                if is_word or is_name:
                    yield part.lineno
