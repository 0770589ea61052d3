import email.utils
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envbuild.errors import IntegrityError, NetworkError, NotFoundError
from envbuild.files.locks import create_locked
from envbuild.remote.address import Address
from envbuild.remote.attempt import ExpectedFile, is_transient
from envbuild.remote.download import CancelledError, Downloader
from envbuild.remote.http import CA_VARIABLES
from envbuild.store.partial import Partial
from tests.rig.artifacts import content_of, sha256_of
from tests.rig.faulty_server import FaultyServer, Turn, serving

NAME = "demo-1.0-py3-none-any.whl"
CONTENT = content_of(1)
OTHER = content_of(2)
WANTED = ExpectedFile(name=NAME, size=len(CONTENT), sha256=sha256_of(CONTENT))
AT_ONCE = (0.0, 0.0, 0.0, 0.0)


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Partial]:
    path, descriptor = create_locked(tmp_path, prefix="sink-")
    partial = Partial(path, descriptor)
    yield partial
    partial.close()


@pytest.fixture
def downloader() -> Iterator[Downloader]:
    with Downloader(delays=AT_ONCE, timeout=(5, 5)) as made:
        yield made


def ranges(server: FaultyServer) -> list[str | None]:
    return [seen.range for seen in server.asked(NAME)]


def test_the_file_is_asked_for_once_and_uncompressed(
    server: FaultyServer, downloader: Downloader, sink: Partial
) -> None:
    positions: list[int] = []
    url = server.put(NAME, CONTENT)

    downloader.download(Address.of(url), sink, WANTED, on_position=positions.append)

    assert sink.path.read_bytes() == CONTENT
    assert ranges(server) == [None]
    assert server.seen[0].accept_encoding == "identity"
    assert positions[0] == 0
    assert positions[-1] == len(CONTENT)
    assert positions == sorted(positions)


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_broken_connection_is_resumed_where_it_broke(
    server: FaultyServer, downloader: Downloader, sink: Partial, chunked: bool
) -> None:
    url = server.put(NAME, CONTENT, Turn(drop_after=60_000, chunked=chunked), Turn(drop_after=50_000), Turn())

    downloader.download(Address.of(url), sink, WANTED)

    assert sink.path.read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=60000-", "bytes=110000-"]


def test_a_server_without_ranges_is_read_from_the_start(
    server: FaultyServer, downloader: Downloader, sink: Partial
) -> None:
    sink.append(CONTENT[:1000])
    url = server.put(NAME, CONTENT, Turn(without_ranges=True))

    downloader.download(Address.of(url), sink, WANTED)

    assert sink.path.read_bytes() == CONTENT
    assert ranges(server) == ["bytes=1000-"]


@pytest.mark.parametrize(
    "odd",
    [pytest.param(Turn(wrong_range=True), id="another range"), pytest.param(Turn(status=416), id="416")],
)
def test_an_odd_answer_to_a_range_is_followed_by_a_whole_one(
    server: FaultyServer, downloader: Downloader, sink: Partial, odd: Turn
) -> None:
    sink.append(CONTENT[:1000])
    url = server.put(NAME, CONTENT, odd, Turn())

    downloader.download(Address.of(url), sink, WANTED)

    assert sink.path.read_bytes() == CONTENT
    assert ranges(server) == ["bytes=1000-", None]


def test_all_bytes_there_need_no_request(server: FaultyServer, downloader: Downloader, sink: Partial) -> None:
    sink.append(CONTENT)

    downloader.download(Address.of(server.url(NAME)), sink, WANTED)

    assert server.seen == []


@pytest.mark.parametrize("kept", [1000, len(CONTENT), len(CONTENT) + 1], ids=["part", "whole", "too long"])
def test_wrong_bytes_from_before_are_fetched_over(
    server: FaultyServer, downloader: Downloader, sink: Partial, kept: int
) -> None:
    sink.append(content_of(2, kept))
    url = server.put(NAME, CONTENT)

    downloader.download(Address.of(url), sink, WANTED)

    assert sink.path.read_bytes() == CONTENT
    assert ranges(server)[-1] is None


def test_wrong_content_names_file_address_and_both_digests(
    server: FaultyServer, downloader: Downloader, sink: Partial
) -> None:
    url = server.put(NAME, CONTENT, Turn(body=OTHER))

    with pytest.raises(IntegrityError) as caught:
        downloader.download(Address.of(f"{url}?token=secret"), sink, WANTED)

    assert caught.value.message == (
        f"`{NAME}` from {url} is not the locked file: "
        f"sha256 expected {sha256_of(CONTENT)}, got {sha256_of(OTHER)}"
    )
    assert sink.position == 0
    assert ranges(server) == [None]


