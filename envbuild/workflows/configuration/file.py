"""Where the user's configuration file is, and what it says."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from envbuild.errors import ConfigurationError, Problem, SpecError
from envbuild.files.user_folders import home_of, user_folder
from envbuild.spec.files import read_text
from envbuild.spec.problems import RefusedError, field_path, kind_of
from envbuild.workflows.configuration.settings import (
    CREDENTIALS,
    SettingKey,
    is_table,
    key_at,
    variable_value,
)

FILE_VARIABLE: Final = "ENVBUILD_CONFIG"
FILE_NAME: Final = "config.toml"

MOST_LETTERS: Final = 200_000
"""Length of a configuration file."""

MOST_LINES: Final = 1_000
"""Of a file whose lines are told: each takes reading all that stands before it."""


@dataclass(frozen=True, slots=True)
class ConfiguredValue:
    """What the configuration file says of one key."""

    key: SettingKey
    value: str = field(repr=False)
    """As the key's variable has it."""

    _lines: "_Lines" = field(repr=False, compare=False)

    @property
    def line(self) -> int:
        """Where the value begins in the file, counted from 1."""
        return self._lines.of(self.key.path)


def configuration_file(environment: Mapping[str, str]) -> Path | None:
    """Return the file that counts, absolute; it need not exist.  None: the user wants none.

    ``ENVBUILD_CONFIG``, else ``envbuild/config.toml`` in ``XDG_CONFIG_HOME`` or ``~/.config``.  An empty
    ``ENVBUILD_CONFIG`` stands for no file.
    """
    named = environment.get(FILE_VARIABLE)
    if named is None:
        try:
            return user_folder("config", environment) / FILE_NAME
        except RuntimeError:
            # a user without a home has no configuration in it
            return None
    if not named:
        return None
    path = Path(named)
    if path.parts[:1] == ("~",):
        path = home_of(environment).joinpath(*path.parts[1:])
    return path.absolute()


def read_configuration_file(path: Path, environment: Mapping[str, str]) -> tuple[ConfiguredValue, ...]:
    """Return what the file at ``path`` says, in its order.

    :raises ConfigurationError: it cannot be read, is not TOML, or says something that cannot be; all
        problems at once.
    """
    try:
        text = read_text(path, shown=str(path))
    except RefusedError as error:
        raise ConfigurationError(f"the configuration file {error.message}", hint=error.hint) from error
    return parse_configuration(text, path, environment)


def parse_configuration(text: str, path: Path, environment: Mapping[str, str]) -> tuple[ConfiguredValue, ...]:
    """Return what ``text`` says; ``path`` is what errors call it.  See :func:`read_configuration_file`."""
    found, problems = judge_configuration(text, path, environment)
    if problems:
        raise problems_of_file(problems, path)
    return found


def judge_configuration(
    text: str, path: Path, environment: Mapping[str, str]
) -> tuple[tuple[ConfiguredValue, ...], tuple[Problem, ...]]:
    """Return what ``text`` says, and what is wrong with it.

    :raises ConfigurationError: it is not TOML, or too large.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MOST_LETTERS:
        raise ConfigurationError(f"the configuration file `{path}` is too large")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _not_toml(text, path) from error
    found: list[ConfiguredValue] = []
    problems: list[Problem] = []
    lines = _Lines(text)
    for place, value in _leaves(document):
        try:
            key = key_at(place)
            found.append(ConfiguredValue(key, variable_value(key, value, environment), lines))
        except RefusedError as error:
            refused = RefusedError(f"must be a table, not {kind_of(value)}") if is_table(place) else error
            where = f"{path.name}:{lines.of(place)}"
            problems.append(Problem(where, f"`{field_path(place)}`: {refused.message}", refused.hint))
    problems += _contradictions(found, path)
    return tuple(found), tuple(problems)


def problems_of_file(problems: Sequence[Problem], path: Path) -> ConfigurationError:
    """Return the error of a file that has ``problems``."""
    count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
    return ConfigurationError(f"the configuration file `{path}` has {count}", problems=problems)


def _leaves(table: Mapping[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each value that is no known table, with its place."""
    for key, value in table.items():
        below = (*place, key)
        if isinstance(value, dict) and is_table(below):
            yield from _leaves(value, below)
        else:
            yield below, value


def _contradictions(found: list[ConfiguredValue], path: Path) -> Iterator[Problem]:
    by_variable: dict[str, ConfiguredValue] = {}
    places = {item.key.path for item in found}
    for item in found:
        shown = item.key.text
        earlier = by_variable.setdefault(item.key.variable, item)
        if earlier is not item:
            # lines are searched for where somebody is told of one: each costs a reading of the text
            where = f"{path.name}:{item.line}"
            yield Problem(where, f"`{shown}`: means the same as `{earlier.key.text}`", "keep one of them")
        *table, last = item.key.path
        if last in CREDENTIALS and len(table) > 1 and (*table, "url") not in places:
            # a spec of somebody else's could name its own address for this name, and would be sent them
            where = f"{path.name}:{item.line}"
            yield Problem(where, f"`{shown}`: needs `url` beside it", "say which address they are for")


class _Lines:
    """Finds the line that each value of a TOML text begins in."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._found: dict[tuple[str, ...], int] | None = None

    def of(self, place: tuple[str, ...]) -> int:
        """Return the line of ``place``, counted from 1."""
        if self._found is None:
            self._found = dict(self._search())
        return self._found.get(place, 1)

    def _search(self) -> Iterator[tuple[tuple[str, ...], int]]:
        """Yield each value with its line: where a text that ended before that line did not have it yet.

        A statement begins in the line after the last text that was whole.
        """
        known: set[tuple[str, ...]] = set()
        begins = 0
        if len(self._lines) > MOST_LINES:
            return
        for number in range(1, len(self._lines) + 1):
            try:
                document = tomllib.loads("\n".join(self._lines[:number]))
            except tomllib.TOMLDecodeError:
                # in the middle of a value of several lines
                continue
            for place, _ in _leaves(document):
                if place not in known:
                    known.add(place)
                    yield place, begins + 1
            begins = number


def _not_toml(text: str, path: Path) -> ConfigurationError:
    from envbuild.spec.load import parse_toml

    try:
        parse_toml(text, path.name)
    except SpecError as error:
        return ConfigurationError(
            f"the configuration file `{path}` is not TOML", problems=error.problems, hint=error.hint
        )
    return ConfigurationError(f"the configuration file `{path}` is not TOML")
