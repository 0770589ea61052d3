"""Unpacked layers: made once, shared, bounded, and never believed when a power cut took some of them."""

import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from envbuild.errors import IntegrityError
from envbuild.image.local.roots import unpacked_layers as trees
from envbuild.image.local.roots.unpacked_layers import LayerTrees, PackedLayer, namespace_of
from tests.rig.paths import CHECKOUT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root, or subordinate ids")


def layer(content, *, delay=0.0):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    data = packed.getvalue()
    reads = []

    def read():
        reads.append(1)
        time.sleep(delay)
        yield data

    return PackedLayer(f"sha256:{hashlib.sha256(data).hexdigest()}", read), reads


def content_of(cache, packed):
    with LayerTrees(cache).held([packed]) as (folder,):
        return (folder / "file").read_bytes()


def test_a_layer_is_unpacked_once_and_given_in_order(tmp_path):
    (one, read_one), (two, _) = layer(b"one"), layer(b"two")
    cache = LayerTrees(tmp_path)
    for _ in range(2):
        with cache.held([one, two, one]) as folders:
            assert [(folder / "file").read_bytes() for folder in folders] == [b"one", b"two", b"one"]
    assert len(read_one) == 1


def test_nobody_else_reaches_the_files(tmp_path):
    """An image may hold programs that are set-user-ID, and the cache may lie where others can go."""
    old = os.umask(0o022)
    try:
        content_of(tmp_path / "cache", layer(b"x")[0])
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "cache/unpacked").stat().st_mode) == 0o700


def test_a_tree_of_which_nothing_is_known_any_more_is_pruned(tmp_path):
    content_of(tmp_path, layer(b"x")[0])
    (extent,) = tmp_path.glob("unpacked/*/extent")
    extent.write_bytes(b"")
    (stored,) = LayerTrees(tmp_path).items()
    assert stored.remove()
    assert list((tmp_path / "unpacked").iterdir()) == []


def test_many_at_once_wait_for_the_one_that_unpacks(tmp_path):
    packed, reads = layer(b"x", delay=0.2)
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda _: content_of(tmp_path, packed), range(6)))
    assert found == [b"x"] * 6
    assert len(reads) == 1


def test_what_another_process_named_meanwhile_is_used(tmp_path):
    """It made the layer in a root of its own, which takes no turn, while this one unpacks it."""
    packed, _ = layer(b"x" * 100)
    cache = LayerTrees(tmp_path)

    def read():
        made = tmp_path / "made"
        made.mkdir()
        (made / "file").write_bytes(b"x" * 100)
        os.utime(made / "file", (0, 0))
        (made / "file").chmod(0o644)
        with cache.taken(made) as place:
            assert place is not None
            trees._name(place, tmp_path / "unpacked" / packed.diff_id.removeprefix("sha256:"))
        yield from packed.read()

    assert content_of(tmp_path, PackedLayer(packed.diff_id, read)) == b"x" * 100
    assert [path.name for path in cache.folder.iterdir()] == [packed.diff_id.removeprefix("sha256:")]


def test_a_tree_of_which_a_part_was_removed_by_hand_is_made_anew(tmp_path):
    packed, reads = layer(b"x" * 100)
    assert content_of(tmp_path, packed) == b"x" * 100
    (extent,) = tmp_path.glob("unpacked/*/extent")
    extent.unlink()
    assert content_of(tmp_path, packed) == b"x" * 100
    assert len(reads) == 2


def test_a_tree_without_an_extent_is_pruned(tmp_path):
    assert content_of(tmp_path, layer(b"x" * 100)[0])
    (extent,) = tmp_path.glob("unpacked/*/extent")
    extent.unlink()
    (stored,) = LayerTrees(tmp_path).items()
    assert stored.used == 0
    assert stored.remove()
    assert list((tmp_path / "unpacked").iterdir()) == []


def test_more_than_is_kept_can_be_used_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(trees, "LARGEST", 150)
    (one, read_one), (two, read_two) = layer(b"1" * 100), layer(b"2" * 100)
    with LayerTrees(tmp_path).held([one]), LayerTrees(tmp_path).held([two]) as (folder,):
        assert (folder / "file").read_bytes() == b"2" * 100
    assert (len(read_one), len(read_two)) == (1, 1)


