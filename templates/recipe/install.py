"""Install wheels into a prefix, byte for byte the same on every run.

usage: install.py --prefix /opt/venv --wheels FOLDER [--root FOLDER]

Runs inside a build with the target's own interpreter; needs the `installer` distribution on its path and
nothing else.  Wheels are installed in the order of their names.  Whatever the umask, files come out 0644 or
0755, as the wheel marks them executable or not.  An installed file is never replaced: two packages may own
one file only when they agree on its content.  Bytecode is compiled for one wheel per fresh interpreter, from
a sorted list: what it has compiled before shows in what it writes next (cpython issue 129724).

What ends up on disk is also what `envbuild/verify/wheels.py` computes; change both or neither.
"""  # noqa: INP001 - a script of the recipe, not a module

import argparse
import base64
import hashlib
import io
import json
import os
import posixpath
import shutil
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from installer import install
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import Hash, RecordEntry
from installer.scripts import Script
from installer.sources import WheelFile
from installer.utils import construct_record_file, fix_shebang

PLAIN, EXECUTABLE = 0o644, 0o755
CHUNK = 1 << 20
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"

BROKEN = (
    AssertionError,
    EOFError,
    InstallerError,
    KeyError,
    RuntimeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a file that is no wheel, or a broken one, ends in."""

# Runs apart; what does not compile stays source, as with pip.
COMPILE = """
import json, py_compile, sys
for path, name in json.load(sys.stdin):
    try:
        py_compile.compile(
            path, dfile=name, doraise=True, optimize=0,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except py_compile.PyCompileError:
        pass
"""


class InstallationError(Exception):
    """A wheel cannot be installed as it is."""


def main() -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description="Install wheels into a prefix.")
    parser.add_argument("--prefix", required=True, help="absolute path of the environment in the image")
    parser.add_argument("--wheels", required=True, type=Path, help="folder of the wheels to install")
    parser.add_argument("--root", type=Path, default=Path("/"), help="where / of the image lies")
    options = parser.parse_args()
    os.umask(0o022)
    try:
        install_wheels(sorted(options.wheels.glob("*.whl")), Environment(options.prefix, options.root))
    except (InstallationError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def install_wheels(wheels: Iterable[Path], environment: "Environment") -> None:
    """Install ``wheels`` in this order, then compile what they brought.

    :raises InstallationError: a wheel is broken, or disagrees with another one.
    """
    brought = {wheel.name: install_wheel(wheel, environment) for wheel in wheels}
    # the longest first, so that it is not left over at the end; the order does not show in the result
    sizes = {wheel: sum(path.stat().st_size for path, _ in sources) for wheel, sources in brought.items()}
    queue = sorted(brought.items(), key=lambda item: -sizes[item[0]])
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as threads:
        list(threads.map(lambda item: compile_apart(*item), queue))


def install_wheel(wheel: Path, environment: "Environment") -> "list[tuple[Path, str]]":
    """Write the files of one wheel; return its new Python files as (path, path inside the image), sorted."""
    try:
        with Source.open(wheel) as source, warnings.catch_warnings():
            # a wheel that ships __pycache__ is installed without it
            warnings.simplefilter("ignore", RuntimeWarning)
            destination = Destination(wheel.name, source.distribution, environment)
            install(source, destination, {"INSTALLER": b"envbuild\n"})
    except BROKEN as error:
        raise InstallationError(f"{wheel.name} is not a wheel that can be installed: {error}") from error
    return sorted(destination.sources)


# --- files --------------------------------------------------------------------------------------


class Environment:
    """A prefix in a file system, and which wheel of this run brought which of its files."""

    def __init__(self, prefix: str, root: Path) -> None:
        self.prefix = prefix
        self.folder = root / prefix.lstrip("/")
        self.site = f"lib/{PYTHON}/site-packages"
        self.owners: dict[str, str] = {}

    def owner(self, name: str) -> str:
        """Return whose file ``name`` is, for a message."""
        if name in self.owners:
            return self.owners[name]
        site = self.folder / self.site
        relative = os.path.relpath(self.folder / name, site)
        for record in sorted(site.glob("*.dist-info/RECORD")):
            if any(line.split(",")[0].strip('"') == relative for line in record.read_text().splitlines()):
                return record.parent.name.removesuffix(".dist-info")
        return "the environment itself"


class Source(WheelFile):
    """A wheel whose files are compared with its RECORD while they are read."""

    def get_contents(self) -> Iterator[Any]:
        """Yield all files but INSTALLER, which is the installing program's to write."""
        own = f"{self.dist_info_dir}/INSTALLER"
        for record, stream, is_executable in super().get_contents():
            if record[0] != own:
                yield record, Checked(stream, record), is_executable


class Destination(WheelDestination):
    """Puts the files of one wheel into an environment."""

    def __init__(self, wheel: str, distribution: str, environment: Environment) -> None:
        self.sources: list[tuple[Path, str]] = []
        self._roots = {
            "purelib": environment.site,
            "platlib": environment.site,
            # where pip puts them in a virtual environment
            "headers": f"include/site/{PYTHON}/{distribution}",
            "scripts": "bin",
            "data": "",
        }
        self._wheel = wheel
        self._environment = environment
        self._interpreter = f"{environment.prefix}/bin/python"

    def write_script(self, name: str, module: str, attr: str, section: Any) -> RecordEntry:
        """Write the program of an entry point."""
        file, data = Script(name, module, attr, section).generate(self._interpreter, "posix")
        return self._put("scripts", file, io.BytesIO(data), executable=True)

    def write_file(self, scheme: str, path: Any, stream: BinaryIO, is_executable: bool) -> RecordEntry:  # noqa: FBT001
        """Write a file; a script's first line names the environment's interpreter."""
        if scheme != "scripts":
            return self._put(scheme, str(path), stream, executable=is_executable)
        with fix_shebang(io.BytesIO(stream.read()), self._interpreter) as fixed:
            return self._put(scheme, str(path), fixed, executable=is_executable)

    def finalize_installation(self, scheme: str, record_file_path: str, records: Iterable[Any]) -> None:
        """Write RECORD."""

        def way_to(other: str) -> "str | None":
            if other == scheme:
                return None
            return posixpath.relpath(f"/{self._roots[other]}", f"/{self._roots[scheme]}") + "/"

        with construct_record_file(list(records), way_to) as stream:
            self._put(scheme, record_file_path, stream, executable=False)

    def _put(self, scheme: str, path: str, stream: Any, *, executable: bool) -> RecordEntry:
        name = self._name(scheme, path)
        target = self._environment.folder / name
        checked = stream if isinstance(stream, Checked) else Checked(stream)
        if os.path.lexists(target):
            self._keep(target, name, checked, executable=executable)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                shutil.copyfileobj(checked, file, CHUNK)
            target.chmod(EXECUTABLE if executable else PLAIN)
            if name.startswith(f"{self._environment.site}/") and name.endswith(".py"):
                self.sources.append((target, f"{self._environment.prefix}/{name}"))
        self._environment.owners.setdefault(name, self._wheel)
        return RecordEntry(path, Hash("sha256", checked.sha256()), checked.size)

    def _name(self, scheme: str, path: str) -> str:
        """Return the path below the prefix."""
        inner = posixpath.normpath(path)
        if inner in {".", ".."} or inner.startswith(("/", "../")):
            raise InstallationError(f"{self._wheel}: {path} leaves its folder")
        name = posixpath.join(self._roots[scheme], inner)
        # one is a link to the other
        return f"lib/{name[6:]}" if name.startswith("lib64/") else name

    def _keep(self, target: Path, name: str, checked: "Checked", *, executable: bool) -> None:
        shutil.copyfileobj(checked, Nowhere(), CHUNK)
        if target.is_symlink() or not target.is_file() or digest_of(target) != checked.sha256():
            raise InstallationError(
                f"{self._wheel} and {self._environment.owner(name)} both bring "
                f"{self._environment.prefix}/{name}, with different content"
            )
        if executable:
            target.chmod(EXECUTABLE)


class Checked(io.RawIOBase):
    """A file of a wheel that is compared with the wheel's RECORD when it has been read to its end.

    A file without a line or a hash in RECORD is taken as it is, as pip does: the wheel as a whole has a
    locked digest.  One that contradicts its line is refused.
    """

    def __init__(self, stream: Any, record: "tuple[str, str, str]" = ("", "", "")) -> None:
        super().__init__()
        self._stream = stream
        self._path, recorded, self._recorded_size = record
        self._algorithm, _, self._value = recorded.partition("=")
        self._digests = {name: hashlib.new(name) for name in {"sha256", self._algorithm or "sha256"}}
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes.  :raises ValueError: at the end, when RECORD says otherwise."""
        data: bytes = self._stream.read(size)
        for digest in self._digests.values():
            digest.update(data)
        self.size += len(data)
        if self._path and (size < 0 or not data):
            self._compare()
        return data

    def sha256(self) -> str:
        """Return the digest of what was read, as RECORD writes it."""
        return self._encoded("sha256")

    def _compare(self) -> None:
        if self._algorithm and self._encoded(self._algorithm) != self._value.rstrip("="):
            raise ValueError(f"{self._path} does not have the hash its RECORD states")
        if self._recorded_size and int(self._recorded_size) != self.size:
            raise ValueError(f"{self._path} does not have the size its RECORD states")

    def _encoded(self, algorithm: str) -> str:
        return base64.urlsafe_b64encode(self._digests[algorithm].digest()).decode().rstrip("=")


class Nowhere(io.RawIOBase):
    """A file that keeps nothing."""

    def write(self, data: Any) -> int:
        """Take ``data``."""
        return len(data)


def digest_of(path: Path) -> str:
    """Return a file's sha256 as RECORD writes it."""
    with path.open("rb") as stream:
        checked = Checked(stream)
        shutil.copyfileobj(checked, Nowhere(), CHUNK)
    return checked.sha256()


# --- bytecode -----------------------------------------------------------------------------------


def compile_apart(wheel: str, sources: "list[tuple[Path, str]]") -> None:
    """Compile the sources of one wheel in an interpreter that has done nothing else."""
    if not sources:
        return
    # without site and the environment: neither is to have a say; before 3.11 the order of a set in bytecode
    # followed the hash seed, which -I would leave to chance
    isolation = "-I" if sys.version_info >= (3, 11) else "-s"
    child = subprocess.run(
        [sys.executable, isolation, "-S", "-W", "ignore", "-c", COMPILE],
        input=json.dumps([(str(path), name) for path, name in sources]).encode(),
        env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        cwd="/",
        capture_output=True,
        check=False,
    )
    if child.returncode:
        said = child.stderr.decode(errors="replace").strip()[-2000:]
        raise InstallationError(f"compiling {wheel} failed: {said}")


if __name__ == "__main__":
    sys.exit(main())
