import pytest

from envbuild.catalog.cuda_images import CudaImage
from envbuild.errors import NoSolutionError
from envbuild.resolve.gpu.choose_base import choose_base, flavour_of, flavour_of_base, lacking, newest_libc_of
from envbuild.spec.request import GpuRequest
from tests.rig.gpu_packages import TORCH_13, derived
from tests.rig.locks import image_base


def test_wheels_that_bring_cuda_stand_on_the_slim_image() -> None:
    choice = choose_base(derived(TORCH_13), GpuRequest(), python="3.11", libc="2.28")
    assert (choice.flavour, choice.image) == ("slim", None)
    assert choice.reasons == ("wheels bring every library of CUDA that is looked for",)
    (rejected,) = choice.rejected
    assert rejected.startswith("base, runtime, devel: CUDA would be there twice; nvidia/cuda:")
    assert rejected.endswith(" GB in a registry")


@pytest.mark.parametrize(
    ("line", "asked", "python", "flavour", "tag"),
    [
        pytest.param(
            "onnxruntime-gpu==1.22.0",
            GpuRequest(driver=">=560"),
            "3.12",
            "cudnn-runtime",
            "12.6.3-cudnn-runtime-ubuntu24.04",
            id="newest the driver knows itself",
        ),
        pytest.param(
            "onnxruntime-gpu==1.22.0",
            GpuRequest(cuda="12.4"),
            "3.10",
            "cudnn-runtime",
            "12.4.1-cudnn-runtime-ubuntu22.04",
            id="the version asked for, newest update",
        ),
        pytest.param(
            "cupy-cuda12x==13.0.0",
            GpuRequest(cuda="12.6"),
            "3.10",
            "runtime",
            "12.6.3-runtime-ubuntu22.04",
            id="the distribution with the wanted Python",
        ),
        pytest.param(
            TORCH_13,
            GpuRequest(image="devel"),
            "3.12",
            "devel",
            "13.0.3-devel-ubuntu24.04",
            id="the compiler",
        ),
        pytest.param(
            "cupy-cuda12x==13.0.0", GpuRequest(cuda="12.6", image="base"), "3.12", "base",
            "12.6.3-base-ubuntu24.04", id="base by request",
        ),
    ],
)  # fmt: skip
def test_what_wheels_lack_decides_the_image(
    line: str, asked: GpuRequest, python: str, flavour: str, tag: str
) -> None:
    choice = choose_base(derived(line), asked, python=python, libc="2.28")
    assert isinstance(choice.image, CudaImage)
    assert (choice.flavour, choice.image.tag) == (flavour, tag)
    assert choice.image.superseded_by is None


@pytest.mark.parametrize(
    ("line", "asked", "tag"),
    [
        pytest.param(
            "tensorflow==2.15.0", GpuRequest(), "12.2.2-cudnn8-runtime-ubuntu22.04", id="its own minor has it"
        ),
        pytest.param(
            # that of 12.5.1 is 9.2, and TensorFlow was built with 9.3
            "tensorflow==2.18.1", GpuRequest(), "12.6.3-cudnn-runtime-ubuntu24.04", id="a newer one has it"
        ),
        pytest.param(
            # images of 12.0, which this driver knows itself, have cuDNN 8
            "onnxruntime-gpu==1.22.0",
            GpuRequest(driver=">=525"),
            "12.3.2-cudnn9-runtime-ubuntu22.04",
            id="in place of the newest the driver knows",
        ),
    ],
)  # fmt: skip
def test_the_image_has_the_cudnn_that_is_looked_for(line: str, asked: GpuRequest, tag: str) -> None:
    choice = choose_base(derived(line), asked, python="3.12", libc="2.28")
    assert isinstance(choice.image, CudaImage)
    assert choice.image.tag == tag


def test_why_another_cuda_was_chosen_for_its_cudnn_is_said() -> None:
    choice = choose_base(derived("tensorflow==2.18.1"), GpuRequest(), python="3.12")
    assert choice.reasons[1] == (
        "CUDA 12.6 is the first whose images have the cuDNN: those of CUDA 12.5 have cuDNN 9.2.1.18, "
        "and tensorflow 2.18.1 looks for cuDNN 9.3"
    )


