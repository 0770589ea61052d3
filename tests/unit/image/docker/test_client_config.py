"""Which engine an environment names: files as the docker client writes them, within another environment."""

import functools
import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from envbuild.errors import EngineError
from envbuild.image.docker import connection
from envbuild.image.docker.client_config import Endpoint, endpoint_of, http_headers, proxy_variables
from envbuild.image.docker.connection import DockerConnection
from envbuild.remote import docker_config


def configure(folder: Path, content: Any) -> dict[str, str]:
    """Write config.json, and return the variables that name it."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return {"DOCKER_CONFIG": str(folder)}


def add_context(folder: Path, name: str, endpoint: Any, certificates: tuple[str, ...] = ()) -> None:
    """Write a context as `docker context create` does."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / digest
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(
        json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}})
    )
    write_certificates(folder / "contexts" / "tls" / digest / "docker", certificates)


def write_certificates(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.pem").write_bytes(certificates()["cert" if name == "ca" else name])


@functools.cache
def certificates() -> dict[str, bytes]:
    """Return a certificate that signs itself, and its key."""
    with tempfile.TemporaryDirectory() as name:
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=tests",
        ]
        subprocess.run(
            [*command, "-keyout", "key.pem", "-out", "cert.pem"], cwd=name, check=True, capture_output=True
        )
        return {kind: (Path(name) / f"{kind}.pem").read_bytes() for kind in ("cert", "key")}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a client's folder with two contexts; `there` is the current one."""
    folder = tmp_path / ".docker"
    configure(folder, {"currentContext": "there"})
    add_context(folder, "there", {"Host": "tcp://there:2375", "SkipTLSVerify": False})
    add_context(folder, "elsewhere", {"Host": "unix:///elsewhere.sock", "SkipTLSVerify": False})
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Return what Docker's SDK was asked to connect to; no engine answers."""
    calls: list[dict[str, Any]] = []

    def connect(endpoint: Endpoint, **arguments: Any) -> object:
        calls.append({"host": endpoint.host, "tls": endpoint.tls, **arguments})
        return object()

    monkeypatch.setattr(connection, "EngineClient", connect)
    return calls


def test_the_environment_of_the_process_does_not_count(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: list[dict[str, Any]]
) -> None:
    own = configure(tmp_path / "own", {"currentContext": "wrong"})
    add_context(tmp_path / "own", "wrong", {"Host": "tcp://wrong:2375"})
    write_certificates(tmp_path / "own", ("ca", "cert", "key"))
    for name, value in {**own, "HOME": str(tmp_path / "own"), "DOCKER_CONTEXT": "wrong"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path / "own"))

    given: list[dict[str, str]] = [
        {},
        {"HOME": str(home.parent)},
        {"DOCKER_CONFIG": str(home), "DOCKER_CONTEXT": "elsewhere"},
        {"DOCKER_HOST": "tcp://host:2375"},
    ]
    for environment in given:
        assert DockerConnection(environment).client is not None
    hosts = [None, "tcp://there:2375", "unix:///elsewhere.sock", "tcp://host:2375"]
    assert [call["host"] for call in asked] == hosts
    assert not any(call["tls"] for call in asked)


@pytest.mark.parametrize(
    ("variables", "host"),
    [
        ({}, "tcp://there:2375"),
        ({"DOCKER_CONTEXT": ""}, "tcp://there:2375"),
        ({"DOCKER_CONTEXT": "elsewhere"}, "unix:///elsewhere.sock"),
        ({"DOCKER_CONTEXT": "default"}, None),
        ({"DOCKER_CONTEXT": "elsewhere", "DOCKER_HOST": "tcp://host:1"}, "tcp://host:1"),
    ],
)
def test_variables_go_before_the_current_context(
    home: Path, variables: dict[str, str], host: str | None
) -> None:
    assert endpoint_of({"DOCKER_CONFIG": str(home), **variables}).host == host


def test_a_client_that_was_never_configured_speaks_to_this_machine(tmp_path: Path) -> None:
    assert endpoint_of({"HOME": str(tmp_path)}).host is None
    assert endpoint_of(configure(tmp_path / "empty", {})).host is None


