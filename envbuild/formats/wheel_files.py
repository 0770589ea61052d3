"""Which files installing a wheel gives: their paths, modes and digests, and where their content comes from.

One plan for all who need it: the install script of the docker engine's build, beside which this module lies
in the recipe, the local engine's layers, and what verification expects.  So it imports nothing but the
standard library and `installer`, and runs on every Python that a target may have.

A wheel is refused when it contradicts its RECORD, when a path leaves its folder, and when it unpacks to far
more than it holds.  A file without a line or a hash in RECORD is taken as it is, as pip does: the wheel as a
whole has a locked digest.  Names that differ only in case are different files, as on the file systems that
images have.
"""

from __future__ import annotations

import base64
import hashlib
import io
import posixpath
import stat
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import Hash, InvalidRecordEntry, RecordEntry, parse_record_file
from installer.scripts import Script
from installer.sources import WheelFile
from installer.utils import construct_record_file, fix_shebang

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PLAIN, EXECUTABLE = 0o644, 0o755
"""Modes of files, whatever the umask: as the wheel marks them executable or not."""

CHUNK = 1 << 20

ABSURD_RATIO, ABSURD_SIZE = 100, 1 << 30
"""A wheel, or a file in it, that unpacks to so many times its packed size and to more bytes than this is a
bomb.  The most that deflate can do is 1032; the libraries of a CUDA stack stay below 10."""

_INSTALLER = {"INSTALLER": b"envbuild\n"}
"""Who installed it (PyPA: Recording installed projects)."""

_SHEBANG = b"#!python"
_ENCRYPTED = 0x1

