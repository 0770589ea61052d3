"""An image into a real registry: sent, mounted, over a wire that breaks, into one that forgets."""

import os
import shutil
import urllib.request
from pathlib import Path

import pytest

from envbuild.image.compose import compose_image
from envbuild.image.local.push_memory import PushMemory
from envbuild.oci.blobs import Blobs
from envbuild.oci.manifest import Descriptor
from envbuild.oci.push import push_image
from envbuild.oci.reference import parse_reference
from envbuild.platforms import AMD64
from envbuild.progress import SILENT, SilentProgress
from envbuild.remote.registry.client import RegistryClient
from envbuild.remote.registry.transport import RegistryTransport
from envbuild.remote.registry.writer import RegistryWriter
from tests.rig.breaking import breaking_wire
from tests.rig.layers import LayerFolder
from tests.rig.locks import sample_lock
from tests.rig.progress import RecordedProgress
from tests.rig.registry import running_registry

pytestmark = pytest.mark.network

CHUNK = 256 << 10


@pytest.fixture(scope="module")
def blobs(tmp_path_factory):
    return LayerFolder(tmp_path_factory.mktemp("blobs"))


@pytest.fixture(scope="module")
def image(blobs):
    """An image of a layer of eight chunks and two small ones."""
    lock = sample_lock()
    contents = [{"large": os.urandom(8 * CHUNK)}, {"small": b"small"}, {"other": b"other"}]
    return compose_image(lock, lock.targets[0], [blobs.make(files) for files in contents])


@pytest.fixture
def pauses():
    return []


def writer(pauses=None):
    return RegistryWriter(
        RegistryTransport(environment={}),
        sleep=(pauses if pauses is not None else []).append,
        chunk_bytes=CHUNK,
    )


def push(image, blobs, reference, *, writing=None, mounts=None, progress=SILENT):
    return push_image(
        image,
        parse_reference(reference),
        writer=writing or writer(),
        blobs=blobs,
        mounts=mounts or {},
        progress=progress,
    )


def is_whole(image, reference) -> bool:
    """Return whether the registry gives every byte of `image`; reading verifies them."""
    client = RegistryClient(environment={})
    there = client.resolve(parse_reference(reference), AMD64)
    for layer in there.layers:
        for _ in client.read_blob(there.reference, layer):
            pass
    return bool(there.digest == image.descriptor.digest and there.layers == image.layers)


class Nothing:
    def path(self, blob: Descriptor) -> Path:
        raise AssertionError(f"{blob.digest} is not needed")


_: type[Blobs] = Nothing


def test_image_is_pushed_once_and_mounted_elsewhere(image, blobs, registry, tmp_path):
    reference = f"{registry.host}/team/push-one:1"
    progress = RecordedProgress()
    first = push(image, blobs, reference, progress=progress)
    memory = PushMemory(tmp_path)
    memory.note(parse_reference(reference), [layer.digest for layer in image.layers])
    again = push(image, blobs, reference)

    elsewhere = f"{registry.host}/team/push-two:1"
    mounts = memory.repositories(parse_reference(elsewhere))
    mounted = push(image, Nothing(), elsewhere, mounts=mounts)

    assert (first.digest, first.blobs, first.size) == (image.descriptor.digest, 3, image.size)
    assert (again.blobs, mounted.blobs) == (0, 0)
    assert is_whole(image, reference)
    assert is_whole(image, elsewhere)
    assert progress.bytes[-1] == (image.size, image.size)
    assert memory.repositories(parse_reference(reference)) == {}


def test_push_survives_a_wire_that_breaks(image, blobs, registry, pauses):
    """Debian's registry (distribution 2.8) forgets an upload whose chunk broke, so each begins anew there."""
    with breaking_wire(registry.host) as wire:
        wire.breaks_at = [CHUNK // 2, 3 * CHUNK, 3 * CHUNK + 10_000, 6 * CHUNK]
        reference = f"{wire.host}/team/broken:1"
        progress = RecordedProgress()
        pushed = push(image, blobs, reference, writing=writer(pauses), progress=progress)
        assert wire.broken == 4
    assert pushed.blobs == 3
    assert len(pauses) >= 3
    assert progress.bytes[-1] == (image.size, image.size)
    assert is_whole(image, f"{registry.host}/team/broken:1")


def test_push_into_a_registry_that_forgets_an_upload(image, blobs, tmp_path, pauses, monkeypatch):
    monkeypatch.setattr("envbuild.progress.EVERY_SECONDS", 0)
    with running_registry(tmp_path / "registry") as registry:
        uploads = tmp_path / "registry/images/docker/registry/v2/repositories/team/forgotten/_uploads"
        forgotten: list[str] = []

        class Forgetting(SilentProgress):
            def on_bytes(self, done: int, total: int) -> None:
                if done > 3 * CHUNK and not forgotten:
                    forgotten.extend(path.name for path in uploads.iterdir())
                    shutil.rmtree(uploads)

        reference = f"{registry.host}/team/forgotten:1"
        push(image, blobs, reference, writing=writer(pauses), progress=Forgetting())
        assert forgotten
        assert pauses
        assert is_whole(image, reference)


def test_registry_speaks_chunks(registry, image, blobs):
    """What the writer relies on, asked of the real registry: an upload says how far it is."""
    host = registry.host
    begun = urllib.request.Request(f"http://{host}/v2/team/chunks/blobs/uploads/", method="POST")
    with urllib.request.urlopen(begun, timeout=10) as answer:
        location = answer.headers["Location"]
    data = Path(blobs.path(image.layers[0])).read_bytes()[:1000]
    patch = urllib.request.Request(location, data=data, method="PATCH")
    patch.add_header("Content-Type", "application/octet-stream")
    patch.add_header("Content-Range", "0-999")
    with urllib.request.urlopen(patch, timeout=10) as answer:
        assert (answer.status, answer.headers["Range"]) == (202, "0-999")
        location = answer.headers["Location"]
    with urllib.request.urlopen(location, timeout=10) as answer:
        assert (answer.status, answer.headers["Range"]) == (204, "0-999")
