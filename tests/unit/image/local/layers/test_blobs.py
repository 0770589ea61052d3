"""Where the bytes of an image's layers come from."""

import hashlib
import os

import pytest

from envbuild.errors import EnvbuildError, IntegrityError, NetworkError
from envbuild.image.compose import compose_image
from envbuild.image.local.images import facts_of
from envbuild.image.local.layers.base_store import BaseStore
from envbuild.image.local.layers.blobs import BaseBlobs, ImageBlobs, base_reference, is_whole, note_use_of
from envbuild.image.local.layers.store import LayerStore, layer_path
from envbuild.oci.base import BaseImage
from envbuild.oci.manifest import Descriptor
from envbuild.oci.reference import parse_reference
from envbuild.remote.registry.client import RegistryClient
from envbuild.remote.registry.transport import OfflineTransport
from tests.rig.layers import LayerFolder
from tests.rig.locks import digest, image_base, sample_lock
from tests.rig.loopback_registry import loopback_registry

LAYER = b"a layer of the base" * 100


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


BLOB = Descriptor(media_type="", digest=digest_of(LAYER), size=len(LAYER))


@pytest.fixture
def fake():
    with loopback_registry() as running:
        running.put_blob("base", LAYER)
        yield running


def base_of(fake, cache, *, offline=False):
    reference = parse_reference(f"{fake.host}/base:1")
    return BaseBlobs(cache, reference, registry=lambda: RegistryClient(environment={}), offline=offline)


def test_layer_of_a_base_is_fetched_once(fake, tmp_path):
    base = base_of(fake, tmp_path)
    assert base.path(BLOB).read_bytes() == LAYER
    assert b"".join(base.read(BLOB)) == LAYER
    assert len(fake.paths("GET")) == 1
    assert [path.name for path in (tmp_path / "bases").iterdir()] == [BLOB.digest.removeprefix("sha256:")]


def test_what_the_registry_damaged_is_not_kept(fake, tmp_path):
    fake.swap[BLOB.digest] = b"x" * len(LAYER)
    with pytest.raises(IntegrityError):
        base_of(fake, tmp_path).path(BLOB)
    assert list((tmp_path / "bases").iterdir()) == []


def test_what_was_damaged_here_is_forgotten_when_it_is_read(fake, tmp_path):
    base = base_of(fake, tmp_path)
    base.path(BLOB).write_bytes(b"x" * len(LAYER))
    with pytest.raises(IntegrityError):
        list(base.read(BLOB))
    assert b"".join(base.read(BLOB)) == LAYER


def test_layers_of_bases_are_pruned_and_leftovers_swept(fake, tmp_path):
    kept = base_of(fake, tmp_path).path(BLOB)
    left = tmp_path / "bases" / f"{'0' * 64}.partial"
    left.write_bytes(b"half")
    bases = BaseStore(tmp_path)
    (stored,) = bases.items()
    assert (stored.name, stored.size) == (kept.name, len(LAYER))
    stored.remove()
    bases.sweep()
    assert list((tmp_path / "bases").iterdir()) == []
    assert list(BaseStore(tmp_path / "nowhere").items()) == []


def test_offline_nothing_is_fetched(fake, tmp_path):
    with pytest.raises(NetworkError) as caught:
        base_of(fake, tmp_path, offline=True).path(BLOB)
    assert caught.value.hint == "run without --offline"
    assert fake.seen == []


def test_offline_a_registry_is_not_asked(fake):
    client = RegistryClient(transport=OfflineTransport())
    with pytest.raises(NetworkError, match="has not been downloaded yet"):
        client.document(parse_reference(f"{fake.host}/base:1"))
    assert fake.seen == []


def image_on_base(tmp_path):
    lock = sample_lock(image_base())
    (tmp_path / "made").mkdir()
    folder = LayerFolder(tmp_path / "made")
    own = folder.make({"own": b"own"})
    base = BaseImage(
        layers=(BLOB,), diff_ids=(digest_of(b"plain"),), settings={}, environment=(), history=({},)
    )
    descriptor = Descriptor(media_type=own.media_type, digest=own.digest, size=own.size)
    place = layer_path(tmp_path, own.digest)
    place.parent.mkdir(parents=True)
    folder.path(descriptor).replace(place)
    return compose_image(lock, lock.targets[0], [own], base=base), place


def test_image_has_its_own_layers_here_and_the_bases_there(fake, tmp_path):
    image, place = image_on_base(tmp_path)
    blobs = ImageBlobs(image, cache=tmp_path, base=base_of(fake, tmp_path))
    assert is_whole(image, tmp_path)
    assert blobs.path(image.layers[0]).read_bytes() == LAYER
    assert blobs.path(image.layers[1]) == place


def test_image_whose_layer_was_removed_is_not_whole(fake, tmp_path):
    image, place = image_on_base(tmp_path)
    place.unlink()
    assert not is_whole(image, tmp_path)
    with pytest.raises(EnvbuildError, match="is no longer in the cache"):
        ImageBlobs(image, cache=tmp_path, base=None).path(image.layers[1])


def test_base_is_the_one_the_labels_name(tmp_path):
    image, _ = image_on_base(tmp_path)
    reference = base_reference(facts_of(image).labels)
    assert reference is not None
    assert str(reference) == f"registry.example.com/python@{digest('manifest')}"
    assert base_reference({}) is None


def test_layer_cache_keeps_layers_where_images_look_for_them(tmp_path):
    assert LayerStore(tmp_path).path(BLOB.digest) == layer_path(tmp_path, BLOB.digest)


def test_use_of_an_image_keeps_its_layers_from_being_pruned(tmp_path):
    lock = sample_lock()
    made = LayerFolder(tmp_path / "layers/sha256")
    (tmp_path / "layers/sha256").mkdir(parents=True)
    image = compose_image(lock, lock.targets[0], [made.make({"opt/a": b"a"})])
    (layer,) = image.layers
    place = layer_path(tmp_path, layer.digest)
    made.path(layer).rename(place)
    os.utime(place, (1, 1))

    note_use_of(image, tmp_path)

    (stored,) = LayerStore(tmp_path).items()
    assert stored.used > 1
