import json
from typing import Any

import pytest

from envbuild.lock.identity import image_environment, project_target, tag_of, target_digest
from envbuild.lock.tracker_variables import includes, tracker_variables
from tests.rig.locks import TARGET_DIGEST, sample_lock

PROJECTION: dict[str, Any] = {"name": "train", "variant": "cpu", "platform": "linux/amd64", "env": {}}


def test_an_image_says_what_it_is() -> None:
    variables = tracker_variables(PROJECTION, TARGET_DIGEST)
    assert json.loads(variables["MLFLOW_RUN_CONTEXT"]) == {
        "envbuild.name": "train",
        "envbuild.platform": "linux/amd64",
        "envbuild.tag": "999999999999",
        "envbuild.target": TARGET_DIGEST,
        "envbuild.variant": "cpu",
    }
    assert variables["WANDB_TAGS"] == "envbuild,train,envbuild-999999999999"


def test_no_tag_is_longer_than_weights_and_biases_takes() -> None:
    variables = tracker_variables(PROJECTION | {"name": "n" * 200}, TARGET_DIGEST)
    assert max(map(len, variables["WANDB_TAGS"].split(","))) == 64


def test_nothing_is_said_where_the_spec_says_so() -> None:
    assert tracker_variables(PROJECTION | {"record": False}, TARGET_DIGEST) == {}


@pytest.mark.parametrize("name", ["MLFLOW_RUN_CONTEXT", "WANDB_TAGS"])
def test_a_variable_of_the_spec_or_the_base_is_left_alone(name: str) -> None:
    variables = tracker_variables(PROJECTION | {"env": {name: "mine"}}, TARGET_DIGEST)
    assert name not in variables
    assert len(variables) == 1


def test_the_environment_of_an_image_has_them_and_the_lock_has_not() -> None:
    lock = sample_lock()
    target = lock.targets[0]
    environment = image_environment(lock, target, target_digest(lock, target))
    assert environment.keys() - target.env.keys() == {"MLFLOW_RUN_CONTEXT", "WANDB_TAGS"}
    assert list(environment) == sorted(environment)
    assert tag_of(target_digest(lock, target)) in environment["WANDB_TAGS"]
    silent = target.model_copy(update={"record": False})
    assert image_environment(lock, silent, target_digest(lock, silent)) == target.env
    assert project_target(lock, silent)["record"] is False
    assert "record" not in project_target(lock, target)
    assert target_digest(lock, silent) != target_digest(lock, target)


@pytest.mark.parametrize(
    ("name", "found", "expected"),
    [
        ("WANDB_TAGS", "envbuild,train,envbuild-999999999999", True),
        ("WANDB_TAGS", "mine, envbuild,train,envbuild-999999999999", True),
        ("WANDB_TAGS", "mine", False),
        ("WANDB_TAGS", "", False),
        ("MLFLOW_RUN_CONTEXT", "same", True),
        ("MLFLOW_RUN_CONTEXT", "more", True),
        ("MLFLOW_RUN_CONTEXT", "other", False),
        ("MLFLOW_RUN_CONTEXT", "{}", False),
        ("MLFLOW_RUN_CONTEXT", "[]", False),
        ("MLFLOW_RUN_CONTEXT", "{", False),
        ("MLFLOW_RUN_CONTEXT", "[" * 100_000, False),
    ],
)
def test_a_container_may_say_more_and_nothing_else(name: str, found: str, expected: bool) -> None:
    wanted = tracker_variables(PROJECTION, TARGET_DIGEST)[name]
    context = json.loads(wanted) if name == "MLFLOW_RUN_CONTEXT" else {}
    given = {
        "same": wanted,
        "more": json.dumps(context | {"envbuild.lock": "1"}),
        "other": json.dumps(context | {"envbuild.name": "x"}),
    }
    assert includes(name, wanted, given.get(found, found)) is expected
