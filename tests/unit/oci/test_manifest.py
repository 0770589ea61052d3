"""Documents of images: that all engines read them alike, and which manifest of an index they take."""

import json
from typing import Any

import pytest

from envbuild.oci.manifest import (
    IndexEntry,
    ManifestError,
    choose_manifests,
    parse_config,
    parse_image_document,
    parse_index_or_manifest,
    require_one_choice,
)
from envbuild.platforms import AMD64, ARM64, Platform
from tests.rig.stored_images import SmallImage, descriptor, index_of
from tests.rig.tar_layers import file

IMAGE = SmallImage([[file("a", "1")]], settings={"Env": ["A=1"], "Labels": {"env": "a", "OS": "b"}})


def entries(*platforms: str) -> tuple[IndexEntry, ...]:
    """Return an index of manifests for `os/architecture/variant` each; an empty one says nothing."""
    offered = []
    for number, platform in enumerate(platforms):
        system, _, rest = platform.partition("/")
        architecture, _, variant = rest.partition("/")
        fields = {"os": system, "architecture": architecture, "variant": variant}
        more: dict[str, Any] = (
            {"platform": {name: value for name, value in fields.items() if value}} if platform else {}
        )
        offered.append(descriptor(f"{number}".encode(), **more))
    found = parse_index_or_manifest(index_of(*offered), "")
    assert isinstance(found, tuple)
    return found


SOUND = [
    (AMD64, ["linux/amd64"]),
    (AMD64, ["linux/amd64", "linux/arm64", "linux/arm64/v8", "linux/aarch64"]),
    (AMD64, ["linux/amd64", "unknown/unknown", "unknown/unknown"]),
    (AMD64, ["linux/amd64", "windows/amd64", "linux/386", "linux/arm/v7"]),
    (AMD64, ["linux/amd64/v1"]),
    (ARM64, ["linux/arm64/v8", "linux/amd64", "linux/amd64/v3"]),
    (AMD64, [""]),
    (AMD64, ["linux/arm64"]),
    (AMD64, []),
]


@pytest.mark.parametrize(("platform", "offered"), SOUND)
def test_an_index_with_one_manifest_of_the_platform_leaves_no_choice(
    platform: Platform, offered: list[str]
) -> None:
    require_one_choice(entries(*offered), platform)
    assert len(choose_manifests(entries(*offered), platform)) <= 1


AMBIGUOUS = [
    (AMD64, ["linux/amd64", "linux/amd64"], "offers 2 images for linux/amd64"),
    (AMD64, ["linux/amd64", "linux/amd64/v3"], "offers 2 images"),
    (AMD64, ["linux/amd64/v1", "linux/amd64/v2", "linux/amd64/v3"], "offers 3 images"),
    (ARM64, ["linux/arm64/v8", "linux/arm64"], "offers 2 images"),
    (AMD64, ["linux/amd64", ""], "offers 2 images"),
    (AMD64, ["", ""], "offers 2 images"),
    (AMD64, ["linux/amd64", "/amd64"], "offers 2 images"),
    (AMD64, ["linux/amd64", "linux"], "offers 2 images"),
    (AMD64, ["linux/amd64", "linux/x86_64"], "offers 2 images"),
    (AMD64, ["linux/amd64", "linux/x86-64"], "offers 2 images"),
    (AMD64, ["linux/amd64", "LINUX/X86_64"], "offers 2 images"),
    (AMD64, ["linux/amd64", "l\u0130nux/amd64"], "offers 2 images"),
    (ARM64, ["linux/arm64", "linux/AArch64"], "offers 2 images"),
    (AMD64, ["Linux/amd64"], "spells linux/amd64 as Linux/amd64"),
    (AMD64, ["linux/AMD64"], "spells linux/amd64 as linux/AMD64"),
    (AMD64, ["linux/x86_64"], "spells linux/amd64 as linux/x86_64"),
    (ARM64, ["linux/aarch64"], "spells linux/arm64 as linux/aarch64"),
    (AMD64, ["/amd64"], "spells linux/amd64 as amd64"),
    (AMD64, ["linux"], "spells linux/amd64 as linux"),
]


@pytest.mark.parametrize(("platform", "offered", "message"), AMBIGUOUS)
def test_an_index_of_which_engines_may_take_different_manifests_is_refused(
    platform: Platform, offered: list[str], message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        require_one_choice(entries(*offered), platform)


def renamed(data: bytes, name: str, other: str) -> bytes:
    assert data.count(f'"{name}":'.encode()) >= 1
    return data.replace(f'"{name}":'.encode(), f'"{other}":'.encode(), 1)


INDEX = index_of(descriptor(IMAGE.manifest, platform={"os": "linux", "architecture": "amd64"}))


@pytest.mark.parametrize(
    ("data", "name", "other"),
    [
        (INDEX, "manifests", "Manifests"),
        (INDEX, "mediaType", "mediatype"),
        (INDEX, "digest", "DIGEST"),
        (INDEX, "platform", "Platform"),
        (INDEX, "os", "OS"),
        (INDEX, "os", "o\u017f"),
        (INDEX, "architecture", "Architecture"),
        (IMAGE.manifest, "config", "Config"),
        (IMAGE.manifest, "layers", "Layers"),
        (IMAGE.manifest, "size", "Size"),
        (IMAGE.config, "rootfs", "RootFS"),
        (IMAGE.config, "diff_ids", "Diff_IDs"),
        (IMAGE.config, "Env", "env"),
        (IMAGE.config, "Labels", "labels"),
        (IMAGE.config, "os", "Os"),
    ],
)
def test_a_field_that_is_spelled_otherwise_is_refused(data: bytes, name: str, other: str) -> None:
    """To engines, which are written in Go, it is the field."""
    parse = parse_config if data == IMAGE.config else lambda text: parse_index_or_manifest(text, "")
    assert parse(data)
    for text in (renamed(data, name, other), renamed(data, name, f'{other}": null, "{name}')):
        with pytest.raises(ManifestError, match="all programs read the same way"):
            parse(text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("data", [INDEX, IMAGE.manifest, IMAGE.config], ids=["index", "manifest", "config"])
def test_only_utf_8_is_read(data: bytes, encoding: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_image_document(data.decode().encode(encoding))


@pytest.mark.parametrize(
    "value",
    [
        {"annotations": {"Config": "a", "config": "b", "OS": "c"}},
        {"config": {"Labels": {"env": "a", "Env": "b", "labels": "c"}}},
        {"config": {"Volumes": {"/Data": {}, "/data": {}, "Env": {}}, "ExposedPorts": {"22/TCP": {}}}},
        {"container_config": {"env": [], "Env": []}},
        {"config": {"Hostname": "", "something": 1, "Something": 2}},
        {"history": [{"created_by": "RUN", "empty_layer": True, "comment": "a", "created": "b"}]},
    ],
    ids=json.dumps,
)
def test_keys_that_are_no_fields_may_be_any(value: Any) -> None:
    assert parse_image_document(json.dumps(value).encode()) == value
