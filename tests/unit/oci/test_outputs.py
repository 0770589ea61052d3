"""Layouts and archives."""

import hashlib
import io
import json
import tarfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from envbuild.errors import IntegrityError, UsageError
from envbuild.image.compose import compose_image
from envbuild.oci.archive import archive_chunks, write_archive
from envbuild.oci.layout import write_layout
from tests.rig.layers import LayerFolder
from tests.rig.locks import sample_lock
from tests.rig.progress import RecordedProgress

REFERENCE = "registry.example.com:5000/ml/train:0123456789ab"


@pytest.fixture
def blobs(tmp_path):
    (tmp_path / "blobs").mkdir()
    return LayerFolder(tmp_path / "blobs")


@pytest.fixture
def image(blobs):
    lock = sample_lock()
    layers = [blobs.make({"opt/a": b"a" * 5000}), blobs.make({"opt/b": b"b"})]
    return compose_image(lock, lock.targets[0], layers)


def members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {entry.name: archive.extractfile(entry) for entry in archive.getmembers()}
        return {name: file.read() for name, file in found.items() if file is not None}


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_archive_speaks_both_languages(image, blobs):
    files = members(b"".join(archive_chunks(image, REFERENCE, blobs=blobs)))
    (docker,) = json.loads(files["manifest.json"])
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert docker["RepoTags"] == [REFERENCE]
    assert entry["annotations"] == {
        "io.containerd.image.name": REFERENCE,
        "org.opencontainers.image.ref.name": "0123456789ab",
    }
    assert files[docker["Config"]] == image.config
    assert files[f"blobs/{entry['digest'].replace(':', '/')}"] == image.manifest
    assert [digest_of(files[name]) for name in docker["Layers"]] == [item.digest for item in image.layers]
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}


def test_local_name_is_the_engines_own(image, blobs):
    files = members(b"".join(archive_chunks(image, "train:012345", blobs=blobs)))
    assert json.loads(files["manifest.json"])[0]["RepoTags"] == ["train:012345"]
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/library/train:012345"


def test_archive_is_the_same_bytes_every_time(image, blobs, tmp_path):
    for name in ("a", "b"):
        write_archive(image, REFERENCE, tmp_path / name, blobs=blobs)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_partial_archive_names_all_layers_and_has_some(image, blobs):
    gone = image.layers[0].digest
    chunks = archive_chunks(image, REFERENCE, blobs=blobs, without={gone})
    files = members(b"".join(chunks))
    assert len(json.loads(files["manifest.json"])[0]["Layers"]) == 2
    assert f"blobs/{gone.replace(':', '/')}" not in files
    assert f"blobs/{image.layers[1].digest.replace(':', '/')}" in files


def test_damaged_layer_leaves_no_archive(image, blobs, tmp_path):
    blobs.path(image.layers[1]).write_bytes(b"something else")
    with pytest.raises(IntegrityError):
        write_archive(image, REFERENCE, tmp_path / "out" / "a", blobs=blobs)
    assert list((tmp_path / "out").iterdir()) == []
    # the next build makes it again
    assert not blobs.path(image.layers[1]).exists()
    assert blobs.path(image.layers[0]).exists()


def test_layout_holds_the_image_and_keeps_others(image, blobs, tmp_path):
    folder = tmp_path / "layout"
    progress = RecordedProgress()
    write_layout(image, "train:one", folder, blobs=blobs, progress=progress)
    write_layout(image, "train:two", folder, blobs=blobs)
    write_layout(image, "train:two", folder, blobs=blobs)
    entries = json.loads((folder / "index.json").read_bytes())["manifests"]
    names = [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries]
    assert names == ["one", "two"]
    for layer in image.layers:
        blob = folder / "blobs" / layer.digest.replace(":", "/")
        assert digest_of(blob.read_bytes()) == layer.digest
    assert progress.bytes[-1] == (image.size, image.size)


def test_images_written_into_one_layout_at_once_are_all_in_it(image, blobs, tmp_path):
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(
                lambda number: write_layout(image, f"train:{number}", tmp_path / "layout", blobs=blobs),
                range(8),
            )
        )
    entries = json.loads((tmp_path / "layout/index.json").read_bytes())["manifests"]
    tags = {entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries}
    assert tags == set(map(str, range(8)))


def test_damaged_blob_of_a_layout_is_replaced(image, blobs, tmp_path):
    write_layout(image, "train:one", tmp_path / "layout", blobs=blobs)
    blob = tmp_path / "layout" / "blobs" / image.layers[0].digest.replace(":", "/")
    blob.write_bytes(b"damaged")
    write_layout(image, "train:one", tmp_path / "layout", blobs=blobs)
    assert digest_of(blob.read_bytes()) == image.layers[0].digest


def test_folder_of_something_else_is_left_alone(image, blobs, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match="holds something else than an OCI layout"):
        write_layout(image, "train:one", tmp_path / "home", blobs=blobs)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.tex"]
