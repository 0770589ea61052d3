"""docs/reference/envbuild-runtime.md says what the code does."""

import re

import pytest
from envbuild_runtime import dvc, facts, mlflow, tensorboard, texts, threads

from tests.rig.paths import CHECKOUT

PAGE = (CHECKOUT / "docs" / "reference" / "envbuild-runtime.md").read_text("utf-8")
NAMED = set(re.findall(r"`([^`\n]+)`", PAGE))


def test_every_variable_that_is_read_is_named() -> None:
    wanted = {*threads.SWITCHES, *threads.THREAD_VARIABLES}

    assert wanted <= NAMED


def test_every_tag_is_named() -> None:
    record = {
        "lock": {"sha256": "a"},
        "image": {"reference": "a", "digest": "a"},
        "git": {"commit": "a", "dirty": True, "remote": "a"},
        **dict.fromkeys(("name", "variant", "platform", "tag", "target", "driver"), "a"),
        "gpus": ["a"],
    }

    tags = {*facts.tags(record), "envbuild.blas"}
    assert tags >= {"envbuild.cpu", "envbuild.run", "envbuild.gpus", "envbuild.git.dirty"}
    assert tags <= NAMED


@pytest.mark.parametrize(
    "name",
    [
        *(
            f"envbuild/{name}"
            for name in (texts.RUN_FILE, texts.ENVIRONMENT_FILE, texts.LOCK_FILE, texts.CARD_FILE)
        ),
        *(tensorboard.RECORD_TAG, tensorboard.ENVIRONMENT_TAG, tensorboard.CARD_TAG),
        *(tensorboard.RUN_FILE, tensorboard.EVENT_FILE, dvc.FILE),
    ],
)
def test_every_name_in_a_tracker_is_named(name: str) -> None:
    assert name in NAMED


def test_every_key_of_the_environment_is_named() -> None:
    assert set(facts.environment()) <= NAMED


def test_the_stages_are_those_that_tests_run() -> None:
    stages = (dvc.__doc__ or "").partition("::\n\n")[2].partition("\n\nThe first stage")[0]
    lines = [line.removeprefix("    ") for line in stages.splitlines()]

    assert "```yaml\n# dvc.yaml\n" + "\n".join(lines) + "\n```" in PAGE


def test_the_time_that_a_server_has_is_said() -> None:
    assert f"`timeout={mlflow.PATIENCE:g}`" in PAGE
