"""A tree of packages as text for a terminal."""

from collections.abc import Iterator

from envbuild.workflows.packages.tree import PackageTree, TreeLine
from envbuild.workflows.sizes import counted, readable_size

_LINES = ("├── ", "└── ", "│   ", "    ")
_ASCII = ("|-- ", "`-- ", "|   ", "    ")

REPEATED = "(*)"


def as_text(tree: PackageTree, *, encoding: str | None, sizes: bool) -> Iterator[str]:
    """Yield the lines of a tree, with lines drawn in what ``encoding`` has; None: in ASCII."""
    draws = _LINES if _can_draw(encoding) else _ASCII
    repeated = False
    sections = tree.sections(sizes=sizes)
    for position, section in enumerate(sections):
        if position:
            yield ""
        if section.table:
            yield section.table if section.table == "python" else f"[{section.table}]"
        prefixes: list[str] = []
        for line in section.lines:
            del prefixes[max(0, line.level - 1) :]
            branch = draws[line.is_last] if line.level else ""
            yield "".join(prefixes) + branch + _said(line, is_named=section.table is None, sizes=sizes)
            if line.level:
                prefixes.append(draws[2 + line.is_last])
            repeated = repeated or line.is_repeated
    if sizes:
        yield ""
        in_all = counted(sum(1 for key in tree.reached if tree.graph.packages[key].part != "base"), "file")
        yield f"{in_all} of {readable_size(tree.size)}; packages of the base are not counted"
    if repeated:
        yield ""
        yield f"{REPEATED} shown in full above"


def _can_draw(encoding: str | None) -> bool:
    try:
        "".join(_LINES).encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def _said(line: TreeLine, *, is_named: bool, sizes: bool) -> str:
    package, edge = line.package, line.edge
    if line.requested and line.level:
        table = line.requested.table
        what = f"[{table}] asks for it" if table != "python" else "the Python of the spec"
        return f"{what}: {line.requested.requirement}"
    notes = []
    if line.requested and line.requested.requirement not in {package.name, ""} and not line.requested.via:
        notes.append(f"asked for: {line.requested.requirement}")
    if via := (edge.via if edge else line.requested.via if line.requested else ""):
        notes.append(f"provides {via}")
    if edge and edge.extra:
        notes.append(f"extra {edge.extra}")
    if package.part == "base":
        notes.append("of the base")
    elif package.part != "environment":
        notes.append({"tool": "tool of builds", "build": "used by builds from source"}[package.part])
    if (is_named and not line.level) or (edge and edge.source[1] != edge.target[1]):
        notes.insert(0, package.kind)
    if sizes and package.size is not None and package.part != "base":
        in_all = f", {readable_size(line.total)} with what it requires" if line.total > package.size else ""
        notes.append(f"{readable_size(package.size)}{in_all}")
    shown = f" ({'; '.join(notes)})" if notes else ""
    return f"{package.label}{shown}{f' {REPEATED}' if line.is_repeated else ''}"
