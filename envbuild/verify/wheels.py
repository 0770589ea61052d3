"""The files that installing a locked wheel gives: path, digest and mode of each, without touching a disk.

The same decisions as ``templates/recipe/install.py`` takes inside a build, with a destination that hashes
instead of writing; a test holds the two together.  Bytecode is left out: it is compared with its source.
"""

import base64
import io
import posixpath
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import installer
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import Hash, RecordEntry
from installer.scripts import Script
from installer.sources import WheelContentElement, WheelFile
from installer.utils import Scheme, construct_record_file, copyfileobj_with_hashing, fix_shebang

from envbuild.errors import IntegrityError
from envbuild.verify.checks.trees import Entry, Tree

_INSTALLER = b"envbuild\n"
"""What a build writes as INSTALLER (recording installed projects, PyPA)."""

_BROKEN = (
    AssertionError,
    EOFError,
    InstallerError,
    KeyError,
    OSError,
    RuntimeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a file that is no wheel, or a broken one, ends in."""

_PLAIN, _EXECUTABLE = 0o644, 0o755


def wheel_tree(path: Path, *, file: str, python: str, prefix: str) -> Tree:
    """Return what a build installs from the wheel at ``path``, by path below the prefix, sorted.

    ``file`` is the wheel's own name (a store may keep it under another), ``python`` the version as folders
    spell it (``3.11``).

    :raises IntegrityError: the file is no wheel that can be installed.
    """
    try:
        with zipfile.ZipFile(path) as archive, warnings.catch_warnings():
            # a wheel that ships __pycache__ is installed without it
            warnings.simplefilter("ignore", RuntimeWarning)
            archive.filename = file
            source = _Source(archive)
            destination = _HashingDestination(source.distribution, python=python, prefix=prefix)
            installer.install(source, destination, {"INSTALLER": _INSTALLER})
    except _BROKEN as error:
        raise IntegrityError(f"{file} is not a wheel that can be installed: {error}") from error
    return dict(sorted(destination.entries.items()))


class _Source(WheelFile):
    """A wheel without an INSTALLER of its own: that file is the installing program's."""

    def get_contents(self) -> Iterator[WheelContentElement]:
        own = f"{self.dist_info_dir}/INSTALLER"
        return (element for element in super().get_contents() if element[0][0] != own)


class _HashingDestination(WheelDestination):
    """Notes what would be written below a prefix."""

    def __init__(self, distribution: str, *, python: str, prefix: str) -> None:
        site = f"lib/python{python}/site-packages"
        self.entries: dict[str, Entry] = {}
        self._interpreter = f"{prefix}/bin/python"
        self._roots = {
            "purelib": site,
            "platlib": site,
            # where pip puts them in a virtual environment
            "headers": f"include/site/python{python}/{distribution}",
            "scripts": "bin",
            "data": "",
        }

    def write_script(
        self, name: str, module: str, attr: str, section: Literal["console", "gui"]
    ) -> RecordEntry:
        file, data = Script(name, module, attr, section).generate(self._interpreter, "posix")
        return self._note("scripts", file, io.BytesIO(data), executable=True)

    def write_file(self, scheme: Scheme, path: object, stream: BinaryIO, is_executable: bool) -> RecordEntry:  # noqa: FBT001 - installer's signature
        if scheme != "scripts":
            return self._note(scheme, str(path), stream, executable=is_executable)
        # a stream out of a zip rewinds slowly, and scripts are small
        with fix_shebang(io.BytesIO(stream.read()), self._interpreter) as fixed:
            return self._note(scheme, str(path), fixed, executable=is_executable)

    def finalize_installation(
        self, scheme: Scheme, record_file_path: str, records: Iterable[tuple[Scheme, RecordEntry]]
    ) -> None:
        def way_to(other: Scheme) -> str | None:
            if other == scheme:
                return None
            return posixpath.relpath(f"/{self._roots[other]}", f"/{self._roots[scheme]}") + "/"

        with construct_record_file(list(records), way_to) as stream:
            self._note(scheme, record_file_path, stream, executable=False)

    def _note(self, scheme: str, path: str, stream: BinaryIO, *, executable: bool) -> RecordEntry:
        inner = posixpath.normpath(path)
        if inner in {".", ".."} or inner.startswith(("/", "../")):
            raise ValueError(f"{path} leaves its folder")
        name = posixpath.join(self._roots[scheme], inner)
        if name.startswith("lib64/"):
            name = f"lib/{name[6:]}"  # one is a link to the other
        hashed, size = copyfileobj_with_hashing(stream, cast("BinaryIO", _Nowhere()), "sha256")
        entry = Entry(
            "f", _EXECUTABLE if executable else _PLAIN, base64.urlsafe_b64decode(f"{hashed}=").hex()
        )
        present = self.entries.get(name)
        if present is not None and present.content != entry.content:
            raise ValueError(f"{path} is in it twice, with different content")
        if present is None or executable:
            self.entries[name] = entry
        return RecordEntry(path, Hash("sha256", hashed), size)


class _Nowhere(io.RawIOBase):
    """A file that keeps nothing."""

    def write(self, data: Any) -> int:
        return len(data)
