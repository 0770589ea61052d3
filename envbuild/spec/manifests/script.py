"""Scripts that say what they need in a comment block (PEP 723)."""

import re

from envbuild.errors import Problem, SpecError
from envbuild.spec.load import parse_toml
from envbuild.spec.manifests.content import ManifestContent, WrittenRequirement

_START, _END = "# /// script", "# ///"


def has_script_block(text: str) -> bool:
    """Return whether a file says that it is a script with requirements."""
    return any(line.rstrip() == _START for line in text.splitlines())


def read_script(text: str, file: str) -> ManifestContent:
    """Return what the block of a script says."""
    content = ManifestContent(name=re.sub(r"\.py$", "", file.rpartition("/")[2]))
    lines = [line.rstrip() for line in text.splitlines()]
    starts = [number for number, line in enumerate(lines) if line == _START]
    if len(starts) != 1:
        message = f"has {len(starts)} blocks `{_START}`" if starts else f"has no block `{_START}`"
        content.problems.append(Problem(file, message))
        return content
    (start,) = starts
    block = _block(lines[start + 1 :])
    if block is None:
        content.refuse(f"{file}:{start + 1}", f"its block does not end with `{_END}`")
        return content
    try:
        # empty lines before it, so that numbers of lines are those of the file
        document = parse_toml("\n" * (start + 1) + "\n".join(block), file)
    except SpecError as error:
        content.problems += error.problems or [Problem(file, error.message)]
        return content
    if isinstance(python := document.get("requires-python"), str):
        content.pythons.append((python, True, file))
    dependencies = document.get("dependencies", [])
    if not isinstance(dependencies, list) or not all(isinstance(item, str) for item in dependencies):
        content.refuse(f"{file}: dependencies", "must be a list of requirements")
        return content
    content.dependencies = [
        WrittenRequirement.at(f"{file}:{_line(item, lines)}", item) for item in dependencies
    ]
    return content


def _block(lines: list[str]) -> list[str] | None:
    """Return the block without its marks; the last line of the comment that ends one counts."""
    comment = []
    for line in lines:
        if not line.startswith("#"):
            break
        comment.append(line)
    ends = [index for index, line in enumerate(comment) if line == _END]
    return [line.removeprefix("# ").removeprefix("#") for line in comment[: ends[-1]]] if ends else None


def _line(item: str, lines: list[str]) -> int:
    return next((number for number, line in enumerate(lines, start=1) if item in line), 1)
