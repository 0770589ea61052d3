from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from envbuild.errors import SpecError
from envbuild.formats.apt_sources_list import parse_lines
from envbuild.platforms import AMD64, ARM64
from envbuild.remote.apt import AptSettings, Keyring
from envbuild.resolve.apt.archives import AptArchives, archives_of_distribution, archives_of_image
from envbuild.resolve.apt.root import AptRoot, write_root

TEXT = (
    "deb http://user:secret@mirror.example.com/debian bookworm main\n"
    "deb-src http://mirror.example.com/debian bookworm main\n"
    "deb https://user:secret@cuda.example.com/repos /\n"
)
BASE = parse_lines(TEXT)
FILES = {"/etc/apt/sources.list": TEXT}
KEYS = (Keyring(path="/usr/share/keyrings/base.gpg", content=b"binary"),)
KEY_FILES = {key.path: key.content for key in KEYS}
DAY = date(2026, 3, 1)


def test_archives_of_a_distribution_are_signed_by_the_configured_keys(tmp_path: Path) -> None:
    (tmp_path / "k.gpg").write_bytes(b"keys")
    mirrors = {"": "http://mirror.example.com/d", "DEBIAN_SECURITY": "http://mirror.example.com/s"}
    settings = AptSettings(mirrors=mirrors, keyring=tmp_path / "k.gpg")

    archives = archives_of_distribution("debian:trixie", platform=ARM64, settings=settings, snapshot=None)

    assert (archives.name, archives.architecture) == ("debian:trixie", "arm64")
    assert [source.uris[0] for source in archives.sources] == list(mirrors.values())
    assert [key.content for key in archives.keyrings] == [b"keys"]


def test_archives_of_an_image_have_their_own_sources_and_keys_and_the_configured_one(tmp_path: Path) -> None:
    (tmp_path / "k.gpg").write_bytes(b"more")
    settings = AptSettings(keyring=tmp_path / "k.gpg")

    archives = archives_of_image(
        "python:3", FILES, KEY_FILES, platform=AMD64, settings=settings, snapshot=None
    )

    assert [source.suites[0] for source in archives.sources] == ["bookworm", "/"]
    assert [key.content for key in archives.keyrings] == [b"binary", b"more"]
    assert archives.left_out == ()


def test_dated_archives_say_what_they_leave_out() -> None:
    settings = AptSettings(snapshot="https://snapshot.example.com")

    archives = archives_of_image(
        "python:3", FILES, KEY_FILES, platform=AMD64, settings=settings, snapshot=DAY
    )

    assert [source.suites[0] for source in archives.sources] == ["bookworm"]
    assert archives.left_out == ("https://cuda.example.com/repos",)


def test_dated_archives_need_a_service() -> None:
    with pytest.raises(SpecError):
        archives_of_image("python:3", FILES, KEY_FILES, platform=AMD64, settings=AptSettings(), snapshot=DAY)


def test_the_key_changes_with_all_that_apt_reads() -> None:
    archives = AptArchives(name="a", architecture="amd64", sources=BASE, keyrings=KEYS)
    others = [
        replace(archives, architecture="arm64"),
        replace(archives, sources=BASE[:1]),
        replace(archives, keyrings=()),
    ]

    assert replace(archives, name="b").key() == archives.key()
    assert len({archives.key(), *(other.key() for other in others)}) == 4
    assert "secret" not in archives.key()


def test_private_root_points_signed_by_at_its_own_copies(tmp_path: Path) -> None:
    armoured = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDME\n -----END PGP PUBLIC KEY BLOCK-----"
    sources = (
        replace(BASE[0], signed_by="/usr/share/keyrings/base.gpg"),
        replace(BASE[0], suites=("x",), signed_by=armoured, architectures=("amd64",), trusted=True),
        replace(BASE[0], suites=("y",), signed_by="/lost.gpg"),
        replace(BASE[0], suites=("z",), signed_by="0123456789ABCDEF"),
        replace(BASE[0], suites=("other",), architectures=("arm64",)),
    )
    root = AptRoot(folder=tmp_path, lists=tmp_path / "lists", source_cache=tmp_path / "src.bin")
    keys = (*KEYS, Keyring(path="/b.gpg", content=b"-----BEGIN PGP PUBLIC KEY BLOCK-----"))

    write_root(
        root, AptArchives(name="a", architecture="amd64", sources=sources, keyrings=keys), ca_bundle=None
    )

    text = (tmp_path / "sources.d/envbuild.sources").read_text()
    signed = [line for line in text.splitlines() if line.startswith(("Signed-By", "Suites"))]
    assert signed == [
        "Suites: bookworm",
        f"Signed-By: {tmp_path}/keys/0.gpg",
        "Suites: x",
        f"Signed-By: {tmp_path}/keys/source-1.asc",
        "Suites: y",
        "Suites: z",
        "Signed-By: 0123456789ABCDEF",
    ]
    assert text.count("Trusted: yes") == 1
    assert text.count("Targets: Packages") == 4
    assert (tmp_path / "keys/1.asc").exists()
    assert (tmp_path / "keys/source-1.asc").read_text() == (
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME\n-----END PGP PUBLIC KEY BLOCK-----\n"
    )
