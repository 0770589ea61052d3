"""How an image is asked, with an engine that is a test double: it answers as the probe would."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from envbuild.errors import VerificationError
from envbuild.image.engine import ContainerOutcome, ContainerRunner, RunRequest
from envbuild.verify.checks import Facts, LockedTarget, read_target
from envbuild.verify.checks.codec import encode
from envbuild.verify.checks.gpu_facts import DriverFacts, GpuFacts
from envbuild.verify.image import IMPORT_LIMITS, LIMITS, PROBE_PATH, ask_image
from envbuild.verify.probe_bundle import build_probe
from tests.rig.locks import TARGET_DIGEST

ABSENT = DriverFacts(state="absent", reason="there is no libnvidia-ml.so.1")
IDENTIFIER = f"sha256:{'1' * 64}"


@dataclass(kw_only=True)
class AnsweringEngine:
    """Runs nothing; remembers what it was asked to run."""

    answer: bytes
    status: int = 0
    stderr: bytes = b""
    withheld: str | None = None
    asked: list[RunRequest] = field(default_factory=list)

    def run(self, request: RunRequest) -> ContainerOutcome:
        self.asked.append(request)
        return ContainerOutcome(exit_status=self.status, stdout=self.answer, stderr=self.stderr)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not asked for")


_: type[ContainerRunner] = AnsweringEngine


@pytest.fixture
def engine(facts: Facts) -> AnsweringEngine:
    gpu = GpuFacts(drivers={"nvidia": ABSENT, "amd": ABSENT})
    return AnsweringEngine(answer=json.dumps(encode(replace(facts, gpu=gpu))).encode())


@pytest.fixture
def with_torch(projection: dict[str, Any]) -> LockedTarget:
    projection["gpu"] = {"vendor": "nvidia"}
    projection["wheels"].append(projection["wheels"][0] | {"name": "torch"})
    return read_target(projection, TARGET_DIGEST)


def test_one_container_is_asked_with_the_probe_of_this_release(
    engine: AnsweringEngine, target: LockedTarget
) -> None:
    """The one that the image carries may be anything."""
    results = ask_image(engine, IDENTIFIER, target)
    assert {result.outcome for result in results} == {"passed"}
    assert {result.evidence for result in results} == {"told"}
    (request,) = engine.asked
    assert request.image == IDENTIFIER
    assert request.files == {PROBE_PATH: build_probe()}
    assert request.command[:5] == (target.interpreter.path, "-I", "-S", "-B", PROBE_PATH)


def test_a_container_that_is_asked_has_limits(engine: AnsweringEngine, with_torch: LockedTarget) -> None:
    """Imports of frameworks take long, and start many threads; an answer alone does not."""
    ask_image(engine, IDENTIFIER, with_torch)
    ask_image(engine, IDENTIFIER, with_torch, imports=True)
    assert [request.limits for request in engine.asked] == [LIMITS, IMPORT_LIMITS]
    assert ["--import=torch" in request.command for request in engine.asked] == [False, True]


def test_an_environment_for_cpus_imports_nothing(engine: AnsweringEngine, target: LockedTarget) -> None:
    ask_image(engine, IDENTIFIER, target, imports=True)
    assert engine.asked[0].limits == LIMITS


def test_why_an_engine_gives_no_gpu_is_asked_once_it_has_run(
    engine: AnsweringEngine, projection: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That its runtime cannot start is only seen when it does not."""
    projection["gpu"] = {"vendor": "nvidia"}
    run = engine.run

    def run_and_learn(*arguments: Any, **options: Any) -> ContainerOutcome:
        engine.withheld = "the engine could not give one: nvidia-container-cli: no driver"
        return run(*arguments, **options)

    monkeypatch.setattr(engine, "run", run_and_learn)
    results = ask_image(engine, IDENTIFIER, read_target(projection, TARGET_DIGEST))
    (result,) = (item for item in results if item.id == "gpu/driver")
    assert (result.outcome, result.reason) == (
        "skipped",
        f"no GPU: {ABSENT.reason}; {engine.withheld}",
    )


def test_a_probe_that_fails_is_no_answer(engine: AnsweringEngine, target: LockedTarget) -> None:
    engine.status = 127
    engine.stderr = b"".join(b"line %d\n" % number for number in range(40))
    with pytest.raises(VerificationError, match="failed in the container with status 127") as caught:
        ask_image(engine, IDENTIFIER, target)
    assert caught.value.detail is not None
    assert caught.value.detail.splitlines() == [f"line {number}" for number in range(25, 40)]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda good: b"", id="nothing"),
        pytest.param(lambda good: b"hello", id="no JSON"),
        pytest.param(lambda good: b"\xff" + good, id="no text"),
        pytest.param(lambda good: b"[" * 100_000, id="deep JSON"),
        pytest.param(lambda good: b"[]", id="a list"),
        pytest.param(lambda good: b"{}", id="an empty table"),
        pytest.param(lambda good: good.replace(b'"format": 2', b'"format": 1'), id="an older format"),
        pytest.param(lambda good: good.replace(b'"cpu-count": 2', b'"cpu-count": "2"'), id="another type"),
        pytest.param(lambda good: good[:-10], id="cut short"),
    ],
)
def test_an_answer_that_is_none_ends_in_an_error_of_ours(
    engine: AnsweringEngine, target: LockedTarget, answer: Callable[[bytes], bytes]
) -> None:
    changed = answer(engine.answer)
    assert changed != engine.answer
    engine.answer = changed
    with pytest.raises(VerificationError, match="the probe's answer cannot be read"):
        ask_image(engine, IDENTIFIER, target)
