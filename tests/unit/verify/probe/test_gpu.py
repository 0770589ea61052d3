"""What the probe says of drivers and GPUs, in front of drivers that are test doubles (tests/rig/driver)."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from envbuild.verify.checks import read_facts
from envbuild.verify.checks.gpu_facts import DriverFacts, GpuDevice, GpuFacts
from envbuild.verify.probe import nvidia
from envbuild.verify.probe.amd import amd_facts, architecture_name
from envbuild.verify.probe.gpu import pci_cards
from envbuild.verify.probe.isolated import isolated
from envbuild.verify.probe.nvidia import library_version, module_version, nvidia_facts
from envbuild.verify.probe_bundle import build_probe, facts_arguments, probe_arguments
from tests.rig.driver import DRIVERS, GIB, DriverDouble, write_driver

pytestmark = pytest.mark.slow

needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="the doubles are compiled with gcc")
AskMachine = Callable[[DriverDouble], GpuFacts]


def ask(environment: Mapping[str, str], *, program: str = sys.executable) -> GpuFacts:
    """Run the probe as in a container: from standard input, in a process of its own."""
    command = probe_arguments(program, facts_arguments(prefix="/nowhere", variables=(), gpu=True))
    done = subprocess.run(
        command, input=build_probe(), env={**os.environ, **environment}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    facts = read_facts(json.loads(done.stdout)).gpu
    assert facts is not None
    return facts


@pytest.fixture
def with_driver(tmp_path: Path) -> AskMachine:
    """Return a function that asks a machine that has the driver of a double."""

    def machine(double: DriverDouble) -> GpuFacts:
        return ask({"LD_LIBRARY_PATH": str(write_driver(double, tmp_path / "driver"))})

    return machine


@pytest.fixture
def reach(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Return a function that lets this very process find a driver: its loader was started without."""
    load = ctypes.CDLL

    def to(folder: Path) -> None:
        monkeypatch.setattr("ctypes.CDLL", lambda name: load(str(folder / name)))
        monkeypatch.setattr("pynvml.CDLL", lambda name: load(str(folder / name)))

    return to


def gpu(index: int, name: str, architecture: str, gib: int, *, mig: bool | None = None) -> GpuDevice:
    return GpuDevice(
        vendor="nvidia",
        index=index,
        name=name,
        architecture=architecture,
        memory=gib * GIB,
        identifier=f"GPU-00000000-0000-0000-0000-{index:012}",
        mig=mig,
    )


@needs_compiler
@pytest.mark.parametrize(
    ("name", "cuda", "devices"),
    [
        ("t4-525", "12.0", (gpu(0, "Tesla T4", "sm_75", 15),)),
        ("v100-580", "13.0", (gpu(0, "Tesla V100-SXM2-16GB", "sm_70", 16),)),
        (
            "h100-550",
            "12.4",
            tuple(gpu(index, "NVIDIA H100 80GB HBM3", "sm_90", 80, mig=False) for index in (0, 1)),
        ),
        ("rtx5090-570", "12.8", (gpu(0, "NVIDIA GeForce RTX 5090", "sm_120", 32),)),
        ("no-gpu", "13.0", ()),
    ],
)
def test_a_driver_says_its_version_its_cuda_and_its_gpus(
    with_driver: AskMachine, name: str, cuda: str, devices: tuple[GpuDevice, ...], tmp_path: Path
) -> None:
    facts = with_driver(DRIVERS[name])
    version = DRIVERS[name].version
    driver = facts.drivers["nvidia"]
    assert driver == DriverFacts(
        state="ready",
        version=version,
        cuda=cuda,
        library=str(tmp_path / f"driver/libcuda.so.{version}"),
        library_version=version,
        library_cuda=cuda,
        library_status=DRIVERS[name].cuda_status,
    )
    assert facts.devices == devices


@needs_compiler
@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        (
            "not-loaded",
            "not-loaded",
            "libnvidia-ml.so.1 is here, but the kernel has no NVIDIA driver loaded",
        ),
        ("mismatch", "mismatch", "the driver in the kernel and its libraries are of different versions"),
        ("crashing", "failed", "libnvidia-ml.so.1: crashed (SIGSEGV)"),
    ],
)
def test_broken_drivers_are_told_apart(with_driver: AskMachine, name: str, state: str, reason: str) -> None:
    facts = with_driver(DRIVERS[name])
    driver = facts.drivers["nvidia"]
    assert (driver.state, driver.reason) == (state, reason)
    assert facts.devices == ()
    # the other library answers for itself all the same
    assert driver.library_cuda == "13.0"


@needs_compiler
def test_a_driver_that_hangs_does_not_hang_the_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reach: Callable[[Path], None]
) -> None:
    reach(write_driver(DRIVERS["hanging"], tmp_path))
    monkeypatch.setattr(nvidia, "_PATIENCE", 0.5)
    driver, devices = nvidia_facts()
    assert (driver.state, devices) == ("failed", ())
    assert driver.reason is not None
    assert driver.reason.endswith("no answer within 0 seconds")


