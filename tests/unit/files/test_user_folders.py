import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs
import pytest

from envbuild.catalog.active import update_path
from envbuild.files.user_folders import Kind, home_of, user_folder

OF_PROCESS = {"cache": platformdirs.user_cache_dir, "data": platformdirs.user_data_dir}


@pytest.mark.parametrize("kind", ["cache", "data"])
@pytest.mark.parametrize("xdg", [None, "", "/xdg"])
def test_an_environment_has_the_folders_that_a_process_with_it_has(
    monkeypatch: pytest.MonkeyPatch, kind: Kind, xdg: str | None
) -> None:
    variable = f"XDG_{kind.upper()}_HOME"
    environment = {"HOME": "/home/reader"} | ({} if xdg is None else {variable: xdg})
    monkeypatch.setenv("HOME", "/home/process")
    monkeypatch.setenv(variable, "/home/process/xdg")
    given = user_folder(kind, environment)

    monkeypatch.delenv(variable)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    own = Path(OF_PROCESS[kind]("envbuild", appauthor=False))
    assert given == user_folder(kind, environment) == user_folder(kind, os.environ) == own


@pytest.mark.parametrize("environment", [{}, {"HOME": ""}, {"HOME": "relative"}])
def test_a_home_that_is_not_named_is_that_of_the_process(
    monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]
) -> None:
    monkeypatch.setenv("HOME", "/home/process")

    assert home_of(environment) == Path("/home/process")


def test_the_update_of_the_catalogue_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/home/process/data")

    assert update_path({"XDG_DATA_HOME": "/data"}) == Path("/data/envbuild/catalog.toml")
