"""Resolved packages by one line each."""

from envbuild.resolve.gpu.derive import Derivation, GpuPackage, derive

TORCH_13 = (
    "torch==2.14.1 cuda-toolkit==13.0.3.0 nvidia-cuda-runtime==13.0.96 nvidia-cudnn-cu13==9.24.0.43 "
    "nvidia-nccl-cu13==2.30.7 nvidia-nvjitlink==13.4.92 nvidia-cublas==13.1.1.3 numpy==2.3.4"
)
TORCH_12 = (
    "torch==2.7.1 nvidia-cuda-runtime-cu12==12.6.77 nvidia-cudnn-cu12==9.5.1.17 nvidia-nccl-cu12==2.26.2 "
    "nvidia-cublas-cu12==12.6.4.1 nvidia-cuda-nvrtc-cu12==12.6.77 nvidia-cusparselt-cu12==0.6.3"
)


def packages(line: str, **requires: str) -> tuple[GpuPackage, ...]:
    """Return packages written ``name==version``, with what some of them require."""
    return tuple(
        GpuPackage(name=name, version=version, requires=tuple(filter(None, [requires.get(name, "")])))
        for name, version in (word.split("==") for word in line.split())
    )


def derived(line: str) -> Derivation:
    """Return what such packages say."""
    return derive(packages(line), site="lib/python3.11/site-packages")
