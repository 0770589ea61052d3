"""Names of requirements that commands install, and what is known of a few of them."""

import re
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PYTORCH: Final = frozenset({
    "torch", "torchvision", "torchaudio", "torchtext", "triton", "pytorch-triton", "torchao", "torchdata",
    "xformers", "flash-attn", "vllm",
})  # fmt: skip
"""Distributions whose builds for one CUDA lie in an index of their own."""

LISTED: Final = frozenset({
    *PYTORCH, "torch-scatter", "torch-sparse", "torch-cluster", "torch-spline-conv", "pyg-lib", "dgl",
    "jaxlib",
    "mmcv", "mmcv-full", "detectron2", "paddlepaddle-gpu", "kaolin", "jax-cuda12-plugin", "jax-cuda12-pjrt",
})  # fmt: skip
"""Distributions that pages of links hold for one CUDA and one framework."""

INSTALLERS: Final = frozenset({"pip", "wheel", "uv", "setuptools"})
OTHER_INSTALLERS: Final = frozenset({
    "poetry", "pdm", "pipenv", "pip-tools", "virtualenv", "hatch", "conda", "mamba", "conda-lock", "pixi",
})  # fmt: skip


def name_of(requirement: str) -> str:
    """Return the normalised name of a requirement in its one spelling."""
    return canonicalize_name(Requirement(requirement).name)


def local_version_of(requirement: str) -> str | None:
    """Return the local version a requirement pins: ``cu121`` of ``torch==2.1.0+cu121``."""
    match = re.search(r"==[^,;+]+\+([A-Za-z0-9.]+)", requirement.partition(" @ ")[0])
    return match[1] if match else None
