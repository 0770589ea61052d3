"""Where this machine keeps what envbuild fetches, and where a user lays files beforehand."""

import os
from collections.abc import Mapping
from pathlib import Path

from envbuild.errors import UsageError
from envbuild.files.disk import CACHE_VARIABLE
from envbuild.files.user_folders import home_of, user_folder

VENDOR_VARIABLE = "ENVBUILD_VENDOR_DIR"


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the cache folder, absolute; it need not exist yet.

    ``ENVBUILD_CACHE_DIR``, else the user's cache folder as the operating system names it.

    :raises UsageError: ``ENVBUILD_CACHE_DIR`` is in a home folder that nobody knows.
    """
    named = environment.get(CACHE_VARIABLE)
    return _absolute(Path(named), environment) if named else user_folder("cache", environment)


def vendor_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the folder in which artifacts are looked for by file name before any address, if one is named.

    :raises UsageError: ``ENVBUILD_VENDOR_DIR`` names no folder.
    """
    named = environment.get(VENDOR_VARIABLE)
    if not named:
        return None
    folder = _absolute(Path(named), environment)
    if not folder.is_dir():
        raise UsageError(
            f"{VENDOR_VARIABLE} names no folder: {folder}",
            hint=f"create it, or unset {VENDOR_VARIABLE}",
        )
    return folder


def _absolute(path: Path, environment: Mapping[str, str]) -> Path:
    try:
        if path.parts[:1] == ("~",):
            return home_of(environment).joinpath(*path.parts[1:])
        # `~name` is the home of another user
        path = path.expanduser()
    except RuntimeError as error:
        raise UsageError(f"the home folder in `{path}` is unknown", hint="write the path in full") from error
    return path.absolute()
