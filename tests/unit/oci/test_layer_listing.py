"""What a layer holds, entry by entry."""

import gzip
import importlib.util
import json
import os
import py_compile
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from envbuild.errors import IntegrityError
from envbuild.formats.tar_reader import LayerError
from envbuild.oci import layer_listing
from envbuild.oci.layer_listing import (
    FORM,
    UNCHECKED_DIGEST,
    FileRecord,
    LayerListing,
    list_layer,
)
from tests.rig.tar_layers import (
    Entry,
    emptying,
    file,
    folder,
    hard_link,
    in_pieces,
    layer,
    link,
    listing,
    removal,
    sha256,
)

EMPTY = sha256(b"")
EVERYTHING = (
    folder("usr", mode=0o755),
    file("usr/tool", b"\0binary", mode=0o4755, owner=(0, 42)),
    file("usr/empty"),
    link("usr/link", "../tool"),
    hard_link("usr/other", "usr/tool"),
    Entry(name="dev/null", kind="c", device=(1, 3), mode=0o666),
    Entry(name="dev/sda", kind="b", device=(8, 0), mode=0o660, owner=(0, 6)),
    Entry(name="run/pipe", kind="p", mode=0o600),
    removal("etc/passwd"),
    removal("gone"),
    emptying("var/cache"),
)


def records(*entries: Entry) -> dict[str, FileRecord]:
    return dict(listing(*entries).entries)


def record_of(entry: Entry) -> FileRecord:
    (record,) = records(entry).values()
    return record


def test_every_kind_of_entry_is_listed_in_the_order_of_the_archive() -> None:
    found = listing(*EVERYTHING)
    tool = sha256(b"\0binary")
    assert found.entries == (
        ("usr", FileRecord("d", 0o755, 0, 0, 0, None)),
        ("usr/tool", FileRecord("f", 0o4755, 0, 42, 7, tool)),
        ("usr/empty", FileRecord("f", 0o644, 0, 0, 0, EMPTY)),
        ("usr/link", FileRecord("l", 0, 0, 0, 0, "../tool")),
        ("usr/other", FileRecord("h", 0o644, 0, 0, 0, "usr/tool")),
        ("dev/null", FileRecord("c", 0o666, 0, 0, 0, "1:3")),
        ("dev/sda", FileRecord("b", 0o660, 0, 6, 0, "8:0")),
        ("run/pipe", FileRecord("p", 0o600, 0, 0, 0, None)),
    )
    assert found.whiteouts == ("etc/passwd", "gone")
    assert found.opaques == ("var/cache",)


@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, zstandard.ZstdCompressor().compress], ids=["plain", "gzip", "zstd"]
)
def test_the_digest_is_that_of_the_uncompressed_archive(compress: Callable[[bytes], bytes]) -> None:
    plain = layer(*EVERYTHING)
    found = list_layer(in_pieces(compress(plain)))
    assert (found.diff_id, found.size) == (f"sha256:{sha256(plain)}", len(plain))
    assert found == list_layer([plain])


@pytest.mark.parametrize(
    "tail", [b"x", bytes(10_240), layer(file("after"))], ids=["a byte", "zeros", "an archive"]
)
def test_bytes_behind_the_end_of_the_archive_are_part_of_the_digest_alone(tail: bytes) -> None:
    """No engine reads them as entries; that they are there shows in the digest."""
    plain = layer(file("a"))
    found = list_layer([plain + tail])
    assert [path for path, _ in found.entries] == ["a"]
    assert found.diff_id == f"sha256:{sha256(plain + tail)}"


def test_an_empty_layer_has_no_entries() -> None:
    assert list_layer([]).entries == ()
    assert list_layer([layer()]).entries == ()


@pytest.mark.parametrize("name", ["./usr/a", "/usr/a", "usr//a", "usr/./a", "usr/a/"])
def test_a_path_has_one_spelling(name: str) -> None:
    assert list(records(Entry(name=name))) == ["usr/a"]


