"""What somebody may do to an image: a layer on top of it, another configuration, or both.

The catalogue itself is in `tests/rig/tamperings/`; `tests/rig/tampered_image.py` applies it.
"""

import json
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.rig.good_image import XATTR, GoodImage

TIME = 1_750_000_000

Entry = tuple[tarfile.TarInfo, bytes]
"""A member of a layer, and its content if it is a file."""

Config = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is made of the good image."""

    entries: tuple[Entry, ...] = ()
    """Of one more layer.  The folders above them come before them as the image has them."""

    is_bare: bool = False
    """Whether the layer has the entries alone."""

    config: Callable[[bytes], bytes] | None = None
    """Makes the new configuration of the good one."""

    is_squashed: bool = False
    """Whether all layers become one, with the entries in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tampering:
    """One change of an image, and what a report must say of it."""

    name: str
    klass: str
    named: str | re.Pattern[str]
    """A path without the first slash, a field, or how the report spells either."""

    make: Callable[[GoodImage], Change]

    at: str = ""
    """Where the change is if `named` is not it: a path, or a field of the configuration."""

    is_hostile: bool = False
    """Whether it is after the memory or the time of whoever asks the image."""

    is_refused: bool = False
    """Whether engines refuse to take such an image at all."""

    @property
    def place(self) -> str:
        if self.at:
            return self.at
        assert isinstance(self.named, str), self.name
        return self.named

    @property
    def id(self) -> str:
        """Name of its test."""
        return f"{self.klass}: {self.name}"


# --- entries of a layer ---------------------------------------------------------------------------


def file(
    path: str,
    content: bytes | str = b"",
    *,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: int = TIME,
    xattrs: Mapping[str, str] | None = None,
) -> Entry:
    data = content.encode() if isinstance(content, str) else content
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.uid, info.gid, info.mtime = len(data), mode, uid, gid, mtime
    info.pax_headers = {f"{XATTR}{name}": value for name, value in (xattrs or {}).items()}
    return info, data


def program(path: str, content: bytes | str = "#!/bin/sh\nexit 0\n") -> Entry:
    return file(path, content, mode=0o755)


def folder(path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> Entry:
    return _special(path, tarfile.DIRTYPE, mode=mode, uid=uid, gid=gid)


def link(path: str, target: str) -> Entry:
    return _special(path, tarfile.SYMTYPE, target, mode=0o777)


def hard_link(path: str, target: str) -> Entry:
    return _special(path, tarfile.LNKTYPE, target)


def fifo(path: str) -> Entry:
    return _special(path, tarfile.FIFOTYPE)


def device(path: str, major: int, minor: int, *, is_block: bool = False) -> Entry:
    info, content = _special(path, tarfile.BLKTYPE if is_block else tarfile.CHRTYPE, mode=0o666)
    info.devmajor, info.devminor = major, minor
    return info, content


def removed(path: str) -> Entry:
    parent, _, name = path.rpartition("/")
    return file(f"{parent}/.wh.{name}".lstrip("/"))


def emptied(path: str) -> Entry:
    return file(f"{path}/.wh..wh..opq".lstrip("/"))


def holed(path: str, content: bytes) -> Entry:
    """Return a file that is stored with a hole of as many bytes before its content (GNU tar, sparse 1.0)."""
    parent, _, name = path.rpartition("/")
    places = f"1\n{len(content)}\n{len(content)}\n".encode().ljust(512, b"\0")
    info, data = file(f"{parent}/GNUSparseFile.0/{name}", places + content)
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": path,
        "GNU.sparse.realsize": str(2 * len(content)),
    }
    return info, data


