import pytest

from envbuild.resolve.gpu.derive import derive
from envbuild.resolve.gpu.findings import GpuFinding, find
from envbuild.spec.request import GpuRequest
from tests.rig.gpu_packages import TORCH_12, TORCH_13, packages


def findings(line: str, asked: GpuRequest | None = None, **requires: str) -> tuple[GpuFinding, ...]:
    given = packages(line, **requires)
    return find(given, derive(given), asked or GpuRequest())


@pytest.mark.parametrize(
    "line",
    [TORCH_13, TORCH_12, f"{TORCH_13} torchvision==0.29.1", "torch==2.6.0+cu126 torchaudio==2.6.0+cu126"],
)
def test_what_fits_is_passed_over(line: str) -> None:
    assert findings(line, torchvision="torch==2.14.1") == ()


def test_a_build_for_cpus_is_an_error() -> None:
    (found,) = findings("torch==2.13.0+cpu")
    assert found.severity == "error"
    assert found.message == "torch 2.13.0+cpu is a build without CUDA"


@pytest.mark.parametrize(
    ("line", "requires", "message"),
    [
        pytest.param(
            "torch==2.6.0+cu126 torchaudio==2.6.0+cu124",
            "",
            "torchaudio 2.6.0+cu124 is built for CUDA 12.4, torch 2.6.0+cu126 for CUDA 12.6",
            id="two local versions",
        ),
        pytest.param(
            "torch==2.6.0+cu126 torchaudio==2.6.0",
            "",
            "torchaudio 2.6.0 is built for CUDA 12.4, torch 2.6.0+cu126 for CUDA 12.6",
            id="one of the main index",
        ),
        pytest.param(
            "torch==2.6.0+cu118 torchvision==0.21.0",
            "torch==2.6.0",
            "torchvision 0.21.0 is built for CUDA 12.4, torch 2.6.0+cu118 for CUDA 11.8",
            id="known by the torch it requires",
        ),
    ],
)
def test_parts_of_torch_for_different_cuda_are_an_error(line: str, requires: str, message: str) -> None:
    assert [found.message for found in findings(line, torchvision=requires) if found.severity == "error"] == [
        message
    ]


def test_a_newer_cuda_of_another_package_is_not_that_of_torch() -> None:
    torch = "torch==2.10.0 torchvision==0.25.0 nvidia-cuda-runtime-cu12==12.8.90"
    cupy = "cupy-cuda13x==14.0.0 nvidia-cuda-runtime==13.0.96"
    (found,) = findings(f"{torch} {cupy}", torchvision="torch==2.10.0")
    assert found.severity == "warning"
    assert found.message.startswith("there are libraries of CUDA 12 and 13 in one environment")
    messages = [
        found.message
        for found in findings(f"{torch} {cupy} torchaudio==2.10.0+cu126", torchvision="torch==2.10.0")
        if found.severity == "error"
    ]
    assert messages == ["torchaudio 2.10.0+cu126 is built for CUDA 12.6, torch 2.10.0 for CUDA 12.8"]


def test_two_majors_are_a_warning() -> None:
    (found,) = findings(f"{TORCH_13} nvidia-cuda-runtime-cu12==12.6.77")
    assert found.severity == "warning"
    assert found.message.startswith("there are libraries of CUDA 12 and 13 in one environment")


def test_cuda_that_no_wheel_offers_names_who_does() -> None:
    (found,) = findings(TORCH_13, GpuRequest(cuda="12.6"))
    assert found.severity == "error"
    assert found.message == (
        "[gpu] asks for CUDA 12.6, but nothing that was resolved is for it: "
        "nvidia-cuda-runtime 13.0.96 is the runtime library of CUDA 13.0"
    )
    assert found.hint is not None
    assert "torch 2.7 up to, not with, 2.8 of the main index" in found.hint
    assert "with +cu126 of its own index" in found.hint
    assert findings(TORCH_12, GpuRequest(cuda="12.6")) == ()


def test_another_vendor_is_an_error() -> None:
    (amd,) = findings("torch==2.6.0+rocm6.2")
    assert amd.message == "torch 2.6.0+rocm6.2 is a build for AMD's GPUs"
    (nvidia,) = findings(TORCH_13, GpuRequest(vendor="amd"))
    assert nvidia.message == (
        "[gpu] says vendor amd, but nvidia-cuda-runtime 13.0.96 is the runtime library of CUDA 13.0"
    )
    assert findings("torch==2.6.0+rocm6.2", GpuRequest(vendor="amd")) == ()


def test_an_environment_that_uses_no_gpu_is_an_error_unless_cuda_is_named() -> None:
    (found,) = findings("numpy==2.3.4")
    assert found.message == "nothing that was resolved uses CUDA, so there is no version to derive"
    assert findings("numpy==2.3.4", GpuRequest(cuda="12.6", image="devel")) == ()
    (amd,) = findings("numpy==2.3.4", GpuRequest(vendor="amd"))
    assert amd.message == "nothing that was resolved is built for ROCm"


def test_cuda_newer_than_the_catalogue_is_a_warning() -> None:
    (found,) = findings("nvidia-cuda-runtime==14.1.7")
    assert found.severity == "warning"
    assert found.message.startswith("CUDA 14.1 is not in the catalogue, which ends at ")


def test_a_list_of_parts_of_another_cuda_is_a_warning() -> None:
    (found,) = findings("nvidia-cuda-runtime==13.0.96 cuda-toolkit==13.2.2")
    assert found.message == "cuda-toolkit 13.2.2 lists parts of another CUDA than the runtime library, 13.0"


def test_a_framework_newer_than_the_catalogue_is_a_warning() -> None:
    (found,) = findings("tensorflow==2.30.0")
    assert found.severity == "warning"
    assert found.message == (
        "tensorflow 2.30.0 is newer than the catalogue: it is taken to look for CUDA 12.5 and cuDNN 9.3 "
        "in the system, as the newest known version does"
    )
    assert findings("tensorflow==2.19.1") == ()
