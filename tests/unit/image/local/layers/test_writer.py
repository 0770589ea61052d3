import hashlib
import io
import tarfile
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from envbuild.formats.compression import Codec, codec_of
from envbuild.formats.tar_writer import TarEntry, header
from envbuild.image.local.layers.writer import MTIME, EntryOrderError, LayerWriter, whiteout_name
from envbuild.oci.layer import GZIP_LAYER, ZSTD_LAYER

ZSTD, GZIP = codec_of("zstd"), codec_of("gzip")


def write(fill, codec=ZSTD):
    file = io.BytesIO()
    with LayerWriter(file, codec, comment="test") as writer:
        fill(writer)
    return writer.layer, file.getvalue()


def unpack(data: bytes, codec: Codec = ZSTD) -> bytes:
    if codec.name == "gzip":
        return zlib.decompress(data, 16 + zlib.MAX_WBITS)
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


def some_of_everything(writer):
    writer.add_directory("opt")
    writer.add_whiteout("opt/a")
    writer.add_opaque("opt/cleared")
    writer.add_device("opt/console", (5, 1), mode=0o620, gid=5)
    writer.add_file("opt/file", 5, [b"he", b"llo"], mode=0o4755, uid=1000, gid=1000, mtime=1_700_000_000)
    writer.add_hardlink("opt/file2", "opt/file", mode=0o4755)
    writer.add_symlink("opt/link", "../" + "x" * 120)
    writer.add_file("opt/ping", 0, [], xattrs={"security.capability": b"\1\0\0\2\0\x20\0\0" + bytes(12)})
    writer.add_fifo("opt/pipe")
    writer.add_file("opt/" + "y" * 300, 1, [b"y"])
    writer.add_file("opt/\u00e9", 1, [b"e"], uid=3_000_000)


@pytest.mark.parametrize("codec", [ZSTD, GZIP], ids=lambda codec: codec.name)
def test_the_standard_library_reads_what_was_written(codec):
    layer, data = write(some_of_everything, codec)
    content = unpack(data, codec)
    assert layer.unpacked == len(content)
    assert layer.size == len(data)
    assert layer.diff_id == f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert layer.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert layer.media_type == (ZSTD_LAYER if codec.name == "zstd" else GZIP_LAYER)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = {member.name: member for member in archive}
        hello = archive.extractfile("opt/file")
        assert hello
        assert hello.read() == b"hello"
    assert list(members) == [
        "opt",
        "opt/.wh.a",
        "opt/cleared/.wh..wh..opq",
        "opt/console",
        "opt/file",
        "opt/file2",
        "opt/link",
        "opt/ping",
        "opt/pipe",
        "opt/" + "y" * 300,
        "opt/\u00e9",
    ]
    file = members["opt/file"]
    assert (file.mode, file.uid, file.gid, file.mtime) == (0o4755, 1000, 1000, 1_700_000_000)
    assert (file.uname, file.gname) == ("", "")
    assert members["opt"].isdir()
    assert members["opt"].mtime == MTIME
    assert members["opt/file2"].linkname == "opt/file"
    assert members["opt/link"].linkname == "../" + "x" * 120
    assert members["opt/pipe"].isfifo()
    console = members["opt/console"]
    assert (console.ischr(), console.devmajor, console.devminor) == (True, 5, 1)
    assert members["opt/ping"].pax_headers["SCHILY.xattr.security.capability"].startswith("\1\0\0\2")
    assert members["opt/\u00e9"].uid == 3_000_000


def test_entries_out_of_order_are_refused():
    with pytest.raises(EntryOrderError, match="b'a' comes after b'b'"):
        write(lambda writer: (writer.add_directory("b"), writer.add_directory("a")))
    with pytest.raises(EntryOrderError):
        write(lambda writer: (writer.add_directory("a"), writer.add_directory("a")))


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "./a", "a/../b", "a\0b", ".wh.a", "a/.wh.b"])
def test_names_that_cannot_be_are_refused(name):
    with pytest.raises(ValueError):
        write(lambda writer: writer.add_file(name, 0, []))


@pytest.mark.parametrize("chunks", [[], [b"1"], [b"12", b"3"]])
def test_a_file_of_another_size_than_it_was_said_to_have_is_refused(chunks):
    with pytest.raises(ValueError, match="a is not of the 2 bytes it should have"):
        write(lambda writer: writer.add_file("a", 2, chunks))


def test_a_hard_link_needs_its_file_before_it():
    with pytest.raises(EntryOrderError):
        write(lambda writer: writer.add_hardlink("b", "a"))


