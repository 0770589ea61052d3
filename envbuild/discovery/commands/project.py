"""What commands say that install the project itself, or that let its tool do so."""

import posixpath
from collections.abc import Iterable, Sequence
from typing import Final

from envbuild.discovery.commands.build_state import FROM_HINT, BuildState
from envbuild.discovery.commands.options import read_arguments
from envbuild.discovery.commands.shell_words import ShellWord
from envbuild.discovery.content import PythonEvidence

_FILES: Final = ("pyproject.toml", "setup.py", "setup.cfg")
_FILES_OF: Final = {
    "uv": ("uv.lock", "pyproject.toml"),
    "poetry": ("poetry.lock", "pyproject.toml"),
    "pdm": ("pdm.lock", "pyproject.toml"),
    "pipenv": ("Pipfile.lock", "Pipfile"),
}
_INSTALLING: Final = frozenset({"install", "sync", "export"})
"""What installs the project's lock, or writes it into a file that is installed later."""

_OUTPUTS: Final = frozenset({"-o", "--output", "--output-file"})
_NOTHING_TO_DO: Final = frozenset({
    "config", "lock", "cache", "self", "env", "check", "version", "about", "venv", "help", "show",
    "source", "graph", "requirements", "generate-shell-completion",
})  # fmt: skip
_WITH_VALUE: Final = (
    "--extra", "--group", "--only-group", "--with", "--without", "--only", "-E", "--extras", "-G",
    "--no-group",
    "--python", "-p", "--directory", "--project", "-C", "--package", "--no-install-package", "--link-mode",
    "--no-extra", "--index-url", "-o", "--output", "--output-file", "-f", "--format",
    "--no-binary-package", "--no-build-isolation-package", "--cache-dir",
)  # fmt: skip
_EXTRAS: Final = frozenset({"--extra", "-E", "--extras"})
_GROUPS: Final = frozenset({"--group", "--only-group", "--with", "--only", "-G"})


def take_project(
    state: BuildState, path: str, line: int, *, extras: Iterable[str] = (), groups: Iterable[str] = ()
) -> None:
    """Take the dependencies of the project at ``path`` in the image."""
    where = state.place(line)
    if address := state.cloned_address(path):
        name = address.rstrip("/").rpartition("/")[2].removesuffix(".git")
        hint = f'`packages = ["{name} @ git+{address}@COMMIT"]` in [pip]'
        state.content.leave(where, f"`{path}` is a clone of {address}", hint)
        return
    found = next((source for name in _FILES if (source := state.source_of(f"{path}/{name}"))), None)
    if found is None:
        hint = "name in [pip] what it requires"
        state.content.leave(where, f"`{path}` is no folder of a Python project that is here", hint)
    elif "/" in found:
        hint = f"only the project beside the spec is taken: write a spec beside {found}"
        state.content.leave(where, f"`{path}` is a project in a folder of its own", hint)
    else:
        _note(state, (found,))
        _choose(state, extras, groups)


def read_project_tool(words: Sequence[ShellWord], state: BuildState) -> str | None:
    """Take what ``uv sync``, ``poetry install``, ``pdm sync`` or ``pipenv install`` ask for."""
    tool, line = words[0].text.rpartition("/")[2], words[0].line
    arguments = list(read_arguments(words[1:], _WITH_VALUE))
    plain = [argument.text for argument in arguments if argument.option is None]
    action = plain[0] if plain else ""
    if not action or action in _NOTHING_TO_DO:
        return None
    if tool == "uv" and action == "python":
        _uv_python(plain[1:], state, line)
        return None
    if action not in _INSTALLING or (tool == "pipenv" and len(plain) > 1):
        return f"`{tool} {action}` is not understood" if action != "run" else FROM_HINT
    present = [source for name in _FILES_OF[tool] if (source := state.source_of(name))]
    if not present:
        return f"{' and '.join(_FILES_OF[tool])} are not in the folder"
    _note(state, present)
    state.exported.update(posixpath.basename(item.text) for item in arguments if item.option in _OUTPUTS)
    chosen = [(argument.option, item) for argument in arguments for item in _items(argument.text)]
    extras = [item for option, item in chosen if option in _EXTRAS]
    groups = [item for option, item in chosen if option in _GROUPS and item != "main"]
    _choose(state, extras, groups)
    for argument in arguments:
        if argument.option in {"--all-extras", "--all-groups"}:
            hint = f"`{argument.option}` of `envbuild init` takes them"
            state.content.leave(state.place(line), f"`{argument.option}` is not taken", hint)
    return None


def _uv_python(words: Sequence[str], state: BuildState, line: int) -> None:
    for word in words[1:]:
        state.content.pythons.append(PythonEvidence(word.removeprefix("cpython-"), state.place(line)))


def _note(state: BuildState, files: Iterable[str]) -> None:
    state.content.files += [file for file in files if file not in state.content.files]


def _choose(state: BuildState, extras: Iterable[str], groups: Iterable[str]) -> None:
    content = state.content
    content.extras += [extra for extra in extras if extra and extra not in content.extras]
    content.groups += [group for group in groups if group and group not in content.groups]


def _items(text: str) -> list[str]:
    return [item for item in text.replace(",", " ").split() if item]
