from pathlib import Path

import pytest

from envbuild.cache.location import cache_folder, vendor_folder
from envbuild.errors import UsageError


def test_the_variable_names_the_cache_folder(tmp_path: Path) -> None:
    assert cache_folder({"ENVBUILD_CACHE_DIR": str(tmp_path / "there")}) == tmp_path / "there"


def test_a_relative_folder_is_below_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert cache_folder({"ENVBUILD_CACHE_DIR": "there"}) == tmp_path / "there"


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert cache_folder({"ENVBUILD_CACHE_DIR": "~/there"}) == tmp_path / "there"


@pytest.mark.parametrize("environment", [{}, {"ENVBUILD_CACHE_DIR": ""}], ids=["unset", "empty"])
def test_otherwise_it_is_the_users(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))

    folder = cache_folder(environment)

    assert folder.name == "envbuild"
    assert tmp_path in folder.parents


def test_a_home_nobody_has_is_a_usage_error() -> None:
    with pytest.raises(UsageError) as caught:
        cache_folder({"ENVBUILD_CACHE_DIR": "~nobody-of-this-name/cache"})

    assert caught.value.message == "the home folder in `~nobody-of-this-name/cache` is unknown"


def test_the_vendored_folder_must_exist(tmp_path: Path) -> None:
    assert vendor_folder({}) is None
    assert vendor_folder({"ENVBUILD_VENDOR_DIR": str(tmp_path)}) == tmp_path
    with pytest.raises(UsageError) as caught:
        vendor_folder({"ENVBUILD_VENDOR_DIR": str(tmp_path / "missing")})
    assert caught.value.message == f"ENVBUILD_VENDOR_DIR names no folder: {tmp_path / 'missing'}"


def test_a_tilde_is_the_home_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "process"))
    (tmp_path / "there").mkdir()

    assert cache_folder({"ENVBUILD_CACHE_DIR": "~/there", "HOME": str(tmp_path)}) == tmp_path / "there"
    assert vendor_folder({"ENVBUILD_VENDOR_DIR": "~/there", "HOME": str(tmp_path)}) == tmp_path / "there"


def test_the_users_folder_is_that_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "process"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "process/xdg"))
    environment = {"HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": str(tmp_path / "xdg")}

    assert cache_folder(environment) == tmp_path / "xdg" / "envbuild"
    assert tmp_path / "home" in cache_folder({"HOME": environment["HOME"]}).parents
