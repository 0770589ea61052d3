"""[gpu] as a user meets it: wheels with device code on an index, a base that stays as locked."""

import json

import pytest

from tests.rig.device_code import Entry, container, library
from tests.rig.index import PackageIndex, make_wheel
from tests.rig.program import Program

ARCHITECTURES = ("sm_75", "sm_80", "sm_90")
TAG = "cp311-cp311-manylinux_2_28_x86_64"


@pytest.fixture
def published(package_index: PackageIndex) -> PackageIndex:
    """Put a torch with CUDA 13 on the index, one for CPUs, and what the first needs."""
    folder = package_index.folder
    fatbins = [container(*map(Entry, ARCHITECTURES)) for _ in range(40)]
    code = library(*fatbins, text=b"\x90" * 4096)
    make_wheel(
        folder,
        "torch",
        "2.14.1",
        tag=TAG,
        requires=["nvidia-cuda-runtime==13.0.96"],
        files={"torch/lib/libtorch_cuda.so": code, "torch/__init__.py": ""},
    )
    make_wheel(folder, "torch", "2.13.0+cpu", tag=TAG)
    make_wheel(
        folder, "nvidia-cuda-runtime", "13.0.96", tag="py3-none-manylinux_2_17_x86_64", files={"nvidia/x": ""}
    )
    return package_index


@pytest.fixture
def gpu_program(with_index: Program, published: PackageIndex) -> Program:
    """Return the program with those distributions on its index."""
    assert published.folder.is_dir()
    return with_index


def ask(program: Program, requirement: str, gpu: str) -> None:
    program.asks_for(requirement)
    program.spec.write_text(f"{program.spec.read_text()}\n[gpu]\n{gpu}\n")


def test_a_fleet_that_runs_is_locked_and_explained(gpu_program: Program) -> None:
    ask(gpu_program, "torch==2.14.1", 'targets = ["T4", "sm_90"]\ndriver = ">=580"')
    assert gpu_program("lock").code == 0

    answer = gpu_program("explain", "gpu")

    assert (answer.code, answer.stderr) == (0, "train, default on linux/amd64\n")
    assert "CUDA 13.0\n  nvidia-cuda-runtime 13.0.96 is the runtime library of CUDA 13.0\n" in answer.stdout
    assert "  torch/lib/libtorch_cuda.so decides: 40 of sm_75, 40 of sm_80, 40 of sm_90; PTX: none\n" in (
        answer.stdout
    )
    assert "  ok  T4 (sm_75) on driver 580: " in answer.stdout
    document = json.loads(gpu_program("explain", "gpu", "--json").stdout)
    assert document["gpu"]["runtime"] == "13.0"
    assert document["sections"][0]["lines"]


def test_a_fleet_that_cannot_run_it_is_told_why_for_each_gpu(gpu_program: Program) -> None:
    ask(gpu_program, "torch==2.14.1", 'targets = ["V100", "T4"]\ndriver = ">=580"')
    before = gpu_program.lock.read_bytes()

    answer = gpu_program("lock")

    assert (answer.code, answer.stdout) == (5, "")
    assert "error: the environment does not run on the whole fleet\n" in answer.stderr
    assert "  • V100 with driver 580: " in answer.stderr
    assert "T4 with driver" not in answer.stderr
    assert "\nhint: " in answer.stderr
    assert gpu_program.lock.read_bytes() == before


@pytest.mark.parametrize(
    ("requirement", "gpu", "said"),
    [
        pytest.param(
            "torch==2.13.0+cpu", "", "  • torch 2.13.0+cpu is a build without CUDA\n", id="build for CPUs"
        ),
        pytest.param(
            "torch==2.14.1",
            'cuda = "12.6"',
            "  • [gpu] asks for CUDA 12.6, but nothing that was resolved is for it: ",
            id="CUDA of no wheel",
        ),
        pytest.param(
            "torch==2.14.1",
            'vendor = "amd"',
            "  • [gpu] says vendor amd, but nvidia-cuda-runtime 13.0.96 is "
            "the runtime library of CUDA 13.0\n",
            id="another vendor",
        ),
    ],
)
def test_what_does_not_fit_the_gpu_is_no_solution(
    gpu_program: Program, requirement: str, gpu: str, said: str
) -> None:
    ask(gpu_program, requirement, gpu)

    answer = gpu_program("lock")

    assert (answer.code, answer.stdout) == (5, "")
    assert "error: what was resolved does not fit [gpu]\n" in answer.stderr
    assert said in answer.stderr


def test_an_unknown_gpu_is_refused_before_anything_is_asked(locked: Program) -> None:
    ask(locked, "torch==2.14.1", 'targets = ["A1000000", "RTX 5099"]')

    answer = locked("lock")

    assert answer.code == 3
    assert "  • gpu.targets: unknown GPU `RTX 5099`\n" in answer.stderr
    assert "did you mean" in answer.stderr
    assert "resolving" not in answer.stderr


def test_an_environment_for_cpus_has_nothing_to_explain(locked: Program) -> None:
    answer = locked("explain", "gpu")
    assert (answer.code, answer.stdout) == (
        0,
        "no GPU\n  [gpu] is not there, or switched off in this variant\n",
    )