def test_certificates_of_variables_lie_in_the_client_s_folder_unless_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    for folder in (home, tmp_path / "named"):
        write_certificates(folder, ("ca", "cert", "key"))
    variables = {"HOME": str(home.parent), "DOCKER_HOST": "tcp://host:2376"}

    found = endpoint_of({**variables, "DOCKER_TLS_VERIFY": "1"}).tls
    assert found is not None
    assert (found.verify, found.ca_cert) == (True, str(home / "ca.pem"))
    assert found.cert == (str(home / "cert.pem"), str(home / "key.pem"))

    named = {"DOCKER_CERT_PATH": str(tmp_path / "named")}
    found = endpoint_of({**variables, **named, "DOCKER_TLS": "0"}).tls
    assert found is not None
    assert (found.verify, found.ca_cert) == (False, str(tmp_path / "named" / "ca.pem"))

    # without HOME the process' own home counts, as for docker
    with pytest.raises(EngineError, match=f"{tmp_path / 'nobody/.docker/ca.pem'} cannot be used"):
        endpoint_of({"DOCKER_HOST": "tcp://host:2376", "DOCKER_TLS_VERIFY": "1"})
    monkeypatch.setattr(docker_config, "home_of", Mock(side_effect=RuntimeError))
    with pytest.raises(EngineError, match="no folder has them"):
        endpoint_of({"DOCKER_HOST": "tcp://host:2376", "DOCKER_TLS_VERIFY": "1"})


@pytest.mark.parametrize(
    ("certificates", "variables", "expected"),
    [
        (("ca", "cert", "key"), {}, None),
        ((), {}, None),
        (("ca", "cert", "key"), {"DOCKER_TLS": "", "DOCKER_TLS_VERIFY": ""}, None),
        (("ca",), {"DOCKER_TLS_VERIFY": "1"}, (True, True, False)),
        (("ca", "key"), {"DOCKER_TLS_VERIFY": "1"}, (True, True, False)),
        (("ca",), {"DOCKER_TLS": "1"}, (False, True, False)),
        (("ca", "cert", "key"), {"DOCKER_TLS": "1", "DOCKER_TLS_VERIFY": "0"}, (True, True, True)),
    ],
)
def test_tls_of_variables_is_what_the_docker_client_makes_of_them(
    tmp_path: Path,
    certificates: tuple[str, ...],
    variables: dict[str, str],
    expected: tuple[bool, bool, bool] | None,
) -> None:
    write_certificates(tmp_path, certificates)
    found = endpoint_of(
        {"DOCKER_HOST": "tcp://host:2376", "DOCKER_CERT_PATH": str(tmp_path), **variables}
    ).tls
    assert (found and (found.verify, bool(found.ca_cert), bool(found.cert))) == expected


@pytest.mark.parametrize(
    ("broken", "content", "message"),
    [
        ("ca", None, "ca.pem cannot be used for TLS: there is no such file"),
        ("ca", b"", "ca.pem cannot be used for TLS: it holds no certificate"),
        ("cert", b"no", "cert.pem cannot be used for TLS: it is no certificate"),
        ("key", b"no", "cert.pem cannot be used for TLS: it is no certificate, or key.pem beside it"),
        ("key", "folder", "key.pem cannot be used for TLS: Is a directory"),
    ],
)
def test_certificates_that_cannot_be_used_are_named(
    tmp_path: Path, broken: str, content: bytes | str | None, message: str
) -> None:
    write_certificates(tmp_path, ("ca", "cert", "key"))
    path = tmp_path / f"{broken}.pem"
    path.unlink()
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    environment = {
        "DOCKER_HOST": "tcp://127.0.0.1:9",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(tmp_path),
    }
    with pytest.raises(EngineError, match=message) as raised:
        _ = DockerConnection(environment).client
    assert str(tmp_path) in raised.value.message
    assert raised.value.hint is not None
    assert "DOCKER_CERT_PATH" in raised.value.hint


@pytest.mark.parametrize(
    ("certificates", "is_trusted", "expected"),
    [
        ((), False, None),
        ((), True, (False, False, False)),
        (("ca",), False, (True, True, False)),
        (("ca", "cert"), False, (True, True, False)),
        (("ca", "cert", "key"), False, (True, True, True)),
        (("cert", "key"), True, (False, False, True)),
    ],
)
def test_tls_of_a_context(
    home: Path,
    certificates: tuple[str, ...],
    is_trusted: bool,
    expected: tuple[bool, bool, bool] | None,
) -> None:
    add_context(home, "tls", {"Host": "tcp://tls:2376", "SkipTLSVerify": is_trusted}, certificates)
    found = endpoint_of({"DOCKER_CONFIG": str(home), "DOCKER_CONTEXT": "tls"}).tls
    assert (found and (found.verify, bool(found.ca_cert), bool(found.cert))) == expected


