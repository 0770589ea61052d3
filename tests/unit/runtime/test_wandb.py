"""The hook of Weights & Biases with doubles; tests/integration/test_runtime_trackers.py has the real one."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import envbuild_runtime
import pytest


class ArtifactDouble:
    """Keeps what is added to it."""

    def __init__(self, name: str, *, type: str, metadata: dict[str, Any]) -> None:  # noqa: A002 - W&B's word
        self.name, self.type, self.metadata = name, type, metadata
        self.files: dict[str, bytes] = {}

    def add_file(self, path: str, name: str, policy: str) -> None:
        assert policy == "immutable"
        self.files[name] = Path(path).read_bytes()


class OldArtifactDouble(ArtifactDouble):
    """Knows no policy, as before 0.16."""

    def add_file(self, path: str, name: str) -> None:  # type: ignore[override]
        super().add_file(path, name, "immutable")


class RunDouble:
    """A run whose files are in a folder."""

    def __init__(self, folder: Path) -> None:
        self.dir = str(folder)
        self.config: dict[str, Any] = {}
        self.saved: list[tuple[str, str, str]] = []
        self.artifacts: list[ArtifactDouble] = []

    def save(self, path: str, *, base_path: str, policy: str) -> None:
        self.saved.append((path, base_path, policy))

    def log_artifact(self, artifact: ArtifactDouble) -> None:
        self.artifacts.append(artifact)


class ConfigDouble(dict[str, Any]):
    """W&B's configuration takes one option more than a dict."""

    def update(self, values: dict[str, Any], *, allow_val_change: bool) -> None:  # type: ignore[override]
        assert allow_val_change
        super().update(values)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDouble:
    """Put a module `wandb` with an active run in place, and return the run."""
    run = RunDouble(tmp_path / "files")
    run.config = ConfigDouble()
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=run, Artifact=ArtifactDouble))
    return run


def test_configuration_files_and_artifact(
    run: RunDouble, recorded: dict[str, Any], locked: dict[str, Any]
) -> None:
    assert envbuild_runtime.wandb.record() is True

    said = run.config["envbuild"]
    environment = envbuild_runtime.environment()
    assert said["target"] == environment["target"]
    assert said["variables"] == {"PYTHONHASHSEED": "0"}
    assert said["command"] == recorded["command"]
    assert "run" not in said
    assert "features" not in said["cpu"]

    names = ["card.md", "environment.json", "lock.json", "run.json"]
    folder = Path(run.dir) / "envbuild"
    assert sorted(path.name for path in folder.iterdir()) == names
    assert run.saved == [(str(folder / name), run.dir, "now") for name in names]

    (artifact,) = run.artifacts
    assert (artifact.name, artifact.type) == (f"envbuild-{environment['target']['tag']}", "environment")
    assert artifact.metadata == environment["target"]
    assert artifact.files == {f"envbuild/{name}": (folder / name).read_bytes() for name in names}


def test_a_run_can_be_given(run: RunDouble, tmp_path: Path) -> None:
    other = RunDouble(tmp_path / "other")
    other.config = ConfigDouble()

    assert envbuild_runtime.wandb.record(other) is True
    assert (run.config, len(other.artifacts)) == ({}, 1)


def test_a_release_that_knows_no_policy(
    run: RunDouble, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    monkeypatch.setattr(sys.modules["wandb"], "Artifact", OldArtifactDouble)

    assert envbuild_runtime.wandb.record() is True
    assert "envbuild/card.md" in run.artifacts[0].files
    assert warned == []


def test_without_a_run_none_is_started(monkeypatch: pytest.MonkeyPatch, warned: list[str]) -> None:
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=None))

    assert envbuild_runtime.wandb.record() is False
    assert "no run is active" in warned[0]


@pytest.mark.parametrize("tag", [None, "../../etc", "a" * 500, "ä b/c"])
def test_the_name_of_the_artifact_is_one_that_wandb_takes(tag: str | None) -> None:
    name = envbuild_runtime.wandb.artifact_name({"target": {"tag": tag} if tag else {}})

    assert name.startswith("envbuild-")
    assert len(name) <= 128
    assert "/" not in name


def test_a_folder_that_cannot_be_written_gives_one_warning(
    run: RunDouble, tmp_path: Path, warned: list[str]
) -> None:
    (tmp_path / "files").write_text("a file")

    assert envbuild_runtime.wandb.record() is False
    assert len(warned) == 1
    assert run.artifacts == []


@pytest.mark.parametrize("missing", ["config", "save", "log_artifact", "dir"])
def test_a_run_of_another_release_gives_one_warning(
    missing: str, run: RunDouble, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    monkeypatch.setattr(run, missing, None)

    assert envbuild_runtime.wandb.record() is False
    assert len(warned) == 1


def test_no_wandb_gives_one_warning(monkeypatch: pytest.MonkeyPatch, warned: list[str]) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)

    assert envbuild_runtime.wandb.record() is False
    assert "ModuleNotFoundError" in warned[0] or "ImportError" in warned[0]
