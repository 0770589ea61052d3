"""Storing blobs and manifests."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from envbuild.errors import IntegrityError, NetworkError
from envbuild.oci.manifest import Descriptor
from envbuild.oci.reference import parse_reference
from envbuild.remote.registry.auth import LoginError
from envbuild.remote.registry.client import RegistryClient
from envbuild.remote.registry.transport import RegistryTransport
from envbuild.remote.registry.writer import RegistryWriter
from tests.rig.loopback_registry import LAYER, MANIFEST, FakeRegistry, digest_of, loopback_registry


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with loopback_registry() as running:
        yield running


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def transport(tmp_path: Path, fake: FakeRegistry) -> RegistryTransport:
    auth = base64.b64encode(b"user:secret").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {fake.host: {"auth": auth}}}))
    return RegistryTransport(environment={"DOCKER_CONFIG": str(tmp_path)})


@pytest.fixture
def writer(transport: RegistryTransport, pauses: list[float]) -> RegistryWriter:
    return RegistryWriter(transport, sleep=pauses.append)


@pytest.mark.parametrize("kind", ["", "Basic", "Bearer"])
@pytest.mark.parametrize("content", [b"", b"layer" * 1_000_000], ids=["empty", "large"])
def test_file_is_stored_and_read_back(
    fake: FakeRegistry, transport: RegistryTransport, tmp_path: Path, kind: str, content: bytes
) -> None:
    writer = RegistryWriter(transport)
    fake.login = kind
    reference, digest = parse_reference(f"{fake.host}/team/a:1"), digest_of(content)
    (tmp_path / "layer").write_bytes(content)

    assert writer.put_blob(reference, digest, tmp_path / "layer")
    assert not writer.put_blob(reference, digest, tmp_path / "layer")

    (put,) = [request for request in fake.seen if request.method == "PUT"]
    assert put.headers["content-length"] == str(len(content))
    assert "transfer-encoding" not in put.headers
    client = RegistryClient(transport=transport)
    blob = Descriptor(media_type=LAYER, digest=digest, size=len(content))
    assert b"".join(client.read_blob(reference, blob)) == content


def test_pushing_asks_for_the_right_to_push(fake: FakeRegistry, writer: RegistryWriter) -> None:
    fake.login = "Bearer"

    writer.put_blob(parse_reference(f"{fake.host}/a:1"), digest_of(b"x"), b"x", mount_from="other")

    scopes = [scope for given in fake.tokens.values() for scope in given]
    assert {"repository:a:pull,push", "repository:other:pull"} <= set(scopes)


def test_blob_of_another_repository_is_mounted(fake: FakeRegistry, writer: RegistryWriter) -> None:
    fake.put_blob("base", b"layer")

    sent = writer.put_blob(
        parse_reference(f"{fake.host}/a:1"), digest_of(b"layer"), b"layer", mount_from="base"
    )

    assert not sent
    assert fake.paths("PUT") == []
    assert fake.blobs["a", digest_of(b"layer")] == b"layer"


def test_mount_that_is_not_possible_becomes_an_upload(fake: FakeRegistry, writer: RegistryWriter) -> None:
    reference = parse_reference(f"{fake.host}/a:1")

    assert writer.put_blob(reference, digest_of(b"layer"), b"layer", mount_from="base")
    assert writer.has_blob(reference, digest_of(b"layer"))


def test_mount_from_where_one_may_not_read_becomes_an_upload(
    fake: FakeRegistry, writer: RegistryWriter
) -> None:
    fake.login = "Bearer"
    fake.closed = ["theirs"]
    fake.put_blob("theirs", b"layer")
    reference = parse_reference(f"{fake.host}/a:1")

    assert writer.put_blob(reference, digest_of(b"layer"), b"layer", mount_from="theirs")
    assert writer.has_blob(reference, digest_of(b"layer"))


def test_broken_upload_is_begun_anew(
    fake: FakeRegistry, writer: RegistryWriter, pauses: list[float], tmp_path: Path
) -> None:
    fake.unavailable = 2
    (tmp_path / "layer").write_bytes(b"layer")

    assert writer.put_blob(parse_reference(f"{fake.host}/a:1"), digest_of(b"layer"), tmp_path / "layer")
    assert pauses == [1.0, 2.0]
    assert fake.paths("POST") == ["/v2/a/blobs/uploads/"] * 3


def test_upload_that_stays_refused_is_an_error_with_the_registrys_words(
    fake: FakeRegistry, writer: RegistryWriter
) -> None:
    with pytest.raises(NetworkError) as caught:
        writer.put_blob(parse_reference(f"{fake.host}/a:1"), digest_of(b"announced"), b"sent")

    assert caught.value.message == f"{fake.host} refused {digest_of(b'announced')[:19]} (HTTP 400)"
    assert caught.value.detail == "DIGEST_INVALID: not what was announced"


LARGE = bytes(range(256)) * 40  # 10 chunks of 1 KiB, and each byte tells where it belongs


@pytest.fixture
def large(tmp_path: Path) -> Path:
    (tmp_path / "large").write_bytes(LARGE)
    return tmp_path / "large"


@pytest.fixture
def chunked(transport: RegistryTransport, pauses: list[float]) -> RegistryWriter:
    return RegistryWriter(transport, sleep=pauses.append, chunk_bytes=1024)


def push(fake: FakeRegistry, writer: RegistryWriter, file: Path) -> list[int]:
    """Push `file`, and return the steps its progress took."""
    steps: list[int] = []
    assert writer.put_blob(
        parse_reference(f"{fake.host}/a:1"), digest_of(file.read_bytes()), file, on_bytes=steps.append
    )
    assert fake.blobs["a", digest_of(file.read_bytes())] == file.read_bytes()
    return steps


def test_large_file_goes_in_chunks(fake: FakeRegistry, chunked: RegistryWriter, large: Path) -> None:
    steps = push(fake, chunked, large)

    patches = [request for request in fake.seen if request.method == "PATCH"]
    assert [request.headers["content-range"] for request in patches][:2] == ["0-1023", "1024-2047"]
    assert {len(request.body) for request in patches} == {1024}
    (put,) = [request for request in fake.seen if request.method == "PUT"]
    assert len(put.body) == 1024
    assert (sum(steps), min(steps)) == (len(LARGE), 1024)


def test_registrys_least_chunk_is_kept(fake: FakeRegistry, chunked: RegistryWriter, large: Path) -> None:
    fake.least_chunk = "4096"
    push(fake, chunked, large)
    assert [len(request.body) for request in fake.seen if request.method == "PATCH"] == [4096, 4096]


def test_upload_goes_on_where_it_broke(
    fake: FakeRegistry, chunked: RegistryWriter, large: Path, pauses: list[float]
) -> None:
    fake.hang_up_at = [100, 1, 0]

    steps = push(fake, chunked, large)

    patches = [request for request in fake.seen if request.method == "PATCH"]
    assert [request.headers["content-range"] for request in patches][:2] == ["101-1124", "1125-2148"]
    assert pauses == [1.0, 1.0, 1.0]
    assert sum(steps) == len(LARGE)
    assert len(fake.paths("POST")) == 1


def test_forgotten_upload_is_begun_anew(fake: FakeRegistry, chunked: RegistryWriter, large: Path) -> None:
    fake.forgets = [3, 7]

    steps = push(fake, chunked, large)

    assert len(fake.paths("POST")) == 3
    assert sum(steps) == len(LARGE)
    assert [step for step in steps if step < 0] == [-4096, -5120]


def test_registry_that_always_forgets_is_given_up(
    fake: FakeRegistry, chunked: RegistryWriter, large: Path
) -> None:
    fake.forgets = list(range(1, 100))

    with pytest.raises(NetworkError, match="has forgotten an upload"):
        push(fake, chunked, large)


def test_registry_without_chunks_gets_the_whole(
    fake: FakeRegistry, chunked: RegistryWriter, large: Path
) -> None:
    fake.no_chunks = True

    steps = push(fake, chunked, large)

    assert [len(request.body) for request in fake.seen if request.method == "PUT"] == [len(LARGE)]
    assert sum(steps) == len(LARGE)


def test_registry_that_asks_to_wait_is_waited_for(
    fake: FakeRegistry, chunked: RegistryWriter, large: Path, pauses: list[float]
) -> None:
    fake.unavailable, fake.asked_wait = 1, "7"

    push(fake, chunked, large)

    assert pauses == [7.0]


def test_damaged_file_is_named_and_not_sent_again(
    fake: FakeRegistry, chunked: RegistryWriter, large: Path, pauses: list[float]
) -> None:
    with pytest.raises(IntegrityError, match="was damaged"):
        chunked.put_blob(parse_reference(f"{fake.host}/a:1"), digest_of(b"announced"), large)
    assert pauses == []


def test_file_is_not_asked_for_when_the_blob_is_mounted(fake: FakeRegistry, writer: RegistryWriter) -> None:
    fake.put_blob("base", b"layer")

    def fetch() -> Path:
        raise AssertionError("nobody needs it")

    assert not writer.put_blob(
        parse_reference(f"{fake.host}/a:1"), digest_of(b"layer"), fetch, mount_from="base"
    )


def test_refused_login_is_not_tried_again(fake: FakeRegistry, pauses: list[float], tmp_path: Path) -> None:
    fake.login = "Basic"
    writer = RegistryWriter(RegistryTransport(environment={}), sleep=pauses.append)

    with pytest.raises(LoginError):
        writer.put_blob(parse_reference(f"{fake.host}/a:1"), digest_of(b"x"), b"x")

    assert pauses == []


def test_manifest_is_stored_under_tag_and_digest(fake: FakeRegistry, writer: RegistryWriter) -> None:
    reference = parse_reference(f"{fake.host}/a:1")

    digest = writer.put_manifest(reference, MANIFEST, b"{}")
    writer.put_manifest(reference.at(digest), MANIFEST, b"{}")

    assert digest == digest_of(b"{}")
    assert fake.manifests == {("a", "1"): (MANIFEST, b"{}"), ("a", digest): (MANIFEST, b"{}")}


def test_registry_that_takes_nothing_says_so(
    fake: FakeRegistry, writer: RegistryWriter, pauses: list[float]
) -> None:
    fake.read_only = True
    reference = parse_reference(f"{fake.host}/a:1")

    with pytest.raises(NetworkError) as upload:
        writer.put_blob(reference, digest_of(b"x"), b"x")
    with pytest.raises(NetworkError) as manifest:
        writer.put_manifest(reference, MANIFEST, b"{}")

    assert upload.value.message == f"{fake.host} refused an upload (HTTP 405)"
    assert manifest.value.message == f"{fake.host} refused the manifest (HTTP 405)"
    assert manifest.value.detail == "UNSUPPORTED: read only"
