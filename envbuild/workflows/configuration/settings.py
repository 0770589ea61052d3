"""What can be set in the user's configuration file: each key, its variable, and what its value must be.

A key is the default of a variable ``ENVBUILD_…``: all other code knows the variables alone.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from envbuild.errors import UsageError
from envbuild.files.user_folders import home_of
from envbuild.spec.problems import RefusedError, alternatives, field_path, kind_of, near

EngineName = Literal["docker", "local"]

ENGINES: Final[tuple[EngineName, ...]] = get_args(EngineName)

DEFAULT_ENGINE_VARIABLE: Final = "ENVBUILD_DEFAULT_ENGINE"
"""The engine where neither the command line, ``ENVBUILD_ENGINE`` nor the spec names one."""

NAME: Final = "<NAME>"
"""Stands for a name that the user chooses, in keys and in variables."""

SCHEMES: Final = ("http", "https", "file")

Kind = Literal["engine", "folder", "file", "address", "hosts", "text", "secret"]

_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\])(:[0-9]+)?")
_TOKEN = re.compile(r"/t/[^/]+")
"""Of an Anaconda server, in the path of a channel."""

_UNSAFE = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One key of the configuration file."""

    path: tuple[str, ...]
    """The tables that lead to it, and the key; :data:`NAME` for a table that the user names."""

    variable: str
    kind: Kind
    about: str


def _access(table: str, what: str, variable: str) -> tuple[Setting, ...]:
    path = (table, NAME)
    return (
        Setting(path=(*path, "url"), variable=f"{variable}_URL", kind="address", about=f"Address of {what}."),
        Setting(
            path=(*path, "username"), variable=f"{variable}_USERNAME", kind="text", about=f"User of {what}."
        ),
        Setting(
            path=(*path, "password"),
            variable=f"{variable}_PASSWORD",
            kind="secret",
            about=f"Password of {what}.",
        ),
    )


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        path=("engine",),
        variable=DEFAULT_ENGINE_VARIABLE,
        kind="engine",
        about="Engine where neither the command line nor the spec names one.",
    ),
    Setting(path=("cache-dir",), variable="ENVBUILD_CACHE_DIR", kind="folder", about="Cache."),
    Setting(path=("data-dir",), variable="ENVBUILD_DATA_DIR", kind="folder", about="Catalogue updates."),
    Setting(
        path=("vendor-dir",),
        variable="ENVBUILD_VENDOR_DIR",
        kind="folder",
        about="Wheels and debs that are used before any server is asked.",
    ),
    Setting(
        path=("insecure-registries",),
        variable="ENVBUILD_INSECURE_REGISTRIES",
        kind="hosts",
        about="Image registries without TLS.",
    ),
    Setting(
        path=("python-url",),
        variable="ENVBUILD_PYTHON_URL",
        kind="address",
        about="Mirror of the standalone Pythons.",
    ),
    Setting(
        path=("apt", "mirror"),
        variable="ENVBUILD_APT_MIRROR",
        kind="address",
        about="Mirror of the distribution's main archive.",
    ),
    Setting(
        path=("apt", "snapshot"),
        variable="ENVBUILD_APT_SNAPSHOT",
        kind="address",
        about="Service of dated archives.",
    ),
    Setting(
        path=("apt", "keyring"),
        variable="ENVBUILD_APT_KEYRING",
        kind="file",
        about="Keys that archives are signed with.",
    ),
    Setting(
        path=("apt", "mirrors", NAME),
        variable=f"ENVBUILD_APT_MIRROR_{NAME}",
        kind="address",
        about="Mirror of another archive.",
    ),
    *_access("indexes", "a Python index", f"ENVBUILD_INDEX_{NAME}"),
    *_access("channels", "a conda channel", f"ENVBUILD_CHANNEL_{NAME}"),
)

CREDENTIALS: Final = ("username", "password")
"""Last parts of keys that are only used for the address beside them."""


@dataclass(frozen=True, slots=True)
class SettingKey:
    """A key as a file or a command line writes it."""

    setting: Setting
    path: tuple[str, ...]

    @property
    def text(self) -> str:
        """The key as TOML writes it: ``indexes.corp.url``."""
        return field_path(self.path)

    @property
    def variable(self) -> str:
        """The variable that this key is the default of."""
        pairs = zip(self.setting.path, self.path, strict=True)
        name = next((part for declared, part in pairs if declared == NAME), "")
        return self.setting.variable.replace(NAME, re.sub(r"[^A-Z0-9]", "_", name.upper()))


def key_at(path: tuple[str, ...]) -> SettingKey:
    """Return the key at ``path``.

    :raises RefusedError: there is none.
    """
    for setting in SETTINGS:
        if _matches(setting, path) and len(setting.path) == len(path):
            return SettingKey(setting, path)
    if any(_matches(setting, path) for setting in SETTINGS):
        raise RefusedError("is a table", hint=f"name a key in it: {', '.join(_known(path))}")
    for length in range(len(path)):
        known = _known(path[:length])
        if NAME not in known and path[length] not in known:
            hint = near(path[length], known) if known else None
            raise RefusedError("unknown key", hint=hint or _listed(known))
    raise RefusedError("unknown key")


