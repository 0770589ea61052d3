"""Threads, the libraries of linear algebra, and switches that change results.

Variables are read by name, never all of them: others may hold secrets.  Nothing heavy is imported: PyTorch is
asked only if the run has imported it already.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

from envbuild_runtime.guard import attempt

THREAD_VARIABLES = (
    "BLIS_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
    "MKL_DYNAMIC",
    "MKL_NUM_THREADS",
    "MKL_THREADING_LAYER",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_DYNAMIC",
    "OMP_NUM_THREADS",
    "OMP_PLACES",
    "OMP_PROC_BIND",
    "OMP_SCHEDULE",
    "OPENBLAS_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
SWITCHES = (
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_DEVICE_ORDER",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_MODULE_LOADING",
    "CUDA_VISIBLE_DEVICES",
    "CUDNN_LOGDEST_DBG",
    "FLAGS_cudnn_deterministic",
    "JAX_DEFAULT_MATMUL_PRECISION",
    "JAX_ENABLE_X64",
    "JAX_PLATFORMS",
    "MKL_CBWR",
    "MKL_DEBUG_CPU_TYPE",
    "MKL_ENABLE_INSTRUCTIONS",
    "NCCL_ALGO",
    "NCCL_BUFFSIZE",
    "NCCL_COLLNET_ENABLE",
    "NCCL_CROSS_NIC",
    "NCCL_CUMEM_ENABLE",
    "NCCL_DEBUG",
    "NCCL_IB_DISABLE",
    "NCCL_LAUNCH_MODE",
    "NCCL_MAX_CTAS",
    "NCCL_MAX_NCHANNELS",
    "NCCL_MIN_CTAS",
    "NCCL_MIN_NCHANNELS",
    "NCCL_NET_GDR_LEVEL",
    "NCCL_NTHREADS",
    "NCCL_NVLS_ENABLE",
    "NCCL_P2P_DISABLE",
    "NCCL_P2P_LEVEL",
    "NCCL_PROTO",
    "NCCL_SHM_DISABLE",
    "NCCL_SOCKET_NTHREADS",
    "NVIDIA_TF32_OVERRIDE",
    "NVIDIA_VISIBLE_DEVICES",
    "OPENBLAS_CORETYPE",
    "PYTHONHASHSEED",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "TF_CUDNN_DETERMINISTIC",
    "TF_DETERMINISTIC_OPS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "TORCH_BLAS_PREFER_CUBLASLT",
    "TORCH_CUDNN_V8_API_DISABLED",
    "TORCH_NCCL_BLOCKING_WAIT",
    "XLA_FLAGS",
)
LONGEST_VALUE = 200
"""Characters of a variable that are kept."""

MAPS_FILE = "/proc/self/maps"
LARGEST_MAPS = 8 * 1024 * 1024
MOST_LIBRARIES = 32

_LIBRARIES = (
    ("openblas", re.compile(r"lib(?:scipy_)?openblas.*\.so.*")),
    ("mkl", re.compile(r"libmkl_(?:rt|core)\..*so.*")),
    ("blis", re.compile(r"libblis.*\.so.*")),
    ("cublas", re.compile(r"libcublas\.so.*")),
    ("armpl", re.compile(r"libarmpl.*\.so.*")),
    ("nvpl", re.compile(r"libnvpl_blas_core.*\.so.*")),
    ("atlas", re.compile(r"lib(?:s|t)?atlas.*\.so.*")),
    ("reference", re.compile(r"lib(?:f77|c)?blas\.so.*")),
)
"""Kind of a library, by the name of its file."""


def threads() -> dict[str, Any]:
    """Return the settings of threads that are there, and what PyTorch uses if it is imported."""
    return {**_named(THREAD_VARIABLES), **(attempt(_torch_threads) or {})}


def switches() -> dict[str, str]:
    """Return the variables that change results and are set."""
    return _named(SWITCHES)


def torch() -> dict[str, Any]:
    """Return PyTorch's own switches of determinism and its seed; nothing if the run has not imported it."""
    module = sys.modules.get("torch")
    if module is None:
        return {}
    asked = {
        "version": lambda: str(module.__version__),
        "cuda": lambda: module.version.cuda and str(module.version.cuda),
        # linked into it: no file of that name is to be seen
        "mkl": lambda: bool(module.backends.mkl.is_available()),
        "deterministic": lambda: bool(module.are_deterministic_algorithms_enabled()),
        "cudnn-deterministic": lambda: bool(module.backends.cudnn.deterministic),
        "cudnn-benchmark": lambda: bool(module.backends.cudnn.benchmark),
        "seed": lambda: int(module.initial_seed()),
    }
    found = {name: attempt(ask) for name, ask in asked.items()}
    return {name: value for name, value in found.items() if value is not None}


def blas() -> list[dict[str, Any]]:
    """Return the libraries of linear algebra in this process; threadpoolctl says most, if it is there."""
    return attempt(_ask_threadpoolctl) or mapped_blas()


def mapped_blas() -> list[dict[str, Any]]:
    """Return kind and file name of the libraries that this process has mapped."""
    names = attempt(_mapped_files) or []
    found = {
        (kind, name): {"library": kind, "file": name}
        for name in names
        for kind, pattern in _LIBRARIES
        if pattern.fullmatch(name)
    }
    return [found[key] for key in sorted(found)][:MOST_LIBRARIES]


def packages() -> int:
    """Return how many packages are installed where this Python imports from."""
    names = set()
    for folder in sys.path:
        for entry in _listed(folder):
            stem, _, kind = entry.rpartition(".")
            if kind in {"dist-info", "egg-info"}:
                names.add(stem.partition("-")[0].replace("-", "_").lower())
    return len(names)


def _listed(folder: str) -> list[str]:
    # an archive or a folder that is not there is no place of packages
    return attempt(lambda: os.listdir(folder or ".")) or []


def _named(names: tuple[str, ...]) -> dict[str, str]:
    values = ((name, os.environ.get(name)) for name in names)
    return {
        name: "".join(character if character.isprintable() else "?" for character in value)[:LONGEST_VALUE]
        for name, value in values
        if value is not None
    }


def _torch_threads() -> dict[str, int]:
    module = sys.modules.get("torch")
    if module is None:
        return {}
    return {"torch": int(module.get_num_threads()), "torch-interop": int(module.get_num_interop_threads())}


def _ask_threadpoolctl() -> list[dict[str, Any]]:
    import warnings

    import threadpoolctl

    with warnings.catch_warnings():
        # it warns of two OpenMP libraries in one process, which is not ours to say
        warnings.simplefilter("ignore")
        pools = threadpoolctl.threadpool_info()
    found = []
    for pool in pools[:MOST_LIBRARIES]:
        facts = {
            "library": pool.get("internal_api"),
            "api": pool.get("user_api"),
            "file": os.path.basename(str(pool.get("filepath", ""))),
            "version": pool.get("version"),
            "threads": pool.get("num_threads"),
            "architecture": pool.get("architecture"),
            "threading": pool.get("threading_layer"),
        }
        found.append(
            {name: value for name, value in facts.items() if isinstance(value, (str, int)) and value}
        )
    return sorted(found, key=lambda facts: (str(facts.get("api")), str(facts.get("file"))))


def _mapped_files() -> list[str]:
    with open(MAPS_FILE, "rb") as stream:
        content = stream.read(LARGEST_MAPS).decode("utf-8", "replace")
    return sorted({line.rpartition("/")[2] for line in content.splitlines() if ".so" in line})
