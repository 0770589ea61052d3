"""Commands of a README that install packages: all there is to go by in a folder that says it nowhere else.

Only lines of code blocks that begin with an installer are read, as lines of a build are; none is run.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envbuild.discovery.commands.build_state import SOURCES, BuildState
from envbuild.discovery.commands.numbered_text import numbered
from envbuild.discovery.commands.shell_lines import read_shell
from envbuild.discovery.content import FileContent, PythonEvidence, Taken
from envbuild.discovery.project_folder import ProjectFolder
from envbuild.files.sizes import counted

PATTERNS: Final = (
    "README.md",
    "README.rst",
    "README.txt",
    "README",
    "INSTALL.md",
    "get_started.md",
    "docs/install*.md",
    "docs/get_started.md",
)
_MOST_FILES = 6
_MOST_LINES = 5000
_FENCE = re.compile(r"\s*(```|~~~)")
_PIP = re.compile(r"\s*(?:[$>%!]\s*)?(?P<command>(?:(?:python3? -m |uv )?pip3?|uv) (?:install|add) .+)")
_CONDA = re.compile(r"\s*(?:[$>%!]\s*)?(?P<command>(?:conda|mamba|micromamba) install .+)")

_CREATED = re.compile(
    r"\b(?:conda|mamba|micromamba) (?:env )?create\b[^#]*\bpython\s*=+\s*(?P<conda>3\.[0-9]{1,2})"
    r"|\buv venv\b[^#]*(?:--python|-p)[ =](?P<uv>3\.[0-9]{1,2})"
)


def read_readme(folder: ProjectFolder, own_names: Iterable[str]) -> Iterator[FileContent]:
    """Yield what the README tells to install, without the project itself, whose names are ``own_names``."""
    own: set[str] = {canonicalize_name(name) for name in own_names}
    for file in folder.find(*PATTERNS)[:_MOST_FILES]:
        text = folder.read(file)
        if text is None:
            continue
        lines = list(_code_lines(text))
        for pattern in (_PIP, _CONDA):
            content = _read(folder, file, _commands(lines, pattern))
            _leave_out(content, own)
            if content.tables:
                count = sum(len(table.get("packages", ())) for table in content.tables.values())
                content.taken = [Taken(file, f"{counted(count, 'package')}, which its commands install")]
                content.leave(
                    file, "its commands are all that says what is needed", "read the spec: it may lack some"
                )
                yield content
                return


def read_readme_python(folder: ProjectFolder) -> Iterator[FileContent]:
    """Yield the Python that the README makes an environment with: what it was tried with, at least."""
    for file in folder.find(*PATTERNS)[:_MOST_FILES]:
        for number, line in _code_lines(folder.read(file) or ""):
            if match := _CREATED.search(line):
                version = PythonEvidence(
                    f"{match['conda'] or match['uv']}.*", f"{file}:{number}", is_range=True
                )
                yield FileContent(pythons=[version])
                return


def _read(folder: ProjectFolder, file: str, commands: Iterable[tuple[int, str]]) -> FileContent:
    content = FileContent()
    for line, command in commands:
        state = BuildState(content, file, folder.has, workdir=SOURCES, copied={SOURCES: "."})
        read_shell(numbered(command, line), state)
    return content


def _leave_out(content: FileContent, own: set[str]) -> None:
    pip = content.tables.get("pip", {})
    kept = [text for text in pip.get("packages", ()) if not _is_own(text, own)]
    if "packages" in pip:
        pip["packages"] = kept
    content.tables = {name: table for name, table in content.tables.items() if table.get("packages")}


def _is_own(text: str, own: set[str]) -> bool:
    requirement = Requirement(text)
    address = (requirement.url or "").partition("@")[0].rstrip("/").removesuffix(".git")
    return bool(own & {canonicalize_name(requirement.name), canonicalize_name(address.rpartition("/")[2])})


def _commands(lines: Iterable[tuple[int, str]], pattern: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    for number, line in lines:
        if match := pattern.fullmatch(line):
            yield number, match["command"].rstrip("`").strip()


def _code_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of code blocks, fenced or indented, with their numbers."""
    is_code = False
    for number, line in enumerate(text.splitlines()[:_MOST_LINES], start=1):
        if _FENCE.match(line):
            is_code = not is_code
        elif is_code or line.startswith(("    ", "\t", "   ")):
            yield number, line