def test_a_wrong_server_is_started_over_only_once(
    server: FaultyServer, downloader: Downloader, sink: Partial
) -> None:
    url = server.put(NAME, CONTENT, *[Turn(body=OTHER, drop_after=90_000), Turn(body=OTHER)] * 3)

    with pytest.raises(IntegrityError):
        downloader.download(Address.of(url), sink, WANTED)

    assert ranges(server) == [None, "bytes=90000-", None, "bytes=90000-"]


@pytest.mark.parametrize("difference", [-1, 1])
def test_a_file_of_another_size_is_refused_before_its_bytes(
    server: FaultyServer, downloader: Downloader, sink: Partial, difference: int
) -> None:
    stated = len(CONTENT) + difference
    url = server.put(NAME, CONTENT, Turn(headers={"Content-Length": str(stated)}, pause_after=0))

    with pytest.raises(IntegrityError) as caught:
        downloader.download(Address.of(url), sink, WANTED)

    assert caught.value.message == (
        f"`{NAME}` from {url} is not the locked file: {len(CONTENT)} bytes expected, got {stated}"
    )


def test_a_server_that_sends_on_is_cut_off(
    server: FaultyServer, downloader: Downloader, sink: Partial
) -> None:
    turn = Turn(chunked=True, body=CONTENT + OTHER, pause_after=len(CONTENT) + 1)
    url = server.put(NAME, CONTENT, turn)

    with pytest.raises(IntegrityError) as caught:
        downloader.download(Address.of(url), sink, WANTED)

    assert caught.value.message.endswith(f"{len(CONTENT)} bytes expected, got more")
    assert sink.position == 0


def test_an_overloaded_server_is_asked_again(
    server: FaultyServer, downloader: Downloader, sink: Partial
) -> None:
    url = server.put(NAME, CONTENT, Turn(status=503), Turn(status=503), Turn())

    downloader.download(Address.of(url), sink, WANTED)

    assert ranges(server) == [None, None, None]


def test_retry_after_keeps_what_was_received(
    server: FaultyServer, downloader: Downloader, sink: Partial
) -> None:
    busy = Turn(status=429, headers={"Retry-After": "0"})
    url = server.put(NAME, CONTENT, Turn(drop_after=70_000), busy, Turn())

    downloader.download(Address.of(url), sink, WANTED)

    assert ranges(server) == [None, "bytes=70000-", "bytes=70000-"]


@pytest.mark.slow  # the seconds pass
@pytest.mark.parametrize(
    "after",
    [
        pytest.param(lambda: "1", id="seconds"),
        # a date has no fractions
        pytest.param(lambda: email.utils.formatdate(time.time() + 2, usegmt=True), id="date"),
    ],
)
def test_retry_after_is_waited_for(
    server: FaultyServer, downloader: Downloader, sink: Partial, after: Callable[[], str]
) -> None:
    started = time.monotonic()
    url = server.put(NAME, CONTENT, Turn(status=429, headers={"Retry-After": after()}), Turn())

    downloader.download(Address.of(url), sink, WANTED)

    assert time.monotonic() - started > 0.9


def test_retry_after_that_says_nothing_is_not_heeded(
    server: FaultyServer, downloader: Downloader, sink: Partial
) -> None:
    url = server.put(NAME, CONTENT, Turn(status=503, headers={"Retry-After": "soon"}), Turn())

    downloader.download(Address.of(url), sink, WANTED)

    assert len(server.seen) == 2


def test_a_server_that_wants_too_much_patience_is_given_up(
    server: FaultyServer, downloader: Downloader, sink: Partial
) -> None:
    url = server.put(NAME, CONTENT, Turn(status=429, headers={"Retry-After": "3600"}))

    with pytest.raises(NetworkError) as caught:
        downloader.download(Address.of(url), sink, WANTED)

    assert caught.value.message == f"{url} answered HTTP 429 and asks to wait 3600 seconds"
    assert len(server.seen) == 1


def test_attempts_end(server: FaultyServer, downloader: Downloader, sink: Partial) -> None:
    url = server.put(NAME, CONTENT, Turn(status=503))

    with pytest.raises(NetworkError) as caught:
        downloader.download(Address.of(url), sink, WANTED)

    assert caught.value.message == f"{url} answered HTTP 503"
    assert len(server.seen) == 1 + len(AT_ONCE)


