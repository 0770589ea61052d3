"""The file that stages of DVC depend on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import envbuild_runtime
import pytest
import yaml

ODD = {
    "name": "no",
    "command": ["a: b", "# c", "1e3", "ü\u2028\n\t\"'", "\x7f\U0001f600\U0010fffd"],
    "variables": {"odd key: #": "null", "true": "off", "17": "017", "é": "*a", "": "&b"},
    "options": {"network": "none"},
}


def test_it_holds_what_is_the_same_on_every_machine(recorded: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "envbuild-environment.yaml"

    assert envbuild_runtime.dvc.write(path) is True
    assert yaml.safe_load(path.read_text("utf-8")) == {
        "command": recorded["command"],
        "data": {"images": "sha256:" + "e" * 64},
        "image": recorded["image"],
        "lock": recorded["lock"],
        "mounted": True,
        "name": "train",
        "platform": "linux/amd64",
        "tag": recorded["tag"],
        "target": recorded["target"],
        "variables": {"PYTHONHASHSEED": "0"},
        "variant": "default",
    }


def test_the_image_is_believed_rather_than_the_record(
    recorded: dict[str, Any], locked: dict[str, Any], tmp_path: Path
) -> None:
    envbuild_runtime.dvc.write(tmp_path / "file.json")

    found = json.loads((tmp_path / "file.json").read_bytes())
    assert found["target"] == envbuild_runtime.environment()["target"]["digest"] != recorded["target"]


def test_variables_are_there_even_if_there_are_none(tmp_path: Path) -> None:
    # DVC fails a stage that names a parameter which the file lacks
    envbuild_runtime.dvc.write(tmp_path / "file.yaml")

    assert yaml.safe_load((tmp_path / "file.yaml").read_text("utf-8"))["variables"] == {}


def test_the_machine_is_in_it_on_demand(recorded: dict[str, Any], tmp_path: Path) -> None:
    envbuild_runtime.dvc.write(tmp_path / "file.yaml", machine=True)

    found = yaml.safe_load((tmp_path / "file.yaml").read_text("utf-8"))
    assert found["gpus"] == [{"name": "NVIDIA H200"}] * 2
    assert found["driver"] == "550.54.15"
    assert "features" not in found["cpu"]


@pytest.mark.parametrize("name", ["file.yaml", "file.json"])
def test_a_file_that_says_the_same_is_left_alone(name: str, recorded: dict[str, Any], tmp_path: Path) -> None:
    envbuild_runtime.dvc.write(tmp_path / name)
    before = (tmp_path / name).stat()

    assert envbuild_runtime.dvc.write(tmp_path / name) is True
    assert (tmp_path / name).stat() == before


@pytest.mark.parametrize(("name", "load"), [("file.yaml", yaml.safe_load), ("file.json", json.loads)])
def test_every_value_is_read_back_as_it_was(
    name: str, load: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVBUILD_RUN", json.dumps(ODD))

    envbuild_runtime.dvc.write(tmp_path / name)

    assert load((tmp_path / name).read_text("utf-8")) == ODD


def test_keys_are_sorted(recorded: dict[str, Any], tmp_path: Path) -> None:
    envbuild_runtime.dvc.write(tmp_path / "file.yaml")

    keys = [
        line.split(":")[0] for line in (tmp_path / "file.yaml").read_text().splitlines() if line[0] != " "
    ]
    assert keys == sorted(keys)


def test_a_folder_that_is_not_there_gives_one_warning(tmp_path: Path, warned: list[str]) -> None:
    assert envbuild_runtime.dvc.write(tmp_path / "absent" / "file.yaml") is False
    assert "FileNotFoundError" in warned[0]


@pytest.mark.parametrize("path", [None, 17, "a\0b"])
def test_what_is_no_path_gives_one_warning(path: Any, warned: list[str]) -> None:
    assert envbuild_runtime.dvc.write(path) is False
    assert len(warned) == 1
