"""The user's configuration: shown with what each value comes from, and changed key by key."""

import codecs
import os
import shlex
import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from envbuild.errors import ConfigurationError, Problem, SpecError, UsageError
from envbuild.spec.problems import field_path
from envbuild.workflows.configuration.edits import NotEditableError, NotSetError, with_value, without_value
from envbuild.workflows.configuration.environment import Configuration, read_user_configuration
from envbuild.workflows.configuration.file import (
    FILE_VARIABLE,
    ConfiguredValue,
    configuration_file,
    judge_configuration,
    problems_of_file,
)
from envbuild.workflows.configuration.settings import (
    CREDENTIALS,
    NAME,
    SETTINGS,
    Setting,
    SettingKey,
    holds_secret,
    parse_key,
    shown_value,
    value_of_text,
    variable_value,
)
from envbuild.workflows.engines import VARIABLE, engine_choice
from envbuild.workflows.project import Project, find_project

Origin = Literal["variable", "spec", "file", "default"]

_Refusal = tuple[str, str | None]
"""What was not done, and a hint."""

PRIVATE = 0o600
"""Mode of a new configuration file: it may come to hold credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingInForce:
    """One key, as commands see it."""

    key: str
    value: str | None
    """Without credentials; None: it is not set, and has no default."""

    origin: Origin
    source: str
    """What set it, for people: ``config.toml:3``, ``ENVBUILD_CACHE_DIR``, ``envbuild.toml``, ``default``."""

    about: str

    def document(self) -> dict[str, Any]:
        """Return the setting as JSON values."""
        return {"key": self.key, "value": self.value, "origin": self.origin, "source": self.source}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationResult:
    """All settings, and the file they may come from."""

    file: Path | None
    exists: bool
    settings: tuple[SettingInForce, ...]
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the configuration as JSON values."""
        return {
            "file": None if self.file is None else str(self.file),
            "exists": self.exists,
            "settings": [setting.document() for setting in self.settings],
        }


def show_configuration(variables: Mapping[str, str] = os.environ) -> ConfigurationResult:
    """Return every key with its value and where it comes from; of tables by name, those that are set.

    The engine is that of the project of the current folder, if there is one.

    :raises ConfigurationError: the configuration file cannot be used.
    :raises UsageError: a variable names no engine.
    """
    configuration = read_user_configuration(variables)
    return ConfigurationResult(
        file=configuration.file,
        exists=configuration.exists,
        settings=tuple(_settings(configuration)),
        notes=tuple(_notes(configuration)),
    )


def setting_in_force(text: str, variables: Mapping[str, str] = os.environ) -> SettingInForce:
    """Return the key ``text`` as commands see it.

    :raises UsageError: there is no such key, or a variable names no engine.
    :raises ConfigurationError: the configuration file cannot be used.
    """
    return _setting(parse_key(text), read_user_configuration(variables))


def user_configuration_file(variables: Mapping[str, str] = os.environ) -> Path:
    """Return the user's configuration file, absolute; it need not exist.

    :raises UsageError: there is none: ``ENVBUILD_CONFIG`` is empty, or nobody knows the home.
    """
    path = configuration_file(variables)
    if path is None:
        raise UsageError(
            "there is no configuration file", hint=f"name one in {FILE_VARIABLE}, or unset it and set HOME"
        )
    return path


