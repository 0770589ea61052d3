import pytest

from envbuild.catalog.gpus import find_gpu
from envbuild.catalog.versions import minor_of
from envbuild.resolve.gpu.driver_check import judge_driver
from envbuild.resolve.gpu.facts import compose_facts, gpu_environment
from envbuild.spec.request import GpuRequest
from envbuild.verify.checks.cuda import is_at_least
from tests.rig.gpu_packages import TORCH_13, derived

NVIDIA_13 = {
    "CUDA_VERSION": "13.0.0",
    "NV_CUDA_CUDART_VERSION": "13.0.48-1",
    "NV_CUDNN_VERSION": "9.12.0.46-1",
    "NCCL_VERSION": "2.27.7-1",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64:/usr/local/cuda/lib64",
}


def test_facts_name_the_drivers_of_what_was_derived() -> None:
    facts = compose_facts(derived(TORCH_13), GpuRequest(), flavour="slim", base_environment={})
    assert (facts.runtime, facts.toolkit, facts.majors, facts.image) == ("13.0", "13.0.3", (13,), "slim")
    assert facts.driver_minimum is not None
    assert facts.driver_minimum.startswith("580")
    assert [library.name for library in facts.libraries] == ["cublas", "cudart", "cudnn", "nccl", "nvjitlink"]


@pytest.mark.parametrize(
    ("cuda", "driver"), [("13.0.2", "580.82.07"), ("12.8.1", "570.86.15"), ("12.8.1", "570.10")]
)
def test_locking_and_verifying_agree_on_which_drivers_know_ptx(cuda: str, driver: str) -> None:
    """An update of a toolkit comes with a newer driver, but its PTX is that of the minor."""
    facts = compose_facts(
        derived("numpy==2"),
        GpuRequest(cuda=minor_of(cuda)),
        flavour="runtime",
        base_environment={"CUDA_VERSION": cuda},
    )
    assert facts.toolkit == cuda
    assert facts.driver_toolkit is not None
    when_locked = judge_driver(find_gpu("T4"), driver, facts.toolkit, compat=False)
    assert is_at_least(driver, facts.driver_toolkit) is when_locked.knows_ptx


def test_what_no_wheel_brings_comes_from_the_base() -> None:
    facts = compose_facts(
        derived("cupy-cuda13x==14.0.0"), GpuRequest(), flavour="cudnn-runtime", base_environment=NVIDIA_13
    )
    assert (facts.runtime, facts.toolkit) == ("13.0", "13.0.0")
    assert facts.evidence[-1] == "the base brings CUDA 13.0.0"
    assert {(item.soname, item.version, item.provider, item.path) for item in facts.libraries} == {
        ("libcudart.so.13", "13.0.48", "base", None),
        ("libcudnn.so.9", "9.12.0.46", "base", None),
        ("libnccl.so.2", "2.27.7", "base", None),
    }


def test_what_looks_for_cuda_in_the_system_runs_on_that_of_the_base() -> None:
    """TensorFlow 2.18 is made for CUDA 12.5, whose images have too old a cuDNN."""
    facts = compose_facts(
        derived("tensorflow==2.18.1"),
        GpuRequest(),
        flavour="cudnn-runtime",
        base_environment={"CUDA_VERSION": "12.6.3"},
    )
    assert (facts.runtime, facts.toolkit) == ("12.6", "12.6.3")


def test_cuda_that_is_only_asked_for_is_said_to_be() -> None:
    facts = compose_facts(derived("numpy==2"), GpuRequest(cuda="12.6"), flavour="slim", base_environment={})
    assert (facts.runtime, facts.majors, facts.evidence) == ("12.6", (12,), ("[gpu] says CUDA 12.6",))


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        (NVIDIA_13["LD_LIBRARY_PATH"], "/usr/local/nvidia/lib:/usr/local/nvidia/lib64"),
        ("/usr/local/cuda/lib64", ""),
        ("/usr/local/cuda-12.8/targets/x86_64-linux/lib:/opt/lib", "/opt/lib"),
        ("/opt/cuda:/usr/local/cudalike", None),
    ],
)
def test_the_system_cuda_does_not_come_before_that_of_wheels(path: str, kept: str | None) -> None:
    facts = compose_facts(derived(TORCH_13), GpuRequest(), flavour="slim", base_environment={})
    assert gpu_environment(GpuRequest(), facts, {"LD_LIBRARY_PATH": path}).get("LD_LIBRARY_PATH") == kept


def test_the_system_cuda_stays_on_the_path_where_it_is_the_only_one() -> None:
    facts = compose_facts(
        derived("cupy-cuda13x==14.0.0"), GpuRequest(), flavour="runtime", base_environment=NVIDIA_13
    )
    assert "LD_LIBRARY_PATH" not in gpu_environment(GpuRequest(), facts, NVIDIA_13)


def test_a_slim_base_gets_the_environment_of_the_nvidia_runtime() -> None:
    facts = compose_facts(derived(TORCH_13), GpuRequest(), flavour="slim", base_environment={})
    assert gpu_environment(GpuRequest(), facts, {}) == {
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
        "NVIDIA_VISIBLE_DEVICES": "all",
    }
    amd = GpuRequest(vendor="amd")
    rocm = compose_facts(derived("torch==2.6.0+rocm6.2"), amd, flavour="slim", base_environment={})
    assert (rocm.runtime, rocm.driver_minimum) == ("6.2", None)
    assert gpu_environment(amd, rocm, {}) == {}


@pytest.mark.parametrize(
    "base",
    [
        {"NVIDIA_REQUIRE_CUDA": "cuda>=12.5 brand=tesla,driver>=535,driver<536"},
        # required where nothing else is
        {"CUDA_VERSION": "12.5.1"},
    ],
)
def test_a_base_does_not_refuse_drivers_that_the_lock_calls_fit(base: dict[str, str]) -> None:
    """CUDA 12.5 runs on a GeForce card with driver 535; NVIDIA's image of it would not start there."""
    line = "tensorflow==2.18.1"
    facts = compose_facts(derived(line), GpuRequest(), flavour="runtime", base_environment=base)
    assert gpu_environment(GpuRequest(), facts, base)["NVIDIA_DISABLE_REQUIRE"] == "true"
    assert "NVIDIA_DISABLE_REQUIRE" not in gpu_environment(GpuRequest(), facts, {})
