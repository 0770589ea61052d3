"""``ENV``: what it sets, which of that belongs into a spec, and which only put a folder before the base's."""

import posixpath
import re
from collections.abc import Iterator
from typing import Final

from envbuild.discovery.commands.build_state import BuildState
from envbuild.discovery.commands.numbered_text import NumberedText
from envbuild.discovery.commands.variables import expand
from envbuild.spec import rules
from envbuild.spec.problems import RefusedError

_PAIR: Final = re.compile(
    r"([A-Za-z_][A-Za-z0-9_.-]*)=((?:[^\s\"'\\]|\\.|\"(?:\\.|[^\"\\])*\"|'[^']*')*)", re.DOTALL
)
_OF_INSTALLERS: Final = re.compile(
    r"(?:PIP|UV|POETRY|PDM|PIPENV|CONDA|MAMBA|DEBIAN|APT|NEEDRESTART|VIRTUAL_ENV|GET_PIP|SETUPTOOLS|BUILDKIT)"
    r"(?:_\w+)?|PYTHON_(?:VERSION|PIP_VERSION|GET_PIP_\w+)|NVIDIA_(?:VISIBLE_DEVICES|DRIVER_CAPABILITIES)"
    r"|PYTHONUSERBASE|PYTHONHOME|PYENV_\w+|WORKON_HOME"
)
"""Variables of programs that envbuild does without, and those of GPUs, which [gpu] stands for."""

_INDEXES: Final = re.compile(r"(?:PIP|UV)_(?:EXTRA_INDEX_URL|INDEX_URL|FIND_LINKS|INDEX|DEFAULT_INDEX)")
_SECRET: Final = re.compile(
    r"(?i)(?:^|_)(?:token|password|passwd|secret|credentials?|api_?key|access_?key)(?:$|_)"
)
_PATHS: Final = re.compile(r"(?:\w+_)?PATH|PYTHONPATH|CPATH|MANPATH")


def read_env(text: NumberedText, state: BuildState, *, is_final: bool) -> None:
    """Take the variables of an ``ENV``; what later lines see of them is kept in ``state.variables``."""
    before = dict(state.variables)
    # all values of one instruction see what was set before it
    for name, written, offset in _pairs(text, state):
        where = state.place(text.line_at(offset))
        value = expand(_without_single_quotes(written), before)
        state.variables[name] = None if value.unknown else value.text
        if is_final:
            take_variable(name, written, where, state, before)


def take_variable(
    name: str, written: str, where: str, state: BuildState, variables: dict[str, str | None]
) -> None:
    """Take one variable that containers have; ``written`` may hold others in ``$``."""
    content = state.content
    try:
        rules.variable(name)
    except RefusedError as error:
        content.left.append(error.at(where))
        return
    if _INDEXES.fullmatch(name):
        hint = "name it in [pip.indexes], and bind packages to it in [pip.sources]"
        content.leave(where, f"`{name}` names an index, and not for which packages", hint)
    elif name == "NVIDIA_VISIBLE_DEVICES" and written.strip("\"'") not in {"void", "none", ""}:
        content.tables.setdefault("gpu", {}).setdefault("cuda", "auto")
    elif _OF_INSTALLERS.fullmatch(name):
        return
    elif _SECRET.search(name):
        content.leave(
            where, f"`{name}` may be a secret: its value is not taken", "hand it to the container instead"
        )
    elif folders := _prepended(name, written):
        _prepend(name, folders, where, state, variables)
    else:
        _set(name, written, where, state, variables)


def _set(name: str, written: str, where: str, state: BuildState, variables: dict[str, str | None]) -> None:
    content = state.content
    value = expand(_without_single_quotes(written), variables)
    if value.unknown:
        hint = f'write its value: `{name} = "…"` in [image.env]'
        content.leave(where, f"`{name}`: `{value.unknown}` has no value here", hint)
        return
    if name == "PATH":
        _prepend(name, (value.text.split(":"), []), where, state, variables)
        return
    try:
        text = rules.plain(value.text)
    except RefusedError as error:
        content.left.append(error.at(where))
        return
    if "${" in text:
        content.leave(where, f"`{name}` holds `${{…}}`, which is not replaced", "write what it stands for")
        return
    content.tables.setdefault("image", {}).setdefault("env", {})[name] = text


