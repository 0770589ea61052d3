"""Images in layouts and archives, sound ones and others."""

import contextlib
import gzip
import io
import json
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard

from envbuild.errors import EnvbuildError, ImageError, IntegrityError, UsageError
from envbuild.image.stored import archive as archive_module
from envbuild.image.stored import image as stored_image
from envbuild.image.stored.image import StoredImage, list_image
from envbuild.image.stored.listings import ListingCache
from envbuild.image.stored.sources import SourceOptions, is_source, open_source
from envbuild.oci.layer_listing import LayerListing
from envbuild.oci.manifest import OCI_CONFIG, OCI_INDEX, ManifestError
from envbuild.platforms import PLATFORMS
from envbuild.progress import SilentProgress
from tests.rig.stored_images import (
    SmallImage,
    archive_of,
    as_json,
    blob_file,
    descriptor,
    digest_of,
    docker_files,
    index_of,
    lay_out,
    layout_files,
    legacy_files,
    tagged,
)
from tests.rig.tar_layers import Entry, file, folder, hard_link, layer, link, listing, removal

ONE = (folder("usr"), file("usr/a", "1"))
TWO = (file("usr/b", "2"), removal("usr/a"))
IMAGE = SmallImage([ONE, TWO], settings={"Env": ["A=1"]})
LISTINGS = (listing(*ONE), listing(*TWO))
OTHER = SmallImage([[file("other", "3")]])

Files = Mapping[str, bytes]


@pytest.fixture
def options(tmp_path: Path) -> SourceOptions:
    cache = tmp_path / "cache"
    return SourceOptions(
        platform=PLATFORMS["linux/amd64"],
        cache=cache,
        listings=ListingCache(cache),
        environment={},
        offline=True,
        progress=SilentProgress(),
    )


Read = Callable[..., tuple[StoredImage, tuple[LayerListing, ...]]]


@pytest.fixture
def read(tmp_path: Path, options: SourceOptions) -> Read:
    """Return a function that lays files out as `kind`, reads the image in them and its layers."""

    def open_and_list(kind: str, files: Files, tag: str = "") -> tuple[StoredImage, tuple[LayerListing, ...]]:
        place = tmp_path / kind
        if kind == "oci":
            lay_out(place, files)
        else:
            place.write_bytes(archive_of(files))
        image = open_source(f"{kind}:{place}{tag}", options)
        return image, list_image(image, options.listings)

    return open_and_list


FORMS = {
    "a layout": ("oci", layout_files(IMAGE)),
    "an archive of a layout": ("archive", layout_files(IMAGE)),
    "docker save": ("archive", docker_files(IMAGE)),
    "docker save, index last": ("archive", dict(reversed(docker_files(IMAGE).items()))),
    "docker save before 25": ("archive", legacy_files(IMAGE)),
}


@pytest.mark.parametrize(("kind", "files"), FORMS.values(), ids=FORMS)
def test_an_image_is_read_in_every_form(read: Read, kind: str, files: Files) -> None:
    image, listings = read(kind, files)
    assert image.config == IMAGE.config
    assert image.facts.env == ("A=1",)
    assert listings == LISTINGS
    wanted = IMAGE.manifest if "index.json" in files else IMAGE.config
    assert image.digest == digest_of(wanted)


@pytest.mark.parametrize(("kind", "files"), FORMS.values(), ids=FORMS)
def test_an_image_is_read_again_from_what_is_kept(read: Read, kind: str, files: Files) -> None:
    assert read(kind, files)[1] == read(kind, files)[1] == LISTINGS


@pytest.mark.parametrize(("kind", "files"), FORMS.values(), ids=FORMS)
def test_a_layer_that_is_another_is_found(read: Read, kind: str, files: Files) -> None:
    """Documents and layers agree on nothing but digests, and all of them are computed."""
    forged = SmallImage([ONE, [file("usr/b", "evil")]])
    paths = {path for path, data in files.items() if data in (IMAGE.blobs[1], IMAGE.tars[1])}
    assert len(paths) == 1
    swapped = {
        path: (forged.blobs[1] if data == IMAGE.blobs[1] else forged.tars[1]) if path in paths else data
        for path, data in files.items()
    }
    with pytest.raises(IntegrityError):
        read(kind, swapped)


