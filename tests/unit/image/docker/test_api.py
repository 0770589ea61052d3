"""The SDK asks the engine it was given, in front of a double that answers as Docker Engine does."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Thread

import pytest

from envbuild.errors import EngineError
from envbuild.image.docker.connection import DockerConnection
from tests.rig.web import POLL

VERSION = {"Version": "26.1.5", "ApiVersion": "1.45", "Os": "linux", "Arch": "amd64"}


class Double(ThreadingUnixStreamServer):
    """A Docker Engine that knows its version alone; it keeps the headers of what it was asked."""

    def __init__(self, path: Path, version: object = VERSION) -> None:
        self.asked: list[Mapping[str, str]] = []
        self.version = version
        super().__init__(str(path), Answer)


class Answer(BaseHTTPRequestHandler):
    server: Double
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_GET(self) -> None:
        self.server.asked.append(dict(self.headers))
        body = json.dumps(self.server.version).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@contextlib.contextmanager
def engine_at(path: Path, version: object = VERSION) -> Iterator[Double]:
    with Double(path, version) as double:
        thread = Thread(target=double.serve_forever, args=(POLL,))
        thread.start()
        try:
            yield double
        finally:
            double.shutdown()
            thread.join()


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "engine.sock"


@pytest.mark.parametrize(
    "content",
    ['{"auths": {"a": 3}}', '{"proxies": []}', "[]", "[" * 100_000, '{"HttpHeaders": {"X-Process": "1"}}'],
    ids=["logins", "proxies", "list", "deep", "headers"],
)
def test_the_configuration_of_the_process_is_not_read(
    socket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "config.json").write_text(content)
    monkeypatch.setenv("DOCKER_CONFIG", str(own))
    given = tmp_path / "given"
    given.mkdir()
    (given / "config.json").write_text('{"HttpHeaders": {"X-Given": "1"}}')
    environment = {"DOCKER_HOST": f"unix://{socket}", "DOCKER_CONFIG": str(given)}
    with engine_at(socket) as double, contextlib.closing(DockerConnection(environment)) as connection:
        assert connection.describe() == "26.1.5, API 1.45, linux/amd64"
        assert connection.is_here
    assert len(double.asked) == 2
    for headers in double.asked:
        assert headers["X-Given"] == "1"
        assert "X-Process" not in headers


@pytest.mark.parametrize("version", [{}, [], {"ApiVersion": 1}])
def test_what_is_no_engine_is_told(socket: Path, version: object) -> None:
    environment = {"DOCKER_HOST": f"unix://{socket}"}
    with (
        engine_at(socket, version),
        contextlib.closing(DockerConnection(environment)) as connection,
        pytest.raises(EngineError, match="no Docker Engine answers") as raised,
    ):
        connection.describe()
    assert raised.value.detail == "what answers there is no Docker Engine"


@pytest.mark.parametrize(
    ("host", "detail"),
    [
        ("tcp://host:port", "tcp://host:port is not well formed"),
        ("carrier://pigeon", "Invalid bind address protocol: carrier://pigeon"),
    ],
)
def test_hosts_that_cannot_be_connected_to(host: str, detail: str) -> None:
    with (
        contextlib.closing(DockerConnection({"DOCKER_HOST": host})) as connection,
        pytest.raises(EngineError) as raised,
    ):
        connection.describe()
    assert raised.value.message == "no Docker Engine answers"
    assert detail in str(raised.value.detail)
