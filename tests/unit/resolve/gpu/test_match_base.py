import pytest

from envbuild.errors import NoSolutionError
from envbuild.lock.model import Wheel
from envbuild.resolve.gpu.match_base import Matched, match
from envbuild.spec.request import BaseRequest, GpuRequest, VariantRequest
from tests.rig.gpu_packages import TORCH_13, packages
from tests.rig.locks import wheel

SLIM = "python:3.11-slim-bookworm"


def wheels(line: str, tag: str = "manylinux_2_28_x86_64") -> tuple[Wheel, ...]:
    return tuple(
        wheel(package.name, package.version).model_copy(
            update={"file": f"{package.name.replace('-', '_')}-{package.version}-py3-none-{tag}.whl"}
        )
        for package in packages(line)
    )


class Resolver:
    """Answers with wheels by the image they are resolved on, and remembers which were asked for."""

    def __init__(self, by_image: dict[str, str], default: str = "") -> None:
        self.by_image, self.default = by_image, default
        self.asked: list[str | None] = []

    def __call__(self, asked: VariantRequest) -> tuple[Wheel, ...]:
        self.asked.append(asked.base.image)
        return wheels(self.by_image.get(str(asked.base.image), self.default))


def matched(
    resolver: Resolver, gpu: GpuRequest | None = None, *, start: BaseRequest | None = None
) -> Matched:
    gpu = gpu or GpuRequest()
    return match(VariantRequest(python="3.11", base=BaseRequest(), gpu=gpu), gpu, resolver, start=start)


def test_wheels_with_cuda_stay_on_the_slim_image() -> None:
    resolver = Resolver({}, TORCH_13)
    assert matched(resolver).request.base == BaseRequest(image=SLIM)
    assert resolver.asked == [SLIM]


def test_wheels_without_it_are_resolved_again_on_an_image_that_has_it() -> None:
    resolver = Resolver({}, "onnxruntime-gpu==1.22.0")
    found = matched(resolver, GpuRequest(cuda="12.6"))
    image = "nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04"
    assert found.request.base == BaseRequest(image=image)
    assert found.choice.flavour == "cudnn-runtime"
    assert resolver.asked == [SLIM, image]


def test_the_base_of_an_earlier_lock_stays_without_asking_for_another() -> None:
    image = "nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04"
    resolver = Resolver({}, "onnxruntime-gpu==1.22.0")
    matched(resolver, GpuRequest(cuda="12.6"), start=BaseRequest(image=image))
    assert resolver.asked == [image]


def test_an_image_with_cuda_is_left_when_nothing_needs_it_any_more() -> None:
    resolver = Resolver({}, TORCH_13)
    image = "nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04"
    assert matched(resolver, start=BaseRequest(image=image)).request.base.image == SLIM
    assert resolver.asked == [image, SLIM]


def test_a_named_flavour_of_a_named_version_is_the_first_that_is_asked() -> None:
    resolver = Resolver({}, "numpy==2.3.4")
    found = matched(resolver, GpuRequest(cuda="12.6", image="devel"))
    assert resolver.asked == [found.request.base.image]
    assert found.request.base.image == "nvidia/cuda:12.6.3-devel-ubuntu24.04"


def test_a_mirror_of_docker_hub_has_both_under_the_same_paths() -> None:
    resolver = Resolver({}, "onnxruntime-gpu==1.22.0")
    matched(resolver, GpuRequest(cuda="12.6", registry="registry.example.com/hub"))
    assert resolver.asked == [
        f"registry.example.com/hub/library/{SLIM}",
        "registry.example.com/hub/nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04",
    ]


def test_bases_that_chase_each_other_are_an_error() -> None:
    image = "nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04"
    resolver = Resolver({SLIM: "onnxruntime-gpu==1.22.0", image: "torch==2.2.0+cu126"})
    with pytest.raises(NoSolutionError, match="each need another base"):
        matched(resolver, GpuRequest(cuda="12.6"))
    assert resolver.asked == [SLIM, image]


def test_what_does_not_fit_the_gpu_is_said_before_a_base_is_looked_for() -> None:
    with pytest.raises(NoSolutionError) as caught:
        matched(Resolver({}, "torch==2.13.0+cpu"))
    assert [problem.message for problem in caught.value.problems] == [
        "torch 2.13.0+cpu is a build without CUDA"
    ]