def test_connections_that_break_ever_earlier_end_too(
    server: FaultyServer, downloader: Downloader, sink: Partial
) -> None:
    url = server.put(NAME, CONTENT, Turn(chunked=True, drop_after=1000, without_ranges=True))

    with pytest.raises(NetworkError):
        downloader.download(Address.of(url), sink, WANTED)

    assert len(server.seen) == 1 + len(AT_ONCE)


def test_breaks_between_megabytes_do_not_use_up_attempts(server: FaultyServer, sink: Partial) -> None:
    content = content_of(3, 8 << 20)
    url = server.put(NAME, content, Turn(drop_after=(1 << 20) + 1))
    wanted = ExpectedFile(name=NAME, size=len(content), sha256=sha256_of(content))

    with Downloader(delays=(0.0,)) as impatient:
        impatient.download(Address.of(url), sink, wanted)

    assert len(server.seen) == 8


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (404, NotFoundError, "{url} does not exist (HTTP 404)"),
        (410, NotFoundError, "{url} does not exist (HTTP 410)"),
        (401, NetworkError, "{host} refused the credentials (HTTP 401)"),
        (403, NetworkError, "{host} refused the credentials (HTTP 403)"),
        (400, NetworkError, "{url} answered HTTP 400"),
    ],
)
def test_a_refusal_is_final(
    server: FaultyServer, sink: Partial, status: int, kind: type[NetworkError], message: str
) -> None:
    url = server.put(NAME, CONTENT, Turn(status=status))

    with Downloader(delays=AT_ONCE) as downloader, pytest.raises(NetworkError) as caught:
        downloader.download(Address.of(url), sink, WANTED)

    assert type(caught.value) is kind
    assert caught.value.message == message.format(url=url, host=server.address)
    assert len(server.seen) == 1


def test_credentials_are_sent_and_not_shown(
    server: FaultyServer, downloader: Downloader, sink: Partial
) -> None:
    url = server.put(NAME, CONTENT, Turn(status=503))
    address = Address.of(url.replace("http://", "http://us%40er:pä%3Ass@"))

    with pytest.raises(NetworkError) as caught:
        downloader.download(address, sink, WANTED)

    assert server.seen[0].credentials == "us@er:pä:ss"
    shown = f"{address!r} {address} {caught.value.message} {caught.value.detail}"
    assert "us@er" not in shown
    assert "pä" not in shown


def test_no_server_is_a_network_error(downloader: Downloader, sink: Partial) -> None:
    with pytest.raises(NetworkError) as caught:
        downloader.download(Address.of("http://127.0.0.1:9/demo.whl?token=secret"), sink, WANTED)

    assert caught.value.message == "cannot reach http://127.0.0.1:9/demo.whl"
    assert caught.value.detail == "ConnectionRefusedError: [Errno 111] Connection refused"


@pytest.mark.parametrize("url", ["ftp://index.example.com/demo.whl", "demo.whl", "http://"])
def test_what_is_no_address_is_not_tried_again(sink: Partial, url: str) -> None:
    with Downloader(delays=(60.0,)) as patient, pytest.raises(NetworkError):
        patient.download(Address.of(url), sink, WANTED)


def test_only_a_wrong_certificate_is_a_lasting_fault_of_tls() -> None:
    def failure(cause: Exception) -> NetworkError:
        error = NetworkError("cannot reach it")
        error.__cause__ = cause
        return error

    assert not is_transient(failure(ssl.SSLCertVerificationError("self-signed")))
    assert is_transient(failure(ssl.SSLEOFError("EOF occurred in violation of protocol")))


def test_a_slow_server_is_heard_bit_by_bit(
    server: FaultyServer, downloader: Downloader, sink: Partial
) -> None:
    url = server.put(NAME, CONTENT, Turn(pause_after=1234))
    reached = threading.Event()

    def note(position: int) -> None:
        if position == 1234:
            reached.set()

    thread = threading.Thread(
        target=downloader.download, args=(Address.of(url), sink, WANTED), kwargs={"on_position": note}
    )
    thread.start()
    assert reached.wait(10)
    assert sink.path.stat().st_size == 1234
    server.resume.set()
    thread.join(10)

    assert sink.path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "turn",
    [pytest.param(Turn(pause_after=5000), id="body"), pytest.param(Turn(status=503), id="wait")],
)
def test_cancel_ends_a_download_at_once(server: FaultyServer, sink: Partial, turn: Turn) -> None:
    url = server.put(NAME, CONTENT, turn)
    ended: list[BaseException] = []

    with Downloader(delays=(60.0,)) as downloader:

        def work() -> None:
            try:
                downloader.download(Address.of(url), sink, WANTED)
            except CancelledError as error:
                ended.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        deadline = time.monotonic() + 10
        while not (server.paused.is_set() or (turn.status and server.seen)) and time.monotonic() < deadline:
            time.sleep(0.01)
        downloader.cancel()
        # before the server goes on, and before it is tried again
        thread.join(10)

    assert len(ended) == 1
    assert len(server.seen) == 1