@pytest.mark.parametrize(("kind", "files"), FORMS.values(), ids=FORMS)
def test_a_layer_that_is_another_is_found_when_the_true_one_is_known(
    read: Read, options: SourceOptions, kind: str, files: Files
) -> None:
    """That a listing is known does not mean that the bytes are those of the layer."""
    read(kind, files)
    name, _ = blob_file(IMAGE.blobs[1])
    if name not in files:
        return
    swapped = {**files, name: SmallImage([[file("evil")]]).blobs[0]}
    with pytest.raises((IntegrityError, ImageError), match=r"not what its name says|is not sha256"):
        read(kind, swapped)


def test_a_layer_whose_digest_the_configuration_does_not_name_is_found(read: Read) -> None:
    """The manifest says which bytes, the configuration which content: they may say two different things."""
    lying = SmallImage([ONE, TWO], changes={"rootfs": {"diff_ids": SmallImage([ONE, ONE]).diff_ids}})
    read("oci", layout_files(SmallImage([ONE, ONE])))  # now all that it claims to be is known
    with pytest.raises(IntegrityError, match=r"^layer 2 of the image is not what its configuration says$"):
        read("oci", layout_files(lying))
    with pytest.raises(IntegrityError, match=r"the layers in .* are not what the image's configuration says"):
        read("archive", layout_files(lying))


@pytest.mark.parametrize(
    "files",
    [layout_files(IMAGE), docker_files(IMAGE), legacy_files(IMAGE)],
    ids=["layout", "docker", "legacy"],
)
def test_an_archive_must_hold_its_layers_itself(read: Read, files: Files) -> None:
    read("archive", files)
    lacking = {path: data for path, data in files.items() if data not in (IMAGE.blobs[1], IMAGE.tars[1])}
    with pytest.raises(IntegrityError):
        read("archive", lacking)


def test_more_layers_than_the_configuration_names_are_an_error(read: Read) -> None:
    lying = SmallImage([ONE, TWO], changes={"rootfs": {"diff_ids": IMAGE.diff_ids[:1]}})
    with pytest.raises(EnvbuildError, match="different numbers of layers"):
        read("oci", layout_files(lying))


def test_an_image_may_have_one_layer_twice(read: Read) -> None:
    twice = SmallImage([ONE, TWO, ONE])
    for kind in ("oci", "archive"):
        assert read(kind, layout_files(twice))[1] == (*LISTINGS, LISTINGS[0])


def test_an_image_may_have_no_layer(read: Read) -> None:
    assert read("oci", layout_files(SmallImage([])))[1] == ()


@pytest.mark.parametrize("kind", ["oci", "archive"])
def test_an_index_leads_to_the_image_of_the_platform(read: Read, kind: str) -> None:
    amd, arm = ({"os": "linux", "architecture": name} for name in ("amd64", "arm64"))
    inner = index_of(descriptor(OTHER.manifest, platform=arm), descriptor(IMAGE.manifest, platform=amd))
    files = {
        **layout_files(IMAGE, OTHER),
        "index.json": index_of(descriptor(inner, OCI_INDEX)),
        **dict([blob_file(inner)]),
    }
    image, listings = read(kind, files)
    assert image.digest == digest_of(IMAGE.manifest)
    assert listings == LISTINGS


def test_a_layout_is_asked_for_a_tag(read: Read) -> None:
    image, _ = read("oci", layout_files(IMAGE, OTHER), ":1")
    assert image.digest == digest_of(OTHER.manifest)


def test_a_folder_may_have_a_colon_in_its_name(tmp_path: Path, options: SourceOptions) -> None:
    lay_out(tmp_path / "a:b", layout_files(IMAGE))
    assert open_source(f"oci:{tmp_path}/a:b", options).digest == digest_of(IMAGE.manifest)


