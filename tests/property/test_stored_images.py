"""Layers and archives with any bytes changed: a listing, an image, or an error of ours."""

import contextlib
import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from envbuild.errors import EnvbuildError
from envbuild.formats.tar_reader import LayerError
from envbuild.image.stored.image import list_image
from envbuild.image.stored.listings import ListingCache
from envbuild.image.stored.sources import SourceOptions, open_source
from envbuild.oci.file_tree import merge_layers
from envbuild.oci.layer_listing import LayerListing, list_layer
from envbuild.platforms import PLATFORMS
from envbuild.progress import SilentProgress
from tests.rig.stored_images import SmallImage, archive_of, docker_files, legacy_files
from tests.rig.tar_layers import Entry, emptying, file, folder, hard_link, layer, link, removal

ENTRIES = (
    folder("usr", headers={"SCHILY.xattr.user.a": "1"}),
    file("usr/tool", b"content", headers={"comment": "x"}),
    file("n" * 120, b"content"),
    link("usr/link", "t" * 120),
    hard_link("usr/other", "usr/tool"),
    Entry(name="dev/null", kind="c", device=(1, 3)),
    removal("etc/passwd"),
    emptying("var"),
)
LAYER = layer(*ENTRIES)
IMAGE = SmallImage([ENTRIES, [file("a", "1")]], settings={"Env": ["A=1"], "Labels": {"a": "b"}})
ARCHIVES = [archive_of(docker_files(IMAGE)), archive_of(legacy_files(IMAGE))]


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return ``whole`` with bytes changed, with blocks in another order, or cut."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(0, 4))):
        data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        start, end = (512 * draw(st.integers(0, len(data) // 512)) for _ in range(2))
        data[start:start] = data[end : end + 1024]
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


def with_checksums(data: bytes) -> bytes:
    """Return an archive with the checksum of each block made anew, as far as blocks are headers."""
    blocks = [bytearray(data[start : start + 512]) for start in range(0, len(data), 512)]
    for block in blocks:
        if len(block) == 512 and block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            block[148:156] = b"%06o\0 " % sum(block)
    return b"".join(blocks)


@given(damaged(LAYER), st.booleans())
def test_a_damaged_layer_is_a_listing_or_an_error_of_ours(data: bytes, packed: bool) -> None:
    data = with_checksums(data)
    try:
        found = list_layer([gzip.compress(data, 1) if packed else data])
    except LayerError:
        return
    assert LayerListing.of(json.loads(json.dumps(found.document()))) == found
    tree = merge_layers([found, found])
    assert tree.records["/"].kind == "d"


@given(st.sampled_from(ARCHIVES).flatmap(damaged))
def test_a_damaged_archive_is_an_image_or_an_error_of_ours(data: bytes) -> None:
    with TemporaryDirectory() as name:
        place, cache = Path(name) / "archive", Path(name) / "cache"
        place.write_bytes(with_checksums(data))
        options = SourceOptions(
            platform=PLATFORMS["linux/amd64"],
            cache=cache,
            listings=ListingCache(cache),
            environment={},
            offline=True,
            progress=SilentProgress(),
        )
        with contextlib.suppress(EnvbuildError):
            image = open_source(f"archive:{place}", options)
            assert len(list_image(image, options.listings)) == len(image.facts.diff_ids)