def test_a_context_that_is_not_there_is_named(home: Path) -> None:
    with pytest.raises(EngineError) as raised:
        endpoint_of({"DOCKER_CONFIG": str(home), "DOCKER_CONTEXT": "gone"})
    assert raised.value.message == "there is no docker context `gone`"
    assert raised.value.hint is not None
    assert "docker context ls" in raised.value.hint
    with pytest.raises(EngineError, match="no docker context `gone`"):
        endpoint_of({"DOCKER_CONTEXT": "gone"})


def test_names_that_are_not_utf_8_are_looked_up_as_they_are(home: Path) -> None:
    found = os.fsdecode(b"caf\xe9")
    meta = home / "contexts" / "meta" / hashlib.sha256(b"caf\xe9").hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text('{"Endpoints": {"docker": {"Host": "tcp://cafe:1"}}}')
    assert endpoint_of({"DOCKER_CONFIG": str(home), "DOCKER_CONTEXT": found}).host == "tcp://cafe:1"

    with pytest.raises(EngineError) as raised:
        endpoint_of({"DOCKER_CONFIG": str(home), "DOCKER_CONTEXT": os.fsdecode(b"g\xe9ant")})
    assert raised.value.message == "there is no docker context `g\\udce9ant`"
    with pytest.raises(EngineError, match=r"no docker context `\\ud800`"):
        endpoint_of(configure(home, r'{"currentContext": "\ud800"}'))


@pytest.mark.parametrize("endpoint", [None, [], {"Host": 1}])
def test_a_context_of_something_else_is_refused(home: Path, endpoint: Any) -> None:
    add_context(home, "odd", endpoint)
    with pytest.raises(EngineError, match="`odd` names no Docker Engine"):
        endpoint_of({"DOCKER_CONFIG": str(home), "DOCKER_CONTEXT": "odd"})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"auths": {"x": {"auth": "secret"}}', "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "it is no JSON object"),
        ('{"currentContext": "there"}' + " " * 1000, "it has more than 1000 bytes"),
    ],
    ids=["cut", "deep", "list", "large"],
)
def test_a_configuration_that_cannot_be_read_is_an_error(
    home: Path, content: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "1000" in reason:
        monkeypatch.setattr(docker_config, "LARGEST_FILE", 1000)
    with pytest.raises(EngineError, match=reason) as raised:
        endpoint_of(configure(home, content))
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "config.json").mkdir()
    with pytest.raises(EngineError, match="cannot be read: Is a directory"):
        endpoint_of({"DOCKER_CONFIG": str(tmp_path)})


PROXIES = {
    "default": {"httpProxy": "http://proxy:1", "noProxy": "a,b", "ftpProxy": None},
    "tcp://host:1": {"allProxy": "http://other:2"},
    "unix:///elsewhere.sock": {"httpsProxy": "http://other:2"},
}


@pytest.mark.parametrize(
    ("content", "variables", "expected"),
    [
        (
            {"proxies": PROXIES},
            {},
            {"http_proxy": "http://proxy:1", "HTTP_PROXY": "http://proxy:1", "no_proxy": "a,b"}
            | {"NO_PROXY": "a,b"},
        ),
        (
            {"proxies": PROXIES},
            {"DOCKER_HOST": "tcp://host:1"},
            {"all_proxy": "http://other:2", "ALL_PROXY": "http://other:2"},
        ),
        (
            {"proxies": PROXIES},
            {"DOCKER_CONTEXT": "elsewhere"},
            {"https_proxy": "http://other:2", "HTTPS_PROXY": "http://other:2"},
        ),
        ({}, {}, {}),
        ({"proxies": []}, {}, {}),
        ({"proxies": {"default": 1}}, {}, {}),
    ],
)
def test_containers_are_told_the_proxies_of_the_given_environment(
    home: Path, content: Any, variables: dict[str, str], expected: dict[str, str]
) -> None:
    assert proxy_variables({**configure(home, content), **variables}) == expected
    assert proxy_variables({}) == {}


def test_headers_are_those_of_the_given_environment(home: Path, asked: list[dict[str, Any]]) -> None:
    given = configure(home, {"HttpHeaders": {"X-Team": "ml", "X-Odd": 1}})
    assert http_headers(given) == {"X-Team": "ml"}
    assert http_headers({}) == http_headers(configure(home, {"HttpHeaders": []})) == {}
    assert DockerConnection(configure(home, {"HttpHeaders": {"X-Team": "ml"}})).client is not None
    assert asked[0]["headers"] == {"X-Team": "ml"}