@needs_compiler
def test_both_versions_of_a_mismatch_are_named(tmp_path: Path, reach: Callable[[Path], None]) -> None:
    """The driver was updated, and the old one still runs."""
    reach(write_driver(DRIVERS["mismatch"], tmp_path / "driver"))
    running = tmp_path / "proc/driver/nvidia/version"
    running.parent.mkdir(parents=True)
    running.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.90.07  Fri May 31 09:35:42 UTC\n")
    driver, _ = nvidia_facts(tmp_path)
    assert (driver.state, driver.version) == ("mismatch", "550.90.07")
    assert driver.reason == "the driver in the kernel is 550.90.07, its libraries are 580.95.05"


@needs_compiler
def test_a_gpu_that_fell_off_the_bus_is_named(with_driver: AskMachine) -> None:
    facts = with_driver(DRIVERS["lost"])
    assert [(device.index, device.architecture, device.problem) for device in facts.devices] == [
        (0, "sm_75", None),
        (1, None, "GPU is lost"),
    ]


@needs_compiler
def test_the_highest_cuda_is_not_made_up_where_libcuda_is_missing(tmp_path: Path) -> None:
    """The first form of NVML's question answers without libcuda; this driver's says 99.99 then."""
    folder = write_driver(DRIVERS["t4-525"], tmp_path, cuda=False)
    driver = ask({"LD_LIBRARY_PATH": str(folder)}).drivers["nvidia"]
    assert (driver.state, driver.version, driver.cuda, driver.library) == (
        "ready",
        "525.147.05",
        None,
        None,
    )


@needs_compiler
@pytest.mark.parametrize(
    ("name", "has_cuda", "problem"),
    [
        ("t4-525", False, "libcuda.so.1: cannot open shared object file: No such file or directory"),
        ("cuda-crashing", True, "crashed (SIGSEGV)"),
        ("t4-525", True, None),
    ],
)
def test_what_keeps_cuda_from_answering_is_told(
    tmp_path: Path, name: str, problem: str | None, *, has_cuda: bool
) -> None:
    folder = write_driver(DRIVERS[name], tmp_path, cuda=has_cuda)
    driver = ask({"LD_LIBRARY_PATH": str(folder)}).drivers["nvidia"]
    assert (driver.state, driver.library_problem) == ("ready", problem)


@needs_compiler
def test_forward_compatibility_shows_in_the_name_of_libcuda(tmp_path: Path) -> None:
    write_driver(replace(DRIVERS["t4-525"], version="535.104.05"), tmp_path / "driver")
    write_driver(DRIVERS["no-gpu"], tmp_path / "compat", nvml=False)
    driver = ask({"LD_LIBRARY_PATH": f"{tmp_path / 'compat'}:{tmp_path / 'driver'}"}).drivers["nvidia"]
    assert (driver.version, driver.library_version, driver.library_cuda) == (
        "535.104.05",
        "580.95.05",
        "13.0",
    )


def test_a_machine_without_a_driver() -> None:
    facts = ask({})
    if facts.drivers["nvidia"].state != "absent":
        pytest.skip("this machine has NVIDIA's driver")
    assert facts.drivers["nvidia"].reason == "there is no libnvidia-ml.so.1"
    assert [device for device in facts.devices if device.vendor == "nvidia"] == []


def test_a_library_that_is_no_library_is_not_absent(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("not a library")
    driver = ask({"LD_LIBRARY_PATH": str(tmp_path)}).drivers["nvidia"]
    assert driver.state == "failed"
    assert driver.reason is not None
    assert driver.reason.startswith("libnvidia-ml.so.1: ")
    assert "file too short" in driver.reason


def test_the_kernels_driver_is_known_without_any_library(tmp_path: Path) -> None:
    version = tmp_path / "proc/driver/nvidia/version"
    version.parent.mkdir(parents=True)
    version.write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.104.05  Release Build\nGCC version: 1\n"
    )
    driver, _ = nvidia_facts(tmp_path)
    if driver.library is not None:
        pytest.skip("this machine has NVIDIA's driver")
    assert driver == DriverFacts(
        state="failed",
        reason="the kernel has NVIDIA's driver 535.104.05, but libnvidia-ml.so.1 is not here",
        version="535.104.05",
    )


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.90.07  Fri May 31 09:35:42 UTC 2024",
            "550.90.07",
        ),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.95.05  Release Build", "580.95.05"),
        ("something else", None),
        ("", None),
    ],
)
def test_the_version_of_the_kernels_driver(text: str, version: str | None) -> None:
    assert module_version(text) == version


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/usr/lib/x86_64-linux-gnu/libcuda.so.535.104.05", "535.104.05"),
        ("/usr/local/cuda-13.0/compat/libcuda.so.580.65.06", "580.65.06"),
        # the subsystem for Linux of Windows, and a toolkit's stub
        ("/usr/lib/wsl/lib/libcuda.so.1.1", None),
        ("/usr/local/cuda/lib64/stubs/libcuda.so", None),
    ],
)
def test_the_version_in_a_librarys_name(path: str, version: str | None) -> None:
    assert library_version(path) == version


