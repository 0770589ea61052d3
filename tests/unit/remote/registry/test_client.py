"""The registry client against a registry that can be made to behave in any way."""

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from envbuild.errors import ImageError, IntegrityError, NetworkError, NotFoundError
from envbuild.oci.manifest import Descriptor, ManifestError
from envbuild.oci.reference import ImageReference, parse_reference
from envbuild.platforms import AMD64, ARM64
from envbuild.remote.http import open_session
from envbuild.remote.registry import client as registry
from envbuild.remote.registry.auth import LoginError, parse_challenges
from envbuild.remote.registry.client import RegistryClient
from envbuild.remote.registry.transport import SHORT_PATIENCE, RegistryTransport
from tests.rig.loopback_registry import (
    CONFIG,
    INDEX,
    LAYER,
    MANIFEST,
    FakeRegistry,
    digest_of,
    loopback_registry,
)
from tests.rig.web import Answer, LoopbackServer

LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with loopback_registry() as running:
        yield running


@pytest.fixture
def pauses() -> list[float]:
    """Return the seconds the client would have slept."""
    return []


@pytest.fixture
def connect(tmp_path: Path, pauses: list[float]) -> Callable[..., RegistryClient]:
    """Return a function that opens a client with the given configuration."""

    def open_client(
        auths: Mapping[str, object] | None = None, *, documents: Path | None = None, **config: object
    ) -> RegistryClient:
        (tmp_path / "config.json").write_text(json.dumps({"auths": auths or {}, **config}))
        return RegistryClient(
            environment={"DOCKER_CONFIG": str(tmp_path), "PATH": ""}, documents=documents, sleep=pauses.append
        )

    return open_client


@pytest.fixture
def client(connect: Callable[..., RegistryClient]) -> RegistryClient:
    return connect()


def at(fake: FakeRegistry, name: str) -> ImageReference:
    return parse_reference(f"{fake.host}/{name}")