def test_nothing_is_to_be_had_of_a_layer_that_failed():
    file = io.BytesIO()
    writer = LayerWriter(file, ZSTD, comment="")
    with pytest.raises(OSError), writer:
        raise OSError
    with pytest.raises(RuntimeError):
        _ = writer.layer


def test_whiteouts_have_their_place():
    assert whiteout_name("a/b") == b"a/.wh.b"
    assert whiteout_name("b") == b".wh.b"


def test_files_of_more_than_eight_gigabytes_have_their_size():
    member = tarfile.TarFile.open(fileobj=io.BytesIO(header(TarEntry(name=b"big", size=9 << 30)))).next()
    assert member
    assert member.size == 9 << 30


GOLDEN = {
    "zstd": [
        "zstd -3 by libzstd 1.5.7",
        "sha256:e86c9faa90a5eb0eda7936ce4f93482bbcb5f4b8e7f5c28eee56df869d99e0da",
        "sha256:7d77f40513220545bd64a4cc25e07d2942e34ae2f2bf16ab8f0ca44a2864c5f1",
    ],
    "gzip": [
        "gzip -6 by zlib-ng 2.3.3",
        "sha256:e86c9faa90a5eb0eda7936ce4f93482bbcb5f4b8e7f5c28eee56df869d99e0da",
        "sha256:01ed1e814e03858a84936beeae1d55978fc2cf507806d6cdde32a94aa5b2cdc1",
    ],
}


@pytest.mark.parametrize("codec", [ZSTD, GZIP], ids=lambda codec: codec.name)
def test_a_layer_is_the_golden_one(codec):
    """A change here changes the digest of every layer: the writer's format number must go up with it."""
    layer, _ = write(some_of_everything, codec)
    assert [codec.identity, layer.diff_id, layer.digest] == GOLDEN[codec.name]


PARTS = st.binary(min_size=1, max_size=70).filter(
    lambda part: not set(part) & set(b"/\0") and part not in {b".", b".."} and not part.startswith(b".wh.")
)
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(b"/".join)
NUMBERS = st.one_of(st.integers(0, 3000), st.integers(0, 2**32))
FILES = st.tuples(
    st.binary(max_size=2000),
    st.integers(0, 0o7777),
    NUMBERS,
    NUMBERS,
    st.integers(0, 2**36),
    st.dictionaries(st.sampled_from(["security.capability", "user.x"]), st.binary(min_size=1), max_size=2),
)
TREES = st.dictionaries(PATHS, st.one_of(FILES, PARTS, st.none()), max_size=8)


def fill(writer, tree):
    for path, what in sorted(tree.items()):
        if what is None:
            writer.add_directory(path)
        elif isinstance(what, bytes):
            writer.add_symlink(path, what)
        else:
            data, mode, uid, gid, mtime, xattrs = what
            writer.add_file(path, len(data), [data], mode=mode, uid=uid, gid=gid, mtime=mtime, xattrs=xattrs)


@pytest.mark.property
@given(TREES)
def test_any_tree_is_read_back_by_the_standard_library_as_it_was_written(tree):
    """POSIX.1-2017, pax: a record takes the place of a field the ustar header cannot hold."""
    layer, data = write(lambda writer: fill(writer, tree))
    content = unpack(data)
    assert layer.diff_id == f"sha256:{hashlib.sha256(content).hexdigest()}"
    found: dict[bytes, object] = {}
    with tarfile.open(fileobj=io.BytesIO(content), encoding="utf-8", errors="surrogateescape") as archive:
        for member in archive:
            name = member.name.encode(errors="surrogateescape")
            if member.isdir():
                found[name] = None
            elif member.issym():
                found[name] = member.linkname.encode(errors="surrogateescape")
            else:
                stream = archive.extractfile(member)
                assert stream
                xattrs = {
                    key.removeprefix("SCHILY.xattr."): value.encode(errors="surrogateescape")
                    for key, value in member.pax_headers.items()
                    if key.startswith("SCHILY.")
                }
                extent = (member.mode, member.uid, member.gid, member.mtime)
                found[name] = (stream.read(), *extent, xattrs)
    assert found == tree
    assert list(found) == sorted(tree)


@pytest.mark.property
@pytest.mark.parametrize("codec", [ZSTD, GZIP], ids=lambda codec: codec.name)
@given(data=st.data())
def test_how_content_is_cut_does_not_show(codec, data):
    noise = b"".join(hashlib.sha256(b"%d" % number).digest() * 3 for number in range(6000))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(noise)), max_size=6)))
    pieces = [noise[start:end] for start, end in zip([0, *cuts], [*cuts, len(noise)], strict=True)]
    assert write(lambda writer: writer.add_file("a", len(noise), pieces), codec) == write(
        lambda writer: writer.add_file("a", len(noise), [noise]), codec
    )
