"""Threads, libraries and switches: known names only, and nothing imported for it.

PyTorch and threadpoolctl are doubles here; tests/integration/test_runtime_trackers.py asks the real ones.
"""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from envbuild_runtime import threads

MAPS = """\
7f00-7f01 r-xp 00000000 08:01 17  /usr/lib/python3/site-packages/numpy.libs/libscipy_openblas64_-6bb31eeb.so
7f01-7f02 r--p 00000000 08:01 17  /usr/lib/python3/site-packages/numpy.libs/libscipy_openblas64_-6bb31eeb.so
7f02-7f03 r-xp 00000000 08:01 18  /opt/intel/libmkl_core.so.2
7f03-7f04 r-xp 00000000 08:01 19  /usr/lib/nvidia/cublas/lib/libcublas.so.12
7f04-7f05 r-xp 00000000 08:01 20  /usr/lib/x86_64-linux-gnu/libblas.so.3.11.0
7f05-7f06 r-xp 00000000 08:01 21  /usr/lib/x86_64-linux-gnu/libc.so.6
7f06-7f07 rw-p 00000000 00:00 0   [heap]
"""


class TorchDouble(ModuleType):
    """What is asked of PyTorch."""

    __version__ = "2.9.1+cpu"
    version = SimpleNamespace(cuda=None)
    backends = SimpleNamespace(
        cudnn=SimpleNamespace(deterministic=True, benchmark=False),
        mkl=SimpleNamespace(is_available=lambda: True),
    )

    def __init__(self) -> None:
        super().__init__("torch")

    def get_num_threads(self) -> int:
        return 8

    def get_num_interop_threads(self) -> int:
        return 4

    def are_deterministic_algorithms_enabled(self) -> bool:
        return True

    def initial_seed(self) -> int:
        return 17


@pytest.fixture(autouse=True)
def _nothing_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    # None: importing it is an ImportError
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    maps = tmp_path / "maps"
    maps.write_text(MAPS)
    monkeypatch.setattr(threads, "MAPS_FILE", str(maps))


def test_only_known_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("NCCL_ALGO", "Ring")
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    for secret in ("HF_TOKEN", "WANDB_API_KEY", "NCCL_SECRET", "OMP_PASSWORD"):
        monkeypatch.setenv(secret, "hunter2")

    assert threads.threads() == {"OMP_NUM_THREADS": "4"}
    assert threads.switches() == {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "NCCL_ALGO": "Ring"}


def test_a_value_is_bounded_and_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "a\nb\x1b" + "x" * 1000)

    value = threads.switches()["XLA_FLAGS"]
    assert value.startswith("a?b?x")
    assert len(value) == threads.LONGEST_VALUE


def test_lists_of_names_are_sorted_and_name_no_secret() -> None:
    for names in (threads.THREAD_VARIABLES, threads.SWITCHES):
        assert list(names) == sorted(names)
        assert not [name for name in names if {"TOKEN", "KEY", "PASSWORD", "SECRET"} & set(name.split("_"))]


def test_pytorch_is_asked_only_where_it_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads.torch() == {}
    assert threads.threads() == {}
    assert "torch" not in sys.modules

    monkeypatch.setitem(sys.modules, "torch", TorchDouble())

    assert threads.threads() == {"torch": 8, "torch-interop": 4}
    assert threads.torch() == {
        "version": "2.9.1+cpu",
        "mkl": True,
        "deterministic": True,
        "cudnn-deterministic": True,
        "cudnn-benchmark": False,
        "seed": 17,
    }


def test_a_pytorch_for_gpus_says_its_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    module = TorchDouble()
    monkeypatch.setattr(module, "version", SimpleNamespace(cuda="12.8"), raising=False)
    monkeypatch.setitem(sys.modules, "torch", module)

    assert threads.torch()["cuda"] == "12.8"


@pytest.mark.parametrize("module", [ModuleType("torch"), SimpleNamespace(__version__="1"), object()])
def test_a_pytorch_that_lacks_a_function_is_no_error(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", module)

    assert threads.threads() == {}
    assert set(threads.torch()) <= {"version"}


def test_libraries_are_known_by_the_names_of_mapped_files() -> None:
    assert threads.blas() == [
        {"library": "cublas", "file": "libcublas.so.12"},
        {"library": "mkl", "file": "libmkl_core.so.2"},
        {"library": "openblas", "file": "libscipy_openblas64_-6bb31eeb.so"},
        {"library": "reference", "file": "libblas.so.3.11.0"},
    ]


def test_without_a_map_no_library_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(threads, "MAPS_FILE", str(tmp_path / "absent"))

    assert threads.blas() == []


def test_threadpoolctl_says_more(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = {
        "user_api": "blas",
        "internal_api": "openblas",
        "num_threads": 8,
        "prefix": "libscipy_openblas",
        "filepath": "/home/me/secret-project/libscipy_openblas64_.so",
        "version": "0.3.30",
        "threading_layer": "pthreads",
        "architecture": "SkylakeX",
    }
    double = SimpleNamespace(threadpool_info=lambda: [pool, {"user_api": "openmp", "num_threads": None}])
    monkeypatch.setitem(sys.modules, "threadpoolctl", double)

    assert threads.blas() == [
        {
            "library": "openblas",
            "api": "blas",
            "file": "libscipy_openblas64_.so",
            "version": "0.3.30",
            "threads": 8,
            "architecture": "SkylakeX",
            "threading": "pthreads",
        },
        {"api": "openmp"},
    ]


def test_a_threadpoolctl_that_raises_is_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "threadpoolctl", SimpleNamespace())

    assert [library["library"] for library in threads.blas()] == ["cublas", "mkl", "openblas", "reference"]


def test_packages_are_counted_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (
        first / "numpy-2.0.dist-info",
        first / "My.Package-1.dist-info",
        first / "numpy",
        second / "numpy-1.0.dist-info",
        second / "old-1.egg-info",
    ):
        folder.mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [str(first), str(second), str(tmp_path / "absent"), __file__])

    assert threads.packages() == 3
