"""Images as an engine writes them out, whatever its ID of one is the digest of."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from envbuild.errors import EngineError, EnvbuildError, ImageError, IntegrityError
from envbuild.image.docker.images import DockerImages
from envbuild.image.docker.stored import SOURCE, stored_in_engine
from envbuild.image.stored.image import StoredImage, list_image
from envbuild.image.stored.listings import ListingCache
from envbuild.oci.manifest import OCI_INDEX, ManifestError
from envbuild.platforms import AMD64, ARM64, Platform
from envbuild.progress import SilentProgress
from tests.rig.stored_images import (
    SmallImage,
    archive_of,
    blob_file,
    descriptor,
    digest_of,
    docker_files,
    index_of,
    layout_files,
    legacy_files,
)
from tests.rig.tar_layers import file, folder, in_pieces, listing, removal

ONE = (folder("usr"), file("usr/a", "1"))
TWO = (file("usr/b", "2"), removal("usr/a"))
IMAGE = SmallImage([ONE, TWO], settings={"Env": ["A=1"]})
LISTINGS = (listing(*ONE), listing(*TWO))
OTHER = SmallImage([[file("other", "3")]])
AMD, ARM = ({"os": "linux", "architecture": name} for name in ("amd64", "arm64"))
INDEX = index_of(descriptor(OTHER.manifest, platform=ARM), descriptor(IMAGE.manifest, platform=AMD))
INDEXED = {
    **layout_files(IMAGE, OTHER),
    "index.json": index_of(descriptor(INDEX, OCI_INDEX)),
    **dict([blob_file(INDEX)]),
}


class Images(DockerImages):
    """Images of an engine that writes out `files`, whatever it is asked for."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = files
        self.asked: list[str] = []

    def save(self, reference: str) -> Iterator[bytes]:
        self.asked.append(reference)
        yield from in_pieces(archive_of(self.files))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def stored(
    images: Images,
    identifier: str,
    cache: Path,
    *,
    platform: Platform = AMD64,
    listings: ListingCache | None = None,
) -> tuple[StoredImage, tuple[Any, ...]]:
    """Read an image and its layers."""
    listings = listings or ListingCache(cache)
    image = stored_in_engine(
        images, identifier, platform=platform, cache=cache, listings=listings, progress=SilentProgress()
    )
    return image, list_image(image, listings)


IDS = {
    "the manifest": (layout_files(IMAGE), IMAGE.manifest),
    "the manifest, docker's form": (docker_files(IMAGE), IMAGE.manifest),
    "an index": (INDEXED, INDEX),
    "the configuration": (docker_files(IMAGE), IMAGE.config),
    "the configuration, before 25": (legacy_files(IMAGE), IMAGE.config),
}


@pytest.mark.parametrize(("files", "named"), IDS.values(), ids=IDS)
def test_an_image_is_read_by_whatever_its_id_is_the_digest_of(
    cache: Path, files: Mapping[str, bytes], named: bytes
) -> None:
    images = Images(files)
    image, listings = stored(images, digest_of(named), cache)
    assert image.source == SOURCE == "the engine"
    assert image.digest == digest_of(named)
    assert image.config == IMAGE.config
    assert image.facts.env == ("A=1",)
    assert listings == LISTINGS
    assert images.asked == [digest_of(named)], "one archive has documents and layers"


@pytest.mark.parametrize(("files", "named"), IDS.values(), ids=IDS)
def test_an_image_of_which_all_is_known_is_not_written_out(
    cache: Path, files: Mapping[str, bytes], named: bytes
) -> None:
    first = stored(Images(files), digest_of(named), cache)
    images = Images({})
    again = stored(images, digest_of(named), cache)
    assert images.asked == []
    assert (again[0].config, again[1]) == (first[0].config, LISTINGS)


def test_an_image_is_written_out_again_for_layers_that_were_forgotten(cache: Path) -> None:
    identifier = digest_of(IMAGE.manifest)
    stored(Images(layout_files(IMAGE)), identifier, cache)
    images = Images(layout_files(IMAGE))
    _, listings = stored(images, identifier, cache, listings=ListingCache(cache, rereads=True))
    assert images.asked == [identifier]
    assert listings == LISTINGS