def login(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def blob_of(data: bytes) -> Descriptor:
    return Descriptor(media_type=LAYER, digest=digest_of(data), size=len(data))


# --- resolving ----------------------------------------------------------------------------------


def test_tag_of_one_image_resolves(fake: FakeRegistry, client: RegistryClient) -> None:
    config = {
        "created": "2024-05-06T07:08:09.987654321+02:00",
        "config": {"Env": ["A=b=c", "PATH=/bin", "X="]},
    }
    digest = fake.put_image("team/base", "1", (b"first", b"second"), config=config)

    image = client.resolve(at(fake, "team/base:1"), AMD64)

    assert (image.index, image.digest) == (None, digest)
    assert [layer.digest for layer in image.layers] == [digest_of(b"first"), digest_of(b"second")]
    assert image.config.diff_ids == (digest_of(b"first"), digest_of(b"second"))
    assert image.config.created.isoformat() == "2024-05-06T05:08:09+00:00"
    assert image.config.environment == {"A": "b=c", "PATH": "/bin", "X": ""}
    assert image.config_digest == digest_of(image.config.document)
    assert image.size == len(b"firstsecond")


@pytest.mark.parametrize(
    "created", [None, "", "yesterday", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", 5]
)
def test_image_that_does_not_say_when_it_was_made_is_of_1970(
    fake: FakeRegistry, client: RegistryClient, created: object
) -> None:
    fake.put_image("a", "1", config={"created": created})

    created_at = client.resolve(at(fake, "a:1"), AMD64).config.created

    assert created_at.isoformat() == "1970-01-01T00:00:00+00:00"


@pytest.mark.parametrize("kind", [INDEX, LIST])
def test_index_leads_to_the_platform(fake: FakeRegistry, client: RegistryClient, kind: str) -> None:
    amd = fake.put_image("a", "x", (b"amd",))
    arm = fake.put_image("a", "y", (b"arm",), architecture="arm64")
    index = fake.put_index("a", "1", {"linux/amd64": amd, "linux/arm64/v8": arm, "unknown/unknown": amd})
    fake.manifests["a", "1"] = kind, fake.manifests["a", index][1].replace(INDEX.encode(), kind.encode())

    for platform, digest in ((AMD64, amd), (ARM64, arm)):
        image = client.resolve(at(fake, "a:1"), platform)
        assert image.digest == digest
        assert image.index == digest_of(fake.manifests["a", "1"][1])


def test_plainest_variant_is_taken(fake: FakeRegistry, client: RegistryClient) -> None:
    plain, fast = fake.put_image("a", "x", (b"plain",)), fake.put_image("a", "y", (b"fast",))
    fake.put_index("a", "1", {"linux/amd64/v3": fast, "linux/amd64": plain})

    assert client.resolve(at(fake, "a:1"), AMD64).digest == plain


def test_platform_that_is_not_offered_is_an_error_that_lists_the_others(
    fake: FakeRegistry, client: RegistryClient
) -> None:
    amd = fake.put_image("a", "x")
    fake.put_index("a", "1", {"linux/s390x": amd, "linux/amd64": amd, "unknown/unknown": amd})

    with pytest.raises(ImageError) as caught:
        client.resolve(at(fake, "a:1"), ARM64)

    assert caught.value.message == f"`{fake.host}/a:1` cannot be used: it is not offered for linux/arm64"
    assert caught.value.hint == "it is offered for linux/amd64, linux/s390x"


def test_single_image_for_another_platform_is_an_error(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.put_image("a", "1", architecture="arm64")

    with pytest.raises(ImageError) as caught:
        client.resolve(at(fake, "a:1"), AMD64)

    assert caught.value.message == (
        f"`{fake.host}/a:1` cannot be used: it is an image for linux/arm64, not for linux/amd64"
    )


def test_index_without_platforms_is_decided_by_the_configuration(
    fake: FakeRegistry, client: RegistryClient
) -> None:
    arm = fake.put_image("a", "x", architecture="arm64")
    fake.put_index("a", "1", {"": arm})

    assert client.resolve(at(fake, "a:1"), ARM64).digest == arm
    with pytest.raises(ImageError, match="it is an image for linux/arm64"):
        client.resolve(at(fake, "a:1"), AMD64)


def test_digest_wins_over_the_tag(fake: FakeRegistry, client: RegistryClient) -> None:
    old = fake.put_image("a", "1", (b"old",))
    fake.put_image("a", "1", (b"new",))

    assert client.resolve(at(fake, f"a:1@{old}"), AMD64).digest == old


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"schemaVersion": 1}, "the image is stored in a form that engines no longer read (schema 1)"),
        (
            {
                "mediaType": MANIFEST,
                "config": {"mediaType": "application/x.chart", "digest": digest_of(b""), "size": 0},
            },
            "this is no image: its configuration is `application/x.chart`",
        ),
        ({"mediaType": "application/x.other"}, "this is no image, but `application/x.other`"),
    ],
)
def test_what_is_no_image_is_called_so(
    fake: FakeRegistry, client: RegistryClient, document: dict[str, object], message: str
) -> None:
    fake.put_manifest("a", "1", document)

    with pytest.raises(ImageError) as caught:
        client.resolve(at(fake, "a:1"), AMD64)

    assert caught.value.message == f"`{fake.host}/a:1` cannot be used: {message}"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>", "a manifest or configuration is no JSON that all programs read the same way"),
        (b"[" * 100_000, "a manifest or configuration is no JSON that all programs read the same way"),
        (b"[]", "the manifest is not a table"),
        (b'{"manifests": [], "layers": []}', "the manifest has both `manifests` and `layers`"),
        (b'{"manifests": 1}', "manifests is not a list"),
        (b'{"manifests": [1]}', "manifests[0] is not a table"),
        (b'{"layers": [], "config": {}}', "config.size is not a number of bytes"),
        (b'{"layers": [], "config": {"size": -1}}', "config.size is not a number of bytes"),
        (b'{"layers": [], "config": {"size": 1, "digest": "md5:0"}}', "config.digest is not a sha256 digest"),
        (b" " * (5 << 20), "the manifest is larger than registries may store"),
    ],
)
def test_malformed_manifest_names_the_field(
    fake: FakeRegistry, client: RegistryClient, data: bytes, message: str
) -> None:
    fake.manifests["a", "1"] = "application/json", data

    with pytest.raises(ManifestError) as caught:
        client.resolve(at(fake, "a:1"), AMD64)

    assert caught.value.message == f"`{fake.host}/a:1` cannot be used: {message}"


