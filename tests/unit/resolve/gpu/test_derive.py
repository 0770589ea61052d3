import pytest

from envbuild.resolve.gpu.derive import derive
from tests.rig.gpu_packages import TORCH_12, TORCH_13, derived, packages


def test_cuda_of_unsuffixed_wheels_is_known_to_the_update() -> None:
    found = derived(TORCH_13)
    assert (found.vendor, found.runtime, found.toolkit, found.majors) == ("nvidia", "13.0", "13.0.3", (13,))
    assert found.evidence == (
        "nvidia-cuda-runtime 13.0.96 is the runtime library of CUDA 13.0",
        "cuda-toolkit 13.0.3.0 is the list of CUDA 13.0.3's parts",
        "cuDNN is 9.24.0.43, of nvidia-cudnn-cu13",
        "NCCL is 2.30.7, of nvidia-nccl-cu13",
    )


def test_libraries_are_named_as_they_are_loaded_and_where_they_lie() -> None:
    by_name = {library.name: library for library in derived(TORCH_13).libraries}
    site = "lib/python3.11/site-packages/nvidia"
    assert {name: library.path for name, library in by_name.items()} == {
        "cublas": f"{site}/cu13/lib/libcublas.so.13",
        "cudart": f"{site}/cu13/lib/libcudart.so.13",
        "cudnn": f"{site}/cudnn/lib/libcudnn.so.9",
        "nccl": f"{site}/nccl/lib/libnccl.so.2",
        "nvjitlink": f"{site}/cu13/lib/libnvJitLink.so.13",
    }
    assert by_name["cudnn"].version == "9.24.0.43"
    assert by_name["cudnn"].provider == "wheel nvidia-cudnn-cu13"
    older = {library.name: library.path for library in derived(TORCH_12).libraries}
    assert older["cudart"] == f"{site}/cuda_runtime/lib/libcudart.so.12"
    assert older["nvrtc"] == f"{site}/cuda_nvrtc/lib/libnvrtc.so.12"


def test_an_update_that_nothing_tells_stays_open() -> None:
    found = derived("nvidia-cuda-runtime-cu12==12.6.77")
    assert (found.runtime, found.toolkit) == ("12.6", None)
    assert found.evidence[1] == (
        "nvidia-cuda-runtime-cu12 12.6.77 came with CUDA 12.6.2 and 12.6.3: which update, stays open"
    )


@pytest.mark.parametrize(
    ("line", "runtime", "majors"),
    [
        pytest.param("torch==2.2.0+cu118", "11.8", (11,), id="local version"),
        pytest.param("torch==2.6.0+pt.cu126", "12.6", (12,), id="local version of two parts"),
        pytest.param("nvidia-cuda-nvrtc-cu12==12.4.127", "12.4", (12,), id="compiler library alone"),
        pytest.param("jax-cuda12-plugin==0.6.0", None, (12,), id="name of a plugin"),
        pytest.param("cupy-cuda13x==14.0.0", None, (13,), id="name of a build"),
        pytest.param("tensorflow==2.15.0", "12.2", (12,), id="what a framework looks for"),
        pytest.param("nvidia-cusparselt-cu12==0.6.3", None, (12,), id="a component below version 1"),
        pytest.param("nvidia-cuda-runtime-cu13==0.0.1", None, (), id="a name that is only held"),
        pytest.param("nvidia-cublas==13.1.1.3", None, (13,), id="cuBLAS counts for itself"),
        pytest.param("numpy==2.3.4 torch==2.13.0+cpu", None, (), id="nothing"),
    ],
)
def test_other_witnesses(line: str, runtime: str | None, majors: tuple[int, ...]) -> None:
    found = derived(line)
    assert (found.runtime, found.majors) == (runtime, majors)
    assert found.vendor == ("nvidia" if majors else None)


def test_the_highest_of_several_majors_decides() -> None:
    found = derived(f"{TORCH_13} {TORCH_12.partition(' ')[2]}")
    assert (found.runtime, found.toolkit, found.majors) == ("13.0", "13.0.3", (12, 13))
    assert [library.soname for library in found.libraries if library.name == "cudart"] == [
        "libcudart.so.12",
        "libcudart.so.13",
    ]


def test_rocm_is_derived_likewise() -> None:
    found = derived("torch==2.6.0+rocm6.2.4 triton==3.2.0")
    assert (found.vendor, found.runtime, found.majors) == ("amd", "6.2", ())
    assert found.evidence == ("torch 2.6.0+rocm6.2.4 says in its version that it was built for ROCm 6.2",)


def test_other_components_tell_the_update_where_the_runtime_library_does_not() -> None:
    line = "nvidia-cuda-runtime==13.0.96 nvidia-cublas=="
    assert derived(f"{line}13.1.1.3").toolkit == "13.0.3"
    assert derived(f"{line}13.1.0.3").toolkit == "13.0.2"
    assert derived("nvidia-cuda-runtime==13.0.96").toolkit is None


def test_order_does_not_matter() -> None:
    given = list(packages(f"{TORCH_13} onnxruntime-gpu==1.22.0 cupy-cuda12x==13.0.0"))
    wanted = derive(given)
    for _ in range(len(given)):
        given.append(given.pop(0))
        assert derive(given) == derive(given[::-1]) == wanted


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        pytest.param("onnxruntime-gpu==1.22.0", (True, True), id="all of it"),
        pytest.param("cupy-cuda12x==13.0.0", (True, False), id="no cuDNN wanted"),
        pytest.param("tensorflow==2.19.0 nvidia-cuda-runtime-cu12==12.5.82", (False, True), id="cuDNN alone"),
    ],
)
def test_what_looks_for_cuda_in_the_system_is_noticed(line: str, lacks: tuple[bool, bool]) -> None:
    (need,) = derived(line).needs
    assert (need.lacks_cuda, need.lacks_cudnn) == lacks


def test_nothing_is_looked_for_where_wheels_bring_it() -> None:
    line = "tensorflow==2.19.0 nvidia-cuda-runtime-cu12==12.5.82 nvidia-cudnn-cu12==9.3.0.75"
    assert derived(line).needs == ()
