"""Libraries with device code, made byte by byte: small ELF files laid out as linkers and CUDA's tools do."""

import struct
from dataclasses import dataclass

MAGIC = b"\x50\xed\x55\xba"
PTX, CUBIN = 1, 2
_FLAGS = {"": 0x11, "a": 0x100011, "f": 0x200011}


@dataclass(frozen=True)
class Entry:
    """One entry of a container: ``Entry("sm_90a")`` or ``Entry("compute_120")``."""

    name: str
    payload: bytes = b"\x00" * 24

    def packed(self) -> bytes:
        """Return header and payload."""
        kind = PTX if self.name.startswith("compute_") else CUBIN
        number = self.name.rpartition("_")[2]
        scope = number[-1] if number[-1] in "af" else ""
        header = struct.pack("<HHIQ", kind, 0x0101, 64, len(self.payload))
        header += struct.pack("<IIIIIIQ", 0, 0, 0x10008, int(number.rstrip("af")), 0, 0, _FLAGS[scope])
        return header.ljust(64, b"\0") + self.payload


def container(*entries: Entry) -> bytes:
    """Return a container of ``entries``, padded to 8 bytes."""
    body = b"".join(entry.packed() for entry in entries)
    whole = struct.pack("<4sHHQ", MAGIC, 1, 16, len(body)) + body
    return whole + b"\0" * (-len(whole) % 8)


def library(
    *fatbins: bytes,
    section: bytes = b".nv_fatbin",
    text: bytes = b"\x90" * 64,
    names_first: bool = False,
    tail: bytes = b"",
) -> bytes:
    """Return an ELF library whose ``.text`` is ``text`` and that has device code in ``section``.

    ``names_first`` puts the section names at the front, far from the section headers; ``tail`` is what lies
    behind them, as patchelf leaves it.
    """
    names = b"\0.text\0.shstrtab\0" + section + b"\0"
    parts: list[tuple[int, bytes]] = [
        (names.index(b".text"), text),
        (names.index(section), b"".join(fatbins)),
    ]
    shstrtab = (names.index(b".shstrtab"), names)
    parts = [shstrtab, *parts] if names_first else [*parts, shstrtab]
    body, headers = b"", [bytes(64)]
    for name, data in parts:
        body += b"\0" * (-len(body) % 8)
        headers.append(struct.pack("<IIQQQQIIQQ", name, 1, 0, 0, 64 + len(body), len(data), 0, 0, 8, 0))
        body += data
    body += b"\0" * (-len(body) % 8)
    return _header(64 + len(body), len(headers), headers.index(headers[1 + parts.index(shstrtab)])) + (
        body + b"".join(headers) + tail
    )


def _header(table: int, count: int, names: int) -> bytes:
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    rest = (3, 62, 1, 0, 0, table, 0, 64, 56, 0, 64, count, names)
    return identity + struct.pack("<HHIQQQIHHHHHH", *rest)
