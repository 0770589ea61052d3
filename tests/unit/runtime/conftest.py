"""Nothing of one test, nor of this machine's own image, is seen by the next."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from envbuild_runtime import gpus, guard, mlflow_context, sources, threads

RECORD: dict[str, Any] = {
    "version": 1,
    "name": "train",
    "variant": "default",
    "platform": "linux/amd64",
    "target": "sha256:" + "a" * 64,
    "tag": "a" * 12,
    "format": 4,
    "lock": {"sha256": "b" * 64, "path": "envbuild.lock"},
    "image": {"reference": "train:aaaaaaaaaaaa", "digest": "sha256:" + "c" * 64, "engine": "docker"},
    "git": {
        "commit": "d" * 40,
        "dirty": True,
        "remote": "https://git.example.com/team/train",
        "folder": "ml",
    },
    "command": ["python", "train.py", "--name", "two words"],
    "mounted": True,
    "variables": {"PYTHONHASHSEED": "0"},
    "data": [{"name": "images", "digest": "sha256:" + "e" * 64, "target": "/data/images"}],
    "gpus": ["NVIDIA H200", "NVIDIA H200"],
    "driver": "550.54.15",
}

LOCKED: dict[str, Any] = {
    "format": 4,
    "name": "train",
    "variant": "default",
    "platform": "linux/amd64",
    "wheels": [{"name": "numpy", "version": "2.4.6"}],
    "command": ["pythön"],
}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a process remembers, and look at no file of this machine that tests do not make."""
    for remembered in (guard._warned, sources._locks, gpus._known, mlflow_context._answers):
        remembered.clear()
    for name in ("ENVBUILD_RUN", "MLFLOW_RUN_CONTEXT", *threads.SWITCHES, *threads.THREAD_VARIABLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sources, "LOCK_FILE", str(tmp_path / "no-lock.json"))
    monkeypatch.setattr(gpus, "NVML_LIBRARY", "libno-such-library.so.1")
    monkeypatch.setattr(gpus, "DRIVER_FOLDER", str(tmp_path / "no-driver"))


@pytest.fixture
def warned() -> list[str]:
    """Return the list that holds the one warning of this process."""
    return guard._warned


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Set the record of a run, and return it."""
    monkeypatch.setenv("ENVBUILD_RUN", json.dumps(RECORD))
    return RECORD


@pytest.fixture
def lay_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], Path]:
    """Return a function that lays the file with which an image says what it is."""

    def lay(content: bytes) -> Path:
        path = tmp_path / "lock.json"
        path.write_bytes(content)
        monkeypatch.setattr(sources, "LOCK_FILE", str(path))
        return path

    return lay


@pytest.fixture
def locked(lay_lock: Callable[[bytes], Path]) -> dict[str, Any]:
    """Lay a lock, and return what it says of its target."""
    lay_lock(json.dumps(LOCKED, indent=1).encode())
    return LOCKED
