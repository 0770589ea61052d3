"""A real container with real CUDA, in front of drivers that are test doubles: there is no GPU here.

The CUDA runtime is NVIDIA's own wheel (2 MB); the driver's libraries are compiled from tests/rig/driver and
mounted where the NVIDIA runtime mounts the real ones.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from envbuild.lock.identity import project_target, target_digest
from envbuild.verify.checks import CheckResult, read_target
from envbuild.verify.image import ask_image
from envbuild.workflows.project import choose_target, read_lock
from tests.rig.bases import PushedImage
from tests.rig.driver import DRIVERS, write_driver, write_library
from tests.rig.engine import forget_at_the_end
from tests.rig.gpu_engine import EngineWithDriver
from tests.rig.paths import CHECKOUT

pytestmark = [
    pytest.mark.engine,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.xdist_group("gpu-container"),
    # Docker's SDK takes a connection over to read a container's output, and leaves it to the collector
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
    ),
]

CUDART = "/opt/venv/lib/python3.11/site-packages/nvidia/cu13/lib/libcudart.so.13"
T4_580 = replace(DRIVERS["t4-525"], version="580.95.05", cuda=13000)


def envbuild(
    *arguments: str | Path, folder: Path, environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "envbuild", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )


@pytest.fixture(scope="module")
def project(python_image: PushedImage, engine_host: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lock and build an environment that holds CUDA's runtime and nothing else."""
    folder = tmp_path_factory.mktemp("gpu")
    (folder / "envbuild.toml").write_text(
        f"""\
name = "gpu-container-{os.getpid()}"
python = "3.11"
base.image = "{python_image.reference}"
pip.packages = ["nvidia-cuda-runtime==13.0.96"]
gpu.vendor = "nvidia"
"""
    )
    locked = envbuild("lock", folder=folder)
    assert locked.returncode == 0, locked.stderr
    built = envbuild("build", folder=folder)
    assert built.returncode == 0, built.stderr
    forget_at_the_end(built.stdout.strip())
    return folder


Ask = Callable[..., dict[str, CheckResult]]


@pytest.fixture(scope="module")
def ask(project: Path) -> Ask:
    """Return a function that verifies the image with an engine, and gives the results about GPUs by id."""
    lock = read_lock(project / "envbuild.lock")
    target = choose_target(lock, variant=None, platform=None)
    reference = f"{lock.request.name}:{target_digest(lock, target).removeprefix('sha256:')[:12]}"

    def verify(engine: EngineWithDriver) -> dict[str, CheckResult]:
        with contextlib.closing(engine):
            image = engine.find(reference)
            assert image is not None
            results = ask_image(
                engine,
                image.identifier,
                read_target(project_target(lock, target), target_digest(lock, target)),
            )
        assert [item for item in results if item.outcome == "failed" and item.group != "gpu"] == []
        return {item.id: item for item in results if item.group == "gpu"}

    return verify


def test_cuda_in_the_container_says_its_version_without_a_gpu(project: Path) -> None:
    done = envbuild("verify", "--json", folder=project)
    assert done.returncode == 0, done.stderr
    results = {item["id"]: item for item in json.loads(done.stdout)["results"] if item["group"] == "gpu"}
    library = results["gpu/library/libcudart.so.13"]
    assert (library["outcome"], library["expected"], library["found"], library["reason"]) == (
        "passed",
        "13.0.96",
        "13.0",
        CUDART,
    )
    for name in ("gpu/driver", "gpu/device"):
        assert results[name]["outcome"] == "skipped"
        assert results[name]["reason"] == (
            "no GPU: there is no libnvidia-ml.so.1; "
            "the engine has neither NVIDIA's runtime nor its CDI device"
        )


