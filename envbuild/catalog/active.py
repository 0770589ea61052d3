"""The catalogue in force on this machine: the built-in one, with the user's update where there is one."""

import os
from collections.abc import Mapping
from pathlib import Path

from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.errors import CatalogError
from envbuild.files.user_folders import user_folder

DATA_VARIABLE = "ENVBUILD_DATA_DIR"
UPDATE_FILE = "catalog.toml"


def update_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the user's update is kept; it need not exist.

    In ``ENVBUILD_DATA_DIR``, else in the user's data folder as the operating system names it.
    """
    named = environment.get(DATA_VARIABLE)
    if named:
        return Path(named).absolute() / UPDATE_FILE
    return user_folder("data", environment) / UPDATE_FILE


def catalog_in_force(environment: Mapping[str, str] = os.environ) -> Catalog:
    """Return the catalogue that answers on this machine.

    :raises CatalogError: the user's update cannot be used, perhaps because another release wrote it.
    """
    path = update_path(environment)
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return BUILT_IN
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogError(f"{path} cannot be read", hint=RESET) from error
    from envbuild.catalog.update import read_update  # noqa: PLC0415 - only where there is an update

    try:
        return Catalog(read_update(text))
    except CatalogError as error:
        raise CatalogError(f"{path}: {error.message}", problems=error.problems, hint=RESET) from error


RESET = "`envbuild catalog update --reset` goes back to the catalogue of this release"
