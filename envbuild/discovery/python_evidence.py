"""Files that say which Python is used or tested, and nothing else of an environment."""

import re
from collections.abc import Iterator
from typing import Any

from envbuild.discovery.content import FileContent, PythonEvidence
from envbuild.discovery.project_folder import Reader, each

_MINOR = re.compile(r"3\.[0-9]{1,2}")
_MOST_DEPTH = 12


def _single(pattern: str) -> "Any":
    def read(text: str, file: str) -> FileContent:
        content = FileContent()
        match = re.search(pattern, text.strip(), re.MULTILINE)
        if match:
            content.pythons.append(PythonEvidence(match[1], file))
        else:
            content.leave(file, "names no version of CPython")
        return content

    return read


def read_tool_versions(text: str, file: str) -> FileContent:
    """Return the Python that asdf or mise install."""
    match = re.search(r"^\s*python\s*=?\s*[\"']?([0-9]+(?:\.[0-9]+)+)", text, re.MULTILINE)
    return FileContent(pythons=[PythonEvidence(match[1], file)] if match else [])


def read_tox(text: str, file: str) -> FileContent:
    """Return the Pythons that tox tests with."""
    lines = [
        line for line in text.splitlines() if re.match(r"\s*(envlist|env_list|basepython)\b|\s+py", line)
    ]
    minors = {f"3.{found}" for line in lines for found in re.findall(r"py3\.?([0-9]{1,2})\b", line)}
    for line in lines:
        for braces in re.findall(r"py\{([^}]*)\}", line):
            minors |= {f"3.{found}" for found in re.findall(r"\b3\.?([0-9]{1,2})\b", braces)}
    return _tested(minors, file)


def read_nox(text: str, file: str) -> FileContent:
    """Return the Pythons that nox tests with."""
    lists = re.findall(r"(?i)python(?:_versions|s)?\s*(?::[^=\n]*)?=\s*[\[(]([^\])]*)[\])]", text)
    return _tested({found for part in lists for found in _MINOR.findall(part)}, file)


def read_workflow(text: str, file: str) -> FileContent:
    """Return the Pythons of a workflow's matrix."""
    import yaml  # noqa: PLC0415 - slow to load, for those who have such files

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return FileContent()
    return _tested(set(_versions(document, 0)), file)


def _versions(node: Any, depth: int) -> Iterator[str]:
    if depth > _MOST_DEPTH:
        return
    if isinstance(node, dict):
        for key, value in node.items():
            if str(key).replace("_", "-").lower() in {"python-version", "python", "python-versions"}:
                for item in value if isinstance(value, list) else [value]:
                    # YAML reads 3.10 as a number: 3.1 is none that anybody tests with
                    text = "3.10" if item == 3.1 else str(item)  # noqa: PLR2004
                    yield from _MINOR.findall(text) if _MINOR.fullmatch(text[:4].rstrip(".")) else ()
            else:
                yield from _versions(value, depth + 1)
    elif isinstance(node, list):
        for item in node:
            yield from _versions(item, depth + 1)


def _tested(minors: set[str], file: str) -> FileContent:
    """Return Pythons that are tested: they choose among what other files allow."""
    if not minors:
        return FileContent()
    ordered = sorted(minors, key=lambda minor: int(minor.partition(".")[2]))
    text = "|".join(f"{minor}.*" for minor in ordered)
    return FileContent(pythons=[PythonEvidence(text, file, is_range=True)])


READERS: tuple[Reader, ...] = (
    each((".python-version",), _single(r"^(?:cpython-)?([0-9]+(?:\.[0-9]+)+)$")),
    each(("runtime.txt", "binder/runtime.txt", ".binder/runtime.txt"), _single(r"^python-([0-9.]+)")),
    each((".tool-versions", ".mise.toml", "mise.toml"), read_tool_versions),
    each(("tox.ini",), read_tox),
    each(("noxfile.py",), read_nox),
    each((".github/workflows/*.y*ml",), read_workflow),
)
