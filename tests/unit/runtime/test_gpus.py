"""GPUs asked of NVML, read below /proc, or taken from the record.

NVML is a double: the machine that tests run on has no GPU.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from envbuild_runtime import gpus

from tests.rig.driver import DRIVERS, GIB, write_driver

RECORD = {"gpus": ["NVIDIA A100"], "driver": "1.2"}
PROC_VERSION = """\
NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  575.51.03  Release Build  (builder)
GCC version:  gcc version 12.2.0
"""
FROM_PROC = {"gpus": [{"name": "NVIDIA H100"}], "driver": "575.51.03", "gpus-from": "proc"}


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay the files of NVIDIA's kernel module."""
    folder = tmp_path / "driver"
    card = folder / "gpus" / "0000:01:00.0"
    card.mkdir(parents=True)
    (folder / "version").write_text(PROC_VERSION)
    (card / "information").write_text("Model: \t\t NVIDIA H100\nIRQ:   \t\t 44\n")
    monkeypatch.setattr(gpus, "DRIVER_FOLDER", str(folder))
    return folder


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that lays NVML of a driver."""

    def lay(name: str) -> None:
        folder = write_driver(DRIVERS[name], tmp_path / name, cuda=False)
        monkeypatch.setattr(gpus, "NVML_LIBRARY", str(folder / "libnvidia-ml.so.1"))

    return lay


def test_nvml_says_names_memory_and_capability(drive: Callable[[str], None]) -> None:
    drive("h100-550")
    card = {"name": "NVIDIA H100 80GB HBM3", "memory": 80 * GIB, "compute-capability": "9.0"}

    assert gpus.gpus(RECORD) == {"gpus": [card, card], "driver": "550.90.07", "gpus-from": "nvml"}


def test_it_is_asked_once(drive: Callable[[str], None]) -> None:
    drive("t4-525")
    first = gpus.gpus()
    drive("no-gpu")

    assert gpus.gpus() == first


def test_a_card_that_is_lost_leaves_the_others(drive: Callable[[str], None]) -> None:
    drive("lost")

    names = [card["name"] for card in gpus.gpus()["gpus"]]
    assert names == ["Tesla T4", "unknown"]


@pytest.mark.parametrize("driver", ["not-loaded", "mismatch", "crashing"])
def test_where_nvml_refuses_or_crashes_the_files_are_read(
    driver: str, drive: Callable[[str], None], proc: Path, warned: list[str]
) -> None:
    drive(driver)

    assert gpus.gpus(RECORD) == FROM_PROC
    assert warned == []


def test_a_driver_that_hangs_is_waited_for_once_and_briefly(
    drive: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, proc: Path
) -> None:
    drive("hanging")
    monkeypatch.setattr(gpus, "PATIENCE", 0.5)

    assert gpus.gpus() == FROM_PROC
    monkeypatch.setattr(gpus, "ask_nvml", lambda: pytest.fail("it was asked again"))
    assert gpus.gpus() == FROM_PROC


def test_who_cannot_be_ended_is_left_behind(monkeypatch: pytest.MonkeyPatch, proc: Path) -> None:
    end = threading.Event()
    monkeypatch.setattr(gpus, "ask_nvml", lambda: {"ended": end.wait(60)})
    monkeypatch.setattr(gpus, "PATIENCE", 0.0)
    monkeypatch.setattr(gpus, "REAPED", 0.01)

    assert gpus.gpus() == FROM_PROC
    end.set()


def test_without_any_the_record_says_it() -> None:
    found = {"gpus": [{"name": "NVIDIA A100"}], "driver": "1.2", "gpus-from": "record"}

    assert gpus.gpus(RECORD) == found
    assert gpus.gpus(None) == {}


@pytest.mark.parametrize("record", [{"gpus": "H200", "driver": 5}, {"gpus": []}, {}])
def test_a_record_that_is_not_as_it_must_be_says_nothing(record: dict[str, Any]) -> None:
    assert gpus.from_record(record) == {}


def test_the_quick_way_asks_the_record_first_and_never_nvml(
    monkeypatch: pytest.MonkeyPatch, proc: Path
) -> None:
    monkeypatch.setattr(gpus, "ask_nvml", lambda: pytest.fail("NVML was asked"))

    assert gpus.quick_gpus(RECORD)["gpus-from"] == "record"
    assert gpus.quick_gpus(None)["driver"] == "575.51.03"


def test_the_closed_module_writes_its_version_too(proc: Path) -> None:
    (proc / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19\n")

    assert gpus.read_driver()["driver"] == "535.104.05"


def test_in_a_container_the_cards_may_not_be_shown(proc: Path) -> None:
    for path in sorted((proc / "gpus").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (proc / "gpus").rmdir()

    assert gpus.read_driver() == {"driver": "575.51.03"}
