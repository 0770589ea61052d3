"""The user's own folders, as an environment names them: a program may give another than its process has."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

Kind = Literal["cache", "data", "config"]

_BELOW_HOME: Mapping[Kind, str] = (
    {"cache": "Library/Caches", "data": "Library/Application Support", "config": ".config"}
    if sys.platform == "darwin"
    else {"cache": ".cache", "data": ".local/share", "config": ".config"}
)


def user_folder(kind: Kind, environment: Mapping[str, str]) -> Path:
    """Return envbuild's folder in the user's own of that kind, absolute; it need not exist.

    That is in ``XDG_CACHE_HOME`` and the like, else where the operating system has it below the home.
    Configuration is in ``~/.config`` on every system, as that of most command-line programs is.

    :raises RuntimeError: nobody knows the home.
    """
    variable = f"XDG_{kind.upper()}_HOME"
    if kind != "config" and all(environment.get(name) == os.environ.get(name) for name in (variable, "HOME")):
        import platformdirs  # noqa: PLC0415 - only a few commands look here

        of_process = {"cache": platformdirs.user_cache_dir, "data": platformdirs.user_data_dir}[kind]
        return Path(of_process("envbuild", appauthor=False)).absolute()
    # platformdirs knows the process' variables alone
    named = Path(environment.get(variable, ""))
    folder = named if named.is_absolute() else home_of(environment) / _BELOW_HOME[kind]
    return folder / "envbuild"


def home_of(environment: Mapping[str, str]) -> Path:
    """Return the user's home: ``HOME``, else that of the process.

    :raises RuntimeError: nobody knows it.
    """
    named = Path(environment.get("HOME", ""))
    return named if named.is_absolute() else Path.home()
