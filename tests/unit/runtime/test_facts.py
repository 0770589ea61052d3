"""All facts together: plain JSON, nothing unknown, nothing secret."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import envbuild_runtime
import pytest
from envbuild_runtime import cpu, facts, gpus, threads

from envbuild.digest import canonical_json, sha256_bytes
from tests.rig.paths import CHECKOUT


def test_outside_of_everything_there_is_the_machine() -> None:
    found = envbuild_runtime.environment()

    assert found["version"] == 1
    assert found["runtime"] == envbuild_runtime.__version__
    assert found["cpu"]["logical"] == os.cpu_count()
    assert found["python"]["packages"] > 0
    assert not {"target", "run", "image", "gpus", "driver"} & set(found)


def test_it_is_plain_json(recorded: dict[str, Any], locked: dict[str, Any]) -> None:
    found = envbuild_runtime.environment()

    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_record_is_in_it_and_beside_it(recorded: dict[str, Any]) -> None:
    found = envbuild_runtime.environment()

    assert found["run"] == recorded
    assert {name: found[name] for name in ("image", "lock", "git", "data")} == {
        name: recorded[name] for name in ("image", "lock", "git", "data")
    }
    assert found["gpus"] == [{"name": "NVIDIA H200"}, {"name": "NVIDIA H200"}]
    assert found["gpus-from"] == "record"


def test_the_image_says_which_target_it_is(recorded: dict[str, Any], locked: dict[str, Any]) -> None:
    digest = "sha256:" + sha256_bytes(canonical_json(locked))

    # the record says another one: what is there counts, and both are told
    assert envbuild_runtime.environment()["target"] == {
        "digest": digest,
        "recorded": recorded["target"],
        "tag": digest[7:19],
        "name": "train",
        "variant": "default",
        "platform": "linux/amd64",
        "format": 4,
    }


def test_a_record_of_this_very_target_is_told_once(
    recorded: dict[str, Any], locked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = "sha256:" + sha256_bytes(canonical_json(locked))
    monkeypatch.setenv("ENVBUILD_RUN", json.dumps({**recorded, "target": digest}))

    assert "recorded" not in envbuild_runtime.environment()["target"]
    assert "of the record" not in envbuild_runtime.card()


def test_without_an_image_the_record_says_it(recorded: dict[str, Any]) -> None:
    assert envbuild_runtime.environment()["target"] == {
        "digest": recorded["target"],
        "tag": recorded["tag"],
        "name": "train",
        "variant": "default",
        "platform": "linux/amd64",
        "format": 4,
    }


@pytest.mark.parametrize(
    "record", [{}, {"target": 5, "name": ["x"], "image": "train", "git": None, "data": {}}]
)
def test_a_record_with_other_types_is_no_error(
    record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    monkeypatch.setenv("ENVBUILD_RUN", json.dumps(record))

    found = envbuild_runtime.environment()

    assert "digest" not in found.get("target", {})
    assert facts.tags(record)["envbuild.threads"]
    assert envbuild_runtime.card()
    assert warned == []


def test_no_secret_of_the_environment_is_in_it(
    recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "WANDB_API_KEY"):
        monkeypatch.setenv(name, "hunter2")

    everything = [envbuild_runtime.environment(), facts.tags(recorded), envbuild_runtime.card()]
    assert "hunter2" not in json.dumps(everything)


def test_whatever_fails_is_absent_and_the_rest_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Any:
        raise OSError(28, "No space left on device")

    for module, name in ((cpu, "cpu"), (gpus, "gpus"), (threads, "blas"), (threads, "threads")):
        monkeypatch.setattr(module, name, fail)

    found = envbuild_runtime.environment()
    assert found["python"]
    assert not {"cpu", "gpus", "blas", "threads"} & set(found)


def test_tags_say_what_mlflow_does_not_know_yet(recorded: dict[str, Any]) -> None:
    known = frozenset({"envbuild.driver", "envbuild.target", "envbuild.run"})

    found = facts.tags(recorded, known)

    assert not known & set(found)
    assert found["envbuild.gpus"] == "NVIDIA H200,NVIDIA H200"
    assert found["envbuild.git.dirty"] == "true"
    assert found["envbuild.git.remote"] == "https://git.example.com/team/train"
    assert found["envbuild.image.digest"] == recorded["image"]["digest"]
    assert found["envbuild.lock"] == "b" * 64
    assert list(found) == sorted(found)


def test_all_names_of_the_target_known_means_that_its_lock_is_not_read(
    lay_lock: Any, warned: list[str]
) -> None:
    lay_lock(b"{")

    assert "envbuild.name" not in facts.tags(None, facts.TARGET_TAGS)
    assert warned == []


def test_the_record_is_a_tag_only_if_it_is_short(recorded: dict[str, Any]) -> None:
    assert json.loads(facts.tags(recorded)["envbuild.run"]) == recorded
    assert "envbuild.run" not in facts.tags({**recorded, "command": ["x" * 5000]})


def test_no_tag_is_longer_than_every_server_takes(recorded: dict[str, Any]) -> None:
    found = facts.tags({**recorded, "gpus": ["x" * 1000] * 64, "name": "x" * 9000})

    assert max(len(value) for value in found.values()) == facts.LONGEST_TAG


def test_importing_the_package_imports_no_more() -> None:
    program = "import sys, envbuild_runtime; print(sorted(m for m in sys.modules if 'envbuild' in m))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(CHECKOUT / "runtime")},
        cwd=Path("/"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert done.stdout == "['envbuild_runtime', 'envbuild_runtime.version']\n"


def test_the_package_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'neptune'"):
        _ = envbuild_runtime.neptune
    assert envbuild_runtime.dvc.FILE == "envbuild-environment.yaml"