def test_one_image_may_have_several_tags(read: Read) -> None:
    entries = [tagged(IMAGE.manifest, tag) for tag in ("1", "2", "2")]
    found = read("oci", {**layout_files(IMAGE), "index.json": index_of(*entries)}, "")
    assert found[0].digest == digest_of(IMAGE.manifest)


@pytest.mark.parametrize(
    ("files", "tag", "message"),
    [
        (layout_files(IMAGE, OTHER), "", "holds 2 images"),
        (layout_files(IMAGE, OTHER), ":3", "holds no image of the tag 3"),
        ({**layout_files(IMAGE), "index.json": index_of()}, "", "holds no image"),
    ],
    ids=["several", "no such tag", "none"],
)
def test_one_image_must_be_meant(read: Read, files: Files, tag: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read("oci", files, tag)


def test_an_archive_of_several_images_is_refused(read: Read) -> None:
    entry: dict[str, Any] = {"Config": blob_file(IMAGE.config)[0], "RepoTags": None, "Layers": []}
    with pytest.raises(UsageError, match="holds 2 images"):
        read("archive", {**IMAGE.files, "manifest.json": as_json([entry, entry])})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("oci:", "names no image"),
        ("archive:", "names no image"),
        ("oci:{}/nothing", "is no OCI layout"),
        ("oci:{}/nothing:tag", "is no OCI layout"),
        ("oci:{}", "is no OCI layout"),
        ("archive:{}/nothing", "cannot be read"),
        ("archive:{}", "is not a file"),
        ("archive:/dev/null", "is not a file"),
        ("archive:{}/pipe", "is not a file"),
    ],
)
def test_a_place_without_an_image_is_named(
    tmp_path: Path, options: SourceOptions, name: str, message: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match=message):
        open_source(name.format(tmp_path), options)


@pytest.mark.parametrize(
    "name",
    ["index.json", "manifest", "config", "layer"],
)
def test_a_pipe_in_a_layout_is_not_waited_for(tmp_path: Path, options: SourceOptions, name: str) -> None:
    blobs = {"manifest": IMAGE.manifest, "config": IMAGE.config, "layer": IMAGE.blobs[0]}
    lay_out(tmp_path / "oci", layout_files(IMAGE))
    path = tmp_path / "oci" / (blob_file(blobs[name])[0] if name in blobs else name)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UsageError, match="is not a file"):
        list_image(open_source(f"oci:{tmp_path}/oci", options), options.listings)


@pytest.mark.parametrize("kind", ["oci", "archive"])
@pytest.mark.parametrize("missing", ["manifest", "config", "layer"])
def test_a_missing_blob_is_an_error_of_ours(read: Read, kind: str, missing: str) -> None:
    data = {"manifest": IMAGE.manifest, "config": IMAGE.config, "layer": IMAGE.blobs[0]}[missing]
    files = layout_files(IMAGE)
    del files[blob_file(data)[0]]
    with pytest.raises(EnvbuildError):
        read(kind, files)


@pytest.mark.parametrize("document", ["manifest", "config"])
def test_a_document_that_is_another_is_found(read: Read, document: str) -> None:
    data = {"manifest": IMAGE.manifest, "config": IMAGE.config}[document]
    with pytest.raises(IntegrityError, match="is not what its name says"):
        read("oci", {**layout_files(IMAGE), blob_file(data)[0]: data + b"\n"})


JUNK: tuple[Any, ...] = (None, True, 5, "text", [], [5], ["text"], [None], {}, {"a": 1}, [[]], 1e400)


