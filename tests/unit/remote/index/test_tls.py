import ssl
import subprocess
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import certifi
import pytest

from envbuild.errors import NetworkError, NotFoundError
from envbuild.remote.http import CA_VARIABLES
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import ClientConfiguration
from tests.rig.web import POLL

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_bundle_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in CA_VARIABLES:
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Write a certificate of 127.0.0.1 that no authority signed, with its key."""
    path = tmp_path / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tests"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(tmp_path / "c")]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + (tmp_path / "c").read_text())
    return path


@pytest.fixture
def host(tmp_path: Path, certificate: Path) -> Iterator[str]:
    """Serve an index of one project over TLS and return its host and port."""
    page = tmp_path / "www" / "simple" / "demo" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text('<a href="demo-1.0-py3-none-any.whl">demo-1.0-py3-none-any.whl</a>')

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: clients are to refuse the certificate, at any time."""

    server = Server(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "www")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    # the handshake is done by the thread of the connection: clients that refuse must not end the server
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = Thread(target=server.serve_forever, args=(POLL,))
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def files_seen(configuration: ClientConfiguration) -> list[str]:
    client = PythonIndex(configuration, retries=0)
    return [file.filename for file in client.page("demo").files("1.0")]


def test_a_certificate_nobody_vouches_for_is_refused(host: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NetworkError) as caught:
        files_seen(ClientConfiguration(default_url=f"https://{host}/simple"))
    assert caught.value.message == f"the certificate of {host} is not trusted"


def test_a_bundle_of_pip_conf_vouches_for_it(host: str, certificate: Path) -> None:
    configuration = ClientConfiguration(default_url=f"https://{host}/simple", ca_bundle=str(certificate))
    assert files_seen(configuration) == ["demo-1.0-py3-none-any.whl"]


@pytest.mark.parametrize("with_port", [True, False])
def test_a_trusted_host_needs_no_certificate(host: str, with_port: bool) -> None:
    trusted = host if with_port else host.partition(":")[0]
    configuration = ClientConfiguration(default_url=f"https://{host}/simple", trusted_hosts=(trusted,))
    assert files_seen(configuration) == ["demo-1.0-py3-none-any.whl"]


def test_a_bundle_is_read_once_for_all_connections(
    host: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    load = ssl.SSLContext.load_verify_locations

    def watched(context: ssl.SSLContext, *arguments: object, **named: object) -> None:
        read.append(named)
        load(context, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", watched)
    configuration = ClientConfiguration(default_url=f"https://{host}/simple", ca_bundle=str(certificate))
    client = PythonIndex(configuration, retries=0)
    missing = [client.start(f"missing-{number}") for number in range(5)]
    assert [file.filename for file in client.page("demo").files("1.0")] == ["demo-1.0-py3-none-any.whl"]
    assert all(isinstance(future.exception(), NotFoundError) for future in missing)

    assert len(read) == 1


def test_what_one_bundle_vouches_for_another_does_not(host: str, certificate: Path, tmp_path: Path) -> None:
    configuration = ClientConfiguration(default_url=f"https://{host}/simple", ca_bundle=str(certificate))
    assert files_seen(configuration)
    other = tmp_path / "other.pem"
    other.write_bytes(Path(certifi.where()).read_bytes())

    with pytest.raises(NetworkError, match="is not trusted"):
        files_seen(ClientConfiguration(default_url=f"https://{host}/simple", ca_bundle=str(other)))


def test_a_bundle_that_was_changed_is_read_again(host: str, certificate: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes())
    configuration = ClientConfiguration(default_url=f"https://{host}/simple", ca_bundle=str(bundle))
    with pytest.raises(NetworkError, match="is not trusted"):
        files_seen(configuration)

    bundle.write_bytes(certificate.read_bytes())

    assert files_seen(configuration) == ["demo-1.0-py3-none-any.whl"]


def test_a_bundle_that_is_not_there_is_named(host: str, tmp_path: Path) -> None:
    configuration = ClientConfiguration(
        default_url=f"https://{host}/simple", ca_bundle=str(tmp_path / "missing.pem")
    )
    with pytest.raises(NetworkError) as caught:
        files_seen(configuration)
    assert "missing.pem" in (caught.value.detail or "")


def test_a_certificate_of_another_host_is_refused(host: str, certificate: Path) -> None:
    other = host.replace("127.0.0.1", "localhost")
    with pytest.raises(NetworkError, match=f"the certificate of {other} is not trusted"):
        files_seen(ClientConfiguration(default_url=f"https://{other}/simple", ca_bundle=str(certificate)))
