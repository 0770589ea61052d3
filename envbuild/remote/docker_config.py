"""The folder of the docker client's configuration: logins to registries, contexts, proxies.

Every container client shares ``config.json`` in it, so registries and engines are both asked for by it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from envbuild.errors import EnvbuildError
from envbuild.files.user_folders import home_of
from envbuild.formats.json_text import parse_json

CONFIG_FILE: Final = "config.json"

LARGEST_FILE: Final = 4 << 20
"""Bytes of one JSON file that are read; clients write some kB, with the logins of many registries more."""


def config_folder(environment: Mapping[str, str]) -> Path | None:
    """Return ``DOCKER_CONFIG``, else ``.docker`` in the user's home; None: nobody knows a home."""
    if folder := environment.get("DOCKER_CONFIG"):
        return Path(folder)
    try:
        return home_of(environment) / ".docker"
    except RuntimeError:
        return None


def read_docker_config(environment: Mapping[str, str], *, failure: type[EnvbuildError]) -> Mapping[str, Any]:
    """Return ``config.json``; empty when there is none.

    :raises EnvbuildError: as for :func:`read_client_file`.
    """
    folder = config_folder(environment)
    return (read_client_file(folder / CONFIG_FILE, failure=failure) if folder else None) or {}


def read_client_file(path: Path, *, failure: type[EnvbuildError]) -> Mapping[str, Any] | None:
    """Return the JSON object in ``path``, or None when there is no such file.

    :raises EnvbuildError: it is something else, or too large; of the type ``failure``.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(failure, path, error.strerror or str(error)) from error
    if len(data) > LARGEST_FILE:
        raise _unreadable(failure, path, f"it has more than {LARGEST_FILE} bytes")
    try:
        content = parse_json(data)
    except ValueError:
        # not chained: a JSON error holds the document, and that may hold passwords
        raise _unreadable(failure, path, "it is not JSON") from None
    if not isinstance(content, dict):
        raise _unreadable(failure, path, "it is no JSON object")
    return content


def _unreadable(failure: type[EnvbuildError], path: Path, reason: str) -> EnvbuildError:
    return failure(
        f"the docker client's {path} cannot be read: {reason}",
        hint="mend it, or name another folder in DOCKER_CONFIG",
    )
