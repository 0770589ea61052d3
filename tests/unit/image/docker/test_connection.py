"""What went wrong first is what is said, though the engine does not answer when it is asked to clean up."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest
import requests.exceptions

from envbuild.errors import BuildFailedError, EngineError
from envbuild.image.docker.connection import cleaned_up, engine_errors
from envbuild.image.docker.engine import DockerEngine
from envbuild.image.engine import RunRequest

Work = Callable[[DockerEngine], object]


def gone(*_arguments: Any, **_options: Any) -> Any:
    raise requests.exceptions.ConnectionError("gone")


def refuse(*_arguments: Any, **_options: Any) -> Any:
    raise docker.errors.APIError("500", explanation="no room")


def fail() -> None:
    raise ValueError("first")


@pytest.fixture
def engine() -> DockerEngine:
    """Return an engine that refuses all work, and then goes away."""
    engine = DockerEngine({})
    api = SimpleNamespace(remove_image=gone, tag=refuse, pull=lambda *_, **__: iter(()))
    container = SimpleNamespace(attach=refuse, remove=gone)
    containers = SimpleNamespace(create=lambda *_, **__: container)
    vars(engine)["client"] = SimpleNamespace(api=api, containers=containers)
    return engine


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (docker.errors.InvalidArgument("incompatible"), "the engine's client refuses these options"),
        (
            docker.errors.DockerException(
                "('Connection aborted.', PermissionError(13, 'Permission denied'))"
            ),
            "this user may not use the Docker Engine",
        ),
        (docker.errors.DockerException("nobody there"), "no Docker Engine answers"),
        (ConnectionRefusedError("refused"), "no Docker Engine answers"),
    ],
)
def test_what_the_client_raises_is_said_as_what_it_is(raised: Exception, said: str) -> None:
    with pytest.raises(EngineError) as caught, engine_errors():
        raise raised
    assert caught.value.message == said


def test_a_failed_cleanup_is_a_note_on_the_first_error() -> None:
    with pytest.raises(ValueError, match="first") as raised, cleaned_up(gone):
        fail()
    assert raised.value.__notes__ == ["cleaning up afterwards failed too: gone"]


def test_it_is_the_error_when_nothing_else_failed() -> None:
    with pytest.raises(requests.exceptions.ConnectionError), cleaned_up(gone):
        pass


def test_it_is_done_once_in_any_case() -> None:
    done: list[int] = []
    with cleaned_up(lambda: done.append(1)):
        pass
    with pytest.raises(ValueError, match="first") as raised, cleaned_up(lambda: done.append(2)):
        fail()
    assert done == [1, 2]
    assert not hasattr(raised.value, "__notes__")


def test_a_second_build_that_fails_says_why(engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(*_arguments: Any, **_options: Any) -> Any:
        raise BuildFailedError("the build failed at: wheels")

    monkeypatch.setattr(engine, "_build_as", build)
    with pytest.raises(BuildFailedError, match="the build failed at: wheels") as raised:
        engine.check(request=None, first=SimpleNamespace(reference="image:tag"))  # type: ignore[arg-type]
    assert raised.value.__notes__ == ["cleaning up afterwards failed too: no Docker Engine answers"]


@pytest.mark.parametrize(
    "work",
    [
        lambda engine: engine.pull_as("127.0.0.1:1/image", "sha256:1", "image:tag"),
        lambda engine: engine.run(RunRequest(image="image", command=("true",), gpus=False)),
    ],
    ids=["tagging", "running"],
)
def test_so_does_what_the_engine_refused(
    engine: DockerEngine, work: Callable[[DockerEngine], object]
) -> None:
    with pytest.raises(EngineError, match="the engine refused") as raised:
        work(engine)
    assert raised.value.detail == "no room"


@pytest.mark.parametrize(
    ("error", "detail"),
    [
        (OSError(), "OSError"),
        (docker.errors.DockerException(" \n"), "DockerException"),
        (OSError("first\nsecond"), "first"),
    ],
)
def test_an_engine_that_does_not_answer_has_a_reason(error: Exception, detail: str) -> None:
    with pytest.raises(EngineError, match="no Docker Engine answers") as raised, engine_errors():
        raise error
    assert raised.value.detail == detail
