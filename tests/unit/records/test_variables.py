"""The variables that carry a record into a container."""

import json

from envbuild.lock.tracker_variables import MLFLOW
from envbuild.records.model import read_record
from envbuild.records.variables import LONGEST_TAG, RUN, WANDB, variables_of
from tests.rig.run_records import DIGEST, RECORD


def test_the_tags_of_mlflow() -> None:
    document = RECORD.document()
    found = variables_of(document)
    assert json.loads(found[MLFLOW]) == {
        "envbuild.driver": "550.54.15",
        "envbuild.git.commit": "c" * 40,
        "envbuild.git.dirty": "true",
        "envbuild.git.remote": "https://host.example/a",
        "envbuild.gpus": "NVIDIA H200",
        "envbuild.image": "train:aaaaaaaaaaaa",
        "envbuild.image.digest": DIGEST,
        "envbuild.lock": "b" * 64,
        "envbuild.name": "train",
        "envbuild.platform": "linux/amd64",
        "envbuild.run": RECORD.text(),
        "envbuild.tag": "a" * 12,
        "envbuild.target": DIGEST,
        "envbuild.variant": "default",
    }
    assert found[WANDB] == f"train:aaaaaaaaaaaa@{DIGEST}"
    assert read_record(found[RUN], where="x") == RECORD


def test_a_record_that_is_longer_than_a_tag_is_not_among_them() -> None:
    found = variables_of({"version": 1, "command": ["x" * LONGEST_TAG]})
    assert json.loads(found[MLFLOW]) == {}
    assert WANDB not in found


def test_what_somebody_set_is_left_alone() -> None:
    document = RECORD.document()
    found = variables_of(document, taken={MLFLOW, WANDB, RUN, "OTHER"})
    assert found == {RUN: variables_of(document)[RUN]}