# --- AMD, from folders that say what the kernel says on a machine with such GPUs ------------------


def topology(root: Path, nodes: Mapping[int, Mapping[str, str]], *, door: bool = True) -> Path:
    (root / "sys/module/amdgpu").mkdir(parents=True)
    for number, files in nodes.items():
        for name, text in files.items():
            path = root / f"sys/class/kfd/kfd/topology/nodes/{number}/{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if door:
        (root / "dev").mkdir()
        (root / "dev/kfd").write_text("")
    return root


MI250 = {
    "name": "aldebaran\n",
    "properties": "simd_count 440\ngfx_target_version 90010\nunique_id 81985529216486895\nvendor_id 4098\n",
    "mem_banks/0/properties": "heap_type 1\nsize_in_bytes 68702699520\n",
    "mem_banks/1/properties": "heap_type 0\nsize_in_bytes 1\n",
}
PROCESSOR = {"name": "\n", "properties": "cpu_cores_count 64\nsimd_count 0\ngfx_target_version 0\n"}


def test_gpus_of_amd_from_the_kernels_topology(tmp_path: Path) -> None:
    root = topology(tmp_path, {0: PROCESSOR, 1: MI250, 10: MI250, 2: MI250})
    (root / "sys/module/amdgpu/version").write_text("6.8.5\n")
    driver, devices = amd_facts(root)
    assert driver == DriverFacts(state="ready", version="6.8.5")
    assert [device.index for device in devices] == [0, 1, 2]
    assert devices[0] == GpuDevice(
        vendor="amd",
        index=0,
        name="aldebaran",
        architecture="gfx90a",
        memory=68702699520,
        identifier="0x123456789abcdef",
    )


def test_amds_driver_without_the_door_to_it(tmp_path: Path) -> None:
    driver, devices = amd_facts(topology(tmp_path, {1: MI250}, door=False))
    assert (driver.state, devices) == ("not-loaded", ())
    assert driver.reason == "the kernel has AMD's driver, but /dev/kfd is not here"


def test_a_door_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = topology(tmp_path, {1: MI250})
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may open everything
    driver, devices = amd_facts(root)
    assert (driver.state, driver.reason, devices) == ("failed", "/dev/kfd may not be opened by this user", ())


def test_a_kernel_without_amds_driver(tmp_path: Path) -> None:
    assert amd_facts(tmp_path)[0] == DriverFacts(state="absent", reason="the kernel has no amdgpu driver")


def test_damaged_topology_is_no_gpu(tmp_path: Path) -> None:
    root = topology(tmp_path, {1: {"properties": "gfx_target_version none\nodd\n"}, 2: {"name": "x"}})
    assert amd_facts(root)[1] == ()


@pytest.mark.parametrize(
    ("number", "name"), [(90010, "gfx90a"), (90402, "gfx942"), (110000, "gfx1100"), (120001, "gfx1201")]
)
def test_names_of_amds_architectures(number: int, name: str) -> None:
    assert architecture_name(number) == name


def test_cards_on_the_bus(tmp_path: Path) -> None:
    for number, (vendor, kind) in enumerate(
        [
            ("0x10de", "0x030200"),
            ("0x10de", "0x030000"),
            ("0x10de", "0x040300"),  # the sound part of a card
            ("0x1002", "0x120000"),
            ("0x8086", "0x030000"),
        ]
    ):
        device = tmp_path / f"sys/bus/pci/devices/0000:0{number}:00.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text(f"{vendor}\n")
        (device / "class").write_text(f"{kind}\n")
    assert pci_cards(tmp_path) == {"nvidia": 2, "amd": 1}
    assert pci_cards(tmp_path / "nowhere") == {}


# --- processes of their own ----------------------------------------------------------------------


def test_an_answer_comes_back() -> None:
    assert isolated(lambda: {"a": [1, None, "x" * 200_000]}, seconds=30).value == {
        "a": [1, None, "x" * 200_000]
    }


def test_an_exception_is_a_problem() -> None:
    def work() -> None:
        raise OSError("libx.so: cannot open")

    assert isolated(work, seconds=30).problem == "libx.so: cannot open"


def test_a_crash_is_a_problem() -> None:
    def work() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    assert isolated(work, seconds=30).problem == "crashed (SIGKILL)"


def test_an_exit_behind_our_back_is_a_problem() -> None:
    assert isolated(lambda: os._exit(3), seconds=30).problem == "ended without an answer, with status 3"


def test_patience_ends() -> None:
    assert isolated(lambda: time.sleep(600), seconds=0.2).problem == "no answer within 0 seconds"
