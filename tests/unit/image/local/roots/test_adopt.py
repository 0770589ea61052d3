"""A folder that was made, kept as the layer that was made of it."""

import os

import pytest

from envbuild.formats.compression import codec_of
from envbuild.image.local.layers.changes import diff_layer
from envbuild.image.local.layers.store import LayerKey, LayerStore
from envbuild.image.local.roots.adopt import diff_id_of, normalize_metadata
from envbuild.image.local.roots.unpacked_layers import LayerTrees, PackedLayer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root, or subordinate ids")

STARTED, EPOCH = 2_000_000_000, 1_600_000_000


@pytest.fixture
def made(tmp_path):
    """Return a folder as a private root leaves it: old files, new ones, links, owners, the kernel's notes."""
    folder = tmp_path / "upper"
    (folder / "d").mkdir(parents=True)
    (folder / "d/old").write_bytes(b"old")
    (folder / "d/new").write_bytes(b"new")
    (folder / "d/again").hardlink_to(folder / "d/new")
    (folder / "link").symlink_to("d/old")
    os.chown(folder / "d/old", 3, 4)
    (folder / "d/old").chmod(0o4755)
    os.utime(folder / "d/old", ns=(5, 1_000_000_000_000_000_123))
    os.utime(folder / "d/new", (STARTED + 1, STARTED + 1))
    os.utime(folder / "link", (STARTED, STARTED), follow_symlinks=False)
    os.utime(folder / "d", (STARTED + 5, STARTED + 5))
    os.setxattr(folder / "d", "user.overlay.impure", b"y")
    return folder


def layer_of(folder, cache):
    key = LayerKey(kind="test", inputs={}, codec=codec_of("zstd"), comment="")
    return LayerStore(cache).make(
        key, lambda writer: diff_layer(folder, (), writer, started=STARTED, epoch=EPOCH)
    )


def refuse():
    raise AssertionError("it was unpacked")
    yield b""


def test_it_is_the_layer_and_is_not_unpacked_again(made, tmp_path):
    assert normalize_metadata(made, started=STARTED, epoch=EPOCH)
    layer = layer_of(made, tmp_path)
    assert diff_id_of(made) == layer.diff_id
    trees = LayerTrees(tmp_path)
    with trees.taken(made) as place:
        assert place is not None
        assert trees.adopt(place, layer.diff_id)
    with trees.held([PackedLayer(layer.diff_id, refuse)]) as (folder,):
        state = (folder / "d/old").stat()
        assert (state.st_uid, state.st_gid, oct(state.st_mode)) == (3, 4, "0o104755")
        assert state.st_mtime_ns == 1_000_000_000_000_000_000
        assert (folder / "d/new").stat().st_mtime == (folder / "d").stat().st_mtime == EPOCH
        assert (folder / "link").lstat().st_mtime == EPOCH
        assert (folder / "d/again").samefile(folder / "d/new")
        assert os.listxattr(folder / "d") == []
    assert [path.name for path in trees.folder.iterdir()] == [layer.diff_id.removeprefix("sha256:")]


def test_what_differs_from_the_layer_is_not_kept(made, tmp_path):
    assert normalize_metadata(made, started=STARTED, epoch=EPOCH)
    layer = layer_of(made, tmp_path)
    (made / "d/more").write_bytes(b"")
    trees = LayerTrees(tmp_path)
    with trees.taken(made) as place:
        assert place is not None
        assert not trees.adopt(place, layer.diff_id)
    assert list(trees.folder.iterdir()) == []


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.mknod(path, 0o20666, os.makedev(1, 3))])
def test_what_would_not_come_back_is_not_kept(made, make):
    make(made / "d/odd")
    assert not normalize_metadata(made, started=STARTED, epoch=EPOCH)
