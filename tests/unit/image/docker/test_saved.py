"""Images that an engine wrote out."""

import pytest

from envbuild.errors import EngineError
from envbuild.image.compose import compose_image
from envbuild.image.docker.saved import read_saved
from envbuild.oci.archive import archive_chunks
from envbuild.oci.compare import compare_images
from tests.rig.layers import LayerFolder
from tests.rig.locks import sample_lock


@pytest.fixture
def blobs(tmp_path):
    (tmp_path / "blobs").mkdir()
    return LayerFolder(tmp_path / "blobs")


def saved(blobs, folder, files):
    lock = sample_lock()
    image = compose_image(lock, lock.targets[0], [blobs.make(files, comment="the layer")])
    # in small pieces, as a socket gives them
    data = b"".join(archive_chunks(image, "train:1", blobs=blobs))
    return read_saved((data[at : at + 700] for at in range(0, len(data), 700)), folder)


def test_two_saved_images_are_compared_by_file(blobs, tmp_path):
    one = saved(blobs, tmp_path / "one", {"etc/a": b"one"})
    other = saved(blobs, tmp_path / "other", {"etc/a": b"two"})
    (found,) = compare_images(one.image, other.image, read_one=one.chunks, read_other=other.chunks)
    assert str(found).startswith("layer 1 (the layer): etc/a: content: sha256:")
    assert compare_images(one.image, one.image, read_one=one.chunks, read_other=one.chunks) == ()


@pytest.mark.parametrize("data", [b"", b"nonsense" * 200])
def test_what_is_no_archive_is_an_engines_fault(tmp_path, data):
    with pytest.raises(EngineError, match="in an unknown form"):
        read_saved([data], tmp_path / "one")
