"""Layers as streams: compressions, damage, and archives nobody should send."""

import gzip
import io
import resource
import tarfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import zstandard

from envbuild.digest import CHUNK
from envbuild.errors import IntegrityError
from envbuild.formats.tar_reader import LayerArchive, LayerError, normal_path
from envbuild.oci.blobs import read_verified
from envbuild.oci.layer_listing import list_layer
from envbuild.oci.manifest import Descriptor
from envbuild.resolve.base.layer_scan import scan_layer
from tests.rig.layer_items import Item, file, folder, hard_link, in_chunks, link, tar_of, zstd

ITEMS = (folder("etc"), file("etc/passwd", "root:x:0:0::/root:/bin/sh\n" * 300), link("bin", "usr/bin"))
TAR = tar_of(*ITEMS)
END = 3 * 512 + -(-len(ITEMS[1].content) // 512) * 512
"""Where the empty blocks begin that close the archive."""


def read(layer: bytes, size: int = 1000) -> list[tuple[str, bytes | None]]:
    archive = LayerArchive(in_chunks(layer, size))
    with archive.whole():
        return [(entry.name, content.read() if content else None) for entry, content in archive.entries()]


EXPECTED = [("etc", None), ("etc/passwd", ITEMS[1].content), ("bin", None)]
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"


@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(TAR, id="plain"),
        pytest.param(gzip.compress(TAR), id="gzip"),
        pytest.param(b"".join(gzip.compress(part) for part in in_chunks(TAR, 700)), id="gzip members"),
        pytest.param(gzip.compress(TAR) + bytes(512), id="gzip and padding"),
        pytest.param(zstd(TAR), id="zstd"),
        pytest.param(b"".join(zstd(part) for part in in_chunks(TAR, 700)), id="zstd frames"),
        pytest.param(SKIPPABLE + zstd(TAR) + SKIPPABLE, id="zstd with skippable frames"),
        pytest.param(TAR[:END], id="without the closing blocks"),
    ],
)
def test_every_compression_reads_the_same(layer: bytes, size: int) -> None:
    assert read(layer, size) == EXPECTED


@pytest.mark.parametrize(
    "layer",
    [b"", gzip.compress(b""), zstd(b""), bytes(1024), gzip.compress(bytes(10240))],
    ids=["nothing", "gzip of nothing", "zstd of nothing", "end marks", "end marks in gzip"],
)
def test_empty_layer_has_no_entries(layer: bytes) -> None:
    assert read(layer) == []


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_odd_names_survive(form: int) -> None:
    long, odd = "d/" * 150 + "file", "caf\udce9"

    names = [name for name, _ in read(tar_of(file(long, "x"), file(odd, "y"), link("l", long), form=form))]

    assert names == [long, odd, "l"]


def test_sparse_file_is_read_with_its_holes() -> None:
    header = tarfile.TarInfo("etc/passwd")
    header.size = 4
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    block[156:157] = b"S"
    # one run of 4 bytes at 508 of a file of 512, as GNU tar writes it
    block[386:410] = b"%011o\0%011o\0" % (508, 4)
    block[483:495] = b"%011o\0" % 512
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)

    ((_, content),) = read(bytes(block) + b"tail".ljust(512, b"\0") + bytes(1024))

    assert content == bytes(508) + b"tail"


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(b"no archive at all" * 100, id="text"),
        pytest.param(gzip.compress(b"no archive" * 100), id="text in gzip"),
        pytest.param(gzip.compress(TAR)[:-30], id="cut gzip"),
        pytest.param(gzip.compress(TAR[:700]) + b"garbage", id="gzip and garbage"),
        pytest.param(b"\x1f\x8b" + bytes(100), id="no gzip"),
        pytest.param(TAR[:1500], id="cut in a file"),
        pytest.param(TAR[:700], id="cut in a header"),
        pytest.param(TAR[:512] + b"x" * 512 + TAR[512:], id="garbage between entries"),
    ],
)
def test_damaged_layer_is_an_error_and_not_an_early_end(layer: bytes) -> None:
    with pytest.raises(LayerError) as caught:
        read(layer)

    assert caught.value.message == "a layer is not a readable tar archive"
    assert caught.value.detail


def test_damaged_zstd_is_an_error() -> None:
    data = bytearray(zstd(TAR))
    data[20:40] = bytes(20)

    with pytest.raises(LayerError):
        read(bytes(data))


@pytest.mark.parametrize("name", ["../etc/passwd", "etc/../../x", "/..", "a/.."])
def test_path_that_climbs_is_refused(name: str) -> None:
    with pytest.raises(LayerError) as caught:
        read(tar_of(file(name)))

    assert caught.value.message == f"a layer has the unsafe path {name!r}"


def test_hard_link_that_climbs_is_refused() -> None:
    with pytest.raises(LayerError, match="unsafe path"):
        scan_layer(in_chunks(tar_of(hard_link("a", "../../etc/shadow"))), digest="")


@pytest.mark.parametrize(
    ("name", "path"),
    [("./", ""), (".", ""), ("/", ""), ("./etc/passwd", "etc/passwd"), ("/etc//passwd/", "etc/passwd")],
)
def test_paths_are_normalised(name: str, path: str) -> None:
    assert normal_path(name) == path


