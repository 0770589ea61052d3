"""Where conda channels are, as this machine's conda, mamba and rattler say: addresses and credentials.

Only those are read.  Default channels, pins and priorities of a machine would make two machines lock
differently, so they are left alone.  Files and their order: conda documentation, "Searching for .condarc";
credentials: rattler's `auth` file and mamba's.
"""

import base64
import binascii
import fnmatch
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from envbuild.errors import EnvbuildError
from envbuild.formats.json_text import parse_json
from envbuild.remote.address import Address
from envbuild.remote.index.configuration import IndexCredentials, split_credentials

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_TOKEN = re.compile(r"/t/[^/]+(?=/|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAddress:
    """A channel's address, and how to get in."""

    name: str
    """As the spec writes it."""

    url: str
    """Without credentials, token and a slash at the end."""

    credentials: IndexCredentials | None = None
    token: str | None = field(default=None, repr=False)
    """Of an Anaconda server, sent in the path."""

    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None

    def address(self, path: str) -> Address:
        """Return the address of a file below the channel."""
        url, secret = self.url, None
        if self.token:
            parts = urlsplit(url)
            secret = f"/t/{quote(self.token, safe='')}/"
            url = urlunsplit(parts._replace(path=secret.rstrip("/") + parts.path))
        return Address(
            url=f"{url}/{path}",
            secret=secret,
            credentials=self.credentials,
            proxy=self.proxy,
            ca_bundle=self.ca_bundle,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelConfiguration:
    """What this machine says about reaching conda channels."""

    alias: str | None = field(default=None, repr=False)
    """Address that named channels lie below; None: the one conda has built in."""

    custom: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Name → address it lies below."""

    overrides: Mapping[str, str] = field(default_factory=dict, repr=False)
    logins: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Host, or a pattern of hosts → ``username`` and ``password``, or ``token``."""

    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_bundle: str | None = None

    def address(self, name: str) -> ChannelAddress:
        """Return where the channel called ``name`` is.

        ``ENVBUILD_CHANNEL_<NAME>_URL`` wins over conda's own settings, ``_USERNAME`` and ``_PASSWORD`` over
        those of its files; of a channel written as an address, NAME is the address.  A token in an address
        counts where no file of credentials has one.
        """
        prefix = channel_variable(name)
        url, credentials = split_credentials(self.overrides.get(f"{prefix}_URL") or self._url(name))
        in_path = _TOKEN.search(url)
        url = _TOKEN.sub("", url).rstrip("/")
        login = self._login(url)
        username = self.overrides.get(f"{prefix}_USERNAME")
        if username:
            password = self.overrides.get(f"{prefix}_PASSWORD", "")
            credentials = IndexCredentials(username=username, password=password)
        elif credentials is None and "username" in login:
            credentials = IndexCredentials(username=login["username"], password=login["password"])
        return ChannelAddress(
            name=name,
            url=url,
            credentials=credentials,
            token=login.get("token") or (unquote(in_path[0][len("/t/") :]) if in_path else None),
            proxy=self.proxies.get(urlsplit(url).scheme),
            ca_bundle=self.ca_bundle,
        )

    def _url(self, name: str) -> str:
        if "://" in name:
            return name
        for custom in sorted(self.custom, key=len, reverse=True):
            if name == custom or name.startswith(f"{custom}/"):
                return f"{self.custom[custom].rstrip('/')}/{name}"
        return f"{self.alias.rstrip('/')}/{name}" if self.alias else built_in_address(name)

    def _login(self, url: str) -> Mapping[str, str]:
        parts = urlsplit(url)
        host, named = parts.hostname or "", parts.netloc
        places = [f"{named}{parts.path}", named, host]
        for place in places:
            if place in self.logins:
                return self.logins[place]
        for pattern in sorted(self.logins, key=len, reverse=True):
            if "*" in pattern and fnmatch.fnmatch(host, pattern):
                return self.logins[pattern]
        return {}


def built_in_address(name: str) -> str:
    """Return where a channel lies when no machine says otherwise."""
    # a third of a second to import
    from rattler import Channel  # noqa: PLC0415

    return str(Channel(name).base_url).rstrip("/")


def channel_variable(name: str) -> str:
    """Return the beginning of the variables that speak of the channel called ``name``."""
    return f"ENVBUILD_CHANNEL_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"


def read_channel_configuration(
    environment: Mapping[str, str] = os.environ, *, root: Path = Path("/")
) -> ChannelConfiguration:
    """Read the machine's settings; below ``root`` the system's own files are looked for.

    :raises EnvbuildError: a file cannot be understood.
    """
    settings: dict[str, Any] = {}
    custom: dict[str, str] = {}
    for path in _condarc_files(environment, root):
        found = _expanded(_yaml(path), environment)
        custom.update(_addresses(found.get("custom_channels")))
        settings |= found
    alias = environment.get("CONDA_CHANNEL_ALIAS") or settings.get("channel_alias")
    bundle = settings.get("ssl_verify")
    return ChannelConfiguration(
        alias=alias if isinstance(alias, str) else None,
        custom=custom,
        overrides={
            key: value for key, value in environment.items() if key.startswith("ENVBUILD_CHANNEL_") and value
        },
        logins=dict(_logins(environment)),
        proxies=_addresses(settings.get("proxy_servers")),
        ca_bundle=bundle if isinstance(bundle, str) and Path(bundle).is_file() else None,
    )


def _condarc_files(environment: Mapping[str, str], root: Path) -> Iterator[Path]:
    yield root / "etc/conda/.condarc"
    yield root / "etc/conda/condarc"
    home = environment.get("HOME")
    if home:
        configuration = Path(environment.get("XDG_CONFIG_HOME") or f"{home}/.config")
        for folder in (configuration / "conda", Path(home) / ".conda"):
            yield folder / ".condarc"
            yield folder / "condarc"
        yield Path(home) / ".condarc"
    if environment.get("CONDARC"):
        yield Path(environment["CONDARC"])


def _yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return {}
    import yaml  # noqa: PLC0415

    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise EnvbuildError(f"{path} cannot be read as conda configuration") from error
    return document if isinstance(document, dict) else {}


def _expanded(value: Any, environment: Mapping[str, str]) -> Any:
    """Return settings with ``$NAME`` and ``${NAME}`` replaced as conda does; what is not set stays."""
    if isinstance(value, dict):
        return {key: _expanded(item, environment) for key, item in value.items()}
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: environment.get(found[1] or found[2], found[0]), value)
    return value


def _addresses(table: object) -> dict[str, str]:
    if not isinstance(table, dict):
        return {}
    return {str(name): url for name, url in table.items() if isinstance(url, str)}


def _logins(environment: Mapping[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield what mamba's and rattler's files say of hosts; rattler's, read last, win."""
    home = Path(environment.get("HOME") or "/nonexistent")
    files = [home / ".mamba/auth/authentication.json", home / ".rattler/credentials.json"]
    if environment.get("RATTLER_AUTH_FILE"):
        files.append(Path(environment["RATTLER_AUTH_FILE"]))
    for path in files:
        try:
            document = parse_json(path.read_text(encoding="utf-8"))
        except OSError:
            continue
        except ValueError as error:
            raise EnvbuildError(f"{path} cannot be read as credentials") from error
        for host, entry in document.items() if isinstance(document, dict) else ():
            if isinstance(entry, dict) and (login := _login_of(entry)):
                yield host, login


def _login_of(entry: Mapping[str, Any]) -> dict[str, str] | None:
    if isinstance(basic := entry.get("BasicHTTP"), dict):
        return {"username": str(basic.get("username", "")), "password": str(basic.get("password", ""))}
    if isinstance(entry.get("CondaToken"), str):
        return {"token": entry["CondaToken"]}
    if entry.get("type") == "BasicHTTPAuthentication":
        try:
            password = base64.b64decode(str(entry.get("password", ""))).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        return {"username": str(entry.get("user", "")), "password": password}
    if entry.get("type") == "CondaToken":
        return {"token": str(entry.get("token", ""))}
    return None
