"""A wheel that was built: its files by digest, its metadata, and how it differs from another one."""

import hashlib
import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from envbuild.digest import CHUNK, sha256_bytes
from envbuild.errors import BuildFailedError
from envbuild.formats.core_metadata import WheelMetadata, headers_of, parse_metadata
from envbuild.lock.model import WheelSource
from envbuild.resolve.sources.job import LARGEST_METADATA

NAMED_AT_MOST: Final = 8
"""Files that differ which a message lists."""

MOST_FILES: Final = 200_000
"""Files of a wheel that are looked at."""

LARGEST_UNPACKED: Final = 8 << 30
"""Bytes that the files of a wheel have together, unpacked."""

_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl")
_BROKEN: Final = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, RecursionError),
    *(NotImplementedError, RuntimeError, ValueError, LookupError, ArithmeticError),
)
"""What zips that are none bring about."""

KEY_DIGITS: Final = 10
"""Hexadecimal digits of the key that a wheel of one platform has in its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelContent:
    """What a wheel holds."""

    file: str
    """File name."""

    size: int
    """Bytes."""

    sha256: str
    contents: tuple[str, ...]
    """``path sha256``, sorted."""

    headers: bytes
    """METADATA without the description."""

    def is_of(self, package: str) -> bool:
        """Return whether the file's name is one of ``package``, a name and perhaps a version."""
        name, _, version = package.partition(" ")
        try:
            own, own_version, _, _ = parse_wheel_filename(self.file)
        except InvalidWheelFilename:
            return False
        return own == canonicalize_name(name) and version in {"", str(own_version)}

    @property
    def metadata(self) -> WheelMetadata:
        """Its core metadata."""
        return parse_metadata(self.headers)

    def document(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "contents": list(self.contents),
            "file": self.file,
            "headers": self.headers.decode(errors="replace"),
            "sha256": self.sha256,
            "size": self.size,
        }

    @classmethod
    def of(cls, document: Any) -> Self:
        """Return what :meth:`document` gave.  :raises KeyError, TypeError, ValueError: it did not."""
        return cls(
            file=str(document["file"]),
            size=int(document["size"]),
            sha256=str(document["sha256"]),
            contents=tuple(str(item) for item in document["contents"]),
            headers=str(document["headers"]).encode(),
        )


FindBuilt = Callable[[str], tuple[WheelContent, bytes] | None]
"""Looks for the wheel of a key where others may have left it; returns it with its bytes."""


def nowhere(_key: str) -> None:
    """Find nothing: there is nowhere to look."""


def read_wheel_content(file: str, data: bytes, *, package: str) -> WheelContent:
    """Return what the wheel ``data`` holds, which a build gave under the name ``file``.

    :raises BuildFailedError: it is no wheel, or one of another package.
    """
    name, _, version = package.partition(" ")
    try:
        built, built_version, _, _ = parse_wheel_filename(file)
        files = _files(data)
        (metadata,) = [path for path in files if path.endswith(".dist-info/METADATA")]
        headers = headers_of(_read(data, metadata))
        if not _FILE.fullmatch(file):
            raise ValueError(f"{file!r} is no name of a wheel")
    except (InvalidWheelFilename, *_BROKEN) as error:
        raise BuildFailedError(f"the build of `{package}` gave no wheel", detail=str(error)) from error
    if built != canonicalize_name(name) or (version and str(built_version) != version):
        raise BuildFailedError(
            f"the source of `{package}` builds `{built}` {built_version}",
            hint="its metadata and its build say different things; take another version",
        )
    return WheelContent(
        file=file,
        size=len(data),
        sha256=sha256_bytes(data),
        contents=tuple(sorted(f"{path} {digest}" for path, digest in files.items())),
        headers=headers,
    )


def named_by_key(content: WheelContent, key: str) -> WheelContent:
    """Return a wheel under a name of its own where what it is built on is part of what it is.

    A wheel for every platform keeps its name.  Others of one lock can differ by their builders alone; a build
    number tells them apart (binary distribution format, "File name convention").
    """
    if content.file.endswith("-none-any.whl"):
        return content
    return replace(content, file=with_build_number(content.file, key))


