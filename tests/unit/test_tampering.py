"""The catalogue of tamperings: each changes what it says and no more, before anything is asked to find it."""

import hashlib
import io
import json
import tarfile
from collections import Counter

import pytest

from tests.rig.filesystem import LEFT_OUT, MOUNTS, differences, tree_of_layers, tree_of_layout
from tests.rig.good_image import GoodImage
from tests.rig.small_image import names_of, write_small_image
from tests.rig.tampered_image import changed_places, layer_of, tamper
from tests.rig.tampering import Change, Tampering, file
from tests.rig.tamperings import CATALOGUE, UNTOUCHED
from tests.rig.tamperings.together import ALONE, batches

ALL = (*CATALOGUE, *UNTOUCHED)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return GoodImage(write_small_image(tmp_path_factory.mktemp("small") / "layout"))


@pytest.fixture(scope="module")
def tree(good):
    return tree_of_layers(map(io.BytesIO, good.tars))


TWICE = "order of a layer: a path twice, the right one last"
IN_THE_ARCHIVE = (TWICE, "order of a layer: a folder removed and there again")
"""What changes how a layer is written and not what it amounts to, so that only some programs see it."""

IN_THE_IMAGE = [item for item in CATALOGUE if item.id not in IN_THE_ARCHIVE]


@pytest.mark.parametrize("tampering", [pytest.param(item, id=item.id) for item in IN_THE_IMAGE])
def test_a_tampering_changes_the_image_where_it_says(good, tree, tampering):
    tampered = tamper(good, tampering)
    places = changed_places(tampered)
    assert {tampering.place, f"config.{tampering.place}"} & places
    if not is_seen(tampering):
        return
    # and so says what was written for other tests, in another way
    after = tree_of_layers(map(io.BytesIO, tampered.tars))
    assert tampering.place in differences(tree, after)


def is_seen(tampering):
    """Return whether the other reader of layers says of a path everything that was changed."""
    path = tampering.place
    return not (
        tampering.klass
        in {
            "configuration",
            "platform",
            "how the configuration is written",
            "order of a layer",
            "odd names",
            "extended attributes",
        }
        or path in LEFT_OUT
        or path.partition("/")[0] in MOUNTS
        or path.endswith("/")
        or "hard link" in tampering.name
    )


@pytest.mark.parametrize("image", [pytest.param(item, id=item.name) for item in UNTOUCHED])
def test_an_untouched_image_has_other_bytes_and_the_same_files(good, tree, image):
    tampered = tamper(good, image)
    assert changed_places(tampered) == set()
    assert tampered.manifest != good.blob(good.entry["digest"])
    assert differences(tree, tree_of_layers(map(io.BytesIO, tampered.tars))) == {}


@pytest.mark.parametrize("name", IN_THE_ARCHIVE)
def test_a_tampering_of_the_archive_changes_no_file_of_the_image(good, tree, name):
    (tampering,) = (item for item in CATALOGUE if item.id == name)
    tampered = tamper(good, tampering)
    assert changed_places(tampered) == set()
    assert differences(tree, tree_of_layers(map(io.BytesIO, tampered.tars))) == {}
    if name != TWICE:
        return
    # the place it names is in its own layer twice, with two contents and the right one last
    with tarfile.open(fileobj=io.BytesIO(tampered.tars[-1])) as archive:
        members = [member for member in archive if member.name.strip("./") == tampering.place]
        contents = [stream.read() for member in members if (stream := archive.extractfile(member))]
    assert len(contents) == len(set(contents)) == 2
    assert contents[-1] == good.nodes[tampering.place].content.read()


def test_names_are_told_apart_and_there_are_many():
    assert max(Counter(item.id for item in ALL).values()) == 1
    assert len(CATALOGUE) > 300
    assert len(Counter(item.klass for item in CATALOGUE)) >= 15


@pytest.mark.parametrize("packing", ["plain", "gzip"])
def test_a_layout_holds_together(good, tmp_path, packing):
    for number, tampering in enumerate(ALL):
        layout = tamper(good, tampering, packing=packing).layout(tmp_path / str(number))
        (entry,) = json.loads((layout / "index.json").read_bytes())["manifests"]
        manifest = json.loads(blob(layout, entry))
        config = json.loads(blob(layout, manifest["config"]))
        assert len(config["rootfs"]["diff_ids"]) == len(config["history"]) == len(manifest["layers"])
        for layer in manifest["layers"]:
            blob(layout, layer)
    tree_of_layout(tmp_path / "0")


def blob(layout, descriptor):
    data = (layout / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
    assert len(data) == descriptor["size"]
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == descriptor["digest"]
    return data


def test_an_archive_names_the_image_and_may_be_partial(good, tmp_path):
    tampered = tamper(good, CATALOGUE[0])
    sizes = []
    for is_partial in (False, True):
        path = tampered.archive(tmp_path / f"{is_partial}.tar", "tampered:1", is_partial=is_partial)
        with tarfile.open(path) as archive:
            manifest = json.loads(read_member(archive, "manifest.json"))
            sizes.append(len(archive.getnames()))
        assert manifest[0]["RepoTags"] == ["tampered:1"]
        assert len(manifest[0]["Layers"]) == 3
    assert sizes == [8, 6]


def read_member(archive, name):
    stream = archive.extractfile(name)
    assert stream is not None
    return stream.read()


def test_folders_come_before_what_is_in_them_as_the_image_has_them(good):
    change = Change(entries=(file("home/app/new/file"), file("home/app/other")))
    tar = layer_of(good, change)
    assert names_of(tar) == ["home", "home/app", "home/app/new", "home/app/new/file", "home/app/other"]
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getmember("home/app").uid == 1000


def test_what_goes_together_changes_all_its_places(good):
    members = [item for item in CATALOGUE if item.klass not in ALONE and not item.is_refused]
    parts: list[Tampering] = []
    for batch in batches(good, CATALOGUE):
        places = changed_places(tamper(good, batch.whole))
        parts += batch.parts
        assert [x.id for x in batch.parts if not {x.place, f"config.{x.place}"} & places] == []
    assert sorted(part.id for part in parts) == sorted(member.id for member in members)