@pytest.mark.parametrize("name", [".", "./", "/"])
def test_the_root_has_the_empty_path(name: str) -> None:
    assert records(folder(name, mode=0o700, owner=(5, 6))) == {"": FileRecord("d", 0o700, 5, 6, 0, None)}


@pytest.mark.parametrize("name", ["../etc/passwd", "usr/../../etc/passwd", "usr/.."])
def test_a_path_that_climbs_is_refused(name: str) -> None:
    with pytest.raises(LayerError, match="unsafe path"):
        listing(file(name))


def test_a_hard_link_that_climbs_is_refused() -> None:
    with pytest.raises(LayerError, match="unsafe path"):
        listing(file("a"), hard_link("b", "../a"))


@pytest.mark.parametrize("target", ["/usr/../usr/tool", "..", "", "no/such", "a\nb"])
def test_a_link_may_lead_anywhere(target: str) -> None:
    assert record_of(link("link", target)).content == target


def test_names_that_are_no_text_are_told_apart_and_survive_json() -> None:
    """A file name is any bytes but NUL and slash; these two are one when undecodable bytes are dropped."""
    names = [os.fsdecode(name) for name in (b"a\xff", b"a\xfe", b"a\xc3\xa9", b"a\xe9")]
    found = listing(*(file(name, name.encode(errors="surrogateescape")) for name in names))
    assert [path for path, _ in found.entries] == names
    assert len({record.content for _, record in found.entries}) == 4
    assert LayerListing.of(json.loads(json.dumps(found.document()))) == found


def test_a_listing_survives_json() -> None:
    capable = file("ping", headers={"SCHILY.xattr.security.capability": "\x01\0\0\x02"})
    found = listing(*EVERYTHING, capable)
    assert LayerListing.of(json.loads(json.dumps(found.document()))) == found


@pytest.mark.parametrize(
    "document",
    [None, {}, [], [1, 2, 3], ["sha256:x", 1, [["a", "f"]], [], []], ["sha256:x", 1, 5, [], []], "text"],
    ids=repr,
)
def test_what_is_no_listing_raises_what_a_cache_expects(document: object) -> None:
    with pytest.raises((ValueError, LookupError, TypeError, AttributeError)):
        LayerListing.of(document)


def test_attributes_are_listed_by_name_in_hexadecimal() -> None:
    found = record_of(
        file(
            "ping",
            headers={
                "SCHILY.xattr.user.note": "\N{EURO SIGN}",
                "SCHILY.xattr.security.capability": os.fsdecode(b"\1\0\0\2\xff"),
            },
        )
    )
    assert found.attributes == (
        ("SCHILY.xattr.security.capability", "01000002ff"),
        ("SCHILY.xattr.user.note", "e282ac"),
    )


def test_a_folder_and_a_link_may_have_attributes() -> None:
    headers = {"SCHILY.xattr.user.a": "1"}
    for entry in (folder("x", headers=headers), link("x", "y", headers=headers)):
        assert record_of(entry).attributes == (("SCHILY.xattr.user.a", "31"),)


@pytest.mark.parametrize(
    "header",
    ["mtime", "atime", "ctime", "LIBARCHIVE.creationtime", "SCHILY.dev", "SCHILY.ino", "SCHILY.nlink"],
)
def test_times_and_numbers_of_inodes_are_not_kept(header: str) -> None:
    assert record_of(file("a", headers={header: "12.5"})) == record_of(file("a"))


def test_any_other_header_counts_as_an_attribute() -> None:
    """Better a difference that means nothing than one that is not seen."""
    found = record_of(file("a", headers={"SCHILY.acl.access": "user::rw-", "VENDOR.thing": "1"}))
    assert [name for name, _ in found.attributes] == ["SCHILY.acl.access", "VENDOR.thing"]


def test_long_names_and_large_numbers_of_owners_come_from_extended_headers() -> None:
    name, owner = "/".join(["long" * 10] * 6), (3_000_000, 4_000_000)
    found = record_of(file(name, owner=owner))
    assert (found.uid, found.gid) == owner
    assert found.attributes == ()
    (path,) = dict(listing(file(name)).entries)
    assert path == name


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT], ids=["pax", "gnu"])
def test_both_formats_of_long_names_are_read(form: int) -> None:
    name, target = "n" * 200, "t" * 200
    found = list_layer([layer(link(name, target), form=form)])
    assert found.entries == ((name, FileRecord("l", 0, 0, 0, 0, target)),)


