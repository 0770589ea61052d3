"""Install wheels into a prefix, byte for byte the same on every run.

usage: install.py --prefix /opt/venv --wheels FOLDER [--root FOLDER]

Runs inside a build with the target's own interpreter; needs the `installer` distribution on its path and, in
its own folder, what decides which files there are (wheel_files.py) and how they are compiled (bytecode.py,
compile.py).  Wheels are installed in the order of their names.  An installed file is never replaced: two
packages may own one file only when they agree on its content; it is executable if one of them says so, and
the bytecode is the last one's.  Bytecode is compiled for one wheel at a time, from a sorted
list, by fresh interpreters.
What was written, and the folders it lies in, get the time SOURCE_DATE_EPOCH when it is set.
"""  # noqa: INP001 - a script of the recipe, not a module

import argparse
import hashlib
import os
import sys
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bytecode import CompileError, compile_in_children
from wheel_files import (
    BROKEN,
    EXECUTABLE,
    PLAIN,
    InstalledFile,
    content,
    is_source,
    plan_wheel,
    site_packages,
)

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PROGRAM = Path(__file__).with_name("compile.py").read_text()


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
    environment = Environment(options.prefix, options.root)
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        install_wheels(sorted(options.wheels.glob("*.whl")), environment)
        if epoch:
            environment.set_times(int(epoch))
    except (InstallationError, CompileError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


class Environment:
    """A prefix in a file system, and which wheel of this run brought which of its files."""

    def __init__(self, prefix: str, root: Path) -> None:
        self.prefix = prefix
        self.folder = root / prefix.lstrip("/")
        self.owners: dict[str, str] = {}
        self.last_owners: dict[str, str] = {}
        self.written: set[Path] = set()

    def owner(self, name: str) -> str:
        """Return whose file ``name`` is, for a message."""
        if name in self.owners:
            return self.owners[name]
        site = self.folder / site_packages(PYTHON)
        relative = os.path.relpath(self.folder / name, site)
        for record in sorted(site.glob("*.dist-info/RECORD")):
            if any(line.split(",")[0].strip('"') == relative for line in record.read_text().splitlines()):
                return record.parent.name.removesuffix(".dist-info")
        return "the environment itself"

    def set_times(self, seconds: int) -> None:
        """Set the times of what was written and of the folders above it, from the prefix on."""
        parents = {parent for path in self.written for parent in path.parents}
        folders = {folder for folder in parents if folder == self.folder or self.folder in folder.parents}
        for path in self.written | folders:
            os.utime(path, (seconds, seconds))


def install_wheels(wheels: Iterable[Path], environment: Environment) -> None:
    """Install ``wheels`` in this order, then compile what they brought.

    :raises InstallationError: a wheel is broken, or disagrees with another one.
    """
    brought = {wheel.name: install_wheel(wheel, environment) for wheel in wheels}
    # the longest first, so that it is not left over at the end; the order does not show in the result
    queue = sorted(brought.items(), key=lambda item: -sum(file.size for file in item[1]))
    with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as threads:
        list(threads.map(lambda item: compile_wheel(*item, environment), queue))


def install_wheel(wheel: Path, environment: Environment) -> "list[InstalledFile]":
    """Write the files of one wheel; return those to compile, sorted."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            plan = plan_wheel(archive, wheel.name, python=PYTHON, prefix=environment.prefix)
            for file in plan.values():
                write(archive, file, wheel.name, environment)
    except BROKEN as error:
        raise InstallationError(f"{wheel.name} is not a wheel that can be installed: {error}") from error
    return [file for name, file in plan.items() if is_source(name, PYTHON)]


def write(archive: zipfile.ZipFile, file: InstalledFile, wheel: str, environment: Environment) -> None:
    """Write one file, or see that it is there."""
    target = environment.folder / file.name
    if os.path.lexists(target):
        for _ in content(archive, file):
            pass  # what contradicts the wheel's own RECORD is refused here too
        if target.is_symlink() or not target.is_file() or sha256_of(target) != file.sha256:
            raise InstallationError(
                f"{wheel} and {environment.owner(file.name)} both bring "
                f"{environment.prefix}/{file.name}, with different content"
            )
        if file.executable:
            target.chmod(EXECUTABLE)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as stream:
            stream.writelines(content(archive, file))
        target.chmod(EXECUTABLE if file.executable else PLAIN)
        environment.written.add(target)
    environment.owners.setdefault(file.name, wheel)
    environment.last_owners[file.name] = wheel


def compile_wheel(wheel: str, sources: "list[InstalledFile]", environment: Environment) -> None:
    """Compile the sources of one wheel in interpreters that have done nothing else."""
    above = f"{environment.prefix}/"
    texts = ((above + file.name, (environment.folder / file.name).read_bytes()) for file in sources)
    batches = compile_in_children(
        wheel, texts, interpreter=sys.executable, series=sys.version_info[:2], program=PROGRAM
    )
    for batch in batches:
        for source, path, data in batch.files:
            if environment.last_owners[source[len(above) :]] != wheel:
                continue
            target = environment.folder / path[len(above) :]
            if target.is_file() and target.read_bytes() == data:
                continue  # an earlier layer has it
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(data)
            target.chmod(PLAIN)
            environment.written.add(target)


def sha256_of(path: Path) -> str:
    """Return a file's sha256."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
