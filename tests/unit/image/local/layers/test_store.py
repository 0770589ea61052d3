import dataclasses
import hashlib
import os
import resource
import signal
import subprocess
import sys
import time

import pytest

from envbuild.cache.prune import prune
from envbuild.cache.use_lock import prepare
from envbuild.errors import EnvbuildError, IntegrityError
from envbuild.files.disk import DiskFullError
from envbuild.formats.compression import codec_of
from envbuild.image.local.layers.store import LayerKey, LayerStore
from envbuild.store.store import Store

KEY = LayerKey(kind="test", inputs={"a": 1}, codec=codec_of("zstd"), comment="a test")


def one_file(writer):
    writer.add_file("a", 1, [b"a"])


def never(writer):
    raise AssertionError("made again")


def test_a_layer_is_made_once(tmp_path):
    cache = LayerStore(tmp_path)
    assert cache.get(KEY) is None
    layer = cache.make(KEY, one_file)
    assert cache.make(KEY, never) == cache.get(KEY) == layer
    data = b"".join(cache.chunks(layer))
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == layer.digest
    assert len(data) == layer.size
    assert layer.comment == "a test"


def test_the_comment_is_the_askers(tmp_path):
    cache = LayerStore(tmp_path)
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
    cache = LayerStore(tmp_path)

    def fail(writer):
        one_file(writer)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.make(KEY, fail)
    assert cache.get(KEY) is None
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == []


def test_a_damaged_layer_is_found_when_it_is_read_and_made_again(tmp_path):
    cache = LayerStore(tmp_path)
    layer = cache.make(KEY, one_file)
    path = cache.path(layer.digest)
    path.write_bytes(bytes(layer.size))
    with pytest.raises(IntegrityError, match="was damaged"):
        list(cache.chunks(layer))
    assert cache.get(KEY) is None
    assert cache.make(KEY, one_file) == layer


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"digest": "sha256:00"}', b"\xff"])
def test_a_damaged_note_is_as_good_as_none(tmp_path, damage):
    cache = LayerStore(tmp_path)
    layer = cache.make(KEY, one_file)
    (note,) = cache.folder.glob("index/*.json")
    note.write_bytes(damage)
    assert cache.get(KEY) is None
    assert cache.make(KEY, one_file) == layer


def test_a_cut_off_layer_is_as_good_as_none(tmp_path):
    cache = LayerStore(tmp_path)
    layer = cache.make(KEY, one_file)
    with cache.path(layer.digest).open("r+b") as file:
        file.truncate(3)
    assert cache.get(KEY) is None
    assert cache.make(KEY, one_file) == layer


def test_what_a_killed_process_left_is_written_anew(tmp_path):
    cache = LayerStore(tmp_path)
    layer = cache.make(KEY, one_file)
    other = LayerStore(tmp_path / "other")
    left = other.folder / "partial" / KEY.name
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half of something" * 100)
    assert other.make(KEY, one_file) == layer
    assert b"".join(other.chunks(layer)) == b"".join(cache.chunks(layer))
    assert not left.exists()


def test_a_pruned_layer_is_said_to_be_gone(tmp_path):
    cache = LayerStore(tmp_path)
    layer = cache.make(KEY, one_file)
    cache.discard(layer.digest)
    with pytest.raises(EnvbuildError, match="is no longer in"):
        next(cache.chunks(layer))