def again(
    good: GoodImage,
    path: str,
    content: bytes | None = None,
    *,
    xattrs: Mapping[str, str] | None = None,
    **fields: Any,
) -> Entry:
    """Return a path as the image has it, with another content, xattrs or fields: its time stays."""
    info = good.info(path)
    data = content
    if data is None:
        data = good.read(path) if info.isreg() else b""
    info.size = len(data)
    for name, value in fields.items():
        setattr(info, name, value)
    if xattrs is not None:
        info.pax_headers = {f"{XATTR}{name}": value for name, value in xattrs.items()}
    return info, data


def _special(path: str, kind: bytes, target: str = "", *, mode: int = 0o644, **owner: int) -> Entry:
    info = tarfile.TarInfo(path)
    info.type, info.linkname, info.mode, info.mtime = kind, target, mode, TIME
    info.uid, info.gid = owner.get("uid", 0), owner.get("gid", 0)
    return info, b""


# --- kinds of tampering ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Klass:
    """Makes the tamperings of one class."""

    title: str

    def adds(
        self,
        name: str,
        *entries: Entry,
        named: str | re.Pattern[str] = "",
        at: str = "",
        is_bare: bool = False,
    ) -> Tampering:
        """Lay entries over the image; the first one's path is to be named."""
        named = named or entries[0][0].name
        return self.does(name, named, lambda _: Change(entries=entries, is_bare=is_bare), at=at)

    def edits(self, name: str, path: str, edit: Callable[[bytes], bytes]) -> Tampering:
        """Change the content of a file; mode, owner and time stay."""

        def make(good: GoodImage) -> Change:
            before = good.read(path)
            after = edit(before)
            assert after != before, path
            return Change(entries=(again(good, path, after),))

        return self.does(name, path, make)

    def changes(
        self, name: str, path: str, *, xattrs: Mapping[str, str] | None = None, **fields: Any
    ) -> Tampering:
        """Change what there is to a path but its content."""
        return self.does(
            name, path, lambda good: Change(entries=(again(good, path, xattrs=xattrs, **fields),))
        )

    def removes(self, name: str, path: str) -> Tampering:
        return self.does(name, path, lambda _: Change(entries=(removed(path),)))

    def configures(
        self, name: str, named: str, edit: Callable[[Config], object], *, at: str = "", also: str = ""
    ) -> Tampering:
        """Change the configuration; a report may call the field ``also``, in letters of any size."""
        is_variable = at.startswith("config.Env.")
        return self.does(
            name,
            named if is_variable else field_pattern(named, *filter(None, [also])),
            lambda _: Change(config=edited(edit)),
            at=at or named,
        )

    def does(
        self,
        name: str,
        named: str | re.Pattern[str],
        make: Callable[[GoodImage], Change],
        *,
        at: str = "",
        is_hostile: bool = False,
        is_refused: bool = False,
    ) -> Tampering:
        return Tampering(
            name=name,
            klass=self.title,
            named=named,
            make=make,
            at=at,
            is_hostile=is_hostile,
            is_refused=is_refused,
        )


def field_pattern(*names: str) -> re.Pattern[str]:
    """Return what finds a field of the configuration by one of its names, as a word of its own."""
    return re.compile(rf"(?<![A-Za-z])(?:{'|'.join(map(re.escape, names))})(?![A-Za-z])", re.IGNORECASE)


def edited(edit: Callable[[Config], object]) -> Callable[[bytes], bytes]:
    """Return a change of a configuration's bytes from one of its values."""

    def change(data: bytes) -> bytes:
        document = json.loads(data)
        edit(document)
        return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()

    return change


def setting(name: str, value: object) -> Callable[[Config], object]:
    """Return a change of one field of the container's configuration."""
    return lambda document: document["config"].update({name: value})


def appended(more: bytes | str) -> Callable[[bytes], bytes]:
    data = more.encode() if isinstance(more, str) else more
    return lambda content: content + data


def flipped(content: bytes) -> bytes:
    """Return the content with one bit of a byte in its middle changed."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def replace(content: bytes) -> bytes:
        assert old in content, old
        return content.replace(old, new)

    return replace
