"""What two images that should be one are said to differ in."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import replace

import pytest

from envbuild.image.compose import compose_image
from envbuild.oci.compare import compare_images, compare_layers
from envbuild.oci.layer import Layer
from tests.rig.layers import GZIP, ZSTD, LayerFolder
from tests.rig.locks import sample_lock


@pytest.fixture
def blobs(tmp_path):
    (tmp_path / "blobs").mkdir()
    return LayerFolder(tmp_path / "blobs")


def image_of(*layers: Layer, **changes):
    lock = sample_lock()
    (target,) = lock.targets
    return compose_image(lock, target.model_copy(update=changes), layers)


def differences(blobs, one, other):
    def reader(image):
        return lambda position: [blobs.path(image.layers[position]).read_bytes()]

    found = compare_images(one, other, read_one=reader(one), read_other=reader(other))
    return [str(difference) for difference in found]


Entry = tuple[str, bytes, Mapping[str, object]]


def tar_of(*entries: Entry) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content, fields in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            for field, value in fields.items():
                setattr(entry, field, value)
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return buffer.getvalue()


def test_same_image_has_no_difference(blobs):
    layer = blobs.make({"a": b"a"})
    assert differences(blobs, image_of(layer), image_of(layer)) == []


def test_changed_file_is_named_with_its_layer(blobs):
    same = blobs.make({"opt/x": b"x"}, comment="the base")
    one = image_of(same, blobs.make({"opt/a": b"one", "opt/b": b"b"}, comment="numpy 2.3.4"))
    other = image_of(same, blobs.make({"opt/a": b"two", "opt/c": b"c"}, comment="numpy 2.3.4"))
    assert differences(blobs, one, other) == [
        "layer 2 (numpy 2.3.4): opt/a: content: sha256:7692c3ad3540 / sha256:3fc4ccfe7458",
        "layer 2 (numpy 2.3.4): opt/b: file: present / absent",
        "layer 2 (numpy 2.3.4): opt/c: file: absent / present",
    ]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("mode", 0o755, "mode: 0644 / 0755"),
        ("uid", 7, "uid: 0 / 7"),
        ("gname", "staff", "gid: 0 / 0 staff"),
        ("mtime", 5, "time: 0 / 5"),
        ("pax_headers", {"SCHILY.xattr.security.capability": "x"}, "attributes:  / "),
    ],
)
def test_field_is_named(field, value, said):
    (found,) = compare_layers("layer 1", [tar_of(("a", b"a", {}))], [tar_of(("a", b"a", {field: value}))])
    assert str(found).startswith(f"layer 1: a: {said}")


def test_link_target_and_kind_are_named():
    link: Mapping[str, object] = {"type": tarfile.SYMTYPE, "linkname": "b"}
    (one,) = compare_layers("l", [tar_of(("a", b"", link))], [tar_of(("a", b"", {**link, "linkname": "c"}))])
    assert str(one) == "l: a: target: b / c"
    found = [str(item) for item in compare_layers("l", [tar_of(("a", b"", link))], [tar_of(("a", b"", {}))])]
    assert "l: a: kind: 2 / 0" in found


def test_order_is_named():
    entries: list[Entry] = [("a", b"a", {}), ("b", b"b", {})]
    (found,) = compare_layers("l", [tar_of(*entries)], [tar_of(*reversed(entries))])
    assert str(found) == "l: a: order of entries: a / b"


def test_other_bytes_of_the_same_entries_are_a_difference_too():
    plain = tar_of(("a", b"a", {}))
    (found,) = compare_layers("l", [plain], [plain + bytes(10240)])
    assert found.field == "form of the archive"


def test_other_compression_of_the_same_files_is_said_to_be_that(blobs):
    zstd, gzip = (blobs.make({"a": b"a"}, codec=codec) for codec in (ZSTD, GZIP))
    gzip = replace(gzip, media_type=zstd.media_type)
    (found,) = differences(blobs, image_of(zstd), image_of(gzip))
    assert "compressed bytes of the same files" in found


def test_missing_layer_is_named(blobs):
    a, b = blobs.make({"a": b"a"}), blobs.make({"b": b"b"}, comment="torch")
    found = differences(blobs, image_of(a, b), image_of(a))
    assert found[0] == "layer 2 (torch): layer: present / absent"


def test_changed_configuration_is_named_by_field(blobs):
    layer = blobs.make({"a": b"a"})
    found = differences(blobs, image_of(layer), image_of(layer, workdir="/elsewhere"))
    assert 'configuration: config.WorkingDir: value: "/workspace" / "/elsewhere"' in found


def test_layer_that_is_all_wrong_is_not_listed_to_its_last_file(blobs):
    one, other = (
        blobs.make({f"{n:03}": f"{n}{seed}".encode() for n in range(100)}) for seed in ("one", "two")
    )
    found = differences(blobs, image_of(one), image_of(other))
    assert len(found) == 21
    assert "further differences" in found[20]
