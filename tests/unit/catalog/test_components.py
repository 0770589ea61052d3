import pytest

from envbuild.catalog.components import (
    component_of_wheel,
    cuda_of_component,
    toolkits_of_runtime,
    toolkits_of_versions,
)


@pytest.mark.parametrize(
    ("wheel", "version", "component", "major"),
    [
        ("nvidia-cuda-runtime-cu12", "12.6.77", "cudart", 12),
        ("nvidia-cuda-runtime", "13.0.96", "cudart", 13),
        ("nvidia-cuda-runtime", "14.0.1", "cudart", 14),
        ("nvidia-cublas", "13.8.0.4", "cublas", 13),
        ("nvidia-cudnn-cu13", "9.24.0.43", "cudnn", 13),
        ("nvidia-nccl-cu12", "2.27.5", "nccl", 12),
    ],
)
def test_wheel_tells_what_it_brings(wheel: str, version: str, component: str, major: int) -> None:
    found = component_of_wheel(wheel, version)

    assert found is not None
    assert (found[0], found[2]) == (component, major)


def test_placeholders_and_other_wheels_bring_nothing() -> None:
    assert component_of_wheel("nvidia-cuda-runtime-cu13", "0.0.1") is None
    assert component_of_wheel("nvidia-cuda-runtime", "0.0.0a0") is None
    assert component_of_wheel("numpy", "2.0.0") is None


def test_runtime_version_may_be_that_of_several_updates() -> None:
    assert toolkits_of_runtime("12.6.77") == ("12.6.2", "12.6.3")
    assert toolkits_of_runtime("12.4.127") == ("12.4.1",)
    assert toolkits_of_runtime("13.1.80") == ("13.1.0", "13.1.1", "13.1.2")
    assert toolkits_of_runtime("12.5.82") == ("12.5.1",)
    assert toolkits_of_runtime("13.9.9") == ()


def test_other_components_settle_the_update() -> None:
    assert toolkits_of_versions({"cudart": "13.0.96"}) == ("13.0.2", "13.0.3")
    assert toolkits_of_versions({"cudart": "13.0.96", "cublas": "13.1.1.3"}) == ("13.0.3",)
    assert toolkits_of_versions({"cudart": "13.1.80", "cublas": "13.2.1.1"}) == ("13.1.1",)
    assert toolkits_of_versions({"cudart": "13.0.96", "cublas": "1.0"}) == ()


def test_libraries_are_named_by_cuda_or_by_themselves() -> None:
    assert _soname("nvidia-cuda-runtime", "13.0.96") == "libcudart.so.13"
    assert _soname("nvidia-cusolver-cu12", "11.6.1.9") == "libcusolver.so.11"
    assert _soname("nvidia-cudnn-cu12", "8.9.2.26") == "libcudnn.so.8"
    assert _soname("nvidia-cudnn-cu13", "9.24.0.43") == "libcudnn.so.9"
    assert _soname("nvidia-nvtx", "13.0.85") is None


def test_cuda_of_a_component() -> None:
    assert cuda_of_component("12.6.77") == "12.6"
    assert cuda_of_component("13.0.96+local") == "13.0"


def _soname(wheel: str, version: str) -> str | None:
    found = component_of_wheel(wheel, version)
    assert found is not None
    return found[1].soname(cuda_major=found[2], version=version)