def is_table(path: tuple[str, ...]) -> bool:
    """Return whether a table may be at ``path``."""
    return any(_matches(setting, path) and len(setting.path) > len(path) for setting in SETTINGS)


def parse_key(text: str) -> SettingKey:
    """Return the key that a command line names, such as ``indexes.corp.url``.

    :raises UsageError: there is no such key.
    """
    try:
        document: Any = tomllib.loads(f"{text} = 0") if "\n" not in text and "=" not in text else {}
    except tomllib.TOMLDecodeError:
        document = {}
    path: list[str] = []
    while isinstance(document, dict) and len(document) == 1:
        ((part, document),) = document.items()
        path.append(part)
    if document != 0:
        raise UsageError(f"`{text}` is not a key", hint=f"keys: {', '.join(_known(()))}")
    try:
        return key_at(tuple(path))
    except RefusedError as error:
        what = "there is no key" if error.message == "unknown key" else "not a key but a table:"
        raise UsageError(f"{what} `{text}`", hint=error.hint) from error


def variable_value(key: SettingKey, value: object, environment: Mapping[str, str]) -> str:
    """Return a value of the file as its variable has it.

    :raises RefusedError: the key cannot have this value.
    """
    return _READERS[key.setting.kind](value, environment)


def value_of_text(key: SettingKey, text: str) -> str | list[str]:
    """Return a value of a command line as the file has it."""
    if key.setting.kind == "hosts":
        return [host.strip() for host in text.split(",") if host.strip()]
    return text


def shown_value(setting: Setting, value: str) -> str:
    """Return a value as it may be shown: no password, and no credentials of an address."""
    if setting.kind == "secret":
        return "(hidden)"
    if setting.kind != "address":
        return value
    try:
        parts = urlsplit(value)
    except ValueError:
        return "(hidden)"
    host = parts.netloc.rpartition("@")[2]
    userinfo = "***@" if host != parts.netloc else ""
    query = "?***" if parts.query else ""
    return f"{parts.scheme}://{userinfo}{host}{_TOKEN.sub('/t/***', parts.path)}{query}"


def holds_secret(setting: Setting, value: str) -> bool:
    """Return whether a value is a password, or an address with one."""
    return bool(value) and (setting.kind == "secret" or shown_value(setting, value) != value)


def _matches(setting: Setting, path: tuple[str, ...]) -> bool:
    return len(path) <= len(setting.path) and all(
        declared in (part, NAME) for declared, part in zip(setting.path, path, strict=False)
    )


def _known(path: tuple[str, ...]) -> list[str]:
    """Return what may be in the table at ``path``, in the order of the documentation."""
    found = [
        setting.path[len(path)]
        for setting in SETTINGS
        if _matches(setting, path) and len(setting.path) > len(path)
    ]
    return list(dict.fromkeys(found))


def _listed(known: list[str]) -> str | None:
    return f"known here: {', '.join(sorted(known))}" if known else None


def _text(value: object, _: Mapping[str, str]) -> str:
    if not isinstance(value, str):
        raise RefusedError(f"must be a string, not {kind_of(value)}")
    if not value:
        raise RefusedError("must not be empty", hint="remove the line to unset it")
    if any(not character.isprintable() for character in value):
        raise RefusedError("must be one line of printable text")
    return value


def _engine(value: object, environment: Mapping[str, str]) -> str:
    text = _text(value, environment)
    if text not in ENGINES:
        raise RefusedError(f"must be {alternatives(ENGINES)}", hint=near(text, ENGINES))
    return text


def _path(value: object, environment: Mapping[str, str]) -> str:
    path = Path(_text(value, environment))
    if path.parts[:1] == ("~",):
        path = home_of(environment).joinpath(*path.parts[1:])
    if not path.is_absolute():
        raise RefusedError("must be an absolute path, or one that starts with `~/`")
    return str(path)


def _address(value: object, environment: Mapping[str, str]) -> str:
    text = _text(value, environment)
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if _UNSAFE.search(text) or parts.scheme not in SCHEMES or not (parts.hostname or parts.scheme == "file"):
        raise RefusedError("must be an address", hint=f"it starts with {alternatives(SCHEMES)} and `://`")
    return text


def _hosts(value: object, environment: Mapping[str, str]) -> str:
    if not isinstance(value, list):
        hint = f'write `["{value}"]`' if isinstance(value, str) and value.isprintable() else None
        raise RefusedError(f"must be a list, not {kind_of(value)}", hint=hint)
    hosts = [_text(item, environment) for item in value]
    if not all(map(_HOST.fullmatch, hosts)):
        raise RefusedError("must hold hosts", hint="write `HOST` or `HOST:PORT`")
    return ",".join(hosts)


_READERS: Final[Mapping[Kind, Callable[[object, Mapping[str, str]], str]]] = {
    "engine": _engine,
    "folder": _path,
    "file": _path,
    "address": _address,
    "hosts": _hosts,
    "text": _text,
    "secret": _text,
}