def test_a_document_that_was_damaged_where_it_is_kept_is_asked_for_again(cache: Path) -> None:
    identifier = digest_of(IMAGE.manifest)
    stored(Images(layout_files(IMAGE)), identifier, cache)
    (kept,) = (path for path in cache.rglob("*") if path.is_file() and path.read_bytes() == IMAGE.manifest)
    kept.write_bytes(OTHER.manifest)
    images = Images(layout_files(IMAGE))
    assert stored(images, identifier, cache)[0].config == IMAGE.config
    assert images.asked == [identifier]


def test_an_index_leads_to_the_image_of_the_platform(cache: Path) -> None:
    image, listings = stored(Images(INDEXED), digest_of(INDEX), cache, platform=ARM64)
    assert (image.config, listings) == (OTHER.config, (listing(file("other", "3")),))


@pytest.mark.parametrize(
    "more", [{"platform": AMD}, {"platform": {"os": "linux", "architecture": "x86_64"}}, {}]
)
def test_an_index_that_leaves_a_choice_is_refused(cache: Path, more: Mapping[str, Any]) -> None:
    """The engine may run the other one."""
    index = index_of(
        descriptor(IMAGE.manifest, platform=AMD),
        descriptor(OTHER.manifest, **more),
    )
    files = {**layout_files(IMAGE, OTHER), **dict([blob_file(index)])}
    with pytest.raises(ManifestError, match="the index offers 2 images for linux/amd64"):
        stored(Images(files), digest_of(index), cache)


def test_an_index_without_the_platform_is_an_error(cache: Path) -> None:
    index = index_of(descriptor(IMAGE.manifest, platform=AMD))
    files = {**layout_files(IMAGE), **dict([blob_file(index)])}
    with pytest.raises(ImageError, match="not offered for linux/arm64"):
        stored(Images(files), digest_of(index), cache, platform=ARM64)


@pytest.mark.parametrize(
    "lacking",
    [INDEX, IMAGE.manifest, IMAGE.config],
    ids=["the index", "the manifest", "the configuration"],
)
def test_a_document_that_is_not_written_out_is_named(cache: Path, lacking: bytes) -> None:
    """An engine may hold of an index what one platform needs."""
    files = {path: data for path, data in INDEXED.items() if data != lacking}
    with pytest.raises(EngineError, match=f"did not write out {digest_of(lacking)[:19]}") as caught:
        stored(Images(files), digest_of(INDEX), cache)
    assert "pull it for one" in (caught.value.hint or "")


@pytest.mark.parametrize("files", [layout_files(IMAGE), legacy_files(IMAGE)], ids=["layout", "legacy"])
def test_a_layer_that_is_not_written_out_is_missed(cache: Path, files: Mapping[str, bytes]) -> None:
    lacking = {path: data for path, data in files.items() if data not in (IMAGE.blobs[1], IMAGE.tars[1])}
    with pytest.raises(IntegrityError, match="layer 2 of the image is not what its configuration says"):
        stored(Images(lacking), digest_of(IMAGE.config), cache)


@pytest.mark.parametrize("named", [IMAGE.manifest, IMAGE.config], ids=["manifest", "configuration"])
def test_an_engine_that_writes_out_another_image_is_not_believed(cache: Path, named: bytes) -> None:
    """Nor for the names that it gives to bytes."""
    renamed = {
        **docker_files(OTHER),
        blob_file(IMAGE.manifest)[0]: OTHER.manifest,
        blob_file(IMAGE.config)[0]: OTHER.config,
    }
    for files in (docker_files(OTHER), renamed):
        with pytest.raises(EngineError, match=f"did not write out {digest_of(named)[:19]}"):
            stored(Images(files), digest_of(named), cache)


def test_another_layer_under_the_name_of_the_right_one_is_found(cache: Path) -> None:
    files = {**layout_files(IMAGE), blob_file(IMAGE.blobs[1])[0]: OTHER.blobs[0]}
    with pytest.raises(IntegrityError, match="layer 2 of the image"):
        stored(Images(files), digest_of(IMAGE.manifest), cache)


@pytest.mark.parametrize("data", [b"", b"nonsense" * 200], ids=["nothing", "nonsense"])
def test_what_is_no_archive_is_an_error_of_ours(cache: Path, data: bytes) -> None:
    class Broken(Images):
        def save(self, reference: str) -> Iterator[bytes]:
            self.asked.append(reference)
            yield data

    with pytest.raises(EnvbuildError):
        stored(Broken({}), digest_of(IMAGE.manifest), cache)