def with_size(kind: bytes, size: int) -> bytes:
    """Return a header that claims a size."""
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = kind, size
    return entry.tobuf(tarfile.GNU_FORMAT) + bytes(512)


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(with_size(tarfile.REGTYPE, 1 << 50), id="file of a pebibyte"),
        pytest.param(with_size(tarfile.XHDTYPE, 1 << 31), id="extended header of 2 GiB"),
        pytest.param(with_size(tarfile.GNUTYPE_LONGNAME, 1 << 31), id="name of 2 GiB"),
        pytest.param(with_size(tarfile.REGTYPE, -512), id="negative"),
    ],
)
def test_absurd_sizes_are_refused(layer: bytes) -> None:
    with pytest.raises(LayerError, match=r"a layer has an entry of -?[0-9]+ bytes"):
        read(layer)


def test_headers_of_headers_without_end_are_refused() -> None:
    stream = io.BytesIO()
    for _ in range(3000):
        entry = tarfile.TarInfo("x")
        entry.type, entry.size = tarfile.XHDTYPE, 11
        stream.write(entry.tobuf() + b"11 path=aa\n".ljust(512, b"\0"))

    with pytest.raises(LayerError, match="not a readable tar archive"):
        read(stream.getvalue())


def test_zstd_that_wants_too_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=30)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    with pytest.raises(LayerError, match="not a readable tar archive"):
        read(packer.compress(TAR) + packer.flush())


@pytest.mark.slow
def test_a_bomb_is_skipped_in_little_memory() -> None:
    def bomb() -> Iterator[bytes]:
        packer = zstandard.ZstdCompressor().compressobj()
        yield packer.compress(tarfile_header("zeros", 1 << 30))
        for _ in range(1 << 10):
            yield packer.compress(bytes(1 << 20))
        yield packer.compress(tar_of(file("etc/passwd", "x")))
        yield packer.flush()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scan = scan_layer(bomb(), digest="")

    assert scan.contents == {"etc/passwd": b"x"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 << 10


def tarfile_header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf()


def test_layer_is_read_to_its_last_byte_whatever_is_in_it() -> None:
    left = in_chunks(TAR + b"after the end of the archive" * 1000)
    with (archive := LayerArchive(left)).whole():
        assert next(archive.entries())[0].name == "etc"
    assert next(left, None) is None

    broken = in_chunks(b"no archive" * 1000)
    with pytest.raises(LayerError), (archive := LayerArchive(broken)).whole():
        list(archive.entries())
    assert next(broken, None) is None


PADDED = [tar_of(file("f", bytes(512 * size)), folder("g")) for size in range(256)]
"""Layers whose last entry has no content, closed at every place of a record."""


def ended(archive: bytes, size: int) -> list[str]:
    """Read a layer from a source that says when it was read to its end."""
    seen = []

    def source() -> Iterator[bytes]:
        yield from in_chunks(archive, size)
        seen.append("verified")

    with (layer := LayerArchive(source())).whole():
        assert [entry.name for entry, _ in layer.entries()] == ["f", "g"]
    return seen


@pytest.mark.parametrize(
    "pack", [bytes, lambda data: gzip.compress(data, 1), zstd], ids=["plain", "gzip", "zstd"]
)
def test_a_layer_that_ends_with_a_folder_is_read_to_its_end(pack: Callable[[bytes], bytes]) -> None:
    """Nobody reads on after an entry without content: the source must be there all the same."""
    for archive in PADDED:
        packed = pack(archive + bytes(10_000))
        for size in (len(packed) // 2, len(packed) // 3, len(packed) // 20 + 1):
            assert ended(packed, size) == ["verified"]


@pytest.mark.parametrize("start", range(0, 256, 64))
def test_a_layer_that_ends_with_a_folder_has_its_digest(start: int) -> None:
    """Of the 4096 bytes more that each is longer, some end where a block of the reader does."""
    for size in range(start, start + 64):
        archive = tar_of(file("f", bytes(4096 * size)), folder("g"))
        for pack in (bytes, lambda data: gzip.compress(data, 1), zstd):
            found = list_layer(in_chunks(pack(archive), CHUNK))
            assert found.diff_id == f"sha256:{sha256(archive).hexdigest()}"
            assert found.size == len(archive)


@pytest.mark.parametrize("last", [folder("g"), link("g", "f"), hard_link("g", "f"), file("g")])
@pytest.mark.parametrize("more", [0, 4 << 20])
def test_wrong_bytes_behind_the_last_entry_are_found(tmp_path: Path, last: Item, more: int) -> None:
    archive = tar_of(file("f", b"x" * (3 * CHUNK)), last) + bytes(more)
    path = tmp_path / "layer"
    for wrong in (b"\1", b""):
        path.write_bytes(archive[:-1] + wrong)
        sound = Descriptor(media_type="", digest=f"sha256:{sha256(archive).hexdigest()}", size=len(archive))
        layer = LayerArchive(read_verified(path, sound, forget=False))
        with pytest.raises(IntegrityError), layer.whole():
            assert [entry.name for entry, _ in layer.entries()] == ["f", "g"]


def test_what_the_source_says_is_not_hidden() -> None:
    def source() -> Iterator[bytes]:
        yield b"damaged on the way" * 100
        raise PermissionError("the digest does not match")

    archive = LayerArchive(source())
    with pytest.raises(PermissionError), archive.whole():
        list(archive.entries())
