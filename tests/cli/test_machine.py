"""`doctor` and `verify --host`: the machine at hand, with a driver that is a test double or with none."""

import json
import os
import shutil
from pathlib import Path

import pytest

from envbuild.lock.gpu import TargetGpu
from envbuild.lock.model import Lock
from tests.rig.driver import DRIVERS, write_driver
from tests.rig.index import PackageIndex, make_wheel
from tests.rig.locks import sample_lock
from tests.rig.program import SPEC, Answer, Program

pytestmark = pytest.mark.slow

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root, or subordinate ids")
needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="the doubles are compiled with gcc")


@pytest.fixture
def gpu_lock() -> Lock:
    """Return a lock for CUDA 12.6, which says nothing of the frameworks' code."""
    lock = sample_lock()
    facts = TargetGpu(
        vendor="nvidia",
        runtime="12.6",
        majors=(12,),
        driver_minimum="525.60.13",
        driver_toolkit="560.35.05",
        image="slim",
    )
    targets = tuple(target.model_copy(update={"gpu": facts}) for target in lock.targets)
    return lock.model_copy(update={"targets": targets})


@pytest.fixture
def on_gpus(program: Program, gpu_lock: Lock) -> Program:
    """Return the program beside a lock for GPUs."""
    program.has(gpu_lock)
    return program


def with_driver(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(write_driver(DRIVERS[name], folder / name)))


@needs_compiler
@pytest.mark.parametrize(
    ("name", "code", "line"),
    [
        ("t4-525", 0, "this machine may run the lock, not everything could be asked: 3 passed, 1 skipped"),
        ("mismatch", 8, "the driver in the kernel and its libraries are of different versions"),
    ],
)
def test_the_machine_in_front_of_a_lock(
    on_gpus: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, name: str, code: int, line: str
) -> None:
    with_driver(name, tmp_path, monkeypatch)
    answer = on_gpus("verify", "--host", "--frozen")
    assert answer.code == code, answer.stderr
    assert line in answer.stderr


@needs_compiler
def test_a_machine_as_json_and_junit(
    on_gpus: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_driver("v100-580", tmp_path, monkeypatch)
    answer = on_gpus("verify", "--host", "--frozen", "--json", "--junit", str(tmp_path / "report.xml"))
    assert answer.code == 0, answer.stderr
    report = json.loads(answer.stdout)
    assert {item["id"]: item["outcome"] for item in report["results"]} == {
        "architecture": "passed",
        "gpu/vendor": "passed",
        "gpu/driver": "passed",
        "gpu/device/0": "skipped",
    }
    text = (tmp_path / "report.xml").read_text()
    assert '<testcase classname="gpu" name="gpu/device/0" time="0">' in text
    assert '<skipped message="Tesla V100-SXM2-16GB, sm_70, 16 GiB: the lock does not say' in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "--deep"), "--host takes no image, no --deep and no --exact"),
        (("--host", "train:latest"), "--host takes no image, no --deep and no --exact"),
        (("--host", "--here"), "--here and --host ask two different things"),
        (("--gpus", "some"), "--gpus: `some` is not understood"),
    ],
)
def test_questions_that_contradict_themselves(
    on_gpus: Program, arguments: tuple[str, ...], message: str
) -> None:
    answer = on_gpus("verify", "--frozen", *arguments)
    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr.startswith(f"error: {message}\n")


def test_a_gpu_cannot_be_required_of_an_environment_for_cpus(locked: Program) -> None:
    answer = locked("verify", "--require-gpu")
    assert answer.code == 2
    assert "error: --require-gpu, but variant `default` locks no GPU" in answer.stderr


def in_a_process(program: Program, *arguments: str) -> Answer:
    """Run in a process of its own: Docker's SDK leaves a socket to the collector when no engine answers."""
    child = program.start(*arguments)
    stdout, stderr = child.communicate(timeout=120)
    return Answer(code=child.returncode, stdout=stdout, stderr=stderr)


def test_doctor_where_there_is_neither_engine_nor_index(program: Program) -> None:
    answer = in_a_process(program, "doctor")
    assert answer.code == 6, answer.stderr
    assert "BROKEN  Docker Engine" in answer.stdout
    assert "BROKEN  Python index" in answer.stdout
    assert "not tried: there is no lock here to say which" in answer.stdout
    assert "Docker Engine: start it, name it in DOCKER_HOST" in answer.stderr


@pytest.fixture
def of_local_engine(with_index: Program, package_index: PackageIndex) -> Program:
    """Return the program in a project of the local engine; there is an index, and no Docker Engine."""
    make_wheel(package_index.folder, "installer", "1.0")
    with_index.spec.write_text(f'{SPEC}\n[build]\nengine = "local"\n')
    return with_index


@needs_root
def test_doctor_does_not_miss_what_the_engine_of_choice_does_without(of_local_engine: Program) -> None:
    answer = in_a_process(of_local_engine, "doctor")
    assert answer.code == 0, answer.stdout
    assert "-   Docker Engine   not needed by the local engine; no Docker Engine answers" in answer.stdout
    assert "ok  local engine    works here, as root" in answer.stdout
    assert "Docker Engine:" not in answer.stderr


@needs_root
def test_doctor_goes_by_the_engine_the_environment_names(
    of_local_engine: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVBUILD_ENGINE", "docker")
    answer = in_a_process(of_local_engine, "doctor")
    assert answer.code == 6
    assert "BROKEN  Docker Engine" in answer.stdout


@needs_root
def test_doctor_where_apt_is_missing(of_local_engine: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(of_local_engine.folder))
    answer = in_a_process(of_local_engine, "doctor")
    assert answer.code == 0, answer.stdout
    assert (
        "ok  apt             not installed; unpacked from the distribution's packages for " in answer.stdout
    )
    assert "-   buildx          not needed by the local engine; " in answer.stdout


def test_doctor_where_the_local_engine_cannot_work(
    of_local_engine: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVBUILD_CACHE_DIR", str(of_local_engine.spec))
    answer = in_a_process(of_local_engine, "doctor")
    assert answer.code == 6
    assert "BROKEN  local engine" in answer.stdout


def test_doctor_beside_a_spec_that_cannot_be_read(program: Program) -> None:
    program.spec.write_text("name =")
    assert "Docker Engine" in in_a_process(program, "doctor").stdout


@needs_compiler
def test_doctor_shows_driver_cuda_and_gpus(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_driver("h100-550", tmp_path, monkeypatch)
    answer = in_a_process(program, "doctor", "--json")
    assert answer.code == 6, answer.stderr
    report = json.loads(answer.stdout)
    assert report["exit-code"] == 6
    found = {item["name"]: (item["state"], item["found"]) for item in report["findings"]}
    assert found["NVIDIA driver"] == ("ok", "550.90.07")
    assert found["highest CUDA"] == ("ok", "12.4")
    assert found["GPU 1"] == ("ok", "NVIDIA H100 80GB HBM3, sm_90, 80 GiB")
    assert found["GPUs in containers"] == ("missing", "no Docker Engine answers")
    assert report["gpu"]["drivers"]["nvidia"]["library-cuda"] == "12.4"


def test_doctor_keeps_an_indexs_credentials_to_itself(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://reader:hunter2@127.0.0.1:9/simple")
    for arguments in (("doctor",), ("doctor", "--json")):
        answer = in_a_process(program, *arguments)
        assert "hunter2" not in answer.stdout + answer.stderr
