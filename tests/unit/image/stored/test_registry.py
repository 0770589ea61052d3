"""Images in registries, read where they lie."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envbuild.errors import EnvbuildError, IntegrityError, NetworkError
from envbuild.image.stored.image import StoredImage, list_image
from envbuild.image.stored.listings import ListingCache
from envbuild.image.stored.sources import SourceOptions, open_source
from envbuild.oci.layer_listing import LayerListing
from envbuild.oci.manifest import ManifestError
from envbuild.platforms import AMD64
from envbuild.progress import SilentProgress
from tests.rig.loopback_registry import FakeRegistry, digest_of, loopback_registry
from tests.rig.tar_layers import file, folder, layer, listing, removal

ONE = (folder("usr"), file("usr/a", "1"))
TWO = (file("usr/b", "2"), removal("usr/a"))
TARS = (layer(*ONE), layer(*TWO))
BLOBS = tuple(gzip.compress(tar, mtime=0) for tar in TARS)
LISTINGS = (listing(*ONE), listing(*TWO))


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with loopback_registry() as running:
        yield running


Read = Callable[..., tuple[StoredImage, tuple[LayerListing, ...]]]


@pytest.fixture
def read(tmp_path: Path, fake: FakeRegistry) -> Read:
    """Return a function that reads an image of the registry and its layers."""
    (tmp_path / "config.json").write_text("{}")

    def open_and_list(
        name: str = "train:1", *, cache: str = "cache", offline: bool = False, rereads: bool = False
    ) -> tuple[StoredImage, tuple[LayerListing, ...]]:
        options = SourceOptions(
            platform=AMD64,
            cache=tmp_path / cache,
            listings=ListingCache(tmp_path / cache, rereads=rereads),
            environment={"DOCKER_CONFIG": str(tmp_path), "PATH": ""},
            offline=offline,
            progress=SilentProgress(),
        )
        image = open_source(f"registry:{fake.host}/{name}", options)
        return image, list_image(image, options.listings)

    return open_and_list


def put(
    fake: FakeRegistry,
    blobs: tuple[bytes, ...] = BLOBS,
    tars: tuple[bytes, ...] = TARS,
    *,
    tag: str = "1",
    architecture: str = "amd64",
) -> str:
    root = {"type": "layers", "diff_ids": [digest_of(tar) for tar in tars]}
    return fake.put_image("train", tag, blobs, architecture=architecture, config={"rootfs": root})


def fetched(fake: FakeRegistry, blob: bytes) -> int:
    return fake.paths("GET").count(f"/v2/train/blobs/{digest_of(blob)}")


def test_an_image_is_read_and_each_layer_once(fake: FakeRegistry, read: Read) -> None:
    digest = put(fake)
    image, listings = read()
    assert (image.digest, image.source) == (digest, f"the registry {fake.host}")
    assert listings == LISTINGS
    assert [fetched(fake, blob) for blob in BLOBS] == [1, 1]


def test_a_layer_that_an_image_has_twice_is_fetched_once(fake: FakeRegistry, read: Read) -> None:
    put(fake, (*BLOBS, BLOBS[0]), (*TARS, TARS[0]))
    assert read()[1] == (*LISTINGS, LISTINGS[0])
    assert [fetched(fake, blob) for blob in BLOBS] == [1, 1]


def test_layers_that_are_known_are_not_fetched(fake: FakeRegistry, read: Read) -> None:
    put(fake, BLOBS[:1], TARS[:1])
    read()
    put(fake, tag="2")
    assert read("train:2")[1] == LISTINGS
    assert [fetched(fake, blob) for blob in BLOBS] == [1, 1]
    assert read("train:2")[1] == LISTINGS
    assert [fetched(fake, blob) for blob in BLOBS] == [1, 1]


def test_known_layers_are_fetched_again_when_all_is_to_be_read_again(fake: FakeRegistry, read: Read) -> None:
    put(fake)
    read()
    assert read(rereads=True)[1] == LISTINGS
    assert [fetched(fake, blob) for blob in BLOBS] == [2, 2]


def test_a_known_layer_in_other_bytes_is_fetched(fake: FakeRegistry, read: Read) -> None:
    """That a layer is known by what it unpacks to does not mean that these bytes do."""
    put(fake)
    read()
    packed = gzip.compress(TARS[0], compresslevel=1, mtime=7)
    put(fake, (packed, BLOBS[1]), tag="2")
    assert read("train:2")[1] == LISTINGS
    assert [fetched(fake, blob) for blob in (packed, *BLOBS)] == [1, 1, 1]


def test_other_bytes_that_claim_to_be_a_known_layer_are_found(fake: FakeRegistry, read: Read) -> None:
    put(fake)
    read()
    evil = gzip.compress(layer(file("usr/a", "evil")), mtime=0)
    put(fake, (evil, BLOBS[1]), tag="2")
    with pytest.raises(IntegrityError, match="layer 1 of the image is not what its configuration says"):
        read("train:2")


def test_a_layer_that_is_sent_in_place_of_another_is_found(fake: FakeRegistry, read: Read) -> None:
    put(fake)
    fake.swap[digest_of(BLOBS[1])] = gzip.compress(layer(file("usr/b", "evil")), mtime=0)
    with pytest.raises(IntegrityError):
        read()


def test_a_layer_that_breaks_off_is_read_whole(fake: FakeRegistry, read: Read) -> None:
    put(fake)
    config = next(blob for (_, digest), blob in fake.blobs.items() if digest not in {*map(digest_of, BLOBS)})
    fake.drop_at = [len(config), 5]
    assert read()[1] == LISTINGS
    assert fetched(fake, BLOBS[0]) == 2


def test_different_numbers_of_layers_are_an_error(fake: FakeRegistry, read: Read) -> None:
    put(fake, BLOBS, TARS[:1])
    with pytest.raises(ManifestError, match="different numbers of layers"):
        read()


def test_a_layer_that_the_registry_lacks_is_an_error_of_ours(fake: FakeRegistry, read: Read) -> None:
    put(fake)
    del fake.blobs["train", digest_of(BLOBS[1])]
    with pytest.raises(EnvbuildError):
        read()


def test_an_index_leads_to_the_image_of_the_platform(fake: FakeRegistry, read: Read) -> None:
    amd = put(fake)
    arm = put(fake, BLOBS[:1], TARS[:1], tag="arm", architecture="arm64")
    fake.put_index("train", "all", {"linux/arm64": arm, "linux/amd64": amd})
    assert read("train:all")[1] == LISTINGS


@pytest.mark.parametrize("other", ["linux/amd64/v3", "linux/x86_64", "Linux/amd64", ""])
def test_an_index_that_leaves_a_choice_is_refused(fake: FakeRegistry, read: Read, other: str) -> None:
    """Engines may take the other one."""
    amd, more = put(fake), put(fake, BLOBS[:1], TARS[:1], tag="more")
    for platforms in ({"linux/amd64": amd, other: more}, {other: more, "linux/amd64": amd}):
        fake.put_index("train", "all", platforms)
        with pytest.raises(ManifestError, match="the index offers 2 images for linux/amd64"):
            read("train:all")


def test_an_image_that_is_not_there_is_named(fake: FakeRegistry, read: Read) -> None:
    put(fake)
    with pytest.raises(EnvbuildError, match="train"):
        read("train:nothing")


def test_offline_nothing_is_asked(fake: FakeRegistry, read: Read) -> None:
    digest = put(fake)
    with pytest.raises(NetworkError):
        read(offline=True)
    assert fake.seen == []
    read(f"train@{digest}")
    asked = len(fake.seen)
    # all of what is named by digest is known by now
    assert read(f"train@{digest}", offline=True)[1] == LISTINGS
    assert len(fake.seen) == asked