def junk_files() -> dict[str, tuple[str, Files]]:
    """Return layouts and archives with junk in the place of one document or field."""
    found: dict[str, tuple[str, Files]] = {}
    sound = layout_files(IMAGE)
    for value in JUNK:
        for kind in ("oci", "archive"):
            found[f"{kind}: index.json {value!r}"] = kind, {**sound, "index.json": as_json(value)}
            for field in ("manifests",):
                text = as_json({"schemaVersion": 2, field: value})
                found[f"{kind}: {field} {value!r}"] = kind, {**sound, "index.json": text}
            for field in ("annotations", "digest", "mediaType", "size"):
                entry = {**descriptor(IMAGE.manifest), field: value}
                found[f"{kind}: {field} {value!r}"] = kind, {**sound, "index.json": index_of(entry)}
        found[f"manifest.json {value!r}"] = "archive", {**IMAGE.files, "manifest.json": as_json(value)}
        for field in ("Config", "RepoTags", "Layers"):
            row = {"Config": blob_file(IMAGE.config)[0], field: value}
            found[f"manifest.json {field} {value!r}"] = (
                "archive",
                {**IMAGE.files, "manifest.json": as_json([row])},
            )
        for field in ("config", "rootfs", "architecture", "os", "created", "history", "variant"):
            found[f"{field} {value!r}"] = "oci", layout_files(SmallImage([ONE], changes={field: value}))
        for field in ("Env", "Cmd", "Entrypoint", "Labels", "User", "WorkingDir"):
            found[f"config.{field} {value!r}"] = (
                "oci",
                layout_files(SmallImage([ONE], settings={field: value})),
            )
    for text in (b"", b"{", b"[" * 100_000, b"\xff\xfe{", b"{}" * 2, b'{"a": ' + b"9" * 5000 + b"}"):
        for kind in ("oci", "archive"):
            found[f"{kind}: index.json {text[:9]!r}"] = kind, {**sound, "index.json": text}
        found[f"manifest.json {text[:9]!r}"] = "archive", {**IMAGE.files, "manifest.json": text}
    return found


JUNK_FILES = junk_files()


@pytest.mark.parametrize(("kind", "files"), JUNK_FILES.values(), ids=JUNK_FILES)
def test_junk_ends_in_an_image_or_in_an_error_of_ours(read: Read, kind: str, files: Files) -> None:
    try:
        image, _ = read(kind, files)
        assert image.facts.diff_ids is not None
        assert image.document is not None
    except EnvbuildError:
        pass