def test_nothing_is_asked_for_after_cancel(
    server: FaultyServer, downloader: Downloader, sink: Partial
) -> None:
    downloader.cancel()

    with pytest.raises(CancelledError):
        downloader.download(Address.of(server.put(NAME, CONTENT)), sink, WANTED)

    assert server.seen == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a self-signed certificate and its key in one file."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    name = ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(path), "-out", str(path.with_suffix(".crt"))]
    subprocess.run([*command, *name, *files], check=True, capture_output=True)
    with path.open("ab") as stream:
        stream.write(path.with_suffix(".crt").read_bytes())
    return path


@pytest.fixture
def tls_server(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyServer]:
    for variable in CA_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    with serving(certificate) as running:
        yield running


class TestTls:
    def test_a_stranger_is_refused_and_not_asked_again(self, tls_server: FaultyServer, sink: Partial) -> None:
        url = tls_server.put(NAME, CONTENT)

        with Downloader(delays=(60.0,)) as patient, pytest.raises(NetworkError) as caught:
            patient.download(Address.of(url), sink, WANTED)

        assert caught.value.message == f"the certificate of {tls_server.address} is not trusted"
        assert tls_server.seen == []

    def test_a_trusted_host_is_believed_without_a_warning(
        self, tls_server: FaultyServer, downloader: Downloader, sink: Partial
    ) -> None:
        url = tls_server.put(NAME, CONTENT)

        downloader.download(Address(url=url, is_trusted=True), sink, WANTED)

        assert sink.sha256 == WANTED.sha256

    def test_the_clients_bundle_counts(
        self, tls_server: FaultyServer, downloader: Downloader, sink: Partial, certificate: Path
    ) -> None:
        url = tls_server.put(NAME, CONTENT)

        downloader.download(Address(url=url, ca_bundle=str(certificate)), sink, WANTED)

        assert sink.sha256 == WANTED.sha256

    def test_cancel_ends_an_encrypted_download_too(
        self, tls_server: FaultyServer, sink: Partial, certificate: Path
    ) -> None:
        url = tls_server.put(NAME, CONTENT, Turn(pause_after=5000))
        ended: list[BaseException] = []

        with Downloader() as downloader:

            def work() -> None:
                try:
                    downloader.download(Address(url=url, ca_bundle=str(certificate)), sink, WANTED)
                except CancelledError as error:
                    ended.append(error)

            thread = threading.Thread(target=work)
            thread.start()
            assert tls_server.paused.wait(10)
            downloader.cancel()
            # before the server goes on
            thread.join(10)

        assert len(ended) == 1


class TestFileAddresses:
    def test_a_file_of_this_machine(self, tmp_path: Path, downloader: Downloader, sink: Partial) -> None:
        path = tmp_path / "a wheel+1.whl"
        path.write_bytes(CONTENT)
        sink.append(CONTENT[:10])

        downloader.download(Address.of(path.as_uri()), sink, WANTED)

        assert sink.path.read_bytes() == CONTENT

    def test_another_size(self, tmp_path: Path, downloader: Downloader, sink: Partial) -> None:
        (tmp_path / NAME).write_bytes(CONTENT[:-1])

        with pytest.raises(IntegrityError, match=f"{len(CONTENT)} bytes expected, got {len(CONTENT) - 1}"):
            downloader.download(Address.of((tmp_path / NAME).as_uri()), sink, WANTED)

    def test_other_content(self, tmp_path: Path, downloader: Downloader, sink: Partial) -> None:
        (tmp_path / NAME).write_bytes(OTHER)

        with pytest.raises(IntegrityError, match=f"got {sha256_of(OTHER)}"):
            downloader.download(Address.of((tmp_path / NAME).as_uri()), sink, WANTED)

    def test_missing(self, tmp_path: Path, downloader: Downloader, sink: Partial) -> None:
        address = Address.of((tmp_path / NAME).as_uri())

        with pytest.raises(NetworkError) as caught:
            downloader.download(address, sink, WANTED)

        assert caught.value.message == f"cannot reach {address}"

    def test_another_machine(self, downloader: Downloader, sink: Partial) -> None:
        with pytest.raises(NetworkError) as caught:
            downloader.download(Address.of("file://mirror.example.com/demo.whl"), sink, WANTED)

        assert caught.value.message == "file://mirror.example.com/demo.whl names a file of another machine"
