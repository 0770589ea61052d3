"""Repositories for Binder: what its configuration files ask for besides packages.

Format: repo2docker's specification of reproducible execution environments (REES).  The folder ``binder`` or
``.binder`` wins over the repository's own; a Dockerfile wins over all other files, environment.yml over
Pipfile, that over requirements.txt; runtime.txt does not count beside an environment.yml.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from envbuild.discovery.commands.build_state import FROM_HINT, SOURCES, BuildState
from envbuild.discovery.commands.numbered_text import numbered
from envbuild.discovery.commands.shell_lines import read_shell
from envbuild.discovery.commands.shell_syntax import read_commands
from envbuild.discovery.container.environment_variables import take_variable
from envbuild.discovery.content import FileContent, PythonEvidence, Taken

FOLDERS: Final = ("binder/", ".binder/")

LONGEST: Final = 500_000
"""Characters of a script that is read."""

_MAIN: Final = (
    ("environment.yml",), ("Pipfile.lock",
    "Pipfile"), ("requirements.txt",), ("pyproject.toml",), ("setup.py",),
)  # fmt: skip
"""Files that name the packages, the first one that is there wins."""

_OTHERS: Final = {
    "install.R": "it installs packages of R",
    "DESCRIPTION": "it installs packages of R",
    "Project.toml": "it installs packages of Julia",
    "REQUIRE": "it installs packages of Julia",
    "default.nix": "it is an environment of Nix",
}
_FILES: Final = (
    "Dockerfile", *(name for names in _MAIN for name in names), "apt.txt", "postBuild", "start",
    "runtime.txt",
    *_OTHERS,
)  # fmt: skip


_OF_REPOSITORY: Final = (
    "environment.yml",
    "Pipfile.lock",
    "Pipfile",
    "requirements.txt",
    "runtime.txt",
    "apt.txt",
)


@dataclass(frozen=True, slots=True)
class BinderFiles:
    """Which files Binder takes."""

    folder: str
    """Where they are: ``binder/``, ``.binder/``, or empty for the repository's own folder."""

    dockerfile: str | None
    main: str | None
    """The file that names the packages."""

    ignored: tuple[str, ...]
    """Files that do not count beside these."""


def binder_files(exists: Callable[[str], bool]) -> BinderFiles | None:
    """Return which files Binder takes, None where nothing says that a repository is for Binder."""
    folders = [folder for folder in FOLDERS if any(exists(folder + name) for name in _FILES)]
    folder = folders[0] if folders else ""
    if not folders and not exists("postBuild") and not exists("start"):
        return None
    present = [folder + name for name in _FILES if exists(folder + name)]
    second = [folders[1] + name for name in _FILES if exists(folders[1] + name)] if len(folders) > 1 else []
    dockerfile = f"{folder}Dockerfile"
    if folder:
        # then the repository's own files do not count
        has_packages = any(folder + name in present for names in _MAIN for name in names)
        second += [
            name for name in _OF_REPOSITORY if exists(name) and (has_packages or dockerfile in present)
        ]
    if folder and dockerfile in present:
        ignored = [file for file in present if file != dockerfile]
        return BinderFiles(folder, dockerfile, None, (*ignored, *second))
    mains = [folder + name for names in _MAIN for name in names if folder + name in present]
    main = mains[0] if mains else None
    ignored = [file for file in mains[1:] if folder]
    if main and main.endswith("environment.yml") and exists(f"{folder}runtime.txt"):
        ignored.append(f"{folder}runtime.txt")
    return BinderFiles(folder, None, main, (*ignored, *second))


def read_binder(
    files: BinderFiles, read: Callable[[str], str | None], *, exists: Callable[[str], bool]
) -> FileContent:
    """Return what the files of a repository for Binder ask for, besides its Dockerfile and its packages.

    ``read`` gives the text of a file of the folder; the file that names the packages is in ``files``.
    """
    content = FileContent()
    for file in files.ignored:
        wins = files.dockerfile or files.main or files.folder
        content.leave(file, f"not taken: Binder does not read it beside {wins}", "remove one of them")
    if files.dockerfile:
        return content
    if files.main:
        content.files.append(files.main)
    _runtime(files, read, content)
    for name, script in (("postBuild", _post_build), ("start", _start)):
        text = read(files.folder + name) if exists(files.folder + name) else None
        if text is not None:
            script(text, files.folder + name, content, exists)
    for name, what in _OTHERS.items():
        if exists(files.folder + name) and files.folder:
            content.leave(files.folder + name, f"not taken: {what}", FROM_HINT)
    return content


def _runtime(files: BinderFiles, read: Callable[[str], str | None], content: FileContent) -> None:
    file = f"{files.folder}runtime.txt"
    text = read(file) if files.folder and file not in files.ignored else None
    if text is None:
        return
    if match := re.fullmatch(r"python-(3(?:\.[0-9]+)+)", text.strip()):
        content.pythons.append(PythonEvidence(match[1], file))
        content.taken.append(Taken(file, f"Python {match[1]}"))
    else:
        content.leave(file, "names no version of CPython", "write one, such as `python-3.11`")


def _post_build(text: str, file: str, content: FileContent, exists: Callable[[str], bool]) -> None:
    if _is_readable(text, file, content):
        before = len(content.left)
        read_shell(text, _state(file, content, exists))
        if len(content.left) == before:
            content.taken.append(Taken(file, "its commands"))


def _start(text: str, file: str, content: FileContent, exists: Callable[[str], bool]) -> None:
    """Read what runs when a container starts: variables it exports are those of the image."""
    if not _is_readable(text, file, content):
        return
    state = _state(file, content, exists)
    for command in read_commands(numbered(text), {}):
        where = state.place(command.line)
        if command.words and command.words[0].text == "export":
            for word in command.words[1:]:
                name, equals, value = word.text.partition("=")
                if word.unknown or not equals:
                    content.leave(where, f"`{command.source}` is known when a container starts", FROM_HINT)
                else:
                    take_variable(name, value.replace("$", "\\$"), where, state, {})
        elif not (command.words and command.words[-1].unknown == "$@"):
            hint = "`command` in [image] is what containers run"
            content.leave(where, f"`{command.source}` runs when a container starts", hint)


def _is_readable(text: str, file: str, content: FileContent) -> bool:
    first = text.partition("\n")[0]
    if first.startswith("#!") and not re.search(r"\b(?:ba|da|z)?sh\b", first):
        content.leave(file, f"`{first}` runs it, which is no shell", FROM_HINT)
        return False
    if len(text) > LONGEST:
        content.leave(file, f"is longer than {LONGEST} characters", "it is not read")
        return False
    return True


def _state(file: str, content: FileContent, exists: Callable[[str], bool]) -> BuildState:
    return BuildState(content, file, exists, workdir=SOURCES, copied={SOURCES: "."})