def test_trees_are_apart_where_owners_mean_something_else():
    everywhere = "         0          0 4294967295\n" * 2
    rootless = "0 1000 1\n1 100000 65536\n0 1000 1\n1 100000 65536\n"
    assert namespace_of(everywhere) == ""
    assert namespace_of(rootless) != namespace_of(rootless.replace("1000", "1001"))


def test_a_broken_layer_leaves_nothing(tmp_path):
    packed, _ = layer(b"x")
    other = PackedLayer("sha256:" + "0" * 64, packed.read)
    with pytest.raises(IntegrityError):
        content_of(tmp_path, other)
    assert list((tmp_path / "unpacked").iterdir()) == []


def test_what_is_in_use_is_not_pruned(tmp_path):
    (used, _), (idle, _) = layer(b"used"), layer(b"idle")
    cache = LayerTrees(tmp_path)
    content_of(tmp_path, idle)
    with cache.held([used]) as (folder,):
        assert cache.prune() == (1, 4)
        assert (folder / "file").exists()
    assert cache.prune() == (1, 4)
    assert cache.sizes() == {}
    assert list((tmp_path / "unpacked").iterdir()) == []


def test_the_longest_unused_goes_first_when_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(trees, "LARGEST", 8)
    packed = [layer(bytes([number]) * 4)[0] for number in range(3)]
    for item in packed[:2]:
        content_of(tmp_path, item)
    for age, item in ((20, packed[1]), (10, packed[0])):
        extent = tmp_path / "unpacked" / item.diff_id.removeprefix("sha256:") / "extent"
        os.utime(extent, (time.time() - age, time.time() - age))
    content_of(tmp_path, packed[2])
    kept = LayerTrees(tmp_path).sizes()
    assert kept.keys() == {packed[number].diff_id.removeprefix("sha256:") for number in (0, 2)}


@pytest.mark.parametrize("damage", ["truncated", "removed", "none"])
def test_after_a_restart_of_the_machine_a_tree_is_measured(tmp_path, damage):
    packed, reads = layer(b"content")
    content_of(tmp_path, packed)
    place = tmp_path / "unpacked" / packed.diff_id.removeprefix("sha256:")
    record = json.loads((place / "extent").read_bytes())
    (place / "extent").write_text(json.dumps({**record, "boot": "an earlier one"}))
    if damage == "truncated":
        (place / "tree/file").write_bytes(b"")
    elif damage == "removed":
        (place / "tree/file").unlink()
    assert content_of(tmp_path, packed) == b"content"
    assert len(reads) == (1 if damage == "none" else 2)


KILLED = """
import sys, time; from pathlib import Path
from envbuild.image.local.roots.unpacked_layers import LayerTrees, PackedLayer
def read():
    yield Path(sys.argv[2]).read_bytes()[:700]
    print("half", flush=True); time.sleep(600)
with LayerTrees(Path(sys.argv[1])).held([PackedLayer(sys.argv[3], read)]): pass
"""


@pytest.mark.slow
def test_killed_while_unpacking_the_next_one_makes_it(tmp_path):
    packed, _ = layer(b"x" * 5000)
    (tmp_path / "layer").write_bytes(b"".join(packed.read()))
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path, tmp_path / "layer", packed.diff_id],
        stdout=subprocess.PIPE,
        cwd=CHECKOUT,
    )
    with child:
        assert child.stdout
        assert child.stdout.readline() == b"half\n"
        child.kill()
    assert list((tmp_path / "unpacked").glob("partial-*"))
    assert content_of(tmp_path, packed) == b"x" * 5000
    assert [path.name for path in (tmp_path / "unpacked").iterdir()] == [
        packed.diff_id.removeprefix("sha256:")
    ]


def test_a_tree_that_has_no_name_yet_is_not_pruned(tmp_path):
    unfinished = tmp_path / "unpacked/partial-0"
    (unfinished / "tree").mkdir(parents=True)
    (unfinished / "extent").write_text('{"entries": 1, "size": 5, "boot": ""}')
    assert LayerTrees(tmp_path).prune() == (0, 0)
    assert (unfinished / "tree").is_dir()


def test_pruning_and_using_at_the_same_time_never_takes_a_tree_away(tmp_path):
    packed, _ = layer(b"x" * 100)
    stop = threading.Event()

    def prune():
        while not stop.is_set():
            LayerTrees(tmp_path).prune()

    with ThreadPoolExecutor(1) as threads:
        pruning = threads.submit(prune)
        try:
            for _ in range(100):
                assert content_of(tmp_path, packed) == b"x" * 100
        finally:
            stop.set()
        pruning.result()