@pytest.mark.parametrize(
    ("line", "asked", "message", "hint"),
    [
        pytest.param(
            "tensorflow==2.16.2",
            GpuRequest(),
            "no image of nvidia/cuda fits: those of CUDA 12.3 have cuDNN 9.0.0.312, and tensorflow 2.16.2 "
            "looks for cuDNN 8.9",
            "add `nvidia-cudnn-cu12>=8.9,<9` to [pip] packages",
            id="of the older major, which no newer image has",
        ),
        pytest.param(
            "tensorflow==2.18.1",
            GpuRequest(cuda="12.5"),
            "no image of nvidia/cuda fits: those of CUDA 12.5 have cuDNN 9.2.1.18, and tensorflow 2.18.1 "
            "looks for cuDNN 9.3",
            "add `nvidia-cudnn-cu12>=9.3,<10` to [pip] packages, "
            'or leave it to cuda = "auto", which takes 12.6',
            id="the CUDA was named",
        ),
    ],
)
def test_a_cudnn_that_no_image_has_is_said(line: str, asked: GpuRequest, message: str, hint: str) -> None:
    with pytest.raises(NoSolutionError) as caught:
        choose_base(derived(line), asked, python="3.12")
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_with_the_wheel_of_cudnn_its_image_needs_none() -> None:
    choice = choose_base(
        derived("tensorflow==2.16.2 nvidia-cudnn-cu12==8.9.7.29"), GpuRequest(), python="3.10"
    )
    assert choice.image is not None
    assert choice.image.reference == "nvidia/cuda:12.3.2-runtime-ubuntu22.04"


def test_an_image_whose_libc_is_too_old_is_rejected() -> None:
    asked = GpuRequest(cuda="12.6")
    choice = choose_base(derived("cupy-cuda12x==13.0.0"), asked, python="3.10", libc="2.38")
    assert choice.image is not None
    assert choice.image.distribution == "ubuntu24.04"
    assert (
        "12.6.3-runtime-ubuntu22.04: its glibc 2.35 is older than the 2.38 that wheels need"
        in choice.rejected
    )
    assert "ubuntu24.04 has no Python 3.10, so a standalone one is laid into /opt/python" in choice.reasons
    with pytest.raises(NoSolutionError) as caught:
        choose_base(derived("cupy-cuda12x==13.0.0"), asked, python="3.10", libc="2.99")
    assert "has the glibc 2.99 that wheels need" in caught.value.message


def test_cuda_without_an_image_says_which_there_are() -> None:
    with pytest.raises(NoSolutionError) as caught:
        choose_base(derived("cupy-cuda12x==13.0.0"), GpuRequest(cuda="13.9"), python="3.12")
    assert caught.value.message == "the catalogue knows no image of nvidia/cuda with CUDA 13.9 (runtime)"
    assert caught.value.hint is not None


def test_end_of_life_is_warned_of() -> None:
    choice = choose_base(derived("cupy-cuda11x==12.0.0"), GpuRequest(cuda="11.8"), python="3.10")
    assert choice.image is not None
    assert any("free support of ubuntu22.04 ends in 20" in warning for warning in choice.warnings)


@pytest.mark.parametrize(
    ("files", "libc"),
    [
        ((), "0"),
        (("a-1-py3-none-any.whl",), "0"),
        (("a-1-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",), "2.17"),
        (("a-1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",), "2.27"),
        (
            (
                "a-1-py3-none-manylinux1_x86_64.manylinux_2_5_x86_64.whl",
                "b-1-cp311-cp311-manylinux_2_39_aarch64.whl",
            ),
            "2.39",
        ),
    ],
)
def test_wheels_say_which_libc_they_need(files: tuple[str, ...], libc: str) -> None:
    assert newest_libc_of(files) == libc


