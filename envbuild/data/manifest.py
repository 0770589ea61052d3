"""The manifest of a data entry: the sha256 of each file, in the text form of ``sha256sum``.  Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from envbuild.data.names import clashing, fault_of
from envbuild.digest import sha256_bytes
from envbuild.errors import IntegrityError

LARGEST_MANIFEST: Final = 1 << 28
"""Bytes of a manifest that is read or written: about two million files."""

_LINE: Final = re.compile(r"(\\?)([0-9a-f]{64})  ([^\n]+)")
_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_UNESCAPED: Final = {escaped: plain for plain, escaped in _ESCAPES.items()}
_ESCAPABLE: Final = re.compile(r"[\\\n\r]")
_ESCAPED: Final = re.compile(r"\\(.?)", re.DOTALL)


class ManifestFaultError(IntegrityError):
    """A manifest is not well formed: it was edited by hand, cut off, or made by somebody hostile."""


@dataclass(frozen=True)
class DataManifest:
    """The files of a data entry, each with the sha256 of its content."""

    files: Mapping[str, str]
    """Hexadecimal sha256 by relative path."""

    @cached_property
    def data(self) -> bytes:
        """The text: one line for each file, sorted by the bytes of the paths."""
        return "".join(_line(path, self.files[path]) for path in in_order(self.files)).encode()

    @property
    def digest(self) -> str:
        """What the entry is called in the lock: ``sha256:`` and the sha256 of :attr:`data`."""
        return f"sha256:{sha256_bytes(self.data)}"

    def __len__(self) -> int:
        return len(self.files)


def in_order(paths: Iterable[str]) -> list[str]:
    """Return paths sorted by their bytes, in no locale."""
    # UTF-8 sorts as its code points do
    return sorted(paths)


def manifest_of(files: Mapping[str, str]) -> DataManifest:
    """Return the manifest of ``files``: hexadecimal sha256 by path.

    :raises ManifestFaultError: a path is not relative and plain, or the text would be too large.
    """
    for path in files:
        fault = fault_of(path)
        if fault is not None:
            raise ManifestFaultError(f"`{path}` {fault}, so it cannot be recorded", hint="rename the file")
    _refuse_clash(set(files))
    manifest = DataManifest(dict(files))
    if len(manifest.data) > LARGEST_MANIFEST:
        raise ManifestFaultError(
            f"{len(files)} files are too many: the manifest has more than {LARGEST_MANIFEST} bytes",
            hint="put them into archives, or into several data entries",
        )
    return manifest


def parse_manifest(data: bytes, *, label: str = "the manifest") -> DataManifest:
    """Return the manifest that ``data`` holds, in exactly the form that :attr:`DataManifest.data` has.

    ``label`` is what errors call it.

    :raises ManifestFaultError: it is larger than may be, is not in that form, or has unsafe paths.
    """
    if len(data) > LARGEST_MANIFEST:
        raise _fault(label, f"has more than {LARGEST_MANIFEST} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _fault(label, "is not UTF-8") from error
    if text and not text.endswith("\n"):
        raise _fault(label, "does not end with a line end: it may be cut off")
    files: dict[str, str] = {}
    before = ""
    for number, line in enumerate(text.split("\n")[:-1], start=1):
        path, sha256 = _read_line(line, f"line {number} of {label}")
        if before >= path:
            raise _fault(label, f"has line {number} twice or out of order")
        files[path] = sha256
        before = path
    _refuse_clash(set(files))
    return DataManifest(files)


def _line(path: str, sha256: str) -> str:
    if _ESCAPABLE.search(path) is None:
        return f"{sha256}  {path}\n"
    return f"\\{sha256}  {_ESCAPABLE.sub(lambda found: _ESCAPES[found[0]], path)}\n"


def _read_line(line: str, label: str) -> tuple[str, str]:
    found = _LINE.fullmatch(line)
    if found is None:
        raise _fault(label, "is not a sha256, two spaces and a path")
    mark, sha256, path = found.groups()
    if mark:
        try:
            path = _ESCAPED.sub(lambda escape: _UNESCAPED[escape[0]], path)
        except KeyError as error:
            raise _fault(label, "has an unknown escape") from error
    fault = fault_of(path)
    if fault is not None:
        raise _fault(label, f"names `{path}`, which {fault}")
    if _line(path, sha256) != f"{line}\n":
        raise _fault(label, "is not escaped as sha256sum does it")
    return path, sha256


def _refuse_clash(paths: set[str]) -> None:
    clash = clashing(paths)
    if clash is not None:
        raise ManifestFaultError(f"`{clash}` is a file and a folder at once")


def _fault(label: str, what: str) -> ManifestFaultError:
    return ManifestFaultError(
        f"{label} {what}", hint="restore it from version control, or run `envbuild data lock`"
    )
