import hashlib
import io
import tarfile
import zlib

import pytest
import zstandard

from envbuild.image.layer import GZIP_LAYER, ZSTD_LAYER
from envbuild.image.local.codec import Codec, codec_of
from envbuild.image.local.writer import MTIME, EntryOrderError, LayerWriter, whiteout_name

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


def test_large_files_of_another_gigabyte_count_have_their_size():
    from envbuild.image.local.tar import TarEntry, header  # noqa: PLC0415

    member = tarfile.TarFile.open(fileobj=io.BytesIO(header(TarEntry(name=b"big", size=9 << 30)))).next()
    assert member
    assert member.size == 9 << 30