@pytest.mark.parametrize(
    "form", [["gnu"], ["pax"], *(["pax", f"--sparse-version={version}"] for version in ("0.0", "0.1", "1.0"))]
)
def test_a_file_with_holes_is_refused(tmp_path: Path, form: list[str]) -> None:
    """Programs keep different accounts of where they are, and so find different contents."""
    holey = tmp_path / "holey"
    with holey.open("wb") as stream:
        stream.seek(1 << 20)
        stream.write(b"end")
    archive = subprocess.run(
        ["tar", "--sparse", f"--format={form[0]}", *form[1:], "-C", tmp_path, "-cf", "-", "holey"],
        capture_output=True,
        check=True,
    ).stdout
    assert len(archive) < 1 << 18
    with pytest.raises(LayerError, match=r"stored with holes: 'holey'|headers of a sparse file"):
        list_layer(in_pieces(archive))


@pytest.mark.parametrize("entry", [file("a", b"x"), folder("a"), link("a", "b"), Entry(name="a", kind="c")])
@pytest.mark.parametrize("header", ["GNU.sparse.map", "GNU.sparse.realsize", "GNU.sparse.anything"])
def test_an_entry_that_speaks_of_holes_is_refused(entry: Entry, header: str) -> None:
    with pytest.raises(LayerError, match=r"holes|sparse"):
        listing(replace(entry, headers={header: "1"}))


LONG = "/".join(["d" * 254] * 16)
"""Of 4079 letters."""


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        (file(f"{LONG}/{'f' * 16}"), f"{LONG}/{'f' * 16}"),
        (file("é" * 255), "é" * 255),
        (folder("d" * 255), "d" * 255),
        (link("a", f"{LONG}/{'f' * 16}"), "a"),
    ],
    ids=["a path", "a name of letters", "a folder", "a target"],
)
def test_a_path_may_be_as_long_as_linux_takes_it(entry: Entry, path: str) -> None:
    assert list(records(entry)) == [path]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (file(f"{LONG}/{'f' * 17}"), "a path of more than 4096 letters"),
        (folder("d/" * 2100), "a path of more than 4096 letters"),
        (link("a", f"{LONG}/{'f' * 17}"), "a path of more than 4096 letters"),
        (link("a", "x" * 4097), "a path of more than 4096 letters"),
        (file("f" * 256), "a name of more than 255 letters"),
        (folder(f"a/{'d' * 256}"), "a name of more than 255 letters"),
        (file(f"{'d' * 256}/f"), "a name of more than 255 letters"),
        (removal("f" * 252), "a name of more than 255 letters"),
    ],
)
def test_a_path_that_is_longer_than_linux_takes_it_is_refused(entry: Entry, message: str) -> None:
    with pytest.raises(LayerError, match=message) as caught:
        listing(entry)
    assert len(caught.value.message) < 300


def test_the_largest_layer_is_one_that_a_disk_holds() -> None:
    assert layer_listing.LARGEST_LAYER == 32 << 30


def test_a_contiguous_file_is_a_file_and_no_plain_one() -> None:
    """Programs read it in different ways."""
    plain = record_of(file("a", b"x"))
    assert plain.attributes == ()
    assert record_of(Entry(name="a", kind="7", content=b"x")) == plain._replace(attributes=((FORM, "37"),))


def test_an_old_plain_file_is_a_plain_one() -> None:
    """Type NUL, as tar had it before POSIX."""
    assert record_of(Entry(name="a", kind="\0", content=b"x")) == record_of(file("a", b"x"))


def test_checked_bytecode_in_an_odd_form_has_both_derived_attributes(tmp_path: Path) -> None:
    content = bytecode(tmp_path, "checked")
    found = record_of(Entry(name="a.pyc", kind="7", content=content))
    assert [name for name, _ in found.attributes] == [FORM, UNCHECKED_DIGEST]
    assert found.attributes[1:] == record_of(file("a.pyc", content)).attributes