def with_build_number(file: str, digest: str) -> str:
    """Return the name of a wheel with a build number made of a digest."""
    name, version, *_, python, abi, platform = file.removesuffix(".whl").split("-")
    return "-".join((name, version, f"0{digest[:KEY_DIGITS]}", python, abi, platform)) + ".whl"


def require_same_metadata(package: str, expected: WheelMetadata, got: WheelMetadata) -> None:
    """Raise unless a wheel requires what was said before it was built.

    :raises BuildFailedError: with the lines that changed.
    """
    before, after = set(expected.requires), set(got.requires)
    if _spelled(before) == _spelled(after):
        return
    changed = [
        *(f"- {line}" for line in sorted(before - after)),
        *(f"+ {line}" for line in sorted(after - before)),
    ]
    raise BuildFailedError(
        f"the wheel of `{package}` requires other packages than its source said",
        hint="its build depends on something that is not the source; take another version",
        detail="\n".join(changed),
    )


def differing_files(first: bytes, second: bytes) -> tuple[str, ...]:
    """Return the files in which two wheels differ, sorted; many are counted."""
    try:
        one, other = _files(first), _files(second)
    except _BROKEN:
        return ("one of the two is no wheel",)
    return _named(path for path in {*one, *other} if one.get(path) != other.get(path))


def difference_from_lock(source: WheelSource, sha256: str, data: bytes) -> tuple[str, ...]:
    """Return the files in which a wheel differs from the locked one, which has ``sha256``."""
    if sha256_bytes(data) == sha256:
        return ()
    try:
        got = {f"{path} {digest}" for path, digest in _files(data).items()}
    except _BROKEN:
        return ("it is no wheel",)
    return _named(line.rpartition(" ")[0] for line in got ^ set(source.contents))


def _named(paths: Iterable[str]) -> tuple[str, ...]:
    # RECORD repeats the digests of all others
    told = {path for path in paths if not path.endswith(".dist-info/RECORD")}
    found = sorted(told) or ["the order or compression of its files"]
    more = len(found) - NAMED_AT_MOST
    return (*found[:NAMED_AT_MOST], *([f"and {more} more"] if more > 0 else []))


def _files(data: bytes) -> dict[str, str]:
    """Return the digest of each file.  :raises ValueError: it holds what no wheel has."""
    found: dict[str, str] = {}
    left = LARGEST_UNPACKED
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        if len(wheel.infolist()) > MOST_FILES:
            raise ValueError(f"it has more than {MOST_FILES} files")
        for entry in wheel.infolist():
            if entry.is_dir():
                continue
            _require_plain(entry.filename)
            if entry.filename in found:
                raise ValueError(f"{entry.filename} stands twice in it")
            found[entry.filename], size = _digest(wheel, entry, left)
            left -= size
    return found


def _require_plain(path: str) -> None:
    plain = path.isprintable() and "\\" not in path and not path.startswith("/")
    if not plain or posixpath.normpath(path) != path or path.startswith("../"):
        raise ValueError(f"{path!r} is no path in a wheel")


def _digest(wheel: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> tuple[str, int]:
    """Return the sha256 of a file, and how many bytes it has: at most ``left``."""
    digest, size = hashlib.sha256(), 0
    with wheel.open(entry) as stream:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > left:
                raise ValueError(f"it has more than {LARGEST_UNPACKED} bytes")
            digest.update(chunk)
    return digest.hexdigest(), size


def _read(data: bytes, path: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as wheel, wheel.open(path) as stream:
        return stream.read(LARGEST_METADATA)


def _spelled(lines: Iterable[str]) -> set[tuple[str, ...]]:
    """Return what lines ask for, without the conditions: those have many spellings."""
    found: set[tuple[str, ...]] = set()
    for line in lines:
        try:
            parsed = Requirement(line)
        except InvalidRequirement:
            found.add((line,))
            continue
        extras = (canonicalize_name(extra) for extra in parsed.extras)
        found.add((canonicalize_name(parsed.name), *sorted(extras), str(parsed.specifier)))
    return found
