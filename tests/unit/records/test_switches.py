"""Variables whose values are recorded."""

import pytest

from envbuild.records.switches import is_switch, switches_of


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PYTHONHASHSEED", "0"),
        ("SEED", "42"),
        ("PL_GLOBAL_SEED", "42"),
        ("CUBLAS_WORKSPACE_CONFIG", ":4096:8"),
        ("NCCL_ALGO", "^NVLS"),
        ("OMP_NUM_THREADS", "4,2"),
        ("XLA_FLAGS", "--xla_gpu_deterministic_ops=true --xla_gpu_autotune_level=0"),
    ],
)
def test_a_switch(name: str, value: str) -> None:
    assert is_switch(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_TOKEN", "0"),
        ("SEED", "correct horse"),
        ("SEED", "hunter2"),
        ("WALLET_SEED", "1 2 3"),
        ("SEEDS", "1"),
        ("seed", "1"),
        ("PYTHONHASHSEED", ""),
        ("PYTHONHASHSEED", "x" * 65),
        ("OMP_NUM_THREADS", "4\n"),
        ("XLA_FLAGS", "--xla_dump_to=/x"),
        ("XLA_FLAGS", "--xla_gpu_autotune_level=0 --xla_dump_to=/x"),
        ("XLA_FLAGS", ""),
        ("LD_PRELOAD", "x.so"),
        ("PYTHONPATH", "x"),
    ],
)
def test_what_is_none(name: str, value: str) -> None:
    assert not is_switch(name, value)


def test_switches_are_sorted() -> None:
    found = switches_of({"SEED": "1", "HOME": "/x", "OMP_NUM_THREADS": "2"})
    assert list(found.items()) == [("OMP_NUM_THREADS", "2"), ("SEED", "1")]
