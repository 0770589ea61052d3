import dataclasses
import hashlib
import resource

import pytest

from envbuild.errors import EnvbuildError, IntegrityError
from envbuild.image.local.cache import LayerCache, LayerKey
from envbuild.image.local.codec import codec_of
from envbuild.store.disk import DiskFullError

KEY = LayerKey(kind="test", inputs={"a": 1}, codec=codec_of("zstd"), comment="a test")


def one_file(writer):
    writer.add_file("a", 1, [b"a"])


def never(writer):
    raise AssertionError("made again")


def test_a_layer_is_made_once(tmp_path):
    cache = LayerCache(tmp_path)
    assert cache.get(KEY) is None
    layer = cache.make(KEY, one_file)
    assert cache.make(KEY, never) == cache.get(KEY) == layer
    data = b"".join(cache.chunks(layer))
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == layer.digest
    assert len(data) == layer.size
    assert layer.comment == "a test"


def test_the_comment_is_the_askers(tmp_path):
    cache = LayerCache(tmp_path)
    cache.make(KEY, one_file)
    assert cache.make(dataclasses.replace(KEY, comment="other"), never).comment == "other"


@pytest.mark.parametrize(
    "change",
    [{"kind": "x"}, {"inputs": {"a": 2}}, {"codec": codec_of("gzip")}],
    ids=lambda change: next(iter(change)),
)
def test_every_input_counts(change):
    assert dataclasses.replace(KEY, **change).name != KEY.name


def test_nothing_is_kept_of_a_layer_that_failed(tmp_path):
    cache = LayerCache(tmp_path)

    def fail(writer):
        one_file(writer)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.make(KEY, fail)
    assert cache.get(KEY) is None
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == []


def test_a_damaged_layer_is_found_when_it_is_read_and_made_again(tmp_path):
    cache = LayerCache(tmp_path)
    layer = cache.make(KEY, one_file)
    path = cache.path(layer.digest)
    path.write_bytes(bytes(layer.size))
    with pytest.raises(IntegrityError, match="was damaged"):
        list(cache.chunks(layer))
    assert cache.get(KEY) is None
    assert cache.make(KEY, one_file) == layer


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"digest": "sha256:00"}', b"\xff"])
def test_a_damaged_note_is_as_good_as_none(tmp_path, damage):
    cache = LayerCache(tmp_path)
    layer = cache.make(KEY, one_file)
    (note,) = cache.folder.glob("index/*.json")
    note.write_bytes(damage)
    assert cache.get(KEY) is None
    assert cache.make(KEY, one_file) == layer


def test_a_cut_off_layer_is_as_good_as_none(tmp_path):
    cache = LayerCache(tmp_path)
    layer = cache.make(KEY, one_file)
    with cache.path(layer.digest).open("r+b") as file:
        file.truncate(3)
    assert cache.get(KEY) is None
    assert cache.make(KEY, one_file) == layer


def test_what_a_killed_process_left_is_written_anew(tmp_path):
    cache = LayerCache(tmp_path)
    layer = cache.make(KEY, one_file)
    other = LayerCache(tmp_path / "other")
    left = other.folder / "partial" / KEY.name
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half of something" * 100)
    assert other.make(KEY, one_file) == layer
    assert b"".join(other.chunks(layer)) == b"".join(cache.chunks(layer))
    assert not left.exists()


def test_a_pruned_layer_is_said_to_be_gone(tmp_path):
    cache = LayerCache(tmp_path)
    layer = cache.make(KEY, one_file)
    cache.discard(layer.digest)
    with pytest.raises(EnvbuildError, match="is no longer in"):
        next(cache.chunks(layer))


def test_a_full_disk_is_said_so_and_leaves_nothing(tmp_path):
    cache = LayerCache(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(1 << 16))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(DiskFullError):
            cache.make(KEY, lambda writer: writer.add_file("a", len(noise), [noise]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == []
