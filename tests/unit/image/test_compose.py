"""Configuration and manifest of an image."""

import json

import pytest

from envbuild.errors import SpecError
from envbuild.image.compose import compose_image
from envbuild.lock.identity import RECIPE_FORMAT
from envbuild.oci.base import read_base_image
from envbuild.oci.layer import Layer
from envbuild.oci.manifest import Descriptor, ManifestError
from envbuild.render.layers import MOST_LAYERS
from tests.rig.locks import digest, image_base, sample_lock

DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
BASE_CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2026-09-06T10:00:00Z",
    "config": {
        "Env": ["PATH=/usr/bin", "LANG=C.UTF-8", "GONE=1"],
        "Entrypoint": ["/entry"],
        "Cmd": ["bash"],
        "User": "nobody",
        "ExposedPorts": {"80/tcp": {}},
        "Labels": {"maintainer": "somebody"},
    },
    "rootfs": {"type": "layers", "diff_ids": [digest("diff")]},
    "history": [{"created_by": "ADD rootfs"}, {"created_by": "CMD bash", "empty_layer": True}],
}


def layer(name: str) -> Layer:
    return Layer(
        diff_id=digest(f"{name} plain"),
        digest=digest(f"{name} packed"),
        size=1000,
        unpacked=3000,
        media_type="application/vnd.oci.image.layer.v1.tar+zstd",
        comment=name,
    )


def base(config=BASE_CONFIG, media_type=DOCKER_LAYER, **more):
    blob = Descriptor(media_type=media_type, digest=digest("layer"), size=77, **more)
    return read_base_image(json.dumps(config).encode(), [blob])


def pretty(document: bytes) -> str:
    return json.dumps(json.loads(document), indent=1, sort_keys=True) + "\n"


@pytest.mark.parametrize("kind", ["packages", "image"])
def test_documents_are_the_golden_ones(kind, golden):
    lock = sample_lock(image_base() if kind == "image" else None)
    layers = [layer("system packages"), layer("numpy 2.3.4"), layer("user and lock")]
    image = compose_image(lock, lock.targets[0], layers, base=base() if kind == "image" else None)
    golden(f"oci.{kind}.format-{RECIPE_FORMAT}.json", pretty(image.config) + pretty(image.manifest))


def test_documents_have_one_form():
    lock = sample_lock()
    first, second = (compose_image(lock, lock.targets[0], [layer("a")]) for _ in range(2))
    assert first == second
    assert b" " not in first.manifest.replace(b"train (", b"")
    assert list(json.loads(first.manifest)) == sorted(json.loads(first.manifest))


def test_history_has_an_entry_for_every_layer():
    lock = sample_lock(image_base())
    image = compose_image(lock, lock.targets[0], [layer("a"), layer("b")], base=base())
    with_layers = [entry for entry in image.document["history"] if not entry.get("empty_layer")]
    assert len(with_layers) == len(image.diff_ids) == len(image.layers) == 3
    assert len(image.document["history"]) == 4


def test_history_of_a_base_that_does_not_fit_its_layers_is_replaced():
    assert base({**BASE_CONFIG, "history": []}).history == ({"created_by": "a layer of the base"},)


def test_settings_of_the_base_stay_under_ours():
    lock = sample_lock(image_base())
    settings = compose_image(lock, lock.targets[0], [layer("a")], base=base()).document["config"]
    assert settings["ExposedPorts"] == {"80/tcp": {}}
    assert settings["Labels"]["maintainer"] == "somebody"
    assert settings["Labels"]["dev.envbuild.engine"] == "local"
    assert "Entrypoint" not in settings
    assert (settings["User"], settings["Cmd"]) == ("1000:1000", ["python"])
    assert [item.partition("=")[0] for item in settings["Env"]][:3] == [
        "PATH",
        "LANG",
        "CUBLAS_WORKSPACE_CONFIG",
    ]


def test_layers_of_a_base_speak_ocis_language():
    assert base().layers[0].media_type == OCI_GZIP
    assert base(media_type=OCI_GZIP).layers[0].media_type == OCI_GZIP


def test_layer_that_may_not_be_distributed_is_refused():
    with pytest.raises(ManifestError, match="may not be distributed"):
        base(urls=("https://elsewhere.example/layer",))


def test_base_with_too_many_layers_is_refused_with_how_many_would_do():
    lock = sample_lock(image_base())
    many = {**BASE_CONFIG, "rootfs": {"type": "layers", "diff_ids": [digest(str(n)) for n in range(119)]}}
    blobs = [Descriptor(media_type=OCI_GZIP, digest=digest(str(n)), size=1) for n in range(119)]
    below = read_base_image(json.dumps(many).encode(), blobs)
    assert compose_image(lock, lock.targets[0], [layer("a")], base=below).base_layers == 119
    with pytest.raises(SpecError) as caught:
        compose_image(lock, lock.targets[0], [layer("a"), layer("b")], base=below)
    assert caught.value.message == (
        "the base has 119 layers, and 2 more would be laid on it: engines stop at about 120"
    )
    assert caught.value.hint == f"choose a base of at most {MOST_LAYERS - 2} layers, or flatten it into one"