def test_a_base_that_lacks_what_is_looked_for_is_a_problem() -> None:
    found = derived("onnxruntime-gpu==1.22.0")
    (problem,) = lacking("slim", found, cuda=None)
    assert str(problem) == (
        "base: onnxruntime-gpu 1.22.0 looks for CUDA 12 in the system, and the base has none"
    )
    (other,) = lacking("cudnn-runtime", found, cuda="13.0.2")
    assert "the base has 13.0.2" in other.message
    (cudnn,) = lacking("runtime", found, cuda="12.6.3")
    assert cudnn.hint == "add `nvidia-cudnn-cu12>=9,<10` to [pip] packages"
    assert lacking("cudnn-runtime", found, cuda="12.6.3") == ()
    (older,) = lacking("cudnn-runtime", derived("tensorflow==2.18.1"), cuda="12.5.1", cudnn="9.2.1.18")
    assert older.message == ("tensorflow 2.18.1 looks for cuDNN 9.3 in the system, and the base has 9.2.1.18")
    assert older.hint == "add `nvidia-cudnn-cu12>=9.3,<10` to [pip] packages"
    assert lacking("devel", derived("tensorflow==2.18.1"), cuda="12.6.3", cudnn="9.5.1.17") == ()
    assert lacking("slim", derived(TORCH_13), cuda=None) == ()


@pytest.mark.parametrize(
    ("environment", "flavour"),
    [
        ({}, "slim"),
        ({"CUDA_VERSION": "12.6.3", "NV_CUDA_CUDART_VERSION": "12.6.77-1"}, "base"),
        ({"NV_CUDA_CUDART_VERSION": "12.6.77-1", "NV_CUDA_LIB_VERSION": "12.6.3-1"}, "runtime"),
        ({"NV_CUDA_LIB_VERSION": "12.6.3-1", "NV_CUDNN_VERSION": "9.5.1.17-1"}, "cudnn-runtime"),
        ({"NV_CUDNN_VERSION": "9.5.1.17-1", "LIBRARY_PATH": "/usr/local/cuda/lib64/stubs"}, "devel"),
    ],
)
def test_the_flavour_of_an_image_shows_in_its_environment(environment: dict[str, str], flavour: str) -> None:
    assert flavour_of(environment) == flavour


def test_compilers_of_rocm_come_with_amds_image() -> None:
    amd = GpuRequest(vendor="amd", image="devel")
    found = choose_base(derived("torch==2.9.0+rocm7.1"), amd, python="3.12", libc="2.28")

    assert found.image is not None
    assert (found.flavour, found.image.reference) == ("devel", "rocm/dev-ubuntu-24.04:7.1.1-complete")
    assert found.reasons == (
        "[gpu] image asks for devel: ROCm's compilers",
        "ROCm 7.1 is what the wheels are for",
    )
    slim = choose_base(derived("torch==2.9.0+rocm7.1"), GpuRequest(vendor="amd"), python="3.12")
    assert (slim.flavour, slim.image) == ("slim", None)


@pytest.mark.parametrize(
    ("line", "asked", "libc", "message"),
    [
        ("torch==2.9.0+rocm7.1", {"image": "runtime"}, "2.28", "there is no runtime image of ROCm"),
        (
            "torch==2.9.0+rocm9.9",
            {},
            "2.28",
            "the catalogue knows no image of ROCm 9.9 with glibc 2.28 or newer",
        ),
        (
            "torch==2.9.0+rocm7.1",
            {},
            "2.40",
            "the catalogue knows no image of ROCm 7.1 with glibc 2.40 or newer",
        ),
        ("numpy==2.3.4", {}, "0", "nothing says which ROCm the base should have"),
    ],
)
def test_images_amd_does_not_have(line: str, asked: dict[str, str], libc: str, message: str) -> None:
    amd = GpuRequest.model_validate({"vendor": "amd", "image": "devel", **asked})
    with pytest.raises(NoSolutionError) as caught:
        choose_base(derived(line), amd, python="3.12", libc=libc)
    assert caught.value.message == message
    assert caught.value.hint


def test_the_flavour_of_amds_images_shows_in_their_packages() -> None:
    plain = image_base()
    rocm = plain.model_copy(update={"debs": (*plain.debs, "rocm-dev=6.4.1.60401-83~24.04:amd64")})

    assert (flavour_of_base(plain), flavour_of_base(rocm)) == ("slim", "devel")
