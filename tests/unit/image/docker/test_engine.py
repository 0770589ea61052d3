"""Containers and their GPUs, in front of a Docker Engine that is a test double: there is no GPU here.

It refuses as Docker Engine does when NVIDIA's container runtime cannot start, in its words.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker.errors
import pytest

from envbuild import process
from envbuild.errors import EngineError, RunError
from envbuild.image.docker.connection import hint_for
from envbuild.image.docker.engine import DockerEngine
from envbuild.image.engine import RunLimits, RunRequest
from envbuild.image.gpus import GpuAccess, gpu_refusal

NOT_LOADED = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create "
    "failed: unable to start container process: error during container init: error running prestart hook #0: "
    "exit status 1, stdout: , stderr: Auto-detected mode as 'legacy'\n"
    "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown"
)
TOO_OLD = (
    "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.5, please update your driver"
)
WITHHELD = (
    "the engine could not give one: "
    "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown"
)


class Machine:
    """Docker's SDK, and the docker client, for an engine whose runtime of NVIDIA's fails."""

    def __init__(self, refusal: str = NOT_LOADED) -> None:
        self.refusal = refusal
        self.made: list[dict[str, Any]] = []
        self.removed: dict[str, Any] = {}
        self.containers = self.api = self
        self.base_url = "http+docker://localhost"

    def info(self) -> dict[str, Any]:
        return {"Runtimes": {"runc": {}, "nvidia": {}}}

    def create(self, _image: str, **options: Any) -> "Container":
        self.made.append(options)
        return Container(self.refusal if "device_requests" in options else "", self.removed)


class Container:
    """A container that starts, or does not."""

    id = "1"

    def __init__(self, refusal: str, removed: dict[str, Any] | None = None) -> None:
        self.refusal = refusal
        self.attrs = {"State": {"Error": refusal}}
        self.removed = {} if removed is None else removed

    def start(self) -> None:
        if self.refusal:
            raise docker.errors.APIError("500 Server Error", explanation=self.refusal)

    def attach(self, **_options: Any) -> Iterator[tuple[bytes | None, bytes | None]]:
        yield b"out", None

    def wait(self, **_options: Any) -> dict[str, int]:
        return {"StatusCode": 0}

    def reload(self) -> None:
        """Nothing changes."""

    def remove(self, **options: Any) -> None:
        """Nothing is left."""
        self.removed.update(options)


def engine_on(machine: Machine, devices: str = "auto") -> DockerEngine:
    engine = DockerEngine({}, gpus=GpuAccess(vendor="nvidia", devices=devices))
    vars(engine)["client"] = machine
    return engine


def run(engine: DockerEngine, *, gpus: bool = True) -> bytes:
    return engine.run(RunRequest(image="image", command=("true",), gpus=gpus)).stdout


def attach(engine: DockerEngine, *, interactive: bool = False) -> int:
    return engine.run_attached(
        RunRequest(image="image", command=("true",), workdir="/", env={"A": "1"}, stdin=interactive)
    )


def test_a_command_with_limits_is_bounded_by_the_engine_and_gains_nothing() -> None:
    machine = Machine()
    limits = RunLimits(seconds=5, memory=1 << 30, output=3, processes=7)
    request = RunRequest(image="image", command=("true",), gpus=False, limits=limits)
    assert engine_on(machine).run(request).stdout == b"out"
    (made,) = machine.made
    assert (made["mem_limit"], made["memswap_limit"], made["pids_limit"]) == (1 << 30, 1 << 30, 7)
    assert made["security_opt"] == ["no-new-privileges"]
    assert (made["network_mode"], made["healthcheck"]) == ("none", {"test": ["NONE"]})
    assert made["hostname"] == "envbuild"
    assert made["log_config"].type == "none"
    # a running one is killed, and volumes that its image declares go with it
    assert machine.removed == {"force": True, "v": True}


def test_auto_does_without_a_gpu_that_the_engine_cannot_give() -> None:
    machine = Machine()
    engine = engine_on(machine)
    assert engine.withheld is None
    assert (run(engine), run(engine)) == (b"out", b"out")
    assert engine.withheld == WITHHELD
    assert ["device_requests" in options for options in machine.made] == [True, False, False]
    # where that runtime is the engine's default it would look at the image's variable
    assert machine.made[1]["environment"] == {"NVIDIA_VISIBLE_DEVICES": "void"}


def test_so_does_a_command_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "run_attached", lambda *_words, **_options: 3)
    machine = Machine()
    assert attach(engine_on(machine)) == 3
    assert machine.made[1]["environment"] == {"A": "1", "NVIDIA_VISIBLE_DEVICES": "void"}


@pytest.fixture
def take_input(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], list[bytes]]]:
    """Return a function that makes a descriptor standard input, and gives what docker clients take of it."""
    kept = os.dup(0)
    taken: list[bytes] = []

    def client(*_words: object, **_options: object) -> int:
        taken.append(os.read(0, 100))
        return 127

    def of(descriptor: int) -> list[bytes]:
        os.dup2(descriptor, 0)
        os.close(descriptor)
        return taken

    monkeypatch.setattr(process, "run_attached", client)
    yield of
    os.dup2(kept, 0)
    os.close(kept)


def test_a_pipe_is_not_read_twice(take_input: Callable[[int], list[bytes]]) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"all of it")
    os.close(writing)
    taken = take_input(reading)
    machine = Machine()
    with pytest.raises(RunError) as raised:
        attach(engine_on(machine), interactive=True)
    assert raised.value.hint == hint_for(NOT_LOADED)
    assert len(machine.made) == 1
    assert taken == [b"all of it"]


def test_a_file_is_given_whole_to_the_second_attempt(
    tmp_path: Path, take_input: Callable[[int], list[bytes]]
) -> None:
    (tmp_path / "input").write_bytes(b"all of it")
    taken = take_input(os.open(tmp_path / "input", os.O_RDONLY))
    assert attach(engine_on(Machine()), interactive=True) == 127
    assert taken == [b"all of it", b"all of it"]


@pytest.mark.parametrize("devices", ["all", "1", "device=0"])
def test_what_is_named_is_demanded(devices: str) -> None:
    machine = Machine()
    with pytest.raises(EngineError) as raised:
        run(engine_on(machine, devices))
    assert raised.value.detail == NOT_LOADED
    assert raised.value.hint is not None
    assert "--gpus none does without" in raised.value.hint
    assert len(machine.made) == 1


def test_a_driver_that_the_image_refuses_is_not_passed_over() -> None:
    with pytest.raises(EngineError) as raised:
        run(engine_on(Machine(TOO_OLD)))
    assert raised.value.detail == TOO_OLD


def test_a_command_that_cannot_be_started_is_an_error_as_the_protocol_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # the words of Docker Engine 26; the docker client exits with 1, as a command may
    told = 'failed to create task for container: exec: "no-such": executable file not found in $PATH: unknown'
    monkeypatch.setattr(process, "run_attached", lambda *_words, **_options: 1)
    machine = Machine()
    monkeypatch.setattr(machine, "create", lambda _image, **_options: Container(told))
    with pytest.raises(EngineError) as refused:
        run(engine_on(machine))
    with pytest.raises(RunError, match="the command could not be started") as raised:
        attach(engine_on(machine))
    assert refused.value.detail == raised.value.detail == told


def test_the_status_of_a_client_that_started_nothing_is_not_the_command_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "run_attached", lambda *_words, **_options: 1)
    container = Container("")
    container.attrs["State"]["Status"] = "created"
    machine = Machine()
    monkeypatch.setattr(machine, "create", lambda _image, **_options: container)
    with pytest.raises(RunError, match="the command could not be started") as raised:
        attach(engine_on(machine))
    assert raised.value.detail == "the docker client ended with 1"


def test_an_engine_that_is_gone_is_a_failure_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_words: object, **_options: object) -> None:
        raise OSError("gone")

    machine = Machine()
    monkeypatch.setattr(machine, "create", gone)
    with pytest.raises(RunError, match="no Docker Engine answers"):
        attach(engine_on(machine))


def test_a_container_without_gpus_is_given_none() -> None:
    machine = Machine()
    engine = engine_on(machine)
    run(engine, gpus=False)
    assert machine.made[0]["environment"] == {"NVIDIA_VISIBLE_DEVICES": "void"}
    assert "device_requests" not in machine.made[0]
    assert engine.withheld is None


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        (NOT_LOADED, "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown"),
        (
            "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all",
            "CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=all",
        ),
        (TOO_OLD, None),
        ("no such file or directory: true", None),
    ],
)
def test_which_refusals_are_about_gpus(told: str, refusal: str | None) -> None:
    assert gpu_refusal(told) == refusal
    assert (hint_for(told) is None) == (refusal is None)