@pytest.mark.parametrize(
    ("name", "outcomes"),
    [
        ("t4-580", {"gpu/driver": "passed 580.95.05", "gpu/device/0": "skipped None"}),
        ("t4-525", {"gpu/driver": "failed 525.147.05", "gpu/device/0": "skipped None"}),
        (
            "v100-580",
            {
                "gpu/driver": "passed 580.95.05",
                "gpu/device/0": "failed Tesla V100-SXM2-16GB, sm_70, 16 GiB",
            },
        ),
        (
            "h100-550",
            {
                "gpu/driver": "failed 550.90.07",
                "gpu/device/0": "skipped None",
                "gpu/device/1": "skipped None",
            },
        ),
        ("rtx5090-570", {"gpu/driver": "failed 570.124.06", "gpu/device/0": "skipped None"}),
        ("no-gpu", {"gpu/driver": "passed 580.95.05", "gpu/device": "skipped None"}),
        ("not-loaded", {"gpu/driver": "skipped None", "gpu/device": "skipped None"}),
        ("mismatch", {"gpu/driver": "failed does not work", "gpu/device": "skipped None"}),
        ("crashing", {"gpu/driver": "failed does not work", "gpu/device": "skipped None"}),
    ],
)
def test_drivers_in_front_of_a_lock_for_cuda_13(
    ask: Ask, tmp_path: Path, name: str, outcomes: dict[str, str]
) -> None:
    driver = write_driver(T4_580 if name == "t4-580" else DRIVERS[name], tmp_path)
    found = ask(EngineWithDriver(driver))
    assert found.pop("gpu/library/libcudart.so.13").outcome == "passed"
    assert {key: f"{item.outcome} {item.found}" for key, item in found.items()} == outcomes


def test_forward_compatibility_in_a_container(ask: Ask, tmp_path: Path) -> None:
    driver = write_driver(replace(T4_580, version="535.104.05", cuda=12020), tmp_path / "driver")
    works = replace(DRIVERS["no-gpu"], cuda_status=0)
    compat = write_driver(works, tmp_path / "compat", nvml=False)
    engine = EngineWithDriver(
        driver,
        folders={compat: "/usr/local/cuda/compat"},
        environment={"LD_LIBRARY_PATH": "/usr/local/cuda/compat"},
    )
    result = ask(engine)["gpu/driver"]
    assert (result.outcome, result.found) == ("passed", "535.104.05 with libcuda of 580.95.05")
    assert result.reason == (
        "forward compatibility: /usr/local/cuda/compat/libcuda.so.580.95.05 stands in for the driver's own"
    )


def test_a_toolkit_that_shadows_the_locked_library(ask: Ask, tmp_path: Path) -> None:
    write_library(tmp_path / "cuda/libcudart.so.13", 13010)
    engine = EngineWithDriver(
        None,
        folders={tmp_path / "cuda": "/usr/local/cuda/lib64"},
        environment={"LD_LIBRARY_PATH": "/usr/local/cuda/lib64"},
    )
    result = ask(engine)["gpu/library/libcudart.so.13"]
    assert (result.outcome, result.found, result.reason) == (
        "failed",
        "13.1 from /usr/local/cuda/lib64/libcudart.so.13",
        "LD_LIBRARY_PATH puts it before the locked file",
    )


def test_what_is_asked_for_by_name_is_asked_of_the_engine(project: Path) -> None:
    """This engine has no NVIDIA runtime, and says so; the hint says what to do."""
    for arguments, status in (
        (("verify", "--gpus", "all"), 6),
        (("run", "--gpus", "all", "--", "true"), 125),
    ):
        done = envbuild(*arguments, folder=project)
        assert done.returncode == status, done.stderr
        assert "could not select device driver" in done.stderr
        assert "hint: the engine's machine needs NVIDIA's driver and container toolkit" in done.stderr


def test_a_required_gpu_that_is_not_there_fails(project: Path) -> None:
    done = envbuild("verify", "--require-gpu", folder=project)
    assert done.returncode == 8
    assert "NVIDIA driver >=580.65.06 → missing: there is no libnvidia-ml.so.1" in done.stderr
    done = envbuild(
        *("run", "--", "/usr/local/bin/python3.11", "-I", "-S", "-B", "/etc/envbuild/probe.pyz"),
        *("check", "--require-gpu"),
        folder=project,
    )
    assert done.returncode == 8
    assert "failed   NVIDIA driver >=580.65.06 → missing (there is no libnvidia-ml.so.1)" in done.stdout


def test_the_machine_itself_in_front_of_the_lock(project: Path, tmp_path: Path) -> None:
    for name, status, line in (
        ("t4-580", 0, "this machine may run the lock"),
        ("v100-580", 8, "sm_70, 16 GiB: CUDA 13.0 has no code for it"),
        ("t4-525", 8, "525.147.05: too old for CUDA 13.0, it runs CUDA 12.0 at most"),
    ):
        driver = write_driver(T4_580 if name == "t4-580" else DRIVERS[name], tmp_path / name)
        done = envbuild("verify", "--host", folder=project, environment={"LD_LIBRARY_PATH": str(driver)})
        assert done.returncode == status, done.stderr
        assert line in done.stderr
