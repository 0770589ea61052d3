"""GPUs and driver, as files of the kernel's module say."""

from pathlib import Path

from envbuild.records.hardware import driver_here, gpus_here

VERSION = """\
NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build  (dvs-builder@U22)
GCC version:  gcc version 12.3.0
"""
INFORMATION = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 42\nGPU UUID: \t GPU-0\n"


def test_a_machine_with_gpus(tmp_path: Path) -> None:
    place = tmp_path / "proc" / "driver" / "nvidia"
    for name in ("0000:65:00.0", "0000:17:00.0"):
        (place / "gpus" / name).mkdir(parents=True)
        (place / "gpus" / name / "information").write_text(INFORMATION)
    (place / "gpus" / "odd").mkdir()
    (place / "version").write_text(VERSION)
    assert (driver_here(tmp_path), gpus_here(tmp_path)) == ("550.54.15", ("NVIDIA H200", "NVIDIA H200"))


def test_the_proprietary_module(tmp_path: Path) -> None:
    (tmp_path / "proc/driver/nvidia").mkdir(parents=True)
    text = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.256.02  Thu May  2 14:37:44 UTC 2024\n"
    (tmp_path / "proc/driver/nvidia/version").write_text(text)
    assert driver_here(tmp_path) == "470.256.02"


def test_a_machine_without(tmp_path: Path) -> None:
    assert (driver_here(tmp_path), gpus_here(tmp_path)) == (None, ())
