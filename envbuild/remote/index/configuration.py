"""Where the Python index is, as this machine's pip and uv are configured: addresses, credentials, proxy, CA.

Only those are read.  Constraints, find-links and extra indexes of a machine would make two machines lock
differently, so they are left alone; `ignored` says which were seen.  Files and their precedence are those of
pip's documentation (topics/configuration) and uv's (configuration/files).
"""

import ast
import configparser
import contextlib
import importlib.util
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from envbuild.errors import EnvbuildError

DEFAULT_INDEX = "default"
"""How locks name the client's own main index."""

_SECTIONS = ("global", "install")
"""Sections of pip.conf that concern us, weaker first."""

_UNUSED_KEYS = ("constraint", "extra-index-url", "find-links")
_UNUSED_VARIABLES = ("UV_CONSTRAINT", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_INDEX")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexCredentials:
    """User and password of an index; never part of a message or a file."""

    username: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexAddress:
    """A simple-API address, and how to get in."""

    name: str
    url: str
    """Without credentials and without a slash at the end."""

    credentials: IndexCredentials | None = None

    @property
    def url_with_credentials(self) -> str:
        """The address as tools take it from their environment.  Never log it."""
        if self.credentials is None:
            return self.url
        parts = urlsplit(self.url)
        user = quote(self.credentials.username, safe="")
        password = quote(self.credentials.password, safe="")
        return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfiguration:
    """What this machine says about reaching Python indexes."""

    default_url: str | None = field(default=None, repr=False)
    """Address of the main index, perhaps with credentials; None when nothing names one."""

    overrides: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables that replace the address or give the credentials of a named index."""

    trusted_hosts: tuple[str, ...] = ()
    """``host`` or ``host:port`` whose certificate is not checked."""

    ca_bundle: str | None = None
    client_certificate: str | None = None
    proxy: str | None = field(default=None, repr=False)

    ignored: tuple[str, ...] = ()
    """Settings of pip or uv that were seen and deliberately not used, sorted."""

    @property
    def names_default(self) -> bool:
        """Whether anything says where the main index is; else every tool has the same address built in."""
        return bool(self.default_url or self.overrides.get(f"{index_variable(DEFAULT_INDEX)}_URL"))

    def address(self, name: str, url: str | None = None) -> IndexAddress:
        """Return where the index called ``name`` is; ``url`` is what the spec says of it.

        ``ENVBUILD_INDEX_<NAME>_URL`` wins over the spec, and for ``default`` over pip's and uv's settings.
        Credentials come from ``ENVBUILD_INDEX_<NAME>_USERNAME`` and ``_PASSWORD``, else from the address;
        those of ``~/.netrc`` are found by the HTTP library.

        :raises EnvbuildError: when there is no such index.
        """
        prefix = index_variable(name)
        if name == DEFAULT_INDEX:
            url = self.default_url
        chosen = self.overrides.get(f"{prefix}_URL") or url
        if chosen is None and name == DEFAULT_INDEX:
            chosen = _pip_default()
        if chosen is None:
            raise EnvbuildError(
                f"there is no address for the Python index `{name}`",
                hint=f"name it under [pip] indexes, or set {prefix}_URL",
            )
        plain, credentials = split_credentials(chosen)
        username = self.overrides.get(f"{prefix}_USERNAME")
        password = self.overrides.get(f"{prefix}_PASSWORD")
        if username or password:
            credentials = IndexCredentials(username=username or "", password=password or "")
        return IndexAddress(name=name, url=plain.rstrip("/"), credentials=credentials)


def index_variable(name: str) -> str:
    """Return the beginning of the variables that speak of the index called ``name``."""
    return f"ENVBUILD_INDEX_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"


def split_credentials(url: str) -> tuple[str, IndexCredentials | None]:
    """Return ``url`` without user and password, and these apart."""
    parts = urlsplit(url)
    userinfo, separator, host = parts.netloc.rpartition("@")
    if not separator:
        return url, None
    username, _, password = userinfo.partition(":")
    plain = urlunsplit(parts._replace(netloc=host))
    return plain, IndexCredentials(username=unquote(username), password=unquote(password))


def read_client_configuration(
    environment: Mapping[str, str] = os.environ, *, prefix: Path | None = None, root: Path = Path("/")
) -> ClientConfiguration:
    """Read the machine's settings.

    ``prefix`` is the Python installation whose ``pip.conf`` counts (default: the running one); below ``root``
    the system's own files are looked for.

    :raises EnvbuildError: a configuration file cannot be understood.
    """
    pip = _pip_settings(environment, prefix or Path(sys.prefix), root)
    uv = _uv_settings(environment, root)
    default = (
        _uv_index_url(environment)
        or environment.get("PIP_INDEX_URL")
        or uv.get("index-url")
        or pip.get("index-url")
    )
    trusted = f"{environment.get('UV_INSECURE_HOST', '')} {pip.get('trusted-host', '')}".replace(",", " ")
    ignored = {key for key in _UNUSED_KEYS if pip.get(key)}
    ignored.update(variable for variable in _UNUSED_VARIABLES if environment.get(variable))
    return ClientConfiguration(
        default_url=default or None,
        overrides={
            key: value for key, value in environment.items() if key.startswith("ENVBUILD_INDEX_") and value
        },
        trusted_hosts=tuple(sorted(set(trusted.split()))),
        ca_bundle=pip.get("cert"),
        client_certificate=environment.get("SSL_CLIENT_CERT") or pip.get("client-cert"),
        proxy=pip.get("proxy"),
        ignored=tuple(sorted(ignored)),
    )


def pip_configuration_files(
    environment: Mapping[str, str], *, prefix: Path, root: Path = Path("/")
) -> tuple[Path, ...]:
    """Return where pip looks for its settings, weakest first: system, user, virtual environment, variable.

    A ``PIP_CONFIG_FILE`` that exists replaces the user's files; the null device switches all files off.
    """
    named = environment.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return ()
    files = list(_system_files(environment, root))
    if not (named and Path(named).exists()):
        files += _user_files(environment)
    files.append(prefix / "pip.conf")
    if named:
        files.append(Path(named))
    return tuple(files)


def _system_files(environment: Mapping[str, str], root: Path) -> Iterator[Path]:
    if sys.platform == "darwin":
        yield root / "Library/Application Support/pip/pip.conf"
        return
    for folder in environment.get("XDG_CONFIG_DIRS", "").split(os.pathsep):
        if folder:
            yield Path(folder) / "pip" / "pip.conf"
    if not environment.get("XDG_CONFIG_DIRS"):
        yield root / "etc/xdg/pip/pip.conf"
    yield root / "etc/pip.conf"


def _user_files(environment: Mapping[str, str]) -> list[Path]:
    home = environment.get("HOME")
    if not home:
        return []
    folder = _user_folder(environment, Path(home)) / "pip"
    if sys.platform == "darwin":
        own = Path(home) / "Library/Application Support/pip"
        folder = own if own.is_dir() else Path(home) / ".config/pip"
    return [Path(home) / ".pip" / "pip.conf", folder / "pip.conf"]


def _user_folder(environment: Mapping[str, str], home: Path) -> Path:
    return Path(environment.get("XDG_CONFIG_HOME") or home / ".config")


def _pip_settings(environment: Mapping[str, str], prefix: Path, root: Path) -> dict[str, str]:
    """Return pip's settings by long option name: variables over ``[install]`` over ``[global]``."""
    sections: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for path in pip_configuration_files(environment, prefix=prefix, root=root):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise EnvbuildError(f"{path} cannot be read as pip configuration") from error
        for section in _SECTIONS:
            if parser.has_section(section):
                sections[section].update(
                    (_option(key), value) for key, value in parser.items(section) if value
                )
    settings = {key: value for section in _SECTIONS for key, value in sections[section].items()}
    for variable, value in environment.items():
        if variable.startswith("PIP_") and value:
            settings[_option(variable.removeprefix("PIP_"))] = value
    return settings


def _option(key: str) -> str:
    return key.lower().replace("_", "-")


def _uv_index_url(environment: Mapping[str, str]) -> str | None:
    value = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL")
    if not value:
        return None
    # `name=address` is how uv takes a named default
    name, separator, address = value.partition("=")
    return address if separator and re.fullmatch(r"[\w.-]+", name) else value


def _uv_settings(environment: Mapping[str, str], root: Path) -> dict[str, str]:
    """Return the main index of the first ``uv.toml`` with one: the variable's file, or user's, system's."""
    files = [root / "etc/uv/uv.toml"]
    if environment.get("HOME"):
        files.insert(0, _user_folder(environment, Path(environment["HOME"])) / "uv" / "uv.toml")
    if environment.get("UV_CONFIG_FILE"):
        files = [Path(environment["UV_CONFIG_FILE"])]
    for path in files:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError:
            continue
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise EnvbuildError(f"{path} cannot be read as uv configuration") from error
        url = _uv_default_index(table)
        if url:
            return {"index-url": url}
    return {}


def _uv_default_index(table: Mapping[str, object]) -> str | None:
    indexes = table.get("index")
    for entry in indexes if isinstance(indexes, list) else []:
        if isinstance(entry, dict) and entry.get("default") is True and isinstance(entry.get("url"), str):
            return str(entry["url"])
    pip = table.get("pip")
    for holder in (table, pip if isinstance(pip, dict) else {}):
        url = holder.get("index-url")
        if isinstance(url, str):
            return url
    return None


def _pip_default() -> str:
    """Return the index that pip asks when nobody says otherwise: a constant that pypi_simple has."""
    # read, not imported: it brings an HTML parser along, a third of a second
    with contextlib.suppress(OSError, SyntaxError, ValueError):
        spec = importlib.util.find_spec("pypi_simple")
        for statement in ast.parse(Path(spec.origin if spec and spec.origin else "").read_bytes()).body:
            match statement:
                case ast.AnnAssign(
                    target=ast.Name(id="PYPI_SIMPLE_ENDPOINT"), value=ast.Constant(value=str(url))
                ):
                    return url
    from pypi_simple import PYPI_SIMPLE_ENDPOINT  # noqa: PLC0415 - a release that writes it otherwise

    return PYPI_SIMPLE_ENDPOINT
