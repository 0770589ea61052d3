"""What a container of an image starts with: ``USER``, ``WORKDIR``, ``ENTRYPOINT`` and ``CMD``."""

import posixpath
import re
import shlex
from dataclasses import dataclass
from typing import Final

from envbuild.discovery.commands.build_state import BuildState
from envbuild.discovery.commands.variables import expand
from envbuild.discovery.container.copies import PROJECT_HINT
from envbuild.discovery.container.syntax import Instruction, exec_form
from envbuild.spec import rules
from envbuild.spec.problems import RefusedError

_FOLDERS_OF_BASES: Final = ("/bin/", "/usr/", "/sbin/")
_ENTERING: Final = (
    *((program, "run") for program in ("conda", "mamba", "micromamba", "poetry", "uv", "pdm", "pipenv")),
    *((program,) for program in ("tini", "/tini", "/usr/bin/tini", "dumb-init", "/usr/bin/dumb-init")),
)
"""How commands begin that enter an environment, or start the first process of a container."""

_OF_SHELLS: Final = re.compile(r"[$`;&|<>*?(){}~#!]|^\w+=")
_PROJECT_FILE: Final = "the program is a file of the project, which is not in the image"


@dataclass(frozen=True, slots=True)
class ContainerStart:
    """How containers start, as far as instructions said so by now."""

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    command_line: int = 0
    user: str | None = None
    user_line: int = 0
    workdir: str | None = None


def words_of(text: str) -> tuple[str, ...]:
    """Return what a ``CMD`` runs: exec form as it is, shell form as its words, or by a shell."""
    plain = text.strip()
    words = exec_form(plain)
    if words is None:
        words = _simple_words(plain) or (["/bin/sh", "-c", plain] if plain else [])
    return tuple(words)


def take_workdir(instruction: Instruction, state: BuildState) -> str | None:
    """Go to the folder of a ``WORKDIR``; return it, None where it is not known."""
    value = expand(instruction.arguments.text.strip().strip("\"'"), state.variables)
    if value.unknown or not value.text:
        why = f"`{value.unknown}` has no value here" if value.unknown else "it names no folder"
        where = state.place(instruction.line)
        state.content.leave(where, f"`{instruction.source}`: {why}", "write it as `workdir` in [image]")
        return None
    state.workdir = state.absolute(value.text)
    return state.workdir


def take_start(start: ContainerStart, state: BuildState) -> None:
    """Take how containers of the last stage start."""
    image = state.content.tables.setdefault("image", {})
    if start.user is not None:
        _user(start.user, state.place(start.user_line), state)
    if start.workdir:
        image["workdir"] = start.workdir
    command = _in_environment([*start.entrypoint, *start.command], state)
    where = state.place(start.command_line)
    if not command:
        return
    if "LAMBDA_TASK_ROOT" in state.variables:
        hint = "what calls the handler is part of that service's base: do it in a Dockerfile of your own"
        state.content.leave(where, f"`{' '.join(command)}` is a handler, not a program", hint)
    elif reason := _not_in_image(command[0], state):
        state.content.leave(where, f"`{' '.join(command)}`: {reason}", PROJECT_HINT)
    elif any("${" in word for word in command):
        hint = "write it as `command` in [image], with `$NAME` in place of `${NAME}`"
        state.content.leave(where, "what containers run holds `${…}`, which is not replaced", hint)
    else:
        try:
            image["command"] = [rules.filled(word) for word in command]
        except RefusedError as error:
            state.content.left.append(error.at(where))


def _in_environment(command: list[str], state: BuildState) -> list[str]:
    """Return a command without what only enters an environment: in the image there is no other."""
    entering = next((words for words in _ENTERING if tuple(command[: len(words)]) == words), None)
    if entering:
        rest = command[len(entering) :]
        while rest and rest[0].startswith("-"):
            rest = rest[2 if rest[0] in {"-n", "--name", "-p", "--prefix"} else 1 :]
        return _in_environment(rest, state)
    if command and state.is_environment(command[0]):
        return [posixpath.basename(command[0]), *command[1:]]
    return command


def _user(written: str, where: str, state: BuildState) -> None:
    value = expand(written, state.variables)
    name = value.text.partition(":")[0]
    name = state.accounts.get(name, name)
    if value.unknown:
        state.content.leave(
            where, f"`USER {written}`: `{value.unknown}` has no value here", "write `user` in [image]"
        )
        return
    try:
        state.content.tables["image"]["user"] = "root" if name == "0" else rules.user(name)
    except RefusedError as error:
        state.content.left.append(error.at(where))


def _not_in_image(program: str, state: BuildState) -> str | None:
    """Return why a container could not start ``program``, None where it can be there."""
    if program.startswith("./") or program.endswith(".sh") or state.source_of(program):
        return _PROJECT_FILE
    if program.startswith("/") and not program.startswith(_FOLDERS_OF_BASES):
        return "the program is not in the image"
    return None


def _simple_words(text: str) -> list[str]:
    """Return the words of a command that needs no shell."""
    try:
        words = shlex.split(text)
    except ValueError:
        return []
    return [] if _OF_SHELLS.search(text) else words