def _prepend(
    name: str,
    folders: tuple[list[str], list[str]],
    where: str,
    state: BuildState,
    variables: dict[str, str | None],
) -> None:
    """Take folders before, and after, what the base has in a variable."""
    taken, late = [], []
    for folder in (*folders[0], *folders[1]):
        value = expand(folder, variables)
        if value.unknown:
            hint = f'write the folder: `{name} = ["…"]` in [image.prepend]'
            state.content.leave(where, f"`{name}`: `{value.unknown}` has no value here", hint)
        elif value.text and not (name == "PATH" and _is_known_folder(value.text, state)):
            taken.append(value.text)
            late += [value.text] if folder in folders[1] else []
    if late:
        message = f"`{name}`: {', '.join(late)} comes after the base's own value"
        state.content.leave(where, message, "it is put before it")
    if taken:
        table = state.content.tables.setdefault("image", {}).setdefault("prepend", {})
        known = table.get(name, [])
        table[name] = [*taken, *(folder for folder in known if folder not in taken)]


def _is_known_folder(folder: str, state: BuildState) -> bool:
    """Return whether a folder is on the base's ``PATH``, or one of an environment that envbuild replaces."""
    usual = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}
    plain = posixpath.normpath(folder)
    is_tool = re.search(r"/(?:\.poetry|poetry|\.cargo|\.local|\.uv|\.pixi|\.pyenv\S*)/(?:bin|shims)$", plain)
    return plain in usual or state.is_environment(plain) or bool(is_tool)


def _prepended(name: str, written: str) -> tuple[list[str], list[str]] | None:
    """Return the folders before and after the variable's own value, where ``written`` holds it."""
    text = written.strip().strip("\"'")
    match = re.fullmatch(rf"(.*?):?\$(?:{name}\b|\{{{name}(?::?[-+][^}}]*)?\}}):?(.*)", text, re.DOTALL)
    if match is None or not _PATHS.fullmatch(name):
        return None
    before, after = (list(_parts(side)) for side in (match[1], match[2]))
    return (before, after) if before or after else None


def _parts(text: str) -> Iterator[str]:
    """Split at colons, not at those of ``${X:-y}``."""
    for part in re.split(r":(?![^{]*\})", text):
        if part:
            yield part


def _pairs(numbered: NumberedText, state: BuildState) -> Iterator[tuple[str, str, int]]:
    """Yield names and values as they are written, with their places; ``ENV NAME value`` is the old form."""
    text = numbered.text
    first = re.match(r"\s*([^\s=]+)", text)
    if first and text[first.end() : first.end() + 1] != "=":
        yield first[1], text[first.end() :].strip(), first.start(1)
        return
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        match = _PAIR.match(text, position)
        if match is None:
            where = state.place(numbered.line_at(position))
            shown = " ".join(text[position : position + 40].split())
            state.content.leave(where, f"`ENV {shown}` cannot be read", "write `ENV NAME=value`")
            return
        yield match[1], _unescaped(match[2]), position
        position = match.end()


def _unescaped(value: str) -> str:
    """Take off double quotes and backslashes; single quotes stay, for what is in them is not replaced."""
    without = re.sub(
        r"\"((?:\\.|[^\"\\])*)\"", lambda match: match[1].replace('\\"', '"'), value, flags=re.DOTALL
    )
    return re.sub(r"\\([ '])", r"\1", without)


def _without_single_quotes(value: str) -> str:
    return re.sub(r"'([^']*)'", lambda match: match[1].replace("$", "\\$"), value)
