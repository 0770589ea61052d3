"""Variables whose values are recorded: switches of seeds, threads and determinism; others may be secret."""

import re
from collections.abc import Mapping
from typing import Final

SWITCHES: Final = frozenset(
    {
        "BLIS_NUM_THREADS",
        "CUBLAS_WORKSPACE_CONFIG",
        "CUDA_LAUNCH_BLOCKING",
        "MKL_CBWR",
        "MKL_DYNAMIC",
        "MKL_NUM_THREADS",
        "NCCL_ALGO",
        "NCCL_PROTO",
        "NUMBA_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NVIDIA_TF32_OVERRIDE",
        "NVTE_ALLOW_NONDETERMINISTIC_ALGO",
        "OMP_DYNAMIC",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "PYTHONHASHSEED",
        "RAYON_NUM_THREADS",
        "TF_CUDNN_DETERMINISTIC",
        "TF_DETERMINISTIC_OPS",
        "TOKENIZERS_PARALLELISM",
        "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    }
)
"""Sources: the manuals of CPython, cuBLAS, TensorFlow, NCCL, oneMKL, OpenBLAS and Transformer Engine."""

_VALUE = re.compile(r"[A-Za-z0-9.,:;^_=+-]{1,64}")
_SEED = re.compile(r"([A-Z0-9]+_)*SEED")
_XLA = re.compile(
    r"--xla_gpu_(deterministic_ops|exclude_nondeterministic_ops)=(true|false)|--xla_gpu_autotune_level=[0-9]"
)
_LONGEST_XLA = 200


def is_switch(name: str, value: str) -> bool:
    """Return whether a variable may be recorded with its value, and taken from a record."""
    if name == "XLA_FLAGS":
        # its other options name files
        return (
            len(value) <= _LONGEST_XLA and bool(value.split()) and all(map(_XLA.fullmatch, value.split(" ")))
        )
    if _SEED.fullmatch(name):
        return re.fullmatch(r"[0-9]{1,20}", value) is not None
    return name in SWITCHES and _VALUE.fullmatch(value) is not None


def switches_of(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the switches among ``variables``, sorted."""
    return {name: value for name, value in sorted(variables.items()) if is_switch(name, value)}
