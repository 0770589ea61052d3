"""What is kept of a layer."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.formats.tar_reader import LayerError
from envbuild.resolve.base import layer_scan
from envbuild.resolve.base.layer_scan import LayerEntry, Program, is_kept, is_program, is_wanted
from tests.rig.layer_items import (
    ELF,
    Item,
    emptied,
    file,
    folder,
    hard_link,
    layer_of,
    link,
    removed,
    scan_of,
)


def test_paths_are_noted_in_order_and_removals_apart() -> None:
    scan = scan_of(
        layer_of(
            folder("./"),
            folder("a"),
            file("a/b", "content"),
            removed("a/gone"),
            removed("gone"),
            link("l", "/usr/../x"),
            hard_link("h", "./a/b"),
            Item("o", "dev/null"),
            emptied("a"),
            emptied(""),
            file("a/.wh..wh.plnk"),
        )
    )

    assert list(scan.entries()) == [
        LayerEntry("d", "a"),
        LayerEntry("f", "a/b"),
        LayerEntry("s", "l", "/usr/../x"),
        LayerEntry("h", "h", "a/b"),
        LayerEntry("o", "dev/null"),
    ]
    assert scan.whiteouts == ("a/gone", "gone")
    assert scan.opaques == ("a", "")
    assert scan.contents == {}


names = st.text(st.characters(exclude_characters="\0/", codec="utf-8"), min_size=1, max_size=20).filter(
    lambda name: name not in {".", ".."} and not name.startswith(".wh.")
)


@pytest.mark.property
@given(st.lists(names, max_size=30))
def test_journal_keeps_every_name(paths: list[str]) -> None:
    scan = scan_of(layer_of(*(link(path, f"../{path}") for path in paths)))

    assert [(entry.path, entry.target) for entry in scan.entries()] == [
        (path, f"../{path}") for path in paths
    ]


@pytest.mark.slow
def test_journal_of_many_entries_is_read_in_pieces() -> None:
    count = 40_000
    scan = scan_of(
        layer_of(*(file(f"usr/share/some-quite-long-folder-name/{number:06}") for number in range(count)))
    )

    assert len(scan.journal) < 200_000
    assert [entry.path[-6:] for entry in scan.entries()] == [f"{number:06}" for number in range(count)]


@pytest.mark.parametrize(
    "path",
    [
        "etc/os-release",
        "usr/lib/os-release",
        "var/lib/dpkg/status",
        "var/lib/dpkg/status.d/libc6",
        "var/lib/dpkg/info/python3.11-minimal.list",
        "var/lib/dpkg/info/libpython3.11-stdlib:amd64.list",
        "etc/apt/sources.list.d/debian.sources",
        "usr/share/keyrings/debian-archive-keyring.gpg",
        "usr/local/include/python3.11/patchlevel.h",
        "include/python3.13t/patchlevel.h",
        "etc/passwd",
    ],
)
def test_wanted_files(path: str) -> None:
    assert is_wanted(path)
    assert scan_of(layer_of(file(path, "x"))).contents == {path: b"x"}


@pytest.mark.parametrize(
    "path",
    [
        "etc/shadow",
        "etc/apt/auth.conf.d/secret.conf",
        "etc/apt/auth.conf",
        "etc/apt/sources.list.d/below/x.list",
        "var/lib/dpkg/status-old",
        "var/lib/dpkg/info/git.list",
        "home/etc/passwd",
        "usr/include/patchlevel.h",
        "usr/bin/python3-config",
        "usr/lib/libc.so",
    ],
)
def test_files_nobody_asks_for_are_not_kept(path: str) -> None:
    assert not is_kept(path)
    scan = scan_of(layer_of(file(path, "x")))
    assert (scan.contents, scan.programs) == ({}, {})


@pytest.mark.parametrize(
    ("path", "content", "versions"),
    [
        ("usr/bin/python3.11", b"\x003.11.2\0 3.2.0\0", ("3.11.2", "3.2.0")),
        ("opt/conda/bin/python3", b"x 3.12.4\0", ("3.12.4",)),
        ("usr/bin/python", b"\x003.14.0rc2\0\x003.13.0+\0", ("3.13.0+", "3.14.0rc2")),
        ("usr/bin/python3.13t", b"\x0013.11.2\0 1.3.11.2\0", ()),
        ("usr/lib/libpython3.11.so.1.0", b"\x003.11.9\0", ("3.11.9",)),
        ("lib/x86_64-linux-gnu/libc.so.6", b"GNU C Library (x) stable release version 2.36.\n", ("2.36",)),
        ("lib/libc-2.31.so", b"release version 2.31, by", ("2.31",)),
        ("lib/ld-musl-x86_64.so.1", b"\x001.2.4\0", ("1.2.4",)),
    ],
)
def test_programs_are_identified(path: str, content: bytes, versions: tuple[str, ...]) -> None:
    assert is_program(path)
    expected = Program(hashlib.sha256(ELF + content).hexdigest(), is_elf=True, versions=versions)
    assert scan_of(layer_of(file(path, ELF + content))).programs == {path: expected}


@pytest.mark.parametrize("offset", range((1 << 20) - 12, (1 << 20) + 3))
def test_version_across_two_blocks_is_found(offset: int) -> None:
    content = ELF.ljust(offset, b"x") + b" 3.11.2\0" + b"x" * 100

    ((_, program),) = scan_of(layer_of(file("python3", content))).programs.items()

    assert program.versions == ("3.11.2",)


def test_script_is_no_program() -> None:
    ((_, program),) = scan_of(layer_of(file("bin/python3", "#!/bin/sh\n"))).programs.items()

    assert not program.is_elf


def test_further_paths_are_kept_on_demand() -> None:
    layer = layer_of(file("opt/py/run", ELF + b" 3.11.2\0"), file("etc/passwd", "x"))

    scan = scan_of(layer, frozenset({"opt/py/run"}))

    assert scan.programs["opt/py/run"].versions == ("3.11.2",)
    assert scan.contents.keys() == {"opt/py/run", "etc/passwd"}


def test_newest_time_is_noted_and_nonsense_left_out() -> None:
    times = (5.0, 1_700_000_000.9, 1e30, -3.0, float("nan"), float("inf"))

    scan = scan_of(layer_of(*(Item("f", f"a{at}", mtime=time) for at, time in enumerate(times))))

    assert scan.newest == 1_700_000_000


def test_wanted_file_of_absurd_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_scan, "LARGEST_CONTENT", 100)

    with pytest.raises(LayerError) as caught:
        scan_of(layer_of(file("etc/passwd", b"x" * 101)))

    assert caught.value.message == "`/etc/passwd` has 101 bytes, more than such a file can need"


def test_wanted_files_of_absurd_number_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_scan, "LARGEST_CONTENTS", 100)
    items = [file(f"usr/share/keyrings/{number}", b"x" * 60) for number in range(2)]

    with pytest.raises(LayerError, match="more package lists and settings than can be right"):
        scan_of(layer_of(*items))