def test_manifest_and_configuration_must_agree_on_the_layers(
    fake: FakeRegistry, client: RegistryClient
) -> None:
    fake.put_image("a", "1", (b"x",), config={"rootfs": {"diff_ids": []}})

    with pytest.raises(ManifestError, match="name different numbers of layers"):
        client.resolve(at(fake, "a:1"), AMD64)


def test_index_within_an_index_is_refused(fake: FakeRegistry, client: RegistryClient) -> None:
    inner = fake.put_index("a", "inner", {})
    fake.put_index("a", "1", {"linux/amd64": inner})

    with pytest.raises(ImageError, match="an index within an index is not followed"):
        client.resolve(at(fake, "a:1"), AMD64)


def test_documents_are_asked_for_once(
    fake: FakeRegistry, connect: Callable[..., RegistryClient], tmp_path: Path
) -> None:
    fake.put_index("a", "1", {"linux/amd64": fake.put_image("a", "x", (b"layer",))})
    first = connect(documents=tmp_path / "documents").resolve(at(fake, "a:1"), AMD64)
    fake.seen.clear()

    again = connect(documents=tmp_path / "documents").resolve(at(fake, "a:1"), AMD64)

    assert again == first
    assert [(request.method, request.path) for request in fake.seen] == [("HEAD", "/v2/a/manifests/1")]


def test_damaged_kept_document_is_asked_for_again(
    fake: FakeRegistry, connect: Callable[..., RegistryClient], tmp_path: Path
) -> None:
    digest = fake.put_image("a", "1", (b"layer",))
    client = connect(documents=tmp_path / "documents")
    first = client.resolve(at(fake, "a:1"), AMD64)
    for path in (tmp_path / "documents").iterdir():
        path.write_bytes(path.read_bytes()[:-1])

    assert client.resolve(at(fake, "a:1"), AMD64) == first
    assert fake.paths("GET").count(f"/v2/a/manifests/{'1'}") == 2
    assert first.digest == digest


def test_moved_tag_is_noticed_although_documents_are_kept(
    fake: FakeRegistry, connect: Callable[..., RegistryClient], tmp_path: Path
) -> None:
    client = connect(documents=tmp_path / "documents")
    fake.put_image("a", "1", (b"old",))
    client.resolve(at(fake, "a:1"), AMD64)
    new = fake.put_image("a", "1", (b"new",))

    assert client.resolve(at(fake, "a:1"), AMD64).digest == new


def test_registry_that_does_not_name_digests_is_read_all_the_same(
    fake: FakeRegistry, connect: Callable[..., RegistryClient], tmp_path: Path
) -> None:
    fake.digest_header = False
    digest = fake.put_image("a", "1")

    assert connect(documents=tmp_path / "documents").resolve(at(fake, "a:1"), AMD64).digest == digest


@pytest.mark.parametrize("named", [True, False])
def test_digest_of_a_tag_is_known_whether_the_registry_names_it_or_not(
    fake: FakeRegistry, client: RegistryClient, *, named: bool
) -> None:
    fake.digest_header = named
    digest = fake.put_image("a", "1")

    assert client.digest_of(at(fake, "a:1")) == digest
    assert client.digest_of(at(fake, "a:2")) is None
    assert client.digest_of(at(fake, "b:1")) is None


# --- what is not there --------------------------------------------------------------------------


def test_missing_tag_offers_near_ones(fake: FakeRegistry, client: RegistryClient) -> None:
    for tag in ("3.11-slim-bookworm", "3.11-slim", "3.12-slim", "latest", "zzz"):
        fake.put_image("python", tag)

    with pytest.raises(NotFoundError) as caught:
        client.resolve(at(fake, "python:3.11-slim-bokworm"), AMD64)

    assert caught.value.message == f"`{fake.host}/python` has no tag `3.11-slim-bokworm`"
    assert caught.value.hint == "it has `3.11-slim-bookworm`, `3.11-slim`, `3.12-slim`"


def test_missing_tag_without_near_ones_shows_the_last(fake: FakeRegistry, client: RegistryClient) -> None:
    for tag in "abcdefg":
        fake.put_image("python", tag)

    with pytest.raises(NotFoundError) as caught:
        client.resolve(at(fake, "python:3.11-slim"), AMD64)

    assert caught.value.hint == "it has `c`, `d`, `e`, `f`, `g`"


