import contextlib
import io
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.formats.elf_sections import ElfError
from envbuild.formats.fatbin import DeviceCode, read_device_code
from tests.rig.device_code import MAGIC, Entry, container, library

NAMES = ("sm_75", "sm_80", "sm_90", "sm_90a", "sm_100", "sm_100f", "sm_103f", "sm_121a", "compute_120")
CONTAINERS = st.lists(st.lists(st.sampled_from(NAMES), max_size=6), min_size=1, max_size=6)


class Slow(io.BytesIO):
    """A stream that gives fewer bytes than asked for, as decompressors do."""

    step = 7

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self.step if size is None or size < 0 else min(size, self.step))


def read(data: bytes, stream: type[io.BytesIO] = io.BytesIO) -> DeviceCode:
    return read_device_code(lambda: stream(data), size=len(data))


def counts(data: bytes) -> dict[str, int]:
    code = read(data)
    return {**code.cubins, **code.ptx}


def test_entries_are_counted_by_architecture_and_kind() -> None:
    data = library(
        container(Entry("sm_75"), Entry("sm_90"), Entry("sm_90a")),
        container(Entry("sm_75"), Entry("compute_90"), Entry("sm_100f")),
    )
    code = read(data)
    assert code.cubins == {"sm_75": 2, "sm_90": 1, "sm_90a": 1, "sm_100f": 1}
    assert code.ptx == {"compute_90": 1}


@pytest.mark.parametrize(
    ("words", "name"),
    [
        pytest.param([0, 0, 0x10008, 0x4B, 0, 0, 0x11], "sm_75", id="sm_75"),
        pytest.param([0, 0, 0x10008, 0x5A, 0, 0, 0x100011], "sm_90a", id="sm_90a"),
        pytest.param([0, 0x40, 0x10008, 0x64, 0, 0, 0x1000011], "sm_100", id="sm_100"),
        pytest.param([0, 0x40, 0x10008, 0x67, 0, 0, 0x1100011], "sm_103a", id="sm_103a"),
        pytest.param([0, 0x40, 0x10008, 0x67, 0, 0, 0x1200011], "sm_103f", id="sm_103f"),
        pytest.param([0x5C, 0x40, 0x90000, 0x5A, 0, 0, 0x108011], "compute_90a", id="compute_90a"),
    ],
)
def test_headers_that_nvidias_fatbinary_wrote_are_understood(words: list[int], name: str) -> None:
    """The first words of real headers: ``fatbinary`` 13.0.88, for one architecture each."""
    kind = 1 if name.startswith("compute_") else 2
    header = struct.pack("<HHIQ", kind, 0x0101, 64, 0) + struct.pack("<7I", *words)
    body = header.ljust(64, b"\0")
    assert counts(library(struct.pack("<4sHHQ", MAGIC, 1, 16, len(body)) + body)) == {name: 1}


@pytest.mark.property
@given(
    containers=CONTAINERS, names_first=st.booleans(), tail=st.binary(max_size=64), step=st.integers(1, 4096)
)
def test_whatever_the_layout_and_the_reads_the_counts_are_the_same(
    containers: list[list[str]], names_first: bool, tail: bytes, step: int
) -> None:
    data = library(
        *(container(*map(Entry, names)) for names in containers), names_first=names_first, tail=tail
    )
    stream = type("Stepping", (Slow,), {"step": step})
    code = read(data, stream)
    wanted = [name for names in containers for name in names]
    assert {**code.cubins, **code.ptx} == {name: wanted.count(name) for name in wanted}


@pytest.mark.property
@given(data=st.data())
def test_damage_is_an_error_or_goes_unnoticed_but_never_anything_else(data: st.DataObject) -> None:
    whole = bytearray(library(container(Entry("sm_75"), Entry("compute_90")), container(Entry("sm_80"))))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    with contextlib.suppress(ElfError):
        code = read(damaged)
        assert all(count > 0 for count in [*code.cubins.values(), *code.ptx.values()])


@pytest.mark.property
@given(st.binary(max_size=300))
def test_what_is_no_elf_file_has_no_device_code(data: bytes) -> None:
    assert not read(data)


def test_bytes_that_look_like_device_code_elsewhere_are_passed_over() -> None:
    stray = container(Entry("sm_35"))
    assert counts(library(container(Entry("sm_80")), text=stray)) == {"sm_80": 1}
    assert counts(library(container(Entry("sm_80")), text=MAGIC * 5)) == {"sm_80": 1}


def test_a_stray_container_that_swallows_the_section_is_not_believed() -> None:
    """The first pass does not know yet where the section is; the second does."""
    fatbin = container(Entry("sm_80"), Entry("sm_90"))
    swallowing = struct.pack("<4sHHQ", MAGIC, 1, 16, 64 + 200) + Entry("sm_35", b"\0" * 200).packed()[:64]
    assert counts(library(fatbin, text=swallowing)) == {"sm_80": 1, "sm_90": 1}


def test_relocatable_device_code_counts_too() -> None:
    assert counts(library(container(Entry("sm_86")), section=b"__nv_relfatbin")) == {"sm_86": 1}


def test_a_library_without_device_code_has_none() -> None:
    assert not read(library(b"\0" * 16, section=b".data"))


def test_a_32_bit_or_big_endian_library_has_none() -> None:
    data = bytearray(library(container(Entry("sm_80"))))
    for place, value in ((4, 1), (5, 2)):
        other = data.copy()
        other[place] = value
        assert not read(bytes(other))


@pytest.mark.parametrize(
    ("fatbin", "message"),
    [
        pytest.param(
            struct.pack("<4sHHQ", MAGIC, 7, 16, 64) + bytes(64),
            "its device code has version 7, which is unknown",
            id="version",
        ),
        pytest.param(
            struct.pack("<4sHHQ", MAGIC, 1, 16, 4000) + bytes(64),
            "a container of device code is longer than its section",
            id="container",
        ),
        pytest.param(
            struct.pack("<4sHHQ", MAGIC, 1, 16, 64) + struct.pack("<HHIQ", 2, 257, 64, 4000) + bytes(48),
            "an entry of device code is longer than its container",
            id="entry",
        ),
        pytest.param(
            struct.pack("<4sHHQ", MAGIC, 1, 16, 64) + struct.pack("<HHIQ", 2, 257, 0, 0) + bytes(48),
            "an entry of device code is longer than its container",
            id="no-progress",
        ),
        pytest.param(b"\x01" * 64, "its device code is not laid out as known", id="unknown"),
    ],
)
def test_device_code_that_cannot_be_read_is_said_to_be_so(fatbin: bytes, message: str) -> None:
    with pytest.raises(ElfError) as caught:
        read(library(fatbin))
    assert str(caught.value) == message


def test_section_headers_outside_the_file_are_refused() -> None:
    data = library(container(Entry("sm_80")))
    with pytest.raises(ElfError, match="lie outside the file"):
        read(data[:-80])


def test_memory_does_not_grow_with_the_library() -> None:
    payload = b"\0" * (48 << 20)
    data = library(container(Entry("sm_80", payload)))
    del payload
    tracemalloc.start()
    try:
        assert counts(data) == {"sm_80": 1}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20
