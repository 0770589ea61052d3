import pytest

from envbuild.catalog.gpus import all_gpus, find_gpu
from envbuild.errors import SpecError


@pytest.mark.parametrize(
    ("asked", "name", "capability"),
    [
        ("T4", "NVIDIA T4", "7.5"),
        ("Tesla T4", "NVIDIA T4", "7.5"),
        ("tesla-t4", "NVIDIA T4", "7.5"),
        ("NVIDIA A100-SXM4-80GB", "NVIDIA A100", "8.0"),
        ("NVIDIA H100 80GB HBM3", "NVIDIA H100", "9.0"),
        ("NVIDIA H100 NVL", "NVIDIA H100", "9.0"),
        ("Tesla V100-PCIE-16GB", "NVIDIA V100", "7.0"),
        ("NVIDIA GeForce RTX 4090", "GeForce RTX 4090", "8.9"),
        ("rtx 4090", "GeForce RTX 4090", "8.9"),
        ("NVIDIA RTX 6000 Ada Generation", "NVIDIA RTX 6000 Ada", "8.9"),
        ("Quadro RTX 4000", "Quadro RTX 4000", "7.5"),
        ("NVIDIA GeForce RTX 4070 Laptop GPU", "GeForce RTX 4070", "8.9"),
        ("NVIDIA GeForce RTX 2070 SUPER", "GeForce RTX 2070", "7.5"),
        ("NVIDIA GH200 480GB", "NVIDIA GH200", "9.0"),
        ("NVIDIA A100 80GB PCIe", "NVIDIA A100", "8.0"),
        ("Tesla V100-SXM2-32GB", "NVIDIA V100", "7.0"),
        ("DGX Spark", "NVIDIA GB10", "12.1"),
        ("sm_90", "sm_90", "9.0"),
        ("SM_120", "sm_120", "12.0"),
        ("7.5", "sm_75", "7.5"),
        ("80", "sm_80", "8.0"),
    ],
)
def test_gpu_is_found_by_all_its_names(asked: str, name: str, capability: str) -> None:
    gpu = find_gpu(asked)

    assert (gpu.name, gpu.capability) == (name, capability)


@pytest.mark.parametrize("gpu", all_gpus(), ids=lambda gpu: gpu.name)
def test_every_listed_name_finds_its_own_row(gpu) -> None:
    assert find_gpu(gpu.name) == gpu
    assert find_gpu(gpu.name.upper()) == gpu
    assert gpu.compute_capability.dotted == gpu.capability


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        pytest.param(
            "H1000",
            "unknown GPU `H1000`",
            "did you mean `NVIDIA H100`, `T1000` or `NVIDIA V100`?",
            id="near names",
        ),
        pytest.param(
            "RTX 4000",
            "`RTX 4000` names GPUs of different compute capability",
            "write `Quadro RTX 4000` (7.5) or `NVIDIA RTX 4000 Ada` (8.9)",
            id="one name, two generations",
        ),
        pytest.param(
            "my graphics card",
            "unknown GPU `my graphics card`",
            "write its compute capability, such as `sm_90`",
            id="nothing near",
        ),
        pytest.param("", "unknown GPU ``", "write its compute capability, such as `sm_90`", id="empty"),
    ],
)
def test_unknown_gpu_names_what_is_near(asked: str, message: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        find_gpu(asked)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_capability_no_gpu_has_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        find_gpu("sm_99")
    assert caught.value.message == "no GPU has compute capability 9.9"
    assert (caught.value.hint or "").startswith("known are 3.5, 3.7, 5.0")


def test_forward_compatibility_is_for_data_centres_and_jetsons() -> None:
    assert find_gpu("T4").has_forward_compatibility is True
    assert find_gpu("Jetson AGX Orin").has_forward_compatibility is True
    assert find_gpu("RTX 4090").has_forward_compatibility is False
    assert find_gpu("sm_75").has_forward_compatibility is None