def test_missing_tag_is_reported_although_tags_cannot_be_listed(
    fake: FakeRegistry, client: RegistryClient
) -> None:
    fake.put_image("python", "3")
    fake.no_tags = True

    with pytest.raises(NotFoundError) as caught:
        client.resolve(at(fake, "python:4"), AMD64)

    assert (caught.value.message, caught.value.hint) == (f"`{fake.host}/python` has no tag `4`", None)


def test_missing_repository_is_named(fake: FakeRegistry, client: RegistryClient) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.resolve(at(fake, "pyhton:3"), AMD64)

    assert caught.value.message == f"{fake.host} has no repository `pyhton`"


def test_deleted_digest_hints_at_locking_again(fake: FakeRegistry, client: RegistryClient) -> None:
    digest = "sha256:" + "0" * 64

    with pytest.raises(NotFoundError) as caught:
        client.resolve(at(fake, f"a@{digest}"), AMD64)

    assert caught.value.message == f"{fake.host} has no image sha256:000000000000 in `a`"
    assert caught.value.hint == "registries delete old images; lock again from a tag"


def test_missing_and_foreign_layers_are_told_apart(fake: FakeRegistry, client: RegistryClient) -> None:
    lost, foreign = blob_of(b"lost"), blob_of(b"foreign")
    foreign = Descriptor(
        media_type=LAYER, digest=foreign.digest, size=foreign.size, urls=("https://vendor.example.com/layer",)
    )

    with pytest.raises(NotFoundError, match="has lost sha256:"):
        list(client.read_blob(at(fake, "a:1"), lost))
    with pytest.raises(NotFoundError, match="may not be distributed by registries") as caught:
        list(client.read_blob(at(fake, "a:1"), foreign))
    assert caught.value.hint == "only vendor.example.com has it; choose an image without such layers"


# --- integrity ----------------------------------------------------------------------------------


def test_blob_is_read_whole(fake: FakeRegistry, client: RegistryClient) -> None:
    data = bytes(range(256)) * 20_000
    fake.put_blob("a", data)

    assert b"".join(client.read_blob(at(fake, "a:1"), blob_of(data))) == data


@pytest.mark.parametrize("swapped", [b"12345678X", b"12345678", b"1234567890"])
def test_other_content_than_promised_is_an_integrity_error(
    fake: FakeRegistry, client: RegistryClient, swapped: bytes
) -> None:
    fake.put_blob("a", b"123456789")
    fake.swap[digest_of(b"123456789")] = swapped

    with pytest.raises(IntegrityError) as caught:
        list(client.read_blob(at(fake, "a:1"), blob_of(b"123456789")))

    assert caught.value.message == (
        f"what {fake.host} sent is not {digest_of(b'123456789')[:19]} of `{fake.host}/a:1`"
    )


@pytest.mark.parametrize("by", ["tag", "digest"])
def test_altered_manifest_is_an_integrity_error(fake: FakeRegistry, client: RegistryClient, by: str) -> None:
    digest = fake.put_image("a", "1", (b"x",))
    fake.swap[digest] = fake.manifests["a", "1"][1] + b" "

    with pytest.raises(IntegrityError, match="sent another manifest than sha256:"):
        client.resolve(at(fake, "a:1" if by == "tag" else f"a@{digest}"), AMD64)


