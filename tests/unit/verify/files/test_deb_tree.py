import gzip
import hashlib
import lzma
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from envbuild.errors import IntegrityError
from envbuild.verify.files.artifact_trees import deb_tree
from envbuild.verify.files.expected_files import ExpectedEntry

MakeDeb = Callable[..., Path]
TarEntry = Callable[..., tarfile.TarInfo]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def members(tar_entry: TarEntry) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [
        (tar_entry("./", kind=tarfile.DIRTYPE, mode=0o755), b""),
        (tar_entry("./bin/", kind=tarfile.DIRTYPE, mode=0o755), b""),
        (tar_entry("./bin/demo", mode=0o4755), b"program"),
        (tar_entry("./bin/twin", kind=tarfile.LNKTYPE, link="./bin/demo"), b""),
        (tar_entry("./bin/alias", kind=tarfile.SYMTYPE, mode=0o777, link="demo"), b""),
        (tar_entry("./etc/demo.conf"), b"on\n"),
        (tar_entry("./dev/pipe", kind=tarfile.FIFOTYPE), b""),
    ]


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".xz", lzma.compress),
        (".zst", zstandard.ZstdCompressor(write_content_size=False).compress),
    ],
)
def test_the_files_of_a_deb(
    make_deb: MakeDeb,
    members: list[tuple[tarfile.TarInfo, bytes]],
    suffix: str,
    compress: Callable[[bytes], bytes],
) -> None:
    conffiles = "/etc/demo.conf\nremove-on-upgrade /etc/old.conf\n"
    path = make_deb(members, conffiles=conffiles, compress=compress, suffix=suffix)
    tree = deb_tree(path, file=path.name)
    assert list(tree.items()) == [
        ("/bin", ExpectedEntry("d", 0o755, None)),
        ("/bin/alias", ExpectedEntry("l", 0o777, "demo")),
        ("/bin/demo", ExpectedEntry("f", 0o4755, sha256(b"program"))),
        ("/bin/twin", ExpectedEntry("f", 0o4755, sha256(b"program"))),
        ("/dev/pipe", ExpectedEntry("o", 0o644, None)),
        ("/etc/demo.conf", ExpectedEntry("f", 0o644, sha256(b"on\n"), conffile=True)),
    ]


def test_a_deb_without_configuration_files(
    make_deb: MakeDeb, members: list[tuple[tarfile.TarInfo, bytes]]
) -> None:
    path = make_deb(members)
    assert not any(entry.conffile for entry in deb_tree(path, file=path.name).values())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an archive",
        b"!<arch>\n",
        b"!<arch>\n" + f"{'data.tar.xz':<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{4:<10}`\n".encode() + b"oops",
    ],
    ids=["empty", "other", "no members", "broken member"],
)
def test_what_is_no_deb_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "demo.deb"
    path.write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        deb_tree(path, file="demo_1_amd64.deb")
    assert str(caught.value).startswith("demo_1_amd64.deb is not a Debian package")


@pytest.mark.parametrize("suffix", [".xz", ".zst"])
def test_a_deb_cut_short_is_refused(
    make_deb: MakeDeb, members: list[tuple[tarfile.TarInfo, bytes]], suffix: str
) -> None:
    compress = {".xz": lzma.compress, ".zst": zstandard.ZstdCompressor().compress}[suffix]
    path = make_deb(members, compress=compress, suffix=suffix)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"data.tar") + 90])
    with pytest.raises(IntegrityError):
        deb_tree(path, file=path.name)
