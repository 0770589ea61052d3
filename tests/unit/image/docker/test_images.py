"""Logins and proxies that the engine is sent: those of the environment that was given, not of the process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors
import pytest
import requests
from docker.api.client import APIClient

from envbuild.errors import EngineError, NetworkError
from envbuild.image.docker.engine import DockerEngine
from envbuild.image.engine import RunRequest
from envbuild.progress import SilentProgress
from envbuild.remote.registry.credentials import DEFAULT_REGISTRY_KEY
from envbuild.render.labels import TARGET
from tests.rig.locks import digest


class Client(APIClient):
    """Docker's SDK, all but its connection: what it would send is kept."""

    def __init__(self) -> None:
        super().__init__(base_url="unix:///nowhere.sock", version="1.45")
        self.sent: list[tuple[str, Any, Any]] = []

    def post(self, url: str, *_data: Any, **options: Any) -> Any:  # type: ignore[override]
        self.sent.append((url, options.get("headers"), options.get("data")))
        raise docker.errors.NotFound("no")


def write_config(folder: Path, user: str) -> Path:
    folder.mkdir()
    auths = {
        name: {"username": user, "password": "p"} for name in (DEFAULT_REGISTRY_KEY, "registry.test:5000")
    }
    proxies = {"default": {"httpProxy": f"http://{user}"}}
    (folder / "config.json").write_text(json.dumps({"auths": auths, "proxies": proxies}))
    return folder


@pytest.fixture
def logins(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Return what is sent as credentials, decoded."""
    found: list[dict[str, str]] = []

    def keep(auth: dict[str, str]) -> str:
        found.append(auth)
        return "sent"

    monkeypatch.setattr("docker.auth.encode_header", keep)
    return found


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerEngine]:
    monkeypatch.setenv("DOCKER_CONFIG", str(write_config(tmp_path / "process", "process")))
    engine = DockerEngine({"DOCKER_CONFIG": str(write_config(tmp_path / "given", "given"))})
    client = docker.DockerClient.__new__(docker.DockerClient)
    client.api = Client()
    vars(engine)["client"] = client
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("repository", "server"),
    [("registry.test:5000/team/image", "registry.test:5000"), ("team/image", DEFAULT_REGISTRY_KEY)],
)
def test_pulling_and_pushing_take_the_given_login(
    engine: DockerEngine, logins: list[dict[str, str]], repository: str, server: str
) -> None:
    progress = SilentProgress()
    with pytest.raises(NetworkError, match="did not give the image"):
        engine.pull_digest(f"{repository}:tag", digest("image"), progress=progress)
    with pytest.raises(EngineError, match="the engine refused"):
        engine.push_name(f"{repository}:tag", progress=progress)
    assert logins == [{"username": "given", "password": "p", "serveraddress": server}] * 2


def test_a_registry_without_a_login_is_sent_none(engine: DockerEngine, logins: list[dict[str, str]]) -> None:
    with pytest.raises(NetworkError, match="did not give the image"):
        engine.pull_digest("elsewhere.test/image:tag", digest("image"), progress=SilentProgress())
    assert logins == [{}]


def test_containers_are_told_the_given_proxies(engine: DockerEngine) -> None:
    with pytest.raises(EngineError, match="the engine refused"):
        engine.run(RunRequest(image="image", command=("true",), env={"HTTP_PROXY": "http://own"}, gpus=False))
    [(_, _, data)] = engine.client.api.sent  # type: ignore[attr-defined]
    variables = dict(entry.split("=", 1) for entry in json.loads(data)["Env"])
    assert (variables["http_proxy"], variables["HTTP_PROXY"]) == ("http://given", "http://own")


class Holding(Client):
    """An engine with images, of which a container uses one."""

    used = "team/used:1"

    def images(self, *_names: Any, **options: Any) -> Any:
        assert options == {"filters": {"label": TARGET}}
        return [{"Id": digest("b")}, {"Id": digest("a")}, {"Id": digest("gone")}]

    def inspect_image(self, image: str) -> Any:
        if image == digest("gone"):
            raise docker.errors.ImageNotFound("gone")
        names = {digest("a"): ["team/b:2", "team/b:1"], digest("b"): None}[image]
        return {"Id": image, "Architecture": "amd64", "RepoTags": names, "Config": {"Labels": {TARGET: "x"}}}

    def remove_image(self, image: str, *_: Any, **__: Any) -> Any:
        status = 409 if image == self.used else 404
        response = requests.Response()
        response.status_code = status
        raise docker.errors.APIError("no", response=response, explanation="container 1 uses it")


@pytest.fixture
def holding(engine: DockerEngine) -> DockerEngine:
    engine.client.api = Holding()
    return engine


def test_images_are_listed_by_all_their_names(holding: DockerEngine) -> None:
    listed = [(image.reference, image.facts.identifier) for image in holding.images()]
    nameless = digest("b")
    assert listed == sorted([(nameless, nameless), ("team/b:1", digest("a")), ("team/b:2", digest("a"))])


def test_an_image_in_use_is_not_removed_and_it_is_said_how_to_find_who_uses_it(holding: DockerEngine) -> None:
    with pytest.raises(EngineError) as raised:
        holding.remove(Holding.used)
    assert raised.value.message == "team/used:1 is used by a container of the engine"
    assert "docker ps --all --filter ancestor=team/used:1" in (raised.value.hint or "")
    with pytest.raises(EngineError, match="the engine refused"):
        holding.remove("team/none:1")
    holding.discard(Holding.used)
