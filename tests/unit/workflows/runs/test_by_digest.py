"""An image that is known by its digest alone; engine and registry are doubles."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from envbuild.errors import EnvbuildError, IntegrityError, RecordError
from envbuild.image import registry_image
from envbuild.image.facts import ImageFacts
from envbuild.image.registry_image import RegistryImage
from envbuild.lock.identity import tag_of
from envbuild.records.found import FoundRun
from envbuild.records.model import RecordedImage, RunRecord
from envbuild.render.labels import TARGET
from envbuild.workflows.containers.options import RunOptions
from envbuild.workflows.machine import Machine
from envbuild.workflows.runs import by_digest
from envbuild.workflows.runs.by_digest import prepare_by_digest
from envbuild.workflows.runs.plan import plan_run

DIGEST, OURS, OTHER = (f"sha256:{digit * 64}" for digit in "123")
REPOSITORY = "host.example:5000/ml/train"


def facts(target: str | None) -> ImageFacts:
    return ImageFacts(
        identifier=DIGEST,
        architecture="amd64",
        env=(),
        user="",
        workdir="/workspace",
        command=(),
        entrypoint=(),
        labels={TARGET: target} if target else {},
        diff_ids=(),
        size=1,
    )


class Held:
    """An engine, in place of a real one, and a registry."""

    def __init__(self, held: ImageFacts | None = None, pushed: ImageFacts | None = None) -> None:
        self.name = "docker"
        self.held, self.pushed = held, pushed
        self.pulled: list[str] = []
        self.asked: list[str] = []

    def find(self, reference: str) -> ImageFacts | None:
        """Return what is held."""
        self.asked.append(reference)
        return self.held

    def pull(self, image: RegistryImage) -> ImageFacts:
        """Keep under which name an image was pulled."""
        self.pulled.append(image.reference)
        return image.facts

    def find_in_registry(self, reference: str, platform: Any, _client: object) -> RegistryImage | None:
        """Return what was pushed."""
        self.asked.append(reference)
        if self.pushed is None:
            return None
        return RegistryImage(
            reference=reference,
            digest=DIGEST,
            manifest=DIGEST,
            platform=platform,
            facts=self.pushed,
            layers=(),
        )

    def require_privileges(self, _restart: object) -> None:
        """Return."""

    def require_options(self, _options: object) -> None:
        """Return."""

    def close(self) -> None:
        """Return."""


def prepare(
    engine: Held,
    monkeypatch: pytest.MonkeyPatch,
    machine: Machine,
    *,
    repository: str | None = REPOSITORY,
    offline: bool = False,
    options: RunOptions | None = None,
    **changes: Any,
) -> SimpleNamespace:
    """Return what a container of a recorded run is started with."""
    monkeypatch.setattr(by_digest, "open_engine", lambda *_arguments, **_options: engine)
    monkeypatch.setattr(registry_image, "find_in_registry", engine.find_in_registry)
    # names that a record chose are no names of images here
    image = RecordedImage(reference="ubuntu:latest", digest=DIGEST, repository=repository)
    values: dict[str, Any] = {"target": OURS, "platform": "linux/amd64", "command": ("true",), **changes}
    found = FoundRun(source="mlflow:a", record=RunRecord(image=image, **values), place="x")
    own = Machine(environment=machine.environment, offline=offline)
    plan = plan_run(found, None, (), options or RunOptions(), own)
    request = prepare_by_digest(plan, own).request
    return SimpleNamespace(image=request.image, env=request.env, workdir=request.workdir)


def test_an_image_that_the_engine_holds(monkeypatch: pytest.MonkeyPatch, machine: Machine) -> None:
    engine = Held(facts(OURS))
    request = prepare(engine, monkeypatch, machine, variables={"SEED": "1"})
    assert (request.image, request.workdir, engine.asked) == (DIGEST, "/workspace", [DIGEST])
    record = json.loads(request.env["ENVBUILD_RUN"])
    assert (record["target"], record["again"]) == (OURS, {"source": "mlflow:a"})
    assert request.env["SEED"] == "1"


def test_what_the_caller_tells_trackers_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    own = {"MLFLOW_RUN_CONTEXT": "{}", "WANDB_DOCKER": "mine"}
    request = prepare(Held(facts(OURS)), monkeypatch, machine, options=RunOptions(env=own))
    assert own.items() <= request.env.items()
    assert json.loads(request.env["ENVBUILD_RUN"])["again"] == {"source": "mlflow:a"}


def test_an_image_of_a_registry_gets_the_name_of_its_target(
    monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    engine = Held(pushed=facts(OURS))
    request = prepare(engine, monkeypatch, machine)
    assert request.image == f"{REPOSITORY}:{tag_of(OURS)}"
    assert engine.pulled == [request.image]
    assert engine.asked == [DIGEST, f"{REPOSITORY}@{DIGEST}", f"{REPOSITORY}@{DIGEST}"]


@pytest.mark.parametrize(
    ("engine", "options", "expected"),
    [
        (Held(facts(OTHER)), {}, IntegrityError("the record lies")),
        (Held(facts(None)), {}, IntegrityError("does not say that envbuild built it")),
        (Held(pushed=facts(OTHER)), {}, IntegrityError("the record lies")),
        (Held(pushed=facts(None)), {}, IntegrityError("does not say that envbuild built it")),
        (Held(), {}, RecordError("neither the engine nor")),
        (Held(), {"repository": None}, RecordError("no registry is known")),
        (Held(pushed=facts(OURS)), {"offline": True}, RecordError("--offline asks nobody")),
    ],
)
def test_an_image_that_cannot_be_had(
    monkeypatch: pytest.MonkeyPatch,
    machine: Machine,
    engine: Held,
    options: dict[str, Any],
    expected: EnvbuildError,
) -> None:
    with pytest.raises(type(expected)) as caught:
        prepare(engine, monkeypatch, machine, **options)
    assert expected.message in caught.value.message
    assert (bool(caught.value.hint), engine.pulled) == (True, [])


def test_a_record_without_a_target_takes_the_word_of_the_image(
    monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    assert prepare(Held(facts(OTHER)), monkeypatch, machine, target=None).image == DIGEST


@pytest.mark.parametrize(
    "repository",
    ["../../etc", "--help", "host.example/a b", "http://me:x@host/a", "a?b=c", "-", "A/B", "x" * 900],
)
def test_a_repository_that_is_none(
    monkeypatch: pytest.MonkeyPatch, machine: Machine, repository: str
) -> None:
    engine = Held(pushed=facts(OURS))
    with pytest.raises(RecordError, match="is no repository of images"):
        prepare(engine, monkeypatch, machine, repository=repository)
    assert engine.asked == [DIGEST]
