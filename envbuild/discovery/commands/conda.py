"""What ``conda``, ``mamba`` and ``micromamba`` ask for."""

import re
from collections.abc import Sequence
from typing import Final

from envbuild.discovery.commands.build_state import BuildState
from envbuild.discovery.commands.options import Argument, read_arguments
from envbuild.discovery.commands.shell_words import ShellWord
from envbuild.discovery.content import PythonEvidence
from envbuild.spec import conda_rules
from envbuild.spec.problems import RefusedError

_WITH_VALUE: Final = (
    "-c", "--channel", "-n", "--name", "-p", "--prefix", "-f", "--file", "--solver", "--repodata-fn",
    "--platform", "--subdir", "-r", "--root-prefix", "--category",
)  # fmt: skip
_FILES: Final = frozenset({"-f", "--file"})
_CHANNELS: Final = frozenset({"-c", "--channel"})
_NOTHING_TO_DO: Final = frozenset({
    "clean", "init", "info", "list", "activate", "deactivate", "search", "shell", "repoquery", "notices",
    "config-show", "doctor", "run-check", "remove", "uninstall", "self-update",
})  # fmt: skip
_OWN: Final = frozenset({
    "conda", "mamba", "conda-libmamba-solver", "libmamba", "pip", "conda-lock", "conda-pack", "anaconda",
    "conda-build", "setuptools", "wheel",
})  # fmt: skip
_PYTHON: Final = re.compile(r"=*(3\.[0-9]+(?:\.[0-9]+)?)(?:\.\*)?")


def read_conda_command(words: Sequence[ShellWord], state: BuildState) -> str | None:
    """Take what a command of conda asks for.  Returns why it cannot be taken, None where it was."""
    arguments = list(read_arguments(words[1:], _WITH_VALUE))
    plain = [argument for argument in arguments if argument.option is None]
    action = plain[0].text if plain else ""
    if action == "config":
        return _config(arguments, plain, state)
    if action == "env":
        plain = plain[1:]
        action = plain[0].text if plain else ""
        if action not in {"create", "update"}:
            return None
        if all(argument.option not in _FILES for argument in arguments):
            arguments.append(Argument("--file", ShellWord("environment.yml", words[0].line), words[0].line))
    if not action or action in _NOTHING_TO_DO:
        return None
    if action == "lock":
        return "lock files are taken from the folder"
    if action not in {"install", "create", "update"}:
        return f"`{action}` is not understood"
    _environment(arguments, state)
    _install(arguments, plain[1:], state)
    return None


def take_match_spec(text: str, state: BuildState, line: int) -> None:
    """Take one package of conda."""
    where = state.place(line)
    try:
        package = conda_rules.parse_match_spec(text)
    except RefusedError as error:
        state.content.left.append(error.at(where))
        return
    if package.name == "python":
        take_conda_python(package.version, where, state)
    elif package.name not in _OWN:
        state.content.add("conda", "packages", [str(package)])


def take_conda_python(version: str | None, where: str, state: BuildState) -> None:
    """Take what is asked of conda's Python as evidence."""
    if match := _PYTHON.fullmatch(version or ""):
        state.content.pythons.append(PythonEvidence(match[1], where))
    elif version:
        state.content.pythons.append(PythonEvidence(version, where, is_range=True))


def take_channel(name: str, state: BuildState, line: int) -> None:
    """Take a channel, after those that are there."""
    if name == "nodefaults":
        return
    try:
        state.content.add("conda", "channels", [conda_rules.channel(name)])
    except RefusedError as error:
        state.content.left.append(error.at(state.place(line)))


def _install(arguments: Sequence[Argument], packages: Sequence[Argument], state: BuildState) -> None:
    for argument in arguments:
        if argument.option in _FILES:
            _file(argument, state)
        elif argument.option in _CHANNELS:
            take_channel(argument.text, state, argument.line)
    for argument in packages:
        if argument.value and argument.value.unknown:
            message = f"`{argument.value.unknown}` has no value here"
            state.content.leave(state.place(argument.line), message, "name it in [conda] packages")
        else:
            take_match_spec(argument.text, state, argument.line)
    conda = state.content.tables.get("conda", {})
    if conda.get("packages") and not conda.get("channels"):
        take_channel("conda-forge", state, arguments[0].line)


def _file(argument: Argument, state: BuildState) -> None:
    source = state.source_of(argument.text)
    if source is None:
        hint = "keep it in the folder, and name it in [conda] files"
        state.content.leave(state.place(argument.line), f"`{argument.text}` is no file of the folder", hint)
    elif source not in state.content.files:
        state.content.files.append(source)


def _config(arguments: Sequence[Argument], plain: Sequence[Argument], state: BuildState) -> str | None:
    """Take channels that are configured; other settings are the solver's affair."""
    options = {argument.option for argument in arguments}
    values = [argument for argument in plain[1:] if argument.text]
    if options & {"--add", "--append", "--prepend"} and values and values[0].text == "channels":
        for argument in values[1:]:
            if argument.text != "defaults":
                take_channel(argument.text, state, argument.line)
        if "--append" not in options:
            channels = state.content.tables.get("conda", {}).get("channels", [])
            added = [argument.text for argument in values[1:] if argument.text in channels]
            channels[:] = [*added, *(channel for channel in channels if channel not in added)]
    return None


def _environment(arguments: Sequence[Argument], state: BuildState) -> None:
    for argument in arguments:
        if argument.option in {"-p", "--prefix"}:
            state.environments.add(state.absolute(argument.text))