def test_an_attribute_cannot_pass_for_the_form() -> None:
    forged = record_of(file("a", b"x", headers={FORM: "7"}))
    assert forged != record_of(file("a", b"x"))
    assert forged != record_of(Entry(name="a", kind="7", content=b"x"))


@pytest.mark.parametrize(
    ("entry", "whiteouts", "opaques"),
    [
        (file(".wh.a"), ("a",), ()),
        (file("usr/.wh.a"), ("usr/a",), ()),
        (file("usr/.wh..wh..opq"), (), ("usr",)),
        (file(".wh..wh..opq"), (), ("",)),
        (file("usr/.wh..hidden"), ("usr/.hidden",), ()),
        # what aufs notes for itself
        (file(".wh..wh.aufs"), (), ()),
        (folder(".wh..wh.plnk"), (), ()),
        # the name decides, whatever it is
        (folder("usr/.wh.a"), ("usr/a",), ()),
        (Entry(name="usr/.wh.a", kind="c"), ("usr/a",), ()),
    ],
)
def test_removals_are_told_by_name(
    entry: Entry, whiteouts: tuple[str, ...], opaques: tuple[str, ...]
) -> None:
    found = listing(entry)
    assert (found.entries, found.whiteouts, found.opaques) == ((), whiteouts, opaques)


def test_a_removal_after_an_entry_of_its_path_is_late() -> None:
    """Engines that keep layers as folders remove what was just unpacked."""
    found = listing(removal("a"), file("a"), removal("a/b"), file("c/d"), removal("c"), removal("cd"))
    assert found.whiteouts == ("a", "a/b", "c", "cd")
    assert found.late_whiteouts == ("c",)
    assert LayerListing.of(json.loads(json.dumps(found.document()))) == found


def test_what_lies_below_a_removal_is_an_entry() -> None:
    """It is no removal, and engines make it: it must not stay unseen."""
    assert list(records(file(".wh.a/b"), file(".wh..wh.plnk/c"))) == [".wh.a/b", ".wh..wh.plnk/c"]


MODES = {
    "checked": py_compile.PycInvalidationMode.CHECKED_HASH,
    "unchecked": py_compile.PycInvalidationMode.UNCHECKED_HASH,
    "timestamp": py_compile.PycInvalidationMode.TIMESTAMP,
}


def bytecode(folder_: Path, mode: str) -> bytes:
    source = folder_ / "demo.py"
    source.write_text("def answer():\n    return 42\n")
    made = Path(importlib.util.cache_from_source(str(source)))
    py_compile.compile(str(source), cfile=str(made), doraise=True, invalidation_mode=MODES[mode])
    return made.read_bytes()


def test_checked_bytecode_also_has_the_digest_it_would_have_unchecked(tmp_path: Path) -> None:
    """Dev containers set that one bit for packages that people edit."""
    checked = record_of(file("a.pyc", bytecode(tmp_path, "checked")))
    unchecked = record_of(file("a.pyc", bytecode(tmp_path, "unchecked")))
    assert checked.content != unchecked.content
    assert checked.attributes == ((UNCHECKED_DIGEST, unchecked.content),)
    assert unchecked.attributes == ()


@pytest.mark.parametrize(
    ("name", "mode"), [("a.pyc", "timestamp"), ("a.py", "checked"), ("a.pyc.txt", "checked")]
)
def test_no_other_file_has_such_a_digest(tmp_path: Path, name: str, mode: str) -> None:
    assert record_of(file(name, bytecode(tmp_path, mode))).attributes == ()


@pytest.mark.parametrize("content", [b"", b"\3\0\0\0", b"magi\3\0\0", b"magi\3\0\0\0"], ids=repr)
def test_bytecode_that_is_cut_short_is_a_file_like_others(content: bytes) -> None:
    found = record_of(file("a.pyc", content))
    assert found.content == sha256(content)
    assert (found.attributes == ()) is (len(content) < 8)