def test_altered_configuration_is_an_integrity_error(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.put_image("a", "1")
    ((_, digest),) = fake.blobs
    fake.swap[digest] = fake.blobs["a", digest].replace(b"amd64", b"arm64")

    with pytest.raises(IntegrityError):
        client.resolve(at(fake, "a:1"), AMD64)


# --- broken connections -------------------------------------------------------------------------


@pytest.mark.parametrize("ignore_ranges", [False, True])
def test_broken_blob_is_taken_up_where_it_broke(
    fake: FakeRegistry, client: RegistryClient, pauses: list[float], *, ignore_ranges: bool
) -> None:
    data = bytes(range(256)) * 30_000
    fake.put_blob("a", data)
    fake.drop_at, fake.ignore_ranges = [3_000_000, 2_500_000], ignore_ranges

    read = b"".join(client.read_blob(at(fake, "a:1"), blob_of(data)))

    assert read == data
    ranges = [request.headers.get("range") for request in fake.seen]
    assert ranges[0] is None
    assert all(text and text.startswith("bytes=") for text in ranges[1:])
    assert len(ranges) == 3
    assert pauses == [0.5, 0.5] if not ignore_ranges else pauses[0] == 0.5


def test_blob_that_is_whole_needs_no_proper_end(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.put_blob("a", b"123456789")
    fake.unended = True

    assert b"".join(client.read_blob(at(fake, "a:1"), blob_of(b"123456789"))) == b"123456789"
    assert len(fake.seen) == 1


def test_connection_that_keeps_breaking_is_given_up(
    fake: FakeRegistry, client: RegistryClient, pauses: list[float]
) -> None:
    fake.put_blob("a", b"123456789")
    fake.drop_at = [0] * 10

    with pytest.raises(NetworkError) as caught:
        list(client.read_blob(at(fake, "a:1"), blob_of(b"123456789")))

    assert "breaks off before sha256:" in caught.value.message
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_registry_that_is_down_is_named() -> None:
    with loopback_registry() as gone:
        host = gone.host
    # as it is, the client waits six seconds for it to come back
    transport = RegistryTransport(environment={}, session=open_session(retries=0))

    with pytest.raises(NetworkError) as caught:
        RegistryClient(transport=transport).resolve(parse_reference(f"{host}/a:1"), AMD64)

    assert caught.value.message == f"cannot reach http://{host}/v2/a/manifests/1"


def test_short_rate_limit_is_waited_for(
    fake: FakeRegistry, client: RegistryClient, pauses: list[float]
) -> None:
    fake.put_image("a", "1")
    fake.limited, fake.retry_after = 2, "3"

    client.resolve(at(fake, "a:1"), AMD64)

    assert pauses == [3.0, 3.0]


@pytest.mark.parametrize(
    ("limit", "waits"),
    [
        pytest.param((1, "3600"), 0, id="long"),
        pytest.param((9, "1"), 3, id="often"),
        pytest.param((1, ""), 0, id="unsaid"),
    ],
)
def test_rate_limit_beyond_patience_is_reported(
    fake: FakeRegistry, client: RegistryClient, pauses: list[float], limit: tuple[int, str], waits: int
) -> None:
    fake.put_image("a", "1")
    fake.limited, fake.retry_after = limit

    with pytest.raises(NetworkError) as caught:
        client.resolve(at(fake, "a:1"), AMD64)

    assert caught.value.message == f"{fake.host} limits how often it may be asked (HTTP 429)"
    assert caught.value.hint == "wait a while; a login with `docker login` often raises the limit"
    assert caught.value.detail == "TOOMANYREQUESTS: slow down"
    assert len(pauses) == waits


def test_proxy_is_not_asked_for_a_registry_on_this_machine(
    fake: FakeRegistry, client: RegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)

    client.ping(at(fake, "a"))


# --- logging in ---------------------------------------------------------------------------------


def test_password_is_sent_once_the_registry_asks(
    fake: FakeRegistry, connect: Callable[..., RegistryClient]
) -> None:
    fake.login = "Basic"
    fake.put_image("a", "1", (b"x",))

    connect({fake.host: login("user:secret")}).resolve(at(fake, "a:1"), AMD64)

    sent = [request.headers.get("authorization") for request in fake.seen]
    assert sent[0] is None
    assert set(sent[1:]) == {f"Basic {base64.b64encode(b'user:secret').decode()}"}


def test_token_is_fetched_for_the_repository_and_used_until_it_expires(
    fake: FakeRegistry, connect: Callable[..., RegistryClient]
) -> None:
    fake.login = "Bearer"
    fake.put_image("team/a", "1", (b"x",))
    client = connect({fake.host: login("user:secret")})

    client.resolve(at(fake, "team/a:1"), AMD64)
    client.resolve(at(fake, "team/a:1"), AMD64)

    assert fake.tokens == {"token-0": ["repository:team/a:pull"]}
    (asked,) = [request for request in fake.seen if request.path == "/token"]
    assert asked.query["service"] == ["tests"]
    assert asked.headers["authorization"].startswith("Basic ")


def test_public_image_needs_no_credentials(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.login = "Bearer"
    fake.put_image("a", "1")

    client.resolve(at(fake, "a:1"), AMD64)

    (asked,) = [request for request in fake.seen if request.path == "/token"]
    assert "authorization" not in asked.headers


def test_revoked_token_is_renewed(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.login = "Bearer"
    fake.put_image("a", "1")
    client.resolve(at(fake, "a:1"), AMD64)
    fake.tokens.clear()
    fake.tokens["other"] = []

    client.resolve(at(fake, "a:1"), AMD64)

    assert list(fake.tokens) == ["other", "token-1"]


def test_threads_share_one_token(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.login = "Bearer"
    fake.put_image("a", "1")
    together = threading.Barrier(8)

    def resolve(_: int) -> str:
        together.wait(10)
        return client.resolve(at(fake, "a:1"), AMD64).digest

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(resolve, range(8)))) == 1
    assert len(fake.tokens) == 1


def test_identity_token_is_exchanged(fake: FakeRegistry, connect: Callable[..., RegistryClient]) -> None:
    fake.login, fake.refresh_token = "Bearer", "long-lived"
    fake.put_image("a", "1")

    connect({fake.host: {"identitytoken": "long-lived"}}).resolve(at(fake, "a:1"), AMD64)

    (asked,) = [request for request in fake.seen if request.path == "/token"]
    assert asked.method == "POST"
    assert b"grant_type=refresh_token" in asked.body
    assert fake.tokens == {"token-0": ["repository:a:pull"]}


def test_registry_token_is_sent_as_it_is(fake: FakeRegistry, connect: Callable[..., RegistryClient]) -> None:
    fake.login, fake.tokens = "Bearer", {"given": []}
    fake.put_image("a", "1")

    connect({fake.host: {"registrytoken": "given"}}).resolve(at(fake, "a:1"), AMD64)

    assert "/token" not in fake.paths("GET")


@pytest.mark.parametrize("kind", ["Basic", "Bearer"])
def test_wrong_password_is_refused_and_not_shown(
    fake: FakeRegistry, connect: Callable[..., RegistryClient], kind: str
) -> None:
    fake.login = kind
    fake.put_image("a", "1")

    with pytest.raises(LoginError) as caught:
        connect({fake.host: login("user:wr0ng")}).resolve(at(fake, "a:1"), AMD64)

    error = caught.value
    assert f"{fake.host} refused the credentials" in error.message
    assert error.hint == f"log in anew with `docker login {fake.host}`"
    assert "wr0ng" not in f"{error} {error.hint} {error.detail}"


def test_missing_login_hints_at_docker_login(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.login = "Basic"

    with pytest.raises(LoginError) as caught:
        client.resolve(at(fake, "a:1"), AMD64)

    assert caught.value.message == f"{fake.host} asks for a login"
    assert caught.value.hint == f"log in with `docker login {fake.host}`"


def test_anonymous_token_that_is_not_enough_says_both_possible_reasons(
    fake: FakeRegistry, client: RegistryClient
) -> None:
    fake.login, fake.grants = "Bearer", False

    with pytest.raises(LoginError) as caught:
        client.resolve(at(fake, "a:1"), AMD64)

    assert caught.value.message == (
        f"{fake.host} does not allow access to `{fake.host}/a:1`: "
        f"it does not exist, or {fake.host} asks for a login"
    )
    assert caught.value.detail == "UNAUTHORIZED: authentication required"


def test_missing_helper_matters_only_if_a_login_is_needed(
    fake: FakeRegistry, connect: Callable[..., RegistryClient]
) -> None:
    fake.put_image("a", "1")
    fake.login = "Bearer"
    client = connect(credsStore="of-another-machine")

    client.resolve(at(fake, "a:1"), AMD64)

    fake.login = "Basic"
    with pytest.raises(LoginError) as caught:
        connect(credsStore="of-another-machine").resolve(at(fake, "a:1"), AMD64)
    assert caught.value.message == (
        f"{fake.host} asks for a login, but `docker-credential-of-another-machine` is not installed, "
        "but the client's configuration names it"
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((500, b""), "answered HTTP 500"),
        ((200, b"{}"), "gave no token"),
        ((200, b"[]"), "gave no token"),
        ((200, b"<html>"), "gave no token"),
        ((200, b'{"token": 5}'), "gave no token"),
        ((200, b'{"token": "x", "expires_in": "soon"}'), "gave no token"),
        ((200, b'{"token": "x", "expires_in": 1' + b"0" * 400 + b"}"), "gave no token"),
        ((200, b"[" * 100_000), "gave no token"),
        ((200, b'{"token": "' + b"x" * (2 << 20) + b'"}'), "gave no token"),
    ],
)
def test_token_service_that_gives_none_is_named(
    fake: FakeRegistry, connect: Callable[..., RegistryClient], answer: tuple[int, bytes], message: str
) -> None:
    fake.login, fake.token_answer = "Bearer", answer
    transport = RegistryTransport(environment={}, session=open_session(retries=0))

    with pytest.raises(NetworkError) as caught:
        RegistryClient(transport=transport).resolve(at(fake, "a:1"), AMD64)

    assert f"the token service of {fake.host} {message}" in caught.value.message


def test_token_under_its_other_name_is_taken(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.login, fake.tokens = "Bearer", {"given": []}
    fake.token_answer = 200, b'{"access_token": "given"}'
    fake.put_image("a", "1")

    client.resolve(at(fake, "a:1"), AMD64)


def test_unknown_kind_of_login_is_an_error(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.login, fake.challenge = "Basic", "Negotiate"

    with pytest.raises(NetworkError) as caught:
        client.resolve(at(fake, "a:1"), AMD64)

    assert caught.value.message == f"{fake.host} asks for a kind of login that is not known here"


def test_credentials_do_not_go_to_an_unencrypted_token_service(
    fake: FakeRegistry, connect: Callable[..., RegistryClient]
) -> None:
    fake.login, fake.challenge = "Bearer", 'Bearer realm="http://auth.example.com/token"'

    with pytest.raises(NetworkError) as caught:
        connect({fake.host: login("user:secret")}).resolve(at(fake, "a:1"), AMD64)

    assert caught.value.message == f"{fake.host} sends its clients to a token service that is not encrypted"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Negotiate", []),
        ('Basic realm="a, b"', [("basic", {"realm": "a, b"})]),
        ("Basic", [("basic", {})]),
        (
            'Bearer realm="https://t/x?a=b",service="s",scope="r:a:pull,push r:b:pull"',
            [("bearer", {"realm": "https://t/x?a=b", "service": "s", "scope": "r:a:pull,push r:b:pull"})],
        ),
        ('basic realm="x", BEARER Realm=y', [("basic", {"realm": "x"}), ("bearer", {"realm": "y"})]),
        (r'Basic realm="a\"b"', [("basic", {"realm": 'a"b'})]),
    ],
)
def test_challenges(text: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(found.scheme, found.parameters) for found in parse_challenges(text)] == expected


# --- redirects and encryption -------------------------------------------------------------------


def test_storage_elsewhere_never_sees_the_login(
    fake: FakeRegistry,
    connect: Callable[..., RegistryClient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    fake.login = "Basic"
    data = b"layer" * 100
    fake.put_image("a", "1", (data,))
    with loopback_registry() as storage:
        storage.blobs = fake.blobs
        fake.storage = f"http://{storage.host}"
        client = connect({fake.host: login("user:secret")})

        image = client.resolve(at(fake, "a:1"), AMD64)
        assert b"".join(client.read_blob(image.reference, image.layers[0])) == data

    assert len(storage.seen) == 2
    assert all("authorization" not in request.headers for request in storage.seen)


def test_redirects_in_a_circle_end(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.put_blob("a", b"x")
    fake.storage = f"http://{fake.host}"

    with pytest.raises(NetworkError, match="redirects in a circle"):
        list(client.read_blob(at(fake, "a:1"), blob_of(b"x")))


def test_redirect_to_an_unencrypted_address_is_refused(fake: FakeRegistry, client: RegistryClient) -> None:
    fake.put_blob("a", b"x")
    fake.storage = "http://storage.example.com"

    with pytest.raises(NetworkError) as caught:
        list(client.read_blob(at(fake, "a:1"), blob_of(b"x")))

    assert caught.value.message.startswith("http://storage.example.com/v2/a/blobs/sha256:")
    assert caught.value.message.endswith(" is not encrypted")
    assert caught.value.hint == "name its host in ENVBUILD_INSECURE_REGISTRIES if that is meant"


@pytest.mark.parametrize(
    ("host", "insecure", "scheme"),
    [
        ("127.0.0.1:5000", "", "http"),
        ("127.9.9.9", "", "http"),
        ("localhost:5000", "", "http"),
        ("[::1]:5000", "", "http"),
        ("registry.example.com", "", "https"),
        ("127.example.com", "", "https"),
        ("localhost.example.com", "", "https"),
        ("registry.example.com:5000", "a, registry.example.com:5000", "http"),
        ("registry.example.com:5001", "registry.example.com:5000", "https"),
    ],
)
def test_only_loopback_and_named_registries_go_unencrypted(host: str, insecure: str, scheme: str) -> None:
    transport = RegistryTransport(environment={"ENVBUILD_INSECURE_REGISTRIES": insecure})

    assert transport.address(parse_reference(f"{host}/a"), "x") == f"{scheme}://{host}/v2/x"


def test_default_registry_is_spoken_to_encrypted() -> None:
    address = RegistryTransport(environment={}).address(parse_reference("python"), "")

    assert address == "https://registry-1.docker.io/v2/"


def test_ping_tells_registries_from_other_servers(fake: FakeRegistry, client: RegistryClient) -> None:
    client.ping(at(fake, "a"))
    fake.login = "Basic"
    with pytest.raises(LoginError):
        client.ping(at(fake, "a"))
    with LoopbackServer(lambda _: None) as other, pytest.raises(NetworkError) as caught:
        client.ping(parse_reference(f"{other.host}/a"))
    assert caught.value.message == f"{other.host} is not an image registry (HTTP 404)"


def test_tags_of_all_pages(fake: FakeRegistry, client: RegistryClient) -> None:
    for tag in "abcde":
        fake.put_image("x", tag)

    assert client.tags(at(fake, "x")) == ("a", "b", "c", "d", "e")


def test_only_all_tags_go_beyond_a_few_pages(
    fake: FakeRegistry, client: RegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tag in "abcde":
        fake.put_image("x", tag)
    monkeypatch.setattr(registry, "MOST_TAG_PAGES", 2)

    assert client.tags(at(fake, "x")) == ("a", "b", "c", "d")
    assert client.all_tags(at(fake, "x")) == ("a", "b", "c", "d", "e")


def test_more_tags_than_any_repository_has_are_an_error(
    fake: FakeRegistry, client: RegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tag in "abcde":
        fake.put_image("x", tag)
    monkeypatch.setattr(registry, "PAGES_OF_ALL_TAGS", 2)

    with pytest.raises(NetworkError) as caught:
        client.all_tags(at(fake, "x"))
    assert caught.value.message == f"{fake.host} kept paginating tags; gave up"


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}"])
def test_tags_that_are_none_are_an_error(client: RegistryClient, body: bytes) -> None:
    with LoopbackServer(lambda _: Answer(content=body)) as other, pytest.raises(ManifestError) as caught:
        client.tags(parse_reference(f"{other.host}/a"))
    assert caught.value.message == f"{other.host} did not answer with tags"


def test_answer_that_fits_nothing_is_reported_with_its_status(client: RegistryClient) -> None:
    with loopback_registry() as odd:
        reference = at(odd, "a:1")
        odd.manifests["a", "1"] = MANIFEST, b"{}"
        odd.bad_request = True
        with pytest.raises(NetworkError) as caught:
            client.resolve(reference, AMD64)
    assert caught.value.message == f"{odd.host} refused `1` (HTTP 400)"


def test_configuration_too_large_is_refused(fake: FakeRegistry, client: RegistryClient) -> None:
    config = {"mediaType": CONFIG, "digest": digest_of(b""), "size": 5 << 20}
    fake.put_manifest("a", "1", {"mediaType": MANIFEST, "config": config, "layers": []})

    with pytest.raises(ManifestError, match="the configuration is larger than registries may store"):
        client.resolve(at(fake, "a:1"), AMD64)


def test_with_a_short_patience_nothing_is_asked_twice(fake: FakeRegistry) -> None:
    fake.limited = 5
    client = RegistryClient(transport=RegistryTransport(environment={}, patience=SHORT_PATIENCE))

    with pytest.raises(NetworkError, match="limits how often"):
        client.digest_of(at(fake, "a:1"))

    assert len(fake.seen) == 1
