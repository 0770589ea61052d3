from envbuild.lock.gpu import TargetGpu
from envbuild.lock.model import Lock
from envbuild.resolve.gpu.report import explain_gpu, text_of
from envbuild.spec.request import BaseRequest, GpuRequest
from tests.rig.growing import with_conda
from tests.rig.locks import conda_lock, conda_package, gpu_lock, image_base, sample_lock, wheel

NVIDIA = {
    "CUDA_VERSION": "12.6.3",
    "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/cuda/lib64",
    "NVIDIA_VISIBLE_DEVICES": "all",
}


def explained(lock: Lock) -> str:
    return text_of(explain_gpu(lock, lock.targets[0]))


def with_wheel(lock: Lock, name: str, version: str) -> Lock:
    added = wheel(name, version)
    (target,) = lock.targets
    return lock.model_copy(
        update={
            "wheels": (*lock.wheels, added),
            "targets": (target.model_copy(update={"wheels": (*target.wheels, added.file)}),),
        }
    )


def asking(lock: Lock, **fields: object) -> Lock:
    variant = lock.request.variants["default"].model_copy(update=fields)
    return lock.model_copy(
        update={"request": lock.request.model_copy(update={"variants": {"default": variant}})}
    )


def test_a_lock_on_packages_is_explained_whole() -> None:
    lock = with_wheel(gpu_lock(), "nvidia-cuda-runtime", "13.0.96")
    text = explained(lock)
    rejected = text.index("\n\nrejected\n")
    assert text[: text.index("\n\nbase")] == (
        "CUDA 13.0, update 13.0.3\n"
        "  nvidia-cuda-runtime 13.0.96 is CUDA 13.0\n"
        "  cuda-toolkit 13.0.3 names the update: 13.0.3\n"
        "\n"
        "driver\n"
        "  580.65.06 or newer: minor-version compatibility of CUDA 13 begins there\n"
        "  580.95.05 or newer knows this version itself, PTX included\n"
        "  the fleet has 580 or newer"
    )
    assert "base debian:bookworm, no CUDA\n  the spec names it\n  slim is what would be chosen too" in text
    assert "base, runtime, devel: CUDA would be there twice" in text[rejected:]
    assert "torch/lib/libtorch_cuda.so decides: 470 of sm_75, 475 of sm_80; PTX: none" in text
    assert "ok  T4 (sm_75) on driver 580: driver 580 has CUDA 13.0" in text


def test_a_matched_base_says_why_and_what_was_not_taken() -> None:
    base = image_base("nvidia/cuda:12.6.3-cudnn-runtime-ubuntu22.04").model_copy(update={"env": NVIDIA})
    lock = with_wheel(gpu_lock(base), "onnxruntime-gpu", "1.22.0")
    lock = asking(lock, base=BaseRequest(), gpu=GpuRequest(cuda="12.6"))
    (target,) = lock.targets
    assert target.gpu
    lock = lock.model_copy(
        update={
            "targets": (
                target.model_copy(
                    update={
                        "gpu": target.gpu.model_copy(update={"image": "cudnn-runtime"}),
                        "env": target.env | {"LD_LIBRARY_PATH": "/usr/local/nvidia/lib"},
                    }
                ),
            )
        }
    )
    text = explained(lock)
    assert "base nvidia/cuda:12.6.3-cudnn-runtime-ubuntu22.04, flavour cudnn-runtime\n" in text
    assert "  onnxruntime-gpu 1.22.0 looks for cuDNN in the system\n" in text
    assert "  12.6.3 is the newest update of CUDA 12.6 there are images of\n" in text
    assert "rejected\n  runtime: it has CUDA's libraries, which is not enough" in text
    assert "LD_LIBRARY_PATH=/usr/local/nvidia/lib: without the base's own CUDA" in text


def test_an_environment_for_cpus_says_so() -> None:
    assert explained(sample_lock()) == "no GPU\n  [gpu] is not there, or switched off in this variant"


def test_doubts_are_repeated() -> None:
    lock = with_wheel(
        with_wheel(gpu_lock(), "nvidia-cuda-runtime", "13.0.96"), "nvidia-cuda-runtime-cu12", "12.6.77"
    )
    assert "notes\n  there are libraries of CUDA 12 and 13 in one environment" in explained(lock)


def test_conda_packages_say_it_too() -> None:
    lock = asking(conda_lock(), gpu=GpuRequest())
    lock = with_conda(lock, conda_package("cuda-cudart", "12.6.77"), conda_package("cuda-version", "12.6"))
    (target,) = lock.targets
    facts = TargetGpu(vendor="nvidia", runtime="12.6", majors=(12,), image="slim")
    text = explained(lock.model_copy(update={"targets": (target.model_copy(update={"gpu": facts}),)}))
    assert "nothing that was resolved uses CUDA" not in text
    assert "base, runtime, devel: CUDA would be there twice" in text
