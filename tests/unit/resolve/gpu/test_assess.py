"""The CUDA of one target, with its base and its fleet."""

import pytest

from envbuild.errors import NoSolutionError
from envbuild.lock.gpu import TargetGpu
from envbuild.progress import SilentProgress
from envbuild.resolve.gpu.architectures import WheelArchitectures
from envbuild.resolve.gpu.assess import GpuInputs, gpu_facts
from envbuild.spec.request import GpuRequest
from tests.rig.cuda_bases import cuda_environment
from tests.rig.gpu_packages import TORCH_13, packages
from tests.rig.locks import image_base, request, wheel


def facts_of(
    line: str, *, cuda: str | None = None, flavour: str = "cudnn-runtime", **asked: object
) -> TargetGpu:
    """Return the facts of such wheels on a slim base, or on NVIDIA's image of that CUDA."""
    base = image_base().model_copy(update={"env": cuda_environment(cuda, flavour) if cuda else {}})
    return gpu_facts(
        request(image=base.key).variants["default"],
        GpuRequest.model_validate(asked),
        GpuInputs(
            base=base,
            python="3.11",
            wheels=tuple(wheel(item.name, item.version) for item in packages(line)),
        ),
        read=lambda _wheels: WheelArchitectures(()),
        known=None,
        progress=SilentProgress(),
    )


ONNX = "onnxruntime-gpu==1.22.0"
WITH_NCCL = f"{ONNX} xgboost==3.0.0 nvidia-nccl-cu12==2.26.2"
"""XGBoost requires one wheel of NVIDIA's: it brings NCCL, and no CUDA."""


@pytest.mark.parametrize("line", [ONNX, WITH_NCCL])
def test_a_wheel_of_one_part_does_not_hide_the_cuda_of_the_base(line: str) -> None:
    facts = facts_of(line, cuda="12.6.3")
    assert (facts.runtime, facts.toolkit, facts.driver_minimum) == ("12.6", "12.6.3", "525.60.13")
    assert {library.soname for library in facts.libraries} >= {"libcudart.so.12", "libnccl.so.2"}
    with pytest.raises(NoSolutionError) as raised:
        facts_of(line, cuda="12.6.3", targets=("T4",), driver=">=470")
    (problem,) = raised.value.problems
    assert "CUDA 12.6 needs 525.60.13 or newer" in problem.message


def test_the_highest_cuda_counts_when_the_base_has_it() -> None:
    """torch brings CUDA 12, and another looks for CUDA 13 in the system."""
    line = (
        "torch==2.7.1 nvidia-cuda-runtime-cu12==12.6.77 nvidia-cudnn-cu12==9.5.1.17 onnxruntime-gpu==1.27.0"
    )
    facts = facts_of(line, cuda="13.0.2")
    assert (facts.runtime, facts.toolkit, facts.majors) == ("13.0", "13.0.2", (12, 13))
    assert facts.driver_minimum == "580.65.06"
    assert [item.soname for item in facts.libraries if item.name == "cudart"] == [
        "libcudart.so.12",
        "libcudart.so.13",
    ]


def test_the_major_alone_says_which_drivers_it_takes() -> None:
    line = "xgboost==3.0.0 nvidia-nccl-cu12==2.26.2"
    facts = facts_of(line)
    assert (facts.runtime, facts.driver_minimum, facts.driver_toolkit) == (None, "525.60.13", None)
    with pytest.raises(NoSolutionError) as raised:
        facts_of(line, targets=("T4",), driver=">=470")
    assert "CUDA 12 needs 525.60.13 or newer" in raised.value.problems[0].message
    (verdict,) = facts_of(line, targets=("T4",), driver=">=525.60.13").fleet
    assert (verdict.ok, verdict.driver_state) == (True, "minor-version")


@pytest.mark.parametrize(("cuda", "ok"), [("13.0.2", True), ("12.2.2", False)])
def test_cuda_compat_is_of_the_cuda_of_the_image(cuda: str, *, ok: bool) -> None:
    fleet = {"targets": ("T4",), "driver": ">=535"}
    if ok:
        (verdict,) = facts_of(TORCH_13, cuda=cuda, flavour="base", **fleet).fleet
        assert verdict.driver_state == "forward-compatibility"
        return
    with pytest.raises(NoSolutionError) as raised:
        facts_of(TORCH_13, cuda=cuda, flavour="base", **fleet)
    assert "cuda-compat-13-0 would lift it, but the image has none" in raised.value.problems[0].message
    assert raised.value.hint is not None
    assert 'image = "base" brings cuda-compat-13-0' in raised.value.hint
