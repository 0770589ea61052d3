"""Lines of shells that build an image (``RUN``, ``postBuild``, ``run:``): what they ask an environment for.

A small set of programs is understood.  Every other command is reported with its line; nothing is run, and
what depends on a condition or on another program's output is never guessed.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from envbuild.discovery.commands.apt import read_apt
from envbuild.discovery.commands.build_state import FROM_HINT, BuildState
from envbuild.discovery.commands.conda import read_conda_command
from envbuild.discovery.commands.numbered_text import NumberedText, numbered
from envbuild.discovery.commands.options import read_arguments
from envbuild.discovery.commands.other_programs import INSTALLER_OF_CONDA, CommandRefusal, refusal_of
from envbuild.discovery.commands.pip import read_pip
from envbuild.discovery.commands.project import read_project_tool
from envbuild.discovery.commands.python import read_git, read_python, read_uv, read_virtualenv
from envbuild.discovery.commands.shell_syntax import ShellCommand, read_commands
from envbuild.discovery.commands.shell_words import ShellWord
from envbuild.discovery.content import PythonEvidence
from envbuild.spec.direct_references import without_credentials

_DEEPEST: Final = 4
"""How many shells may call one another: ``bash -c "sh -c …"``."""

_CONDA: Final = frozenset({"conda", "mamba", "micromamba"})
_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh", "ash"})
_PREFIXES: Final = {
    "sudo": ("-u", "-g"), "exec": (), "time": (), "nohup": (), "eatmydata": (), "nice": ("-n",),
    "command": (), "builtin": (), "gosu": (), "env": ("-u",), "xvfb-run": (), "timeout": (),
}  # fmt: skip
"""Programs that start the one after them, with their options that take a value."""

_PYTHON: Final = re.compile(r"python(?P<version>3?(?:\.[0-9]+)?)")
_PIP: Final = re.compile(r"pip(?P<version>3?(?:\.[0-9]+)?)")
_ASSIGNED: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_BUILD_VARIABLES: Final = re.compile(
    r"(?:PIP|UV|POETRY|CONDA|MAMBA|DEBIAN|APT|NEEDRESTART|LC|PYTHON)_\w+|DEBIAN_FRONTEND|LANG|TZ|HOME|PATH"
    r"|PYTHONUNBUFFERED|MAKEFLAGS|MAX_JOBS|GIT_LFS_SKIP_SMUDGE|ACCEPT_EULA"
)

Handler = Callable[[Sequence[ShellWord], BuildState], CommandRefusal | str | None]


def read_shell(script: str | NumberedText, state: BuildState) -> None:
    """Take what a script asks for into ``state.content``; what is not understood is reported there."""
    _read(numbered(script) if isinstance(script, str) else script, state, 0)


def read_command_words(words: Sequence[str], line: int, state: BuildState) -> None:
    """Take what a command asks for whose words are given, as ``RUN ["pip", "install", "x"]`` gives them."""
    told = tuple(ShellWord(word, line, is_plain=False) for word in words)
    _command(ShellCommand(told, (), line, " ".join(words)[:70]), state, 0)


def _read(text: NumberedText, state: BuildState, depth: int) -> None:
    # what a script assigns, and where it goes, ends with it
    inner = replace(state, variables=dict(state.variables))
    for command in read_commands(text, inner.variables):
        _command(command, inner, depth)


def _command(command: ShellCommand, state: BuildState, depth: int) -> None:
    if command.refused:
        _report(command, CommandRefusal(f"{command.refused} is not read", _hint_for(command.source)), state)
        return
    words = _without_prefix(command.words)
    if not words:
        return
    program = words[0].text.rpartition("/")[2]
    if words[0].unknown == "$@":
        return  # what the container was told to run
    if words[0].unknown and not program:
        _report(command, f"`{words[0].unknown}` has no value here", state)
    elif program in _SHELLS:
        _shell(command, words, state, depth)
    elif program in _CONDA and len(words) > 1 and words[1].text == "run":
        inner = _after_options(words[2:], ("-n", "--name", "-p"))
        _command(replace(command, words=inner), state, depth)
    elif why := _read_program(program, words, command, state):
        _report(command, why, state)


def _read_program(
    program: str, words: tuple[ShellWord, ...], command: ShellCommand, state: BuildState
) -> CommandRefusal | str | None:
    """Take a command; return why it cannot be taken, None where it was."""
    bounds = command.redirected_bounds
    if match := _PIP.fullmatch(program) or _PYTHON.fullmatch(program):
        _report_build_variables(command, state)
        _note_python(match["version"], words[0], state)
        if program.startswith("pip"):
            return read_pip(words, state, bounds)
        return read_python(words, state, bounds)
    if program == "uv":
        _report_build_variables(command, state)
        return read_uv(words, state, bounds)
    if handler := _HANDLERS.get(program):
        return handler(words, state)
    return refusal_of(program, [word.text for word in words[1:]], state.workdir)


def _change_folder(words: Sequence[ShellWord], state: BuildState) -> str | None:
    if len(words) > 1 and words[1].unknown:
        return f"`{words[1].unknown}` has no value here"
    state.workdir = state.absolute(words[1].text if len(words) > 1 else "~")
    return None


def _export(words: Sequence[ShellWord], state: BuildState) -> None:
    for word in words[1:]:
        name, equals, value = word.text.partition("=")
        if equals:
            state.variables[name] = None if word.unknown else value


def _install_packages(words: Sequence[ShellWord], state: BuildState) -> str | None:
    """Read a command that some images have in place of ``apt-get install``."""
    return read_apt((words[0], ShellWord("install", words[0].line), *words[1:]), state)


def _account(words: Sequence[ShellWord], state: BuildState) -> None:
    """Note the name of an account that is made: ``USER`` may say its number."""
    options = ("-u", "--uid", "-g", "--gid", "-G", "--groups", "-d", "--home", "--home-dir", "-s", "--shell",
               "-c", "--comment", "--gecos", "-p", "--password", "-k", "--ingroup")  # fmt: skip
    arguments = list(read_arguments(words[1:], options))
    names = [argument.text for argument in arguments if argument.option is None]
    for argument in arguments:
        if argument.option in {"-u", "--uid"} and names:
            state.accounts[argument.text] = names[0]


_HANDLERS: Final[dict[str, Handler]] = {
    **dict.fromkeys(("apt-get", "apt", "aptitude", "apt-fast"), read_apt),
    **dict.fromkeys(_CONDA, read_conda_command),
    **dict.fromkeys(("poetry", "pdm", "pipenv"), read_project_tool),
    **dict.fromkeys(("useradd", "adduser"), _account),
    "cd": _change_folder,
    "export": _export,
    "git": read_git,
    "install_packages": _install_packages,
    "virtualenv": read_virtualenv,
}


def _shell(command: ShellCommand, words: tuple[ShellWord, ...], state: BuildState, depth: int) -> None:
    """Read what ``sh -c`` is given; a script file is reported."""
    scripts = [
        words[position + 1]
        for position, word in enumerate(words[:-1])
        if re.fullmatch(r"-[a-z]*c", word.text) and not word.unknown
    ]
    if scripts and depth < _DEEPEST and not scripts[0].unknown:
        _read(numbered(scripts[0].text, scripts[0].line), state, depth + 1)
    elif not any(INSTALLER_OF_CONDA.search(word.text) for word in words):
        hint = f"write what it installs into the spec; {FROM_HINT}"
        _report(command, CommandRefusal("runs a script", hint), state)


def _without_prefix(words: tuple[ShellWord, ...]) -> tuple[ShellWord, ...]:
    """Return a command without the programs that only start it: ``sudo -E env X=1 apt-get …``."""
    while words and (with_value := _PREFIXES.get(words[0].text.rpartition("/")[2])) is not None:
        rest = _after_options(words[1:], with_value)
        while rest and _ASSIGNED.match(rest[0].text):
            rest = rest[1:]
        # these take a word of their own first: an account, a time
        words = rest[1:] if words[0].text in {"gosu", "timeout"} else rest
    return words


def _after_options(words: tuple[ShellWord, ...], with_value: Sequence[str]) -> tuple[ShellWord, ...]:
    while words and words[0].text.startswith("-"):
        words = words[2 if words[0].text in with_value else 1 :]
    return words


def _note_python(version: str, word: ShellWord, state: BuildState) -> None:
    """Take ``python3.11`` as a witness of the Python that is wanted."""
    evidence = PythonEvidence(version, state.place(word.line))
    if "." in version and all(known.text != version for known in state.content.pythons):
        state.content.pythons.append(evidence)


def _report_build_variables(command: ShellCommand, state: BuildState) -> None:
    for name, word in command.assignments:
        if not _BUILD_VARIABLES.fullmatch(name):
            hint = "variables of builds are a later feature; the packages themselves are taken"
            state.content.leave(state.place(word.line or command.line), f"`{name}` is set for a build", hint)


def _report(command: ShellCommand, why: CommandRefusal | str, state: BuildState) -> None:
    refusal = why if isinstance(why, CommandRefusal) else CommandRefusal(why, FROM_HINT)
    shown = without_credentials(command.source)
    state.content.leave(state.place(command.line), f"`{shown}`: {refusal.why}", refusal.hint)


def _hint_for(source: str) -> str:
    """Return what to do about a line that is no simple command."""
    if re.search(r"\bxargs\b.*\bapt|\bapt\S* install\b.*<", source):
        return "name the file in [system] files"
    if re.search(r"\b(?:apt-get|apt|pip[0-9.]*|conda|mamba)\s+install\b", source):
        return "write what it installs into [system] packages, [pip] packages or [conda] packages"
    if re.search(r"apt-key|gpg|sources\.list|keyrings", source):
        return f"archives of packages besides the base's are a later feature; {FROM_HINT}"
    if re.search(r"uv/install\.sh|install\.python-poetry|get-pip", source):
        return "nothing is to be done: envbuild installs packages itself"
    return FROM_HINT