@pytest.mark.parametrize("data", [b"", b"hello", b"x" * 5000, bytes(512), b"\x1f\x8b"], ids=len)
def test_what_is_no_archive_is_named(tmp_path: Path, options: SourceOptions, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(ImageError, match="is no archive of an image"):
        open_source(f"archive:{tmp_path}/file", options)


def test_an_archive_that_is_cut_short_ends_in_an_error_of_ours(
    tmp_path: Path, options: SourceOptions
) -> None:
    """At whatever byte: in a header, in a document, in a layer."""
    whole = archive_of(docker_files(IMAGE))
    place = tmp_path / "file"
    for length in range(0, len(whole) - 1024, 97):
        place.write_bytes(whole[:length])
        try:
            image = open_source(f"archive:{place}", options)
            list_image(image, ListingCache(tmp_path / "none"))
        except EnvbuildError:
            continue


PACKED = {
    "plain": bytes,
    "gzip": lambda data: gzip.compress(data, 1, mtime=0),
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("files", [docker_files(IMAGE), layout_files(IMAGE)], ids=["docker", "layout"])
def test_an_archive_may_be_compressed(
    tmp_path: Path, options: SourceOptions, files: Files, pack: Callable[[bytes], bytes]
) -> None:
    """As engines load it."""
    (tmp_path / "file").write_bytes(pack(archive_of(files)))
    image = open_source(f"archive:{tmp_path}/file", options)
    assert list_image(image, options.listings) == LISTINGS


@pytest.mark.parametrize("pack", PACKED.values(), ids=PACKED)
def test_a_compressed_archive_that_is_damaged_ends_in_an_error_of_ours(
    tmp_path: Path, options: SourceOptions, pack: Callable[[bytes], bytes]
) -> None:
    """In the middle of a layer too, whose bytes are read by whoever asked for the file."""
    whole = pack(archive_of(docker_files(SmallImage([[file("noise", os.urandom(20_000))]]))))
    place = tmp_path / "file"
    for at in range(5, len(whole) - 12_000, 499):
        place.write_bytes(whole[:at])
        with pytest.raises(EnvbuildError):
            open_source(f"archive:{place}", options)
        place.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        with contextlib.suppress(EnvbuildError):
            open_source(f"archive:{place}", options)


def test_an_archive_whose_headers_are_read_in_different_ways_is_refused(
    tmp_path: Path, options: SourceOptions
) -> None:
    """What engines pass over must not give another file its name."""
    named = tarfile.TarInfo("x")
    named.type, data = tarfile.XGLTYPE, b"22 path=manifest.json\n"
    named.size = len(data)
    (tmp_path / "file").write_bytes(named.tobuf() + data.ljust(512, b"\0") + archive_of(docker_files(IMAGE)))
    with pytest.raises(ImageError, match="is no archive of an image") as caught:
        open_source(f"archive:{tmp_path}/file", options)
    assert "a global header" in (caught.value.detail or "")


def other_docker_file(image: SmallImage, *more: SmallImage) -> Files:
    """Return a layout of an image whose `manifest.json` names others."""
    others = [*docker_files(image).items()] + [item for one in more for item in one.files.items()]
    entries = [{"Config": blob_file(one.config)[0], "Layers": []} for one in more]
    return {**dict(others), "manifest.json": as_json(entries)}


@pytest.mark.parametrize(
    "files",
    [
        other_docker_file(IMAGE, OTHER),
        other_docker_file(OTHER, IMAGE),
        other_docker_file(IMAGE, IMAGE, OTHER),
        other_docker_file(IMAGE),
    ],
    ids=["another", "the other way round", "one more", "none"],
)
def test_both_lists_of_an_archive_must_name_the_same_image(read: Read, files: Files) -> None:
    """Some engines read the one, some the other."""
    with pytest.raises(IntegrityError, match="name different images"):
        read("archive", files)


def test_both_lists_of_an_archive_may_name_the_same_image(read: Read) -> None:
    assert read("archive", other_docker_file(IMAGE, IMAGE))[1] == LISTINGS


def platform(os_: str = "linux", architecture: str = "amd64", **more: str) -> dict[str, Any]:
    return {"platform": {"os": os_, "architecture": architecture, **more}}


SEVERAL = {
    "two": [platform(), platform()],
    "two variants": [platform(), platform(variant="v3")],
    "one without a platform": [platform(), {}],
    "two without a platform": [{}, {}],
    "another name": [platform(architecture="x86_64"), platform()],
    "another spelling": [platform("Linux"), platform()],
}


@pytest.mark.parametrize("kind", ["oci", "archive"])
@pytest.mark.parametrize("places", SEVERAL.values(), ids=SEVERAL)
def test_an_index_that_leaves_a_choice_is_refused(
    read: Read, kind: str, places: list[Mapping[str, Any]]
) -> None:
    manifests = (IMAGE.manifest, OTHER.manifest)
    entries = [descriptor(data, **more) for data, more in zip(manifests, places, strict=True)]
    inner = index_of(*entries)
    files = {
        **layout_files(IMAGE, OTHER),
        "index.json": index_of(descriptor(inner, OCI_INDEX)),
        **dict([blob_file(inner)]),
    }
    with pytest.raises(ManifestError, match="the index offers 2 images for linux/amd64"):
        read(kind, files)


@pytest.mark.parametrize("count", [stored_image.MOST_LAYERS, stored_image.MOST_LAYERS + 1])
def test_an_image_of_more_layers_than_any_engine_takes_is_refused(read: Read, count: int) -> None:
    """One small layer can be named any number of times."""
    many = SmallImage([[file("a")]] * count)
    if count <= stored_image.MOST_LAYERS:
        assert len(read("oci", layout_files(many))[1]) == count
    else:
        with pytest.raises(ImageError, match=f"the image has {count} layers"):
            read("oci", layout_files(many))


def spelled(data: bytes, old: str, new: str) -> bytes:
    assert data.count(old.encode()) == 1
    return data.replace(old.encode(), new.encode())


AMBIGUOUS: Mapping[str, Callable[[str], str]] = {
    "in capitals": lambda key: f'"{key.upper()}": null, "{key}":',
    "in capitals, last": lambda key: f'"{key}": null, "{key.upper()}":',
    "twice": lambda key: f'"{key}": null, "{key}":',
}


@pytest.mark.parametrize("wording", AMBIGUOUS.values(), ids=AMBIGUOUS)
@pytest.mark.parametrize("kind", ["oci", "archive"])
@pytest.mark.parametrize(
    ("document", "key"),
    [("index.json", "manifests"), ("manifest", "layers"), ("config", "rootfs"), ("config", "diff_ids")],
)
def test_a_document_that_programs_read_in_different_ways_is_refused(
    read: Read, kind: str, document: str, key: str, wording: Callable[[str], str]
) -> None:
    config, manifest = IMAGE.config, IMAGE.manifest
    if document == "config":
        config = spelled(config, f'"{key}":', wording(key))
        manifest = as_json({**json.loads(manifest), "config": descriptor(config, OCI_CONFIG)})
    elif document == "manifest":
        manifest = spelled(manifest, f'"{key}":', wording(key))
    index = index_of(descriptor(manifest))
    if document == "index.json":
        index = spelled(index, f'"{key}":', wording(key))
    blobs = dict(map(blob_file, [config, manifest, *IMAGE.blobs]))
    with pytest.raises(ManifestError):
        read(kind, {**layout_files(IMAGE), **blobs, "index.json": index})


@pytest.mark.parametrize("wording", AMBIGUOUS.values(), ids=AMBIGUOUS)
@pytest.mark.parametrize("key", ["Config", "RepoTags", "Layers"])
def test_a_list_of_images_that_programs_read_in_different_ways_is_refused(
    read: Read, key: str, wording: Callable[[str], str]
) -> None:
    for files in (docker_files(IMAGE), legacy_files(IMAGE)):
        named = spelled(files["manifest.json"], f'"{key}":', wording(key))
        with pytest.raises(ManifestError):
            read("archive", {**files, "manifest.json": named})


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
@pytest.mark.parametrize("name", ["index.json", "manifest.json"])
def test_only_utf_8_is_read(read: Read, name: str, encoding: str) -> None:
    files = docker_files(IMAGE) if name == "index.json" else legacy_files(IMAGE)
    with pytest.raises(EnvbuildError, match=r"not well formed"):
        read("archive", {**files, name: files[name].decode().encode(encoding)})


@pytest.mark.parametrize("name", ["index.json", "manifest.json"])
@pytest.mark.parametrize("start", [b" ", b"\n", b"\t\r\n"], ids=repr)
def test_a_list_of_images_may_begin_with_space(read: Read, name: str, start: bytes) -> None:
    """It is the list to engines, which must not be taken for another file and be passed over."""
    other = {**docker_files(IMAGE), name: start + docker_files(OTHER)[name], **OTHER.files}
    with pytest.raises(IntegrityError, match="name different images"):
        read("archive", other)
    same = {**docker_files(IMAGE), name: start + docker_files(IMAGE)[name]}
    assert read("archive", same)[1] == LISTINGS


@pytest.mark.parametrize("name", ["index.json", "manifest.json"])
@pytest.mark.parametrize("data", [b"", b"text", b"\xef\xbb\xbf{}"], ids=repr)
def test_a_list_of_images_that_is_no_json_is_not_passed_over(read: Read, name: str, data: bytes) -> None:
    with pytest.raises(EnvbuildError, match=r"is no JSON|is not well formed"):
        read("archive", {**docker_files(IMAGE), name: data})


CONFIG = f"{digest_of(IMAGE.config)[7:]}.json"
FILE = f"{digest_of(OTHER.config)[7:]}.json"
OTHER_FILE = file(FILE, OTHER.config)
TWO_FILES: Mapping[str, tuple[Files, list[Entry]]] = {
    "a path twice": (legacy_files(IMAGE), [file(CONFIG, OTHER.config)]),
    "a path twice, spelled otherwise": (legacy_files(IMAGE), [file(f"./{CONFIG}", OTHER.config)]),
    "a list twice": (legacy_files(IMAGE), [file("manifest.json", "[]")]),
    "a link in the place of a file": (legacy_files(IMAGE), [OTHER_FILE, link(CONFIG, FILE)]),
    "another name in the place of a file": (legacy_files(IMAGE), [OTHER_FILE, hard_link(CONFIG, FILE)]),
    "a list that is a link": (layout_files(IMAGE), [file("x", "[]"), link("manifest.json", "x")]),
    "a list that is another name": (layout_files(IMAGE), [file("x", "[]"), hard_link("manifest.json", "x")]),
    "an index that is a link": (legacy_files(IMAGE), [file("x", "{}"), link("index.json", "x")]),
    "an index that is a folder": (legacy_files(IMAGE), [folder("index.json")]),
    "a link in the place of a folder": (layout_files(IMAGE), [folder("x"), link("blobs/sha256", "../x")]),
    "a file below a link": (layout_files(IMAGE), [link("x", "blobs"), file("x/sha256/a", "1")]),
    "a folder below a link": (layout_files(IMAGE), [link("x", "blobs"), folder("x/sha256")]),
    "a file in the place of a folder": (layout_files(IMAGE), [file("blobs", "1")]),
}


@pytest.mark.parametrize(("files", "more"), TWO_FILES.values(), ids=TWO_FILES)
def test_an_archive_that_unpacks_to_other_files_than_it_has_is_refused(
    tmp_path: Path, options: SourceOptions, files: Files, more: list[Entry]
) -> None:
    """Some engines unpack it into a folder, others read it as it comes."""
    place = tmp_path / "file"
    place.write_bytes(archive_of(files)[: end_of(archive_of(files))] + layer(*more))
    with pytest.raises(ImageError, match=r"twice|is no file|in the place of a folder"):
        open_source(f"archive:{place}", options)


def end_of(archive: bytes) -> int:
    """Return where the empty blocks begin that close an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as stream:
        last = stream.getmembers()[-1]
    return last.offset_data + -(-last.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def test_layers_of_an_archive_may_be_links(tmp_path: Path, options: SourceOptions) -> None:
    """Engines before 25 wrote a layer that is there twice as a link; folders may be listed again."""
    whole = archive_of(legacy_files(IMAGE))
    more = layer(folder("x"), link("x/layer.tar", "../y/layer.tar"), folder("x"))
    (tmp_path / "file").write_bytes(whole[: end_of(whole)] + more)
    image = open_source(f"archive:{tmp_path}/file", options)
    assert list_image(image, options.listings) == LISTINGS


def test_an_archive_of_too_many_paths_is_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MOST_PATHS", 5)
    with pytest.raises(ImageError, match="more than 5 paths"):
        read("archive", docker_files(IMAGE))


def test_an_archive_of_too_large_documents_is_refused(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "LARGEST_DOCUMENTS", 300)
    with pytest.raises(ImageError, match="more than 300 bytes"):
        read("archive", docker_files(IMAGE))


def test_a_large_document_is_none(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken for a layer, and is no archive."""
    monkeypatch.setattr(archive_module, "LARGEST_DOCUMENT", 100)
    with pytest.raises(ImageError):
        read("archive", docker_files(IMAGE))


def test_other_files_of_an_archive_do_no_harm(read: Read) -> None:
    files = {"README": b"hello", "empty": b"", "oci.sig/x": b"\0" * 100, **docker_files(IMAGE)}
    assert read("archive", files)[1] == LISTINGS


def test_a_layer_whose_first_file_has_a_brace_is_no_document(read: Read) -> None:
    """The name is what an uncompressed layer begins with."""
    image = SmallImage([[file("{a", "1"), file("[", "2")]])
    assert read("archive", legacy_files(image))[1] == (listing(*image.layers[0]),)


def test_nothing_is_left_of_layers_in_the_cache_folder(read: Read, options: SourceOptions) -> None:
    read("archive", docker_files(IMAGE))
    assert [path for path in (options.cache / "partial").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("oci:x", True), ("archive:x", True), ("registry:x", True), ("train:oci", False), ("oci", False)],
)
def test_sources_are_told_from_references(name: str, *, expected: bool) -> None:
    assert is_source(name) is expected
