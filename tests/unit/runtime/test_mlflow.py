"""MLflow's provider and hook, without MLflow: its module is a double here.

tests/integration/test_runtime_trackers.py has the real one.
"""

import builtins
import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import envbuild_runtime
import pytest
from envbuild_runtime import facts, mlflow_context, texts
from envbuild_runtime.mlflow_context import EnvbuildRunContext


class ClientDouble:
    """Keeps what `log_artifacts` is given."""

    def __init__(self, *, error: Exception | None = None, hang: threading.Event | None = None) -> None:
        self.error, self.hang = error, hang
        self.logged: dict[str, bytes] = {}
        self.run_id = ""

    def log_artifacts(self, run_id: str, local_dir: str, artifact_path: str | None = None) -> None:
        if self.hang:
            self.hang.wait(60)
        if self.error:
            raise self.error
        self.run_id = run_id
        self.logged = {
            f"{artifact_path}/{path.name}": path.read_bytes() for path in Path(local_dir).iterdir()
        }


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ClientDouble]:
    """Return a function that puts a module `mlflow` in place, and returns its client."""

    def place(*, active: str | None = "run-1", client: ClientDouble | None = None) -> ClientDouble:
        client = client or ClientDouble()
        run = SimpleNamespace(info=SimpleNamespace(run_id=active)) if active else None
        tracking = SimpleNamespace(MlflowClient=lambda: client)
        module = SimpleNamespace(active_run=lambda: run, tracking=tracking)
        monkeypatch.setitem(sys.modules, "mlflow", module)
        monkeypatch.setitem(sys.modules, "mlflow.tracking", tracking)
        return client

    return place


def test_outside_of_images_the_provider_says_nothing() -> None:
    assert EnvbuildRunContext().in_context() is False


def test_tags_are_computed_once(recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    provider = EnvbuildRunContext()
    assert provider.in_context() is True
    tags = provider.tags()
    monkeypatch.setattr(facts, "tags", lambda *_: pytest.fail("computed again"))

    assert provider.tags() == tags
    assert EnvbuildRunContext().tags() == tags
    assert tags["envbuild.target"] == recorded["target"]


def test_who_changes_the_answer_changes_no_other(recorded: dict[str, Any]) -> None:
    EnvbuildRunContext().tags().clear()

    assert EnvbuildRunContext().tags()


def test_they_are_computed_again_when_libraries_were_imported(
    recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    answers = iter("12")
    monkeypatch.setattr(facts, "tags", lambda *_: {"envbuild.blas": next(answers)})

    first = EnvbuildRunContext().tags()
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())

    assert (first, EnvbuildRunContext().tags()) == ({"envbuild.blas": "1"}, {"envbuild.blas": "2"})


def test_tags_of_mlflows_variable_are_left_to_it(
    recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_CONTEXT", json.dumps({"envbuild.target": "x", "envbuild.cpu": "y"}))

    assert not {"envbuild.target", "envbuild.cpu"} & set(EnvbuildRunContext().tags())


@pytest.mark.parametrize("text", ["{", "[]", "7", ""])
def test_a_broken_variable_of_mlflow_is_its_own_business(
    text: str, recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    monkeypatch.setenv("MLFLOW_RUN_CONTEXT", text)

    assert EnvbuildRunContext().tags()["envbuild.target"] == recorded["target"]
    assert warned == []


@pytest.mark.parametrize(
    "error", [ImportError, AttributeError, OSError, SyntaxError, RecursionError, MemoryError]
)
def test_whatever_fails_gives_no_tags_and_one_warning(
    error: type[Exception], recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    def fail(*_: object) -> dict[str, str]:
        raise error("broken")

    monkeypatch.setattr(facts, "tags", fail)

    assert EnvbuildRunContext().tags() == {}
    assert EnvbuildRunContext().tags() == {}
    assert warned == [f"no tags for MLflow: {error.__name__}: broken"]


def test_a_package_that_cannot_be_imported_gives_no_tags(
    recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("envbuild_runtime"):
            raise RuntimeError("broken")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)

    assert EnvbuildRunContext().in_context() is False
    assert EnvbuildRunContext().tags() == {}


def test_a_file_that_hangs_gives_no_tags(
    recorded: dict[str, Any], monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    end = threading.Event()
    monkeypatch.setattr(facts, "tags", lambda *_: {"late": str(end.wait(60))})
    monkeypatch.setattr(mlflow_context, "PATIENCE", 0.01)

    assert EnvbuildRunContext().tags() == {}
    assert "no answer within" in warned[0]
    end.set()


def test_one_call_attaches_the_four_files(
    recorded: dict[str, Any], locked: dict[str, Any], mlflow: Callable[..., ClientDouble]
) -> None:
    client = mlflow()

    assert envbuild_runtime.mlflow.log_environment() is True
    assert client.run_id == "run-1"
    assert client.logged == {
        f"envbuild/{name}": content for name, content in texts.files(envbuild_runtime.environment()).items()
    }
    assert len(client.logged) == 4


def test_a_run_and_a_client_can_be_named(mlflow: Callable[..., ClientDouble]) -> None:
    other = ClientDouble()
    first = mlflow()

    assert envbuild_runtime.mlflow.log_environment("run-2", other) is True
    assert (first.run_id, other.run_id) == ("", "run-2")


def test_no_run_is_started_for_it(mlflow: Callable[..., ClientDouble], warned: list[str]) -> None:
    mlflow(active=None)

    assert envbuild_runtime.mlflow.log_environment() is False
    assert "no run is active" in warned[0]


def test_a_server_that_does_not_answer_is_left_alone(
    mlflow: Callable[..., ClientDouble], warned: list[str]
) -> None:
    end = threading.Event()
    mlflow(client=ClientDouble(hang=end))

    assert envbuild_runtime.mlflow.log_environment(timeout=0.01) is False
    assert "no answer within 0.01 s" in warned[0]
    end.set()


def test_a_server_that_refuses_is_told_without_its_password(
    mlflow: Callable[..., ClientDouble], warned: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    mlflow(client=ClientDouble(error=OSError("403 at https://me:hunter2@host/api")))

    assert envbuild_runtime.mlflow.log_environment() is False
    assert "403 at https://***@host/api" in warned[0]
    assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize("module", [None, SimpleNamespace(), SimpleNamespace(active_run=None)])
def test_an_absent_or_other_mlflow_gives_one_warning(
    module: object, monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", module)

    assert envbuild_runtime.mlflow.log_environment() is False
    assert envbuild_runtime.mlflow.log_environment() is False
    assert len(warned) == 1


def test_a_client_without_the_function_gives_one_warning(
    mlflow: Callable[..., ClientDouble], warned: list[str]
) -> None:
    mlflow()

    assert envbuild_runtime.mlflow.log_environment("run-1", object()) is False
    assert "AttributeError" in warned[0]


def test_a_full_disk_gives_one_warning(
    mlflow: Callable[..., ClientDouble], monkeypatch: pytest.MonkeyPatch, warned: list[str]
) -> None:
    def refuse(*_: object) -> list[str]:
        raise OSError(28, "No space left on device")

    client = mlflow()
    monkeypatch.setattr(texts, "write_files", refuse)

    assert envbuild_runtime.mlflow.log_environment() is False
    assert client.logged == {}
    assert "No space left" in warned[0]
