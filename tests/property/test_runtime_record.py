"""Whatever the variable of a record holds, envbuild-runtime goes on."""

import json
import os
from typing import Any

import pytest
import yaml
from envbuild_runtime import dvc, facts, guard, mlflow_context, sources, tensorboard, texts, wandb
from hypothesis import given
from hypothesis import strategies as st

pytestmark = pytest.mark.property

KEYS = st.sampled_from(
    [
        "version",
        "name",
        "variant",
        "platform",
        "target",
        "tag",
        "format",
        "lock",
        "image",
        "git",
        "command",
        "folder",
        "options",
        "variables",
        "variable-names",
        "mounts",
        "data",
        "gpus",
        "driver",
        "sha256",
        "digest",
        "reference",
        "commit",
        "dirty",
        "remote",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(), inner, max_size=6),
    max_leaves=20,
)


@given(record=st.dictionaries(KEYS | st.text(), VALUES, max_size=12))
def test_any_record_can_be_shown_and_attached(record: dict[str, Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "record", lambda: record)
        patch.setattr(sources, "LOCK_FILE", "/nowhere/lock.json")
        environment = facts.environment()

    assert all(name.startswith("envbuild.") for name in facts.tags(record))
    assert sorted(texts.files(environment))[-2:] == ["environment.json", "run.json"] if record else True
    assert len(wandb.artifact_name(environment)) <= 128
    assert json.loads(json.dumps(wandb.summary(environment))) == wandb.summary(environment)
    assert "envbuild/card" in tensorboard.summaries(environment)
    values = dvc.values(environment)
    assert yaml.safe_load(dvc.to_yaml(values)) == json.loads(json.dumps(values))


@given(text=st.text() | st.builds(json.dumps, VALUES))
def test_any_text_is_a_record_or_none(text: str) -> None:
    mlflow_context._answers.clear()
    guard._warned.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", {"ENVBUILD_RUN": text})
        found = sources.record()
        tags = mlflow_context.EnvbuildRunContext().tags()

    assert found is None or isinstance(found, dict)
    assert tags
    assert len(guard._warned) <= 1