BROKEN = (
    AssertionError,
    EOFError,
    InstallerError,
    InvalidRecordEntry,
    KeyError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a file that is no wheel, or a broken one, ends in."""


class WheelMember(NamedTuple):
    """A file in the wheel, and what RECORD says of it."""

    info: zipfile.ZipInfo
    algorithm: str
    """Of the hash in RECORD; empty when there is none."""

    value: str
    """The hash: base64 as RECORD writes it, without padding."""


class InstalledFile(NamedTuple):
    """One file that installing gives."""

    name: str
    """Path below the prefix."""

    executable: bool
    sha256: str
    """64 hexadecimal digits."""

    size: int
    source: bytes | WheelMember
    """The content, or where it is."""

    @property
    def mode(self) -> int:
        """Permission bits."""
        return EXECUTABLE if self.executable else PLAIN


def plan_wheel(archive: zipfile.ZipFile, file: str, *, python: str, prefix: str) -> dict[str, InstalledFile]:
    """Return what installing gives, by path below ``prefix``, sorted; the digests are those RECORD states.

    Content is read only where RECORD has no sha256, and of scripts that name their interpreter: whoever
    reads the rest compares it with the plan (:func:`checked`).  ``file`` is the wheel's name, ``python`` the
    version as folders spell it (``3.11``).  Raises one of :data:`BROKEN`.
    """
    source = _Source(archive, file)
    destination = _Planner(source.distribution, archive, python=python, prefix=prefix)
    # installer's own types are stricter than what it does with a stream: hand it on
    install(source, destination, _INSTALLER)
    return dict(sorted(destination.files.items()))


def is_source(name: str, python: str) -> bool:
    """Return whether a file is one that gets bytecode."""
    return name.startswith(f"{site_packages(python)}/") and name.endswith(".py")


def site_packages(python: str) -> str:
    """Return where modules lie below the prefix."""
    return f"lib/python{python}/site-packages"


def content(archive: zipfile.ZipFile, file: InstalledFile) -> Iterator[bytes]:
    """Yield the content of a file, compared with the plan.  Raises one of :data:`BROKEN` when it differs."""
    if isinstance(file.source, bytes):
        yield file.source
        return
    with archive.open(file.source.info) as stream:
        yield from checked(file, iter(lambda: stream.read(CHUNK), b""))


def checked(file: InstalledFile, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what a member of the wheel holds.  :raises ValueError: at the end, when RECORD says otherwise."""
    digest = hashlib.sha256()
    size = 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
        yield chunk
    path = cast("WheelMember", file.source).info.filename
    if size != file.size:
        raise ValueError(f"{path} does not have the size its archive states")
    if digest.hexdigest() != file.sha256:
        raise ValueError(f"{path} does not have the hash its RECORD states")


class _Source(WheelFile):
    """A wheel whose files are not opened, only named."""

    def __init__(self, archive: zipfile.ZipFile, file: str) -> None:
        # a store may keep the wheel under another name than its own
        archive.filename = file
        super().__init__(archive)
        self._archive = archive

    def get_contents(self) -> Iterator[tuple[tuple[str, str, str], BinaryIO, bool]]:
        """Yield the files to install: not INSTALLER, which is the installing program's, and no bytecode."""
        lines = self.read_dist_info("RECORD").splitlines()
        records = {record[0]: record for record in parse_record_file(lines)}
        own = f"{self.dist_info_dir}/INSTALLER"
        members = [info for info in self._archive.infolist() if not info.filename.endswith("/")]
        _refuse_bombs(members)
        for info in members:
            path = info.filename
            if path == own or "__pycache__" in path.split("/")[:-1]:
                continue
            record = records.pop(path, (path, "", ""))
            if record[2] and int(record[2]) != info.file_size:
                raise ValueError(f"{path} does not have the size its RECORD states")
            mode = info.external_attr >> 16
            executable = stat.S_ISREG(mode) and bool(mode & 0o111)
            algorithm, _, value = record[1].partition("=")
            yield record, cast("BinaryIO", WheelMember(info, algorithm, value.rstrip("="))), executable


def _refuse_bombs(members: list[zipfile.ZipInfo]) -> None:
    packed = unpacked = 0
    for info in members:
        packed, unpacked = packed + info.compress_size, unpacked + info.file_size
        if info.flag_bits & _ENCRYPTED:
            raise ValueError(f"{info.filename} is encrypted")
        if info.file_size > max(ABSURD_SIZE, ABSURD_RATIO * info.compress_size):
            raise ValueError(f"{info.filename} unpacks to {info.file_size} bytes, an absurd amount")
    if unpacked > max(ABSURD_SIZE, ABSURD_RATIO * packed):
        raise ValueError(f"it unpacks to {unpacked} bytes, an absurd amount")


class _Planner(WheelDestination):
    """Notes what would be written below a prefix."""

    def __init__(self, distribution: str, archive: zipfile.ZipFile, *, python: str, prefix: str) -> None:
        site = site_packages(python)
        self.files: dict[str, InstalledFile] = {}
        self._archive = archive
        self._interpreter = f"{prefix}/bin/python"
        self._roots = {
            "purelib": site,
            "platlib": site,
            # where pip puts them in a virtual environment
            "headers": f"include/site/python{python}/{distribution}",
            "scripts": "bin",
            "data": "",
        }

    def write_script(self, name: str, module: str, attr: str, section: Any) -> RecordEntry:
        """Plan the program of an entry point."""
        file, data = Script(name, module, attr, section).generate(self._interpreter, "posix")
        return self._note("scripts", file, data, executable=True)

    def write_file(self, scheme: str, path: Any, stream: Any, is_executable: bool) -> RecordEntry:  # noqa: FBT001
        """Plan a file; a script's first line names the environment's interpreter."""
        source = stream if isinstance(stream, WheelMember) else stream.read()
        if scheme == "scripts" and isinstance(source, WheelMember) and self._starts_with_shebang(source):
            data = b"".join(content(self._archive, self._file("", source, executable=False)))
            with fix_shebang(io.BytesIO(data), self._interpreter) as fixed:
                source = fixed.read()
        return self._note(scheme, str(path), source, executable=is_executable)

    def finalize_installation(self, scheme: str, record_file_path: str, records: Iterable[Any]) -> None:
        """Plan RECORD."""

        def way_to(other: str) -> str | None:
            if other == scheme:
                return None
            return posixpath.relpath(f"/{self._roots[other]}", f"/{self._roots[scheme]}") + "/"

        with construct_record_file(list(records), way_to) as stream:
            self._note(scheme, record_file_path, stream.read(), executable=False)

    def _note(self, scheme: str, path: str, source: bytes | WheelMember, *, executable: bool) -> RecordEntry:
        inner = posixpath.normpath(path)
        if inner in {".", ".."} or inner.startswith(("/", "../")):
            raise ValueError(f"{path} leaves its folder")
        name = posixpath.join(self._roots[scheme], inner)
        if name.startswith("lib64/"):
            name = f"lib/{name[6:]}"  # one is a link to the other
        file = self._file(name, source, executable=executable)
        present = self.files.get(name)
        if present is not None and present.sha256 != file.sha256:
            raise ValueError(f"{path} is in it twice, with different content")
        if present is None or executable:
            self.files[name] = file
        stated = base64.urlsafe_b64encode(bytes.fromhex(file.sha256)).decode().rstrip("=")
        return RecordEntry(path, Hash("sha256", stated), file.size)

    def _file(self, name: str, source: bytes | WheelMember, *, executable: bool) -> InstalledFile:
        if isinstance(source, bytes):
            return InstalledFile(name, executable, hashlib.sha256(source).hexdigest(), len(source), source)
        if source.algorithm == "sha256":
            sha256 = base64.b64decode(f"{source.value}=", altchars=b"-_", validate=True).hex()
            if len(sha256) != hashlib.sha256().digest_size * 2:
                raise ValueError(f"{source.info.filename} does not have the hash its RECORD states")
        else:
            sha256 = self._hash(source)
        return InstalledFile(name, executable, sha256, source.info.file_size, source)

    def _hash(self, member: WheelMember) -> str:
        """Read a file whose sha256 RECORD does not state."""
        digests = {name: hashlib.new(name) for name in {"sha256", member.algorithm or "sha256"}}
        with self._archive.open(member.info) as stream:
            while chunk := stream.read(CHUNK):
                for digest in digests.values():
                    digest.update(chunk)
        if member.algorithm:
            value = base64.urlsafe_b64encode(digests[member.algorithm].digest()).decode().rstrip("=")
            if value != member.value:
                raise ValueError(f"{member.info.filename} does not have the hash its RECORD states")
        return digests["sha256"].hexdigest()

    def _starts_with_shebang(self, member: WheelMember) -> bool:
        with self._archive.open(member.info) as stream:
            return stream.read(len(_SHEBANG)) == _SHEBANG