def test_a_full_disk_is_said_so_and_leaves_nothing(tmp_path):
    cache = LayerStore(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    noise = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(1 << 16))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(DiskFullError):
            cache.make(KEY, lambda writer: writer.add_file("a", len(noise), [noise]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == []


def test_a_layer_that_another_process_prunes_meanwhile_is_passed_over(tmp_path):
    cache, _, layers = filled(tmp_path)
    stored = cache.items()
    first = next(stored)
    for layer in layers:
        cache.discard(layer.digest)
    assert first.name in {layer.digest.removeprefix("sha256:") for layer in layers}
    assert list(stored) == []


# --- what goes, and what processes do to each other ----------------------------------------------


def holding(number):
    return lambda writer: writer.add_file("a", 1, [b"%d" % number])


def filled(tmp_path, count=3):
    """The first of the layers was used longest ago."""
    cache = LayerStore(tmp_path)
    keys = [dataclasses.replace(KEY, inputs={"n": number}) for number in range(count)]
    layers = [cache.make(key, holding(number)) for number, key in enumerate(keys)]
    for number, layer in enumerate(layers):
        os.utime(cache.path(layer.digest), (1_700_000_000 + number,) * 2)
    return cache, keys, layers


def test_the_longest_unused_layers_are_pruned_with_their_notes(tmp_path):
    cache, keys, layers = filled(tmp_path)
    assert cache.get(keys[0]) == layers[0]  # used just now
    prepare(tmp_path)
    pruned = prune(tmp_path, [Store(tmp_path), cache], max_bytes=layers[0].size)
    assert pruned.files == 2
    assert [cache.get(key) for key in keys] == [layers[0], None, None]
    assert len(list(cache.folder.glob("index/*"))) == 1


def test_artifacts_and_layers_go_by_one_order(tmp_path):
    cache, keys, _ = filled(tmp_path)
    store = Store(tmp_path)
    old = store.add_bytes(b"old")
    os.utime(store.place_of(old), (1_600_000_000, 0))
    prune(tmp_path, [store, cache], older_than_days=1)
    assert store.path_of(old) is None
    assert not any(cache.get(key) for key in keys)


def test_a_cache_that_grew_too_large_is_trimmed_unless_somebody_uses_it(tmp_path):
    cache, keys, layers = filled(tmp_path)
    with Store(tmp_path).use():
        cache.trim(largest=layers[2].size)
    assert len(list(cache.items())) == 3
    cache.trim(largest=layers[2].size)
    assert [cache.get(key) for key in keys] == [None, None, layers[2]]


def test_two_names_of_one_layer_share_its_bytes(tmp_path):
    cache, _, _ = filled(tmp_path, count=0)
    first = cache.make(KEY, one_file)
    second = cache.make(dataclasses.replace(KEY, kind="other"), one_file)
    assert first == second
    assert len(list(cache.items())) == 1


CHILD = """
import sys, time
from pathlib import Path
from envbuild.image.local.layers.store import LayerStore, LayerKey
from envbuild.formats.compression import codec_of

def produce(writer):
    print("making", flush=True)
    writer.add_file("a", 40_000_000, chunks())

def chunks():
    for number in range(40):
        yield bytes([number]) * 500_000 + number.to_bytes(4) * 125_000
        time.sleep(float(sys.argv[2]))

key = LayerKey(kind="test", inputs={}, codec=codec_of("zstd"), comment="")
print(LayerStore(Path(sys.argv[1])).make(key, produce).digest, flush=True)
"""


def child(tmp_path, pause):
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, tmp_path, str(pause)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.slow
def test_a_killed_process_leaves_a_sound_cache_and_the_next_one_finishes(tmp_path):
    with child(tmp_path, 0.05) as killed:
        assert killed.stdout
        assert killed.stdout.readline() == "making\n"
        time.sleep(0.1)
        killed.send_signal(signal.SIGKILL)
    cache = LayerStore(tmp_path)
    assert list(cache.items()) == []
    with child(tmp_path, 0) as other:
        assert other.stdout
        made, digest = other.stdout.read().split()
    assert made == "making"
    assert f"sha256:{hashlib.sha256(cache.path(digest).read_bytes()).hexdigest()}" == digest
    assert list(cache.folder.glob("partial/*")) == []


@pytest.mark.slow
def test_what_a_killed_process_left_is_swept_but_not_that_of_a_live_one(tmp_path):
    cache = LayerStore(tmp_path)
    with child(tmp_path, 0.05) as running:
        assert running.stdout
        assert running.stdout.readline() == "making\n"
        (cache.folder / "partial" / ("0" * 64)).write_bytes(b"left")
        cache.sweep()
        assert [path.name == "0" * 64 for path in cache.folder.glob("partial/*")] == [False]
        digest = running.stdout.readline().strip()
    assert cache.path(digest).exists()


@pytest.mark.slow
def test_processes_that_want_the_same_layer_make_it_once(tmp_path):
    with child(tmp_path, 0.02) as one, child(tmp_path, 0.02) as two:
        assert one.stdout
        assert two.stdout
        said = sorted((one.stdout.read().split(), two.stdout.read().split()), key=len)
    assert [len(words) for words in said] == [1, 2]
    assert said[0][0] == said[1][1]
