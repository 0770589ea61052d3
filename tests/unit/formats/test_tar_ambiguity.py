"""Headers that Go's archive/tar, which engines use, reads otherwise than tarfile does: refused, each of them.

What Go makes of each is said in its id or beside it (archive/tar, reader.go and strconv.go).
"""

import io
import subprocess
import tarfile
from pathlib import Path
from typing import Literal

import pytest

from envbuild.formats.tar_reader import LayerArchive, LayerError

END = bytes(1024)


def header(
    name: str = "file",
    *,
    kind: bytes = tarfile.REGTYPE,
    size: int = 0,
    link: str = "",
    form: Literal[0, 1, 2] = tarfile.USTAR_FORMAT,
    patch: dict[int, bytes] | None = None,
) -> bytes:
    """Return one header block; ``patch`` overwrites bytes of it, and the checksum is made anew."""
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, link
    block = bytearray(info.tobuf(form))
    for at, data in (patch or {}).items():
        block[at : at + len(data)] = data
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def extended(kind: bytes = tarfile.XHDTYPE, **records: str) -> bytes:
    """Return an extended header with ``records``; dots in names are written as underscores."""
    data = b""
    for name, value in records.items():
        rest = f" {name.replace('_', '.')}={value}\n".encode()
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length += 1
        data += str(length).encode() + rest
    return header("x", kind=kind, size=len(data)) + padded(data)


def long_name(name: str, kind: bytes = tarfile.GNUTYPE_LONGNAME) -> bytes:
    data = name.encode() + b"\0"
    return header("././@LongLink", kind=kind, size=len(data), form=tarfile.GNU_FORMAT) + padded(data)


def names(data: bytes) -> list[str]:
    archive = LayerArchive([data])
    with archive.whole():
        return [entry.name for entry, _ in archive.entries()]


X = tarfile.XHDTYPE
G = tarfile.XGLTYPE

AMBIGUOUS = {
    "Go: file; a global header hides it": extended(G, path=".wh..wh.x") + header(),
    "Go: the link's own target": extended(G, linkpath="good") + header(kind=tarfile.SYMTYPE, link="bad"),
    "Go: the header's owner": extended(G, uid="0") + header(patch={108: b"0001750\0"}),
    "Go: the content is not read as headers": extended(G, size="0") + header(size=512) + bytes(512),
    "Go: file; a name of a sparse file without its form": extended(X, GNU_sparse_name="other") + header(),
    "Go: 512 bytes": extended(X, GNU_sparse_size="0") + header(size=512) + header("hidden"),
    "Go: 512 bytes, as its form is another": extended(
        X, GNU_sparse_major="1", GNU_sparse_minor="1", GNU_sparse_name="a", GNU_sparse_realsize="0"
    )
    + header(size=512)
    + header("hidden"),
    "Go: the long name": extended(X, path="other") + long_name("file") + header("f"),
    "Go: the long name, whatever the order": long_name("file") + extended(X, path="other") + header("f"),
    "Go: the long link": extended(X, linkpath="good")
    + long_name("bad", tarfile.GNUTYPE_LONGLINK)
    + header(kind=tarfile.SYMTYPE, link="b"),
    "two extended headers": extended(X, path="one") + extended(X, mtime="1") + header(),
    "two long names": long_name("one") + long_name("two") + header(),
    "Go: file": extended(X, path="file") + header("folder/", kind=tarfile.AREGTYPE, size=512) + bytes(512),
    "Go: folder": extended(X, path="folder/") + header("file", kind=tarfile.AREGTYPE),
    "Go: the header's name": extended(X, path="") + header(),
    "Go: the header's target": extended(X, linkpath="") + header(kind=tarfile.SYMTYPE, link="bad"),
    "Go: the header's group": extended(X, gid="") + header(patch={116: b"0001750\0"}),
    "Go: no content follows a link": extended(X, size="512")
    + header(kind=tarfile.SYMTYPE, link="a")
    + header("hidden"),
    "Go: set-user-ID": header(patch={100: b"\x00004755\0"}),
    "Go: owner 1000": header(patch={108: b"\x00001750\0"}),
    "Go: 512 bytes, for its digits begin late": header(patch={124: b"\x000000001000\0"[:12]}) + header("a"),
    "Go: no prefix, for it is no ustar": header(patch={257: bytes(8), 345: b"prefix"}),
    "Go: no prefix, for it is GNU's": header(form=tarfile.GNU_FORMAT, patch={345: b"prefix"}),
    "Go: a shorter prefix, for it is star's": header(patch={345: b"prefix", 508: b"tar\0"}),
}


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_an_entry_with_two_meanings_is_refused(data: bytes) -> None:
    with pytest.raises(LayerError, match="engines read in different ways"):
        names(data + END)


SOUND = {
    "a comment for all": extended(G, comment="0123abc") + header(),
    "a name": extended(X, path="file") + header("f"),
    "a long name": long_name("file") + header("f"),
    "a long name and a long link": long_name("file")
    + long_name("t" * 120, tarfile.GNUTYPE_LONGLINK)
    + header("f", kind=tarfile.SYMTYPE),
    "an old header": header(kind=tarfile.AREGTYPE),
    "an old folder": header("file/", kind=tarfile.AREGTYPE),
    "an owner": extended(X, uid="3000000") + header(),
    "a size": extended(X, size="512") + header(size=512) + bytes(512),
    "numbers with spaces before them": header(patch={100: b"   644 \0"}),
    "a number that is empty": header(patch={329: bytes(16)}),
    "an empty attribute": extended(X, SCHILY_xattr_user_a="") + header(),
}


@pytest.mark.parametrize("data", SOUND.values(), ids=SOUND)
def test_what_programs_write_is_read(data: bytes) -> None:
    assert names(data + END) == ["file"]


def test_a_prefix_belongs_to_the_name() -> None:
    name = "/".join(["folder" * 5] * 5)
    assert names(header(name) + END) == [name]


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_archives_of_tar_are_read(tmp_path: Path, form: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_bytes(b"content")
    (tmp_path / "folder/link").symlink_to("file")
    (tmp_path / "folder/other").hardlink_to(tmp_path / "folder/file")
    archive = subprocess.run(
        ["tar", f"--format={form}", "--sort=name", "-C", tmp_path, "-cf", "-", "folder"],
        capture_output=True,
        check=True,
    ).stdout
    assert names(archive) == ["folder", "folder/file", "folder/link", "folder/other"]


def test_each_entry_is_judged_by_its_own_headers() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number in range(3):
            archive.addfile(tarfile.TarInfo(f"{number}" * 200))
            archive.addfile(tarfile.TarInfo(f"{number}"))
    assert len(names(stream.getvalue())) == 6
