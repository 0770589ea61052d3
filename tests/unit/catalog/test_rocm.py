import pytest

from envbuild.catalog.rocm import find_amd_gpu, rocm_images
from envbuild.errors import SpecError


@pytest.mark.parametrize(
    ("asked", "name", "target"),
    [
        ("MI300X", "AMD Instinct MI300X", "gfx942"),
        ("AMD Instinct MI250X", "AMD Instinct MI250X", "gfx90a"),
        ("Instinct mi355x", "AMD Instinct MI355X", "gfx950"),
        ("RX 7900 XTX", "AMD Radeon RX 7900 XTX", "gfx1100"),
        ("radeon pro w7700", "AMD Radeon PRO W7700", "gfx1101"),
        ("gfx942", "gfx942", "gfx942"),
    ],
)
def test_gpu_is_found_by_all_its_names(asked: str, name: str, target: str) -> None:
    gpu = find_amd_gpu(asked)

    assert (gpu.name, gpu.target) == (name, target)


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        (
            "MI300",
            "unknown GPU `MI300`",
            "did you mean `AMD Instinct MI300X` or `AMD Instinct MI300A` or `AMD Instinct MI100`?",
        ),
        ("my card", "unknown GPU `my card`", "write what code is made for, such as `gfx942`"),
        (
            "gfx803",
            "no GPU of the catalogue is gfx803",
            "known are gfx1030, gfx1100, gfx1101, gfx1102, gfx1200, gfx1201, gfx908, gfx90a, gfx942, gfx950",
        ),
    ],
)
def test_unknown_gpu_names_what_is_near(asked: str, message: str, hint: str) -> None:
    with pytest.raises(SpecError) as caught:
        find_amd_gpu(asked)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_images_of_a_version_are_newest_first() -> None:
    assert [image.reference for image in rocm_images("7.2")] == [
        "rocm/dev-ubuntu-24.04:7.2.1",
        "rocm/dev-ubuntu-24.04:7.2",
    ]
    (complete,) = rocm_images("7.1")
    assert (complete.reference, complete.complete, complete.libc) == (
        "rocm/dev-ubuntu-24.04:7.1.1-complete",
        True,
        "2.39",
    )
    assert rocm_images("5.0") == ()
