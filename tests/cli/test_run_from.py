"""`envbuild run --from` and `envbuild describe --run`, on a machine without an engine."""

import json
from pathlib import Path

import pytest

from envbuild.digest import sha256_file
from envbuild.errors import EngineError
from envbuild.lock.codec import loads
from envbuild.lock.identity import RECIPE_FORMAT, target_digest
from envbuild.workflows.runs import again
from tests.rig.hostile import HOSTILE, harm_in
from tests.rig.program import Program

RUN_FILE = "envbuild-run.json"


def keep(program: Program, **changes: object) -> None:
    """Write the record of a run, as TensorBoard's hook does."""
    lock = loads(program.lock.read_text())
    target = next(target for target in lock.targets if target.variant == lock.request.default_variant)
    record = {
        "version": 1,
        "name": "train",
        "variant": target.variant,
        "platform": target.platform,
        "target": target_digest(lock, target),
        "format": RECIPE_FORMAT,
        "lock": {"sha256": sha256_file(program.lock), "path": "envbuild.lock"},
        "image": {"reference": "train:1", "digest": f"sha256:{'1' * 64}"},
        "command": ["python", "train.py"],
        "mounted": True,
        "folder": ".",
        **changes,
    }
    (program.folder / "logs").mkdir(exist_ok=True)
    (program.folder / "logs" / RUN_FILE).write_text(json.dumps(record))


def test_the_plan_is_shown_and_nobody_can_be_asked(locked: Program) -> None:
    keep(locked)
    answer = locked("run", "--from", "tensorboard:logs")
    assert (answer.code, answer.stdout) == (2, "")
    assert "python train.py" in answer.stderr
    assert "read what would be done, then add --yes" in answer.stderr


def test_yes_goes_on_to_the_engine(locked: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def fail(_project: object, command: tuple[str, ...], *_options: object, **_more: object) -> None:
        asked.append(command)
        raise EngineError("there is no engine")

    # in place of an engine
    monkeypatch.setattr(again, "prepare_run", fail)
    keep(locked)
    answer = locked("run", "--from", "tensorboard:logs", "--yes")
    assert (answer.code, asked) == (125, [("python", "train.py")])
    assert "start it?" not in answer.stderr


def test_code_that_is_another_is_refused_with_yes(locked: Program) -> None:
    keep(locked, git={"commit": "c" * 40, "dirty": False})
    answer = locked("run", "--from", "tensorboard:logs", "--yes")
    assert answer.code == 2
    assert "the code here is not that of the run" in answer.stderr
    assert "--into FOLDER" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("run",), 2, "`run` needs a command"),
        (("run", "--yes", "--", "true"), 2, "--yes goes with --from"),
        (("run", "--into", "x", "--", "true"), 2, "--into goes with --from"),
        (("run", "--from", "comet:a"), 2, "names no recorded run"),
        (("run", "--from", "mlflow:0123@http://127.0.0.1:9"), 9, "cannot reach http://127.0.0.1:9"),
        (("run", "--offline", "--from", "mlflow:0123@http://127.0.0.1:9"), 2, "--offline asks nobody"),
        (("run", "--from", "tensorboard:none"), 1, "there is no folder none"),
        (("run", "--from", "tensorboard:logs", "--into", "."), 1, "names no commit"),
        (("describe", "--run", "wandb:none"), 1, "is no folder of a run"),
        (("describe", "--run", "mlflow:0123@http://127.0.0.1:9"), 9, "cannot reach"),
        (("describe", "--run", "mlflow:0123"), 2, "MLFLOW_TRACKING_URI is not set"),
    ],
)
def test_what_cannot_be_done(
    locked: Program, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    keep(locked)
    answer = locked(*arguments)
    assert (answer.code, said in answer.stderr) == (code, True), answer.stderr


def test_a_record_that_lies(locked: Program) -> None:
    keep(locked, target=f"sha256:{'0' * 64}")
    answer = locked("run", "--from", "tensorboard:logs", "--yes")
    assert (answer.code, "the record lies" in answer.stderr) == (10, True)


def test_a_record_that_is_broken_names_its_fields(locked: Program) -> None:
    keep(locked, folder="../..", git={"commit": "main"})
    answer = locked("describe", "--run", "tensorboard:logs")
    assert answer.code == 1
    assert "folder: must be a relative path without `..`" in answer.stderr
    assert "git.commit: " in answer.stderr


def test_a_hostile_command_is_shown_harmlessly(locked: Program) -> None:
    keep(locked, command=["sh", "-c", HOSTILE.encode(errors="replace").decode().replace("\0", "")])
    for arguments in (("run", "--from", "tensorboard:logs"), ("describe", "--run", "tensorboard:logs")):
        answer = locked(*arguments)
        assert not harm_in(answer.stdout)
        assert not harm_in(answer.stderr)


def test_the_card_and_all_that_is_known(locked: Program) -> None:
    keep(locked)
    card = locked("describe", "--run", "tensorboard:logs").stdout
    assert card.startswith("# Run logs\n")
    assert "python train.py" in card
    found = json.loads(locked("describe", "--run", "tensorboard:logs", "--json").stdout)
    assert found["record"]["command"] == ["python", "train.py"]
    assert found["source"] == "tensorboard:logs"


def test_describe_needs_no_project(program: Program, tmp_path: Path) -> None:
    (program.folder / RUN_FILE).write_text('{"version": 1, "name": "train"}')
    assert program("describe", "--run", "tensorboard:.").code == 0
