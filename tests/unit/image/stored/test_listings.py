"""Listings of layers that are kept."""

import gzip
from pathlib import Path

import pytest

from envbuild.image.stored.listings import ListingCache
from tests.rig.locks import digest
from tests.rig.tar_layers import file, listing, removal

ONE = listing(file("a", "1"), removal("b"))
TWO = listing(file("a\udcff", "2", headers={"SCHILY.xattr.user.a": "\udcff"}))


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def kept(cache: Path) -> list[Path]:
    return sorted(path for path in cache.rglob("*") if path.is_file())


def test_a_listing_is_kept_for_other_processes(cache: Path) -> None:
    ListingCache(cache).put(ONE)
    ListingCache(cache).put(TWO)
    other = ListingCache(cache)
    assert (other.get(ONE.diff_id), other.get(TWO.diff_id)) == (ONE, TWO)
    assert other.get(digest("unknown")) is None


def test_what_is_missing_is_told(cache: Path) -> None:
    listings = ListingCache(cache)
    listings.put(ONE)
    assert listings.missing([ONE.diff_id, TWO.diff_id]) == {TWO.diff_id}
    assert listings.missing([]) == frozenset()


def test_compressed_bytes_are_known_by_what_they_unpack_to(cache: Path) -> None:
    listings = ListingCache(cache)
    listings.note_blob(digest("packed"), ONE.diff_id)
    assert listings.diff_id_of(digest("packed")) is None, "its listing is not known"
    listings.put(ONE)
    for one in (listings, ListingCache(cache)):
        assert one.diff_id_of(digest("packed")) == ONE.diff_id
        assert one.diff_id_of(ONE.diff_id) == ONE.diff_id
        assert one.diff_id_of(digest("unknown")) is None


def test_an_uncompressed_layer_needs_no_note(cache: Path) -> None:
    listings = ListingCache(cache)
    listings.note_blob(ONE.diff_id, ONE.diff_id)
    assert kept(cache) == []


def test_reading_again_forgets_what_others_kept(cache: Path) -> None:
    ListingCache(cache).put(ONE)
    ListingCache(cache).note_blob(digest("packed"), ONE.diff_id)
    again = ListingCache(cache, rereads=True)
    assert again.get(ONE.diff_id) is None
    assert again.diff_id_of(ONE.diff_id) is None
    assert again.missing([ONE.diff_id]) == {ONE.diff_id}
    again.put(ONE)
    assert again.get(ONE.diff_id) == ONE, "what it read itself is known"
    assert again.diff_id_of(digest("packed")) is None


def test_a_layer_that_was_read_again_replaces_what_was_kept(cache: Path) -> None:
    ListingCache(cache).put(ONE)
    (path,) = kept(cache)
    path.write_bytes(b"damaged")
    ListingCache(cache, rereads=True).put(ONE)
    assert ListingCache(cache).get(ONE.diff_id) == ONE


@pytest.mark.parametrize(
    "damage",
    [b"", b"text", gzip.compress(b""), gzip.compress(b"{}"), gzip.compress(b"[1, 2, 3, 4, 5]"), b"\x1f\x8b"],
    ids=["nothing", "text", "gzip of nothing", "a table", "numbers", "cut gzip"],
)
def test_a_damaged_listing_counts_as_absent(cache: Path, damage: bytes) -> None:
    ListingCache(cache).put(ONE)
    (path,) = kept(cache)
    path.write_bytes(damage)
    listings = ListingCache(cache)
    assert listings.get(ONE.diff_id) is None
    assert listings.diff_id_of(ONE.diff_id) is None


def test_a_flipped_bit_in_a_listing_is_found(cache: Path) -> None:
    ListingCache(cache).put(ONE)
    (path,) = kept(cache)
    text = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(text.replace(b'"a"', b'"c"')))
    assert ListingCache(cache).get(ONE.diff_id) is None


def test_a_listing_in_the_place_of_another_is_none(cache: Path) -> None:
    ListingCache(cache).put(ONE)
    (first,) = kept(cache)
    ListingCache(cache).put(TWO)
    (second,) = set(kept(cache)) - {first}
    second.write_bytes(first.read_bytes())
    assert ListingCache(cache).get(TWO.diff_id) is None


def test_a_cache_that_cannot_be_written_costs_time_alone(cache: Path) -> None:
    cache.write_bytes(b"a file in the place of the folder")
    listings = ListingCache(cache)
    listings.put(ONE)
    listings.note_blob(digest("packed"), ONE.diff_id)
    assert listings.get(ONE.diff_id) == ONE
    assert ListingCache(cache).get(ONE.diff_id) is None
