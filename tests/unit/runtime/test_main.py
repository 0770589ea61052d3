"""`python -m envbuild_runtime`."""

import json
from pathlib import Path
from typing import Any

import envbuild_runtime
import pytest
from envbuild_runtime.__main__ import main


def test_text_has_a_line_for_each_fact(recorded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0

    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["target.digest", recorded["target"]] in lines
    assert ["run.command", "python train.py --name two words"] in lines
    assert ["gpus.1.name", "NVIDIA H200"] in lines


def test_json_is_the_environment(recorded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0

    assert json.loads(capsys.readouterr().out) == envbuild_runtime.environment()


def test_the_card_is_markdown(recorded: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["card"]) == 0

    assert capsys.readouterr().out == envbuild_runtime.card()


def test_control_characters_reach_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ENVBUILD_RUN", json.dumps({"name": "a\x1b[31m\nb"}))

    main([])

    assert "\x1b" not in capsys.readouterr().out


def test_dvc_writes_its_file(
    recorded: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["dvc"]) == 0
    assert main(["dvc", "--machine", "metrics.json"]) == 0
    assert "gpus" not in (tmp_path / "envbuild-environment.yaml").read_text()
    assert json.loads((tmp_path / "metrics.json").read_bytes())["gpus"]


def test_dvc_that_cannot_write_fails_no_pipeline(tmp_path: Path, warned: list[str]) -> None:
    assert main(["dvc", str(tmp_path / "absent" / "file.yaml")]) == 0
    assert len(warned) == 1


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])

    assert ended.value.code == 0
    assert capsys.readouterr().out == f"{envbuild_runtime.__version__}\n"
