"""The images the local engine holds."""

import os

import pytest

from envbuild.image.compose import compose_image
from envbuild.image.local import images
from envbuild.image.local.images import ImageStore, facts_of
from tests.rig.layers import LayerFolder
from tests.rig.locks import sample_lock


@pytest.fixture
def image(tmp_path):
    (tmp_path / "blobs").mkdir()
    lock = sample_lock()
    return compose_image(lock, lock.targets[0], [LayerFolder(tmp_path / "blobs").make({"a": b"a"})])


def test_image_comes_back_as_it_was_kept(tmp_path, image):
    ImageStore(tmp_path).put("train:one", image)
    assert ImageStore(tmp_path).get("train:one") == image
    assert ImageStore(tmp_path).get("train:two") is None


def test_image_without_a_document_is_not_there(tmp_path, image):
    store = ImageStore(tmp_path)
    store.put("train:one", image)
    for path in (tmp_path / "documents").iterdir():
        kept = path.read_bytes()
        path.write_bytes(b"{}")
        assert store.get("train:one") is None
        path.write_bytes(kept)
    assert store.get("train:one") == image


def test_damaged_name_is_no_image(tmp_path, image):
    store = ImageStore(tmp_path)
    store.put("train:one", image)
    (path,) = (tmp_path / "images" / "names").iterdir()
    path.write_text("[]")
    assert store.get("train:one") is None
    assert list(store.images()) == []


def test_names_not_used_for_longest_go(tmp_path, image, monkeypatch):
    monkeypatch.setattr(images, "MOST_NAMES", 2)
    store = ImageStore(tmp_path)
    for number, name in enumerate(("train:a", "train:b")):
        store.put(name, image)
        os.utime(store._path(name), (number, number))
    store.put("train:c", image)
    assert store.get("train:a") is None
    assert store.get("train:b") == store.get("train:c") == image


def test_documents_go_with_the_last_name(tmp_path, image):
    store = ImageStore(tmp_path)
    store.put("train:a", image)
    store._forget_beyond(0)
    assert list((tmp_path / "documents").iterdir()) == []


def test_facts_are_those_of_the_configuration(image):
    facts = facts_of(image)
    assert facts.identifier == image.descriptor.digest
    assert facts.user == "1000:1000"
    assert facts.command == ("python",)
    assert facts.labels["dev.envbuild.engine"] == "local"
    assert facts.diff_ids == image.diff_ids