def set_value(text: str, value: str, variables: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Set the key ``text`` in the user's file; comments, order and links stay.  Return notes about it.

    :raises UsageError: there is no such key.
    :raises ConfigurationError: the key cannot have this value, or the file cannot be used as it is.
    """
    from envbuild.spec.problems import RefusedError

    key, path = parse_key(text), user_configuration_file(variables)
    wanted = value_of_text(key, value)
    try:
        variable_value(key, wanted, variables)
    except RefusedError as error:
        raise ConfigurationError(f"`{key.text}` {error.message}", hint=error.hint) from error

    def change(text: str) -> str:
        return with_value(text, key.path, wanted)

    def refused(keys: Collection[SettingKey]) -> _Refusal:
        address = (*key.path[:-1], "url")
        if key.path[-1] in CREDENTIALS and len(key.path) > 1 and address not in {one.path for one in keys}:
            return "set", f"first run {_command('set', address, 'ADDRESS')}"
        same = next((one for one in keys if one != key and one.variable == key.variable), None)
        return "set", f"run {_command('set', same.path, 'VALUE')}" if same else None

    _edit(key, path, change, refused, variables)
    notes = [f"{key.variable} is set, and wins over the file"] if key.variable in variables else []
    return (*notes, *_notes(read_user_configuration(variables)))


def unset_value(text: str, variables: Mapping[str, str] = os.environ) -> None:
    """Remove the key ``text`` from the user's file; a table that is empty then goes too.

    :raises UsageError: there is no such key, or the file does not set it.
    :raises ConfigurationError: the file cannot be used.
    """
    key, path = parse_key(text), user_configuration_file(variables)

    def change(text: str) -> str:
        try:
            return without_value(text, key.path)
        except NotSetError:
            raise UsageError(f"`{key.text}` is not set in `{path}`") from None

    def refused(keys: Collection[SettingKey]) -> _Refusal:
        beside = {(*key.path[:-1], name) for name in CREDENTIALS}
        typed = [_command("unset", one.path) for one in keys if one.path in beside]
        return "removed", f"first run {' and '.join(typed)}" if typed else None

    _edit(key, path, change, refused, variables)


def _settings(configuration: Configuration) -> Iterator[SettingInForce]:
    for setting in SETTINGS:
        for key in _keys(setting, configuration):
            yield _setting(key, configuration)


def _keys(setting: Setting, configuration: Configuration) -> Iterator[SettingKey]:
    """Yield the keys of a setting: itself, or for each name that the file or a variable has."""
    if NAME not in setting.path:
        yield SettingKey(setting, setting.path)
        return
    named = {item.key.variable: item.key for item in configuration.values if item.key.setting == setting}
    start, _, end = setting.variable.partition(NAME)
    for variable, value in configuration.variables.items():
        name = variable.removeprefix(start).removesuffix(end)
        if value and name and variable == f"{start}{name}{end}":
            written = name.lower().replace("_", "-")
            path = tuple(written if part == NAME else part for part in setting.path)
            named.setdefault(variable, SettingKey(setting, path))
    yield from (named[variable] for variable in sorted(named))


def _setting(key: SettingKey, configuration: Configuration) -> SettingInForce:
    value, origin, source = _found(key, configuration)
    shown = None if not value else shown_value(key.setting, value)
    return SettingInForce(key=key.text, value=shown, origin=origin, source=source, about=key.setting.about)


def _found(key: SettingKey, configuration: Configuration) -> tuple[str | None, Origin, str]:
    """Return the value as commands get it, and what it comes from."""
    if key.setting.kind == "engine":
        return _engine(key, configuration)
    from_file = _from_file(key, configuration)
    if from_file is not None:
        return from_file.value, "file", f"{configuration.file}:{from_file.line}"
    if value := configuration.variables.get(key.variable):
        return value, "variable", key.variable
    return _default(key, configuration), "default", "default"


def _engine(key: SettingKey, configuration: Configuration) -> tuple[str, Origin, str]:
    project = _project()
    choice = engine_choice(None, project, configuration.environment)
    from_file = _from_file(key, configuration)
    match choice.by:
        case "spec" if project is not None:
            return choice.name, "spec", str(project.shown(project.spec))
        case "configuration" if from_file is not None:
            return choice.name, "file", f"{configuration.file}:{from_file.line}"
        case "default":
            return choice.name, "default", "default"
        case by:
            return choice.name, "variable", VARIABLE if by == "variable" else key.variable


def _from_file(key: SettingKey, configuration: Configuration) -> ConfiguredValue | None:
    return next((item for item in configuration.in_force if item.key == key), None)


def _project() -> Project | None:
    try:
        project = find_project(frozen=True)
        if project is not None and project.spec.is_file():
            _ = project.reading
    except (SpecError, OSError):
        # what is wrong with a spec is for the commands that need it
        return None
    return project


def _default(key: SettingKey, configuration: Configuration) -> str | None:
    from envbuild.cache.location import cache_folder
    from envbuild.catalog.active import update_path

    environment = configuration.environment
    if key.path == ("cache-dir",):
        return str(cache_folder(environment))
    if key.path == ("data-dir",):
        return str(update_path(environment).parent)
    return None


def _notes(configuration: Configuration) -> Iterator[str]:
    if configuration.file is None or not configuration.exists:
        return
    secret = any(holds_secret(item.key.setting, item.value) for item in configuration.values)
    if secret and configuration.file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield (
            f"other users may read the credentials in {configuration.file}: run "
            f"`chmod 600 {configuration.file}`"
        )


def _command(name: str, place: tuple[str, ...], *more: str) -> str:
    """Return what to type to change the key at ``place``."""
    return f"`{' '.join(('envbuild config', name, shlex.quote(field_path(place)), *more))}`"


def _edit(
    key: SettingKey,
    path: Path,
    change: Callable[[str], str],
    refused: Callable[[Collection[SettingKey]], _Refusal],
    variables: Mapping[str, str],
) -> None:
    """Change the text of ``path``, unless the result could not be used; what it was before may be wrong.

    ``refused`` is given the keys that the result has, and says what was not done and what to do first.

    :raises ConfigurationError: the file cannot be read, changed or written, or would not be right then.
    """
    from envbuild.files import atomic

    # a link, as programs that look after such files make them, stays one
    real = path.resolve()
    text = _text(real, path)
    _require_writable(real, path)
    _, before = judge_configuration(text, path, variables)
    try:
        edited = change(text)
    except NotEditableError as error:
        if before:
            raise problems_of_file(before, path) from error
        raise ConfigurationError(
            f"`{key.text}` cannot be changed in the form that `{path}` has",
            hint="change the file in an editor",
        ) from error
    values, after = judge_configuration(edited, path, variables)
    # lines are those of the file as it is
    known = {problem.message for problem in before}
    caused = [Problem("", problem.message) for problem in after if problem.message not in known]
    still = {problem.message for problem in after}
    left = [problem for problem in before if problem.message in still]
    if caused:
        done, hint = refused([item.key for item in values])
        raise ConfigurationError(
            f"`{key.text}` was not {done}: `{path}` would be wrong", problems=[*caused, *left], hint=hint
        )
    if left:
        raise problems_of_file(left, path)
    mode = real.stat().st_mode & 0o7777 if real.exists() else PRIVATE
    atomic.write_text(real, edited, mode=mode)


def _require_writable(real: Path, path: Path) -> None:
    """Refuse a file whose mode forbids writing, though a new one could take its place: somebody wants that.

    :raises ConfigurationError: it is read-only, for its owner (root too) or for this user.
    """
    if not real.exists():
        return
    found = real.stat()
    if found.st_mode & stat.S_IWUSR and os.access(real, os.W_OK):
        return
    mine = os.geteuid() in {0, found.st_uid}
    hint = f"first run `chmod u+w {shlex.quote(str(path))}`" if mine else None
    raise ConfigurationError(f"the configuration file `{path}` is read-only", hint=hint)


def _text(real: Path, path: Path) -> str:
    """Return the text of ``real``, which messages call ``path``, with its mark; if it is not there, none."""
    from envbuild.spec.files import read_text
    from envbuild.spec.problems import RefusedError

    if not os.path.lexists(real):
        return ""
    try:
        text = read_text(real, shown=str(path))
    except RefusedError as error:
        raise ConfigurationError(f"the configuration file {error.message}", hint=error.hint) from error
    return f"\ufeff{text}" if real.read_bytes().startswith(codecs.BOM_UTF8) else text
