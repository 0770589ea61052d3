"""The registry an engine pulls one image from."""

import dataclasses
import hashlib
import socket

import pytest
import requests

from envbuild.errors import EngineError, NetworkError
from envbuild.oci.manifest import OCI_MANIFEST, Descriptor
from envbuild.oci.reference import parse_reference
from envbuild.platforms import AMD64
from envbuild.remote.registry.client import RegistryClient
from envbuild.remote.registry.loopback import Offer, serving
from tests.rig.loopback_registry import loopback_registry


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def offer_of(tmp_path, layer=b"the layer" * 1000):
    """Return what a registry must offer for an image of one layer."""
    with loopback_registry() as fake:
        digest = fake.put_image("a", "1", (layer,))
        manifest = fake.manifests["a", digest][1]
        (config,) = [data for data in fake.blobs.values() if data.startswith(b"{")]
    (tmp_path / "layer").write_bytes(layer)
    return Offer(
        manifests={digest: (OCI_MANIFEST, manifest)},
        documents={digest_of(config): config},
        files={digest_of(layer): lambda: tmp_path / "layer"},
    )


def test_client_resolves_and_reads_what_is_offered(tmp_path):
    offer = offer_of(tmp_path)
    (digest,) = offer.manifests
    sent: list[int] = []
    with serving(offer, on_bytes=sent.append) as name:
        client = RegistryClient(environment={})
        reference = parse_reference(f"{name}@{digest}")
        client.ping(reference)
        image = client.resolve(reference, AMD64)
        (layer,) = image.layers
        assert b"".join(client.read_blob(reference, layer)) == b"the layer" * 1000
    assert sent == [9000]


def test_read_that_broke_goes_on_in_the_middle(tmp_path):
    offer = offer_of(tmp_path)
    (layer,) = offer.files
    with serving(offer, on_bytes=lambda _size: None) as name:
        url = f"http://{name.partition('/')[0]}/v2/{name.partition('/')[2]}/blobs/{layer}"
        answer = requests.get(url, headers={"Range": "bytes=8995-"}, timeout=5)
        beyond = requests.get(url, headers={"Range": "bytes=9001-"}, timeout=5)
        head = requests.head(url, timeout=5)
    assert (answer.status_code, answer.content) == (206, b"layer")
    assert answer.headers["Content-Range"] == "bytes 8995-8999/9000"
    assert beyond.status_code == 416
    assert (head.status_code, head.headers["Content-Length"]) == (200, "9000")


def test_other_names_have_nothing(tmp_path):
    offer = offer_of(tmp_path)
    (layer,) = offer.files
    with serving(offer, on_bytes=lambda _size: None) as name:
        host = name.partition("/")[0]
        answer = requests.get(f"http://{host}/v2/guessed/blobs/{layer}", timeout=5)
    assert answer.status_code == 404


def test_every_repository_has_a_name_of_its_own(tmp_path):
    offer = offer_of(tmp_path)
    with (
        serving(offer, on_bytes=lambda _size: None) as one,
        serving(offer, on_bytes=lambda _size: None) as other,
    ):
        assert one.partition("/")[2] != other.partition("/")[2]


def test_what_is_no_request_is_answered_in_http_1_1(tmp_path):
    """containerd tries TLS first, and falls back to HTTP only when the refusal is in HTTP/1.1."""
    with serving(offer_of(tmp_path), on_bytes=lambda _size: None) as name:
        host, _, port = name.partition("/")[0].partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_blob_without_a_file_is_unknown(tmp_path):
    with serving(offer_of(tmp_path), on_bytes=lambda _size: None) as name:
        client = RegistryClient(environment={})
        blob = Descriptor(media_type="", digest=digest_of(b"none"), size=1)
        reference = parse_reference(f"{name}:1")
        assert client.digest_of(reference.at(blob.digest)) is None


def test_why_a_file_could_not_be_had_is_what_is_raised(tmp_path, capfd):
    offer = offer_of(tmp_path)
    (layer,) = offer.files

    def fail():
        raise NetworkError("the registry is away")

    def pull():
        with serving(dataclasses.replace(offer, files={layer: fail}), on_bytes=lambda _size: None) as name:
            host, _, repository = name.partition("/")
            answer = requests.get(f"http://{host}/v2/{repository}/blobs/{layer}", timeout=5)
            assert answer.status_code == 503
            raise EngineError("the engine could not pull")

    with pytest.raises(NetworkError, match="the registry is away"):
        pull()
    assert capfd.readouterr().err == ""