def test_an_attribute_cannot_pass_for_the_derived_digest(tmp_path: Path) -> None:
    """A header of that name is there beside the real one, so that the records differ."""
    content = bytecode(tmp_path, "checked")
    forged = record_of(file("a.pyc", content, headers={UNCHECKED_DIGEST: "x"}))
    assert forged != record_of(file("a.pyc", content))


def test_a_header_of_the_right_bytes_cannot_pass_for_the_derived_digest(tmp_path: Path) -> None:
    """Values of headers are any bytes: those of a digest too."""
    unchecked = record_of(file("a.pyc", bytecode(tmp_path, "unchecked")))
    value = os.fsdecode(bytes.fromhex(unchecked.content or ""))
    forged = record_of(file("a.pyc", b"evil", headers={UNCHECKED_DIGEST: value}))
    assert UNCHECKED_DIGEST not in dict(forged.attributes)
    assert unchecked.content in dict(forged.attributes).values()


def test_a_layer_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress(layer(file("zeros", bytes(1 << 20))))
    assert len(packed) < 1 << 14
    monkeypatch.setattr(layer_listing, "LARGEST_LAYER", 1 << 18)
    with pytest.raises(LayerError, match="unpacks to more than 262144 bytes"):
        list_layer([packed])


def test_a_layer_of_too_many_entries_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_listing, "MOST_PATHS", 2)
    assert len(listing(file("a"), file("b")).entries) == 2
    with pytest.raises(LayerError, match="more than 2 entries"):
        listing(file("a"), file("b"), file("c"))


def test_removals_count_as_entries_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take memory as well."""
    monkeypatch.setattr(layer_listing, "MOST_PATHS", 2)
    with pytest.raises(LayerError, match="more than 2 entries"):
        listing(removal("a"), removal("b"), emptying("c"))


def test_an_entry_with_too_many_attributes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_listing, "LONGEST_ATTRIBUTES", 100)
    with pytest.raises(LayerError, match="too many attributes"):
        listing(file("a", headers={"SCHILY.xattr.user.a": "x" * 100}))


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"x" * 2000,
        layer(file("a", b"content"))[:700],
        gzip.compress(layer(file("a", b"content")))[:-20],
        b"\x1f\x8b" + bytes(100),
    ],
    ids=["text", "long text", "cut tar", "cut gzip", "no gzip"],
)
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(LayerError):
        list_layer(in_pieces(data))


@pytest.mark.parametrize("tail", [b"x", b"\x1f\x8b and more", b"text" * 1000], ids=len)
def test_bytes_behind_what_is_compressed_are_an_error_of_ours(tail: bytes) -> None:
    with pytest.raises(LayerError, match="cannot be decompressed"):
        list_layer(in_pieces(gzip.compress(layer(file("a"))) + tail))


def test_bytes_that_arrive_damaged_are_reported_by_who_gives_them() -> None:
    """That a download was cut or a disk is bad is another error than that an image is odd."""

    def pieces() -> Iterator[bytes]:
        yield from in_pieces(gzip.compress(layer(file("a", os.urandom(5000))))[:3000])
        yield b"x" * 100
        raise IntegrityError("the blob is not what its digest says")

    with pytest.raises(IntegrityError):
        list_layer(pieces())


def test_zstd_that_is_cut_short_is_another_layer() -> None:
    """The library ends there without a word; the digest does not."""
    plain = layer(file("a", os.urandom(5000)))
    try:
        found = list_layer([zstandard.ZstdCompressor().compress(plain)[:-100]])
    except LayerError:
        return
    assert found.diff_id != f"sha256:{sha256(plain)}"


@pytest.mark.parametrize("kind", ["V", "M", "Z"])
def test_an_entry_of_a_kind_that_no_engine_unpacks_is_refused(kind: str) -> None:
    """Its content would be hashed by none, and some programs make a file of it."""
    with pytest.raises(LayerError, match="unknown kind"):
        listing(Entry(name="a", kind=kind, content=b"payload"))
