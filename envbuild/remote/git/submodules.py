"""Submodules of a commit: where each lies, at which commit, and at which address."""

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from envbuild.errors import IntegrityError
from envbuild.remote.git.source_tree import shown
from envbuild.remote.http import without_credentials

_SETTING = re.compile(r"submodule\.(?P<name>.*)\.(?P<key>path|url)", re.DOTALL | re.IGNORECASE)
_SSH_SHORT = re.compile(r"(?P<user>[\w.-]+)@(?P<host>[\w.-]+):(?P<path>[^:]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submodule:
    """A repository inside another one."""

    path: bytes
    url: str
    commit: str


def read_submodules(pinned: Iterable[bytes], settings: str, url: str) -> tuple[Submodule, ...]:
    """Return the submodules of a commit of the repository at ``url``.

    ``pinned`` are its entries of ``git ls-tree``; ``settings`` is ``.gitmodules`` as ``git config --list -z``
    gives it.

    :raises IntegrityError: one has no address, or one that is not followed.
    """
    addresses = _addresses(settings)
    found = []
    for entry in pinned:
        facts, _, path = entry.partition(b"\t")
        name = shown(path)
        if name not in addresses:
            raise IntegrityError(f"{without_credentials(url)}: the submodule `{name}` has no address")
        address = _absolute(url, addresses[name])
        if address is None:
            raise IntegrityError(
                f"{without_credentials(url)}: the submodule `{name}` is at "
                f"`{without_credentials(addresses[name])}`, which is not followed",
                hint="submodules by https, http and ssh are",
            )
        found.append(Submodule(path=path, url=address, commit=facts.split()[2].decode()))
    return tuple(found)


def _addresses(settings: str) -> dict[str, str]:
    """Return the address of each submodule by its path."""
    tables: dict[str, dict[str, str]] = {}
    for setting in settings.split("\0"):
        key, _, value = setting.partition("\n")
        if match := _SETTING.fullmatch(key):
            tables.setdefault(match["name"], {})[match["key"].lower()] = value
    return {
        table["path"].rstrip("/"): table["url"] for table in tables.values() if {"path", "url"} <= set(table)
    }


def _absolute(parent: str, address: str) -> str | None:
    """Return the address that a submodule's means; None: it is not followed."""
    if address.startswith(("./", "../")):
        parts = urlsplit(parent)
        path = posixpath.normpath(posixpath.join(parts.path, address))
        return None if path.startswith("/..") else urlunsplit(parts._replace(path=path))
    if short := _SSH_SHORT.fullmatch(address):
        return f"ssh://{short['user']}@{short['host']}/{short['path'].lstrip('/')}"
    try:
        parts = urlsplit(address)
        is_followed = parts.scheme in {"https", "http", "ssh"} and bool(parts.hostname)
    except ValueError:
        return None
    return address if is_followed and not (parts.hostname or "").startswith("-") else None
