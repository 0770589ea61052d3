"""Specs from nothing: what a first environment of each kind of work needs."""

from typing import Any

from envbuild.errors import UsageError
from envbuild.spec.problems import alternatives

_PYTHON = "3.12"

TEMPLATES: dict[str, dict[str, Any]] = {
    "pytorch": {
        "pip": {"packages": ["torch>=2.6", "torchvision", "numpy>=2", "tqdm"]},
        "determinism": {"seed": 0},
    },
    "jax": {
        "pip": {"packages": ["jax>=0.5", "flax", "optax", "numpy>=2"]},
        "determinism": {"seed": 0},
    },
    "tensorflow": {
        "pip": {"packages": ["tensorflow>=2.18", "numpy"]},
        "determinism": {"seed": 0},
    },
    "huggingface": {
        "pip": {
            "packages": [
                "accelerate",
                "datasets",
                "evaluate",
                "safetensors",
                "torch>=2.6",
                "transformers>=4.48",
            ]
        },
        "image": {"env": {"HF_HOME": "/workspace/.cache/huggingface"}},
        "determinism": {"seed": 0},
    },
    "sklearn": {
        "pip": {"packages": ["scikit-learn>=1.6", "pandas>=2.2", "numpy>=2", "matplotlib"]},
        "determinism": {"seed": 0},
    },
}
"""Tables of the spec by the name of the template, without name and Python."""

GPU_PACKAGES = {
    "jax": ("jax>=0.5", "jax[cuda12]>=0.5"),
    "tensorflow": ("tensorflow>=2.18", "tensorflow[and-cuda]>=2.18"),
}
"""What a template asks for on GPUs in place of what: the default index has CPU builds under that name."""


def template(name: str, *, gpu: bool = False) -> dict[str, Any]:
    """Return the tables of a template.

    :raises UsageError: there is none of that name.
    """
    if name not in TEMPLATES:
        raise UsageError(f"there is no template `{name}`", hint=f"write {alternatives(tuple(TEMPLATES))}")
    tables: dict[str, Any] = {"python": _PYTHON, **TEMPLATES[name]}
    if gpu and name in GPU_PACKAGES:
        plain, with_gpu = GPU_PACKAGES[name]
        packages = [with_gpu if text == plain else text for text in tables["pip"]["packages"]]
        tables["pip"] = {**tables["pip"], "packages": packages}
    return tables
