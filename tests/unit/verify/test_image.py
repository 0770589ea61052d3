"""How an image is asked, with an engine that is a test double: it answers as the probe would."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from envbuild.image.engine import ContainerOutcome, ContainerRunner, ImageFacts, RunRequest
from envbuild.verify.checks import Facts
from envbuild.verify.checks.codec import encode
from envbuild.verify.checks.expected_files import ExpectedFiles
from envbuild.verify.checks.facts import DeepFacts
from envbuild.verify.checks.gpu_facts import DriverFacts, GpuFacts
from envbuild.verify.image import verify_image

ABSENT = DriverFacts(state="absent", reason="there is no libnvidia-ml.so.1")


@dataclass(kw_only=True)
class AnsweringEngine:
    """Runs nothing; remembers what it was asked to run, and with GPUs or without."""

    facts: Facts
    deep: DeepFacts
    withheld: str | None = None
    asked: list[tuple[bool, bool, str | None]] = field(default_factory=list)

    def run(self, request: RunRequest) -> ContainerOutcome:
        assert request.files
        is_deep = "--deep" in request.command
        self.asked.append((is_deep, request.gpus, request.user))
        answer = replace(self.facts, deep=self.deep if is_deep else None)
        return ContainerOutcome(exit_status=0, stdout=json.dumps(encode(answer)).encode(), stderr=b"")

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not asked for")


_: type[ContainerRunner] = AnsweringEngine


IMAGE = ImageFacts(
    identifier="sha256:1",
    architecture="amd64",
    env=(),
    user="1000:1000",
    workdir="/work",
    command=("bash",),
    entrypoint=(),
    labels={},
    diff_ids=(),
    size=1,
)


@pytest.fixture
def engine(facts: Facts, deep: Any) -> AnsweringEngine:
    gpu = GpuFacts(drivers={"nvidia": ABSENT, "amd": ABSENT})
    return AnsweringEngine(facts=replace(facts, gpu=gpu), deep=deep({}))


def test_files_are_looked_at_in_a_container_without_gpus(
    engine: AnsweringEngine, projection: dict[str, Any]
) -> None:
    """NVIDIA's runtime lays links and files of the driver into one that has them; no package owns those."""
    projection["gpu"] = {"vendor": "nvidia"}
    verify_image(engine, IMAGE, projection, digest="sha256:x", expected=lambda target: ExpectedFiles())
    assert engine.asked == [(False, True, None), (True, False, "0")]


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
    report = verify_image(engine, IMAGE, projection, digest="sha256:x")
    (result,) = (item for item in report.results if item.id == "gpu/driver")
    assert (result.outcome, result.reason) == (
        "skipped",
        f"no GPU: {ABSENT.reason}; {engine.withheld}",
    )
