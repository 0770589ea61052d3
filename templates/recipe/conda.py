"""Lay conda packages down with py-rattler, byte for byte the same on every run.

usage: conda.py --prefix /opt/conda --packages FOLDER --lock FILE --plan FILE --layers FOLDER --tools FOLDER

Runs inside a build with the base's own Python.  What py-rattler leaves to chance or to this machine is set
afterwards: modes are 0644 or 0755, files are dated as their package is, its record in conda-meta
names no cache.  Bytecode that packages ship is made for their own build's times and paths, so it is replaced:
compiled by the environment's Python for one package per fresh interpreter, as that of wheels is.  In the end
the files are moved into one folder for each layer.

What ends up on disk is also what `envbuild/formats/conda_prefix.py` computes; change both or neither.
"""  # noqa: INP001 - a script of the recipe, not a module

import argparse
import asyncio
import datetime as dt
import json
import os
import shutil
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

from bytecode import CompileError, compile_in_children

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PLAIN, EXECUTABLE = 0o644, 0o755
PROGRAM = Path(__file__).with_name("compile.py").read_text(encoding="utf-8")


class LayingError(Exception):
    """The packages cannot be laid down as they are."""


def main() -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description="Lay conda packages down.")
    for name in ("prefix", "packages", "lock", "plan", "layers", "tools"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    options = parser.parse_args()
    sys.path.insert(0, str(options.tools))
    os.umask(0o022)
    locked = json.loads(options.lock.read_text(encoding="utf-8"))
    plan = json.loads(options.plan.read_text(encoding="utf-8"))
    packages = locked["conda"]["packages"]
    try:
        asyncio.run(lay_down(packages, options.prefix, options.packages, run_scripts=plan["link-scripts"]))
        environment = Environment(options.prefix, packages, epoch=locked["epoch"])
        environment.compile(locked["interpreter"]["path"], locked["interpreter"]["version"])
        environment.normalize()
        environment.split(plan["layers"], options.layers)
    except (LayingError, CompileError, OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


async def lay_down(
    packages: "list[dict[str, Any]]", prefix: Path, folder: Path, *, run_scripts: bool
) -> None:
    """Have py-rattler link ``packages`` into ``prefix``; nothing is fetched.

    :raises LayingError: it cannot.
    """
    from rattler import Subdir, install  # noqa: PLC0415 - found in the folder of tools

    records = [record_of(package, folder) for package in packages]
    subdirs = {package["subdir"] for package in packages} - {"noarch"}
    platform = Subdir(min(subdirs)) if subdirs else None
    cache = Path("/tmp/envbuild-cache")  # noqa: S108 - of a stage nobody else is in
    try:
        await install(
            records,
            prefix,
            cache_dir=cache,
            platform=platform,
            execute_link_scripts=run_scripts,
            show_progress=False,
            reporter=Scripts() if run_scripts else None,
        )
    except Exception as error:
        raise LayingError(f"py-rattler: {error}") from error
    finally:
        shutil.rmtree(cache, ignore_errors=True)


class Scripts:
    """Ends the build when a link script fails; py-rattler itself only warns."""

    def on_post_link_complete(self, index: int, success: bool) -> None:  # noqa: FBT001 - py-rattler's signature
        """Note how a script ended."""
        if not success:
            sys.stderr.write(f"error: a post-link script failed ({index})\n")
            os._exit(1)

    def __getattr__(self, name: str) -> Any:
        """Pass over every other event."""
        if name.startswith("on_"):
            return lambda *_arguments, **_named: 0
        raise AttributeError(name)


def record_of(package: "dict[str, Any]", folder: Path) -> Any:
    """Return a locked package as py-rattler takes it: what its channel says, at a path of this build."""
    from rattler import PackageRecord, RepoDataRecord  # noqa: PLC0415
    from rattler.package import BuildString  # noqa: PLC0415

    record = PackageRecord(
        package["name"],
        package["version"],
        BuildString(package["build"]),
        package["build-number"],
        package["subdir"],
        noarch=package["noarch"],
        depends=package["depends"],
        constrains=package["constrains"],
        sha256=bytes.fromhex(package["sha256"]),
        size=package["size"],
        license=package["license"],
        python_site_packages_path=package["site-packages"],
    )
    return RepoDataRecord(
        record,
        package["file"],
        (folder / package["file"]).absolute().as_uri(),
        channel_address(package["channel"]),
    )


def channel_address(channel: str) -> str:
    """Return where conda itself would look for a channel: its address, or the one its name stands for."""
    from rattler import Channel  # noqa: PLC0415

    return channel if "://" in channel else str(Channel(channel).base_url).rstrip("/")


class Environment:
    """A prefix with everything in it, and whose each file is."""

    def __init__(self, prefix: Path, packages: "list[dict[str, Any]]", *, epoch: int) -> None:
        self.prefix = prefix
        self.epoch = epoch
        self.packages = {package["name"]: package for package in packages}
        (prefix / "CACHEDIR.TAG").unlink(missing_ok=True)
        self.records: dict[str, dict[str, Any]] = {}
        self.record_paths: dict[str, Path] = {}
        for path in sorted((prefix / "conda-meta").glob("*.json")):
            record = json.loads(path.read_text(encoding="utf-8"))
            self.records[record["name"]] = record
            self.record_paths[record["name"]] = path
        missing = sorted(set(self.packages) - set(self.records))
        if missing:
            raise LayingError(f"py-rattler left out {', '.join(missing)}")
        self.files = {name: set(record["files"]) for name, record in self.records.items()}
        self.bytecode: dict[str, set[str]] = {name: set() for name in self.records}

    def compile(self, interpreter: str, version: str) -> None:
        """Replace the bytecode packages ship, and make that of noarch packages as conda would."""
        work = {}
        for name, files in self.files.items():
            cached = {path for path in files if "/__pycache__/" in path and path.endswith(".pyc")}
            for path in cached:
                (self.prefix / path).unlink(missing_ok=True)
            files.difference_update(cached)
            sources = {source for path in cached if (source := source_of(path)) in files}
            if self.packages[name]["noarch"] == "python":
                sources |= {path for path in files if "/site-packages/" in path and path.endswith(".py")}
            if sources:
                work[name] = sorted(sources)
        minor = tuple(int(part) for part in version.split(".")[:2])
        # the longest first, so that it is not left over at the end; the order does not show in the result
        queue = sorted(work.items(), key=lambda item: (-len(item[1]), item[0]))
        with ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0))) as threads:
            made = threads.map(lambda item: compile_apart(*item, interpreter, minor, self.prefix), queue)
            self.bytecode |= dict(zip((name for name, _ in queue), made))  # noqa: B905 - strict is of 3.10

    def normalize(self) -> None:
        """Give every file its mode and its time, and every record its one form."""
        for name, package in self.packages.items():
            record = normalized_record(self.records[name], package, sorted(self.bytecode[name]))
            text = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
            path = self.record_paths[name]
            path.unlink()
            path.write_text(text, encoding="utf-8")
        owners = {path: name for name, paths in self.owned() for path in paths}
        for folder, folders, names in os.walk(self.prefix):
            for entry in (*folders, *names):
                path = Path(folder) / entry
                if path.is_symlink() or not path.is_dir():
                    owner = owners.get(str(path.relative_to(self.prefix)))
                    self.normalize_file(path, self.time_of(owner) if owner else self.epoch)
                else:
                    path.chmod(EXECUTABLE)
        self.prefix.chmod(EXECUTABLE)

    def normalize_file(self, path: Path, time: int) -> None:
        """Give one file or link its mode and its time."""
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            path.chmod(EXECUTABLE if status.st_mode & 0o111 else PLAIN)
        os.utime(path, (time, time), follow_symlinks=False)

    def time_of(self, name: str) -> int:
        """Return when a package was built, in seconds, never later than the epoch."""
        stated = self.packages[name]["timestamp"]
        if not stated:
            return self.epoch
        # before 3.11 a Z is not understood, and there is no dt.UTC
        moment = dt.datetime.strptime(stated, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.timezone.utc)  # noqa: UP017
        return min(int(moment.timestamp()), self.epoch)

    def owned(self) -> "Iterator[tuple[str, set[str]]]":
        """Yield each package with the paths it has in the prefix, its record among them."""
        for name in sorted(self.packages):
            record = str(self.record_paths[name].relative_to(self.prefix))
            yield name, self.files[name] | self.bytecode[name] | {record}

    def split(self, layers: "list[list[str]]", folder: Path) -> None:
        """Move the files of each layer's packages below a folder of its own; nobody's go into the last."""
        owned = dict(self.owned())
        for number, keys in enumerate(layers, start=1):
            target = folder / str(number) / str(self.prefix).lstrip("/")
            target.mkdir(parents=True)
            for name in sorted(key_name for key_name in owned if self.key_of(key_name) in keys):
                self.move(owned[name], target)
        last = folder / str(len(layers)) / str(self.prefix).lstrip("/")
        rest = [
            str((Path(base) / entry).relative_to(self.prefix))
            for base, folders, names in os.walk(self.prefix)
            for entry in (*names, *folders)
            if (Path(base) / entry).is_symlink() or not (Path(base) / entry).is_dir()
        ]
        self.move(rest, last)
        for base, folders, _ in os.walk(folder):
            for entry in folders:
                path = Path(base) / entry
                if not path.is_symlink():
                    path.chmod(EXECUTABLE)
                    os.utime(path, (self.epoch, self.epoch))

    def key_of(self, name: str) -> str:
        """Return how the plan calls a package."""
        package = self.packages[name]
        return f"{package['channel']}/{package['subdir']}/{package['file']}"

    def move(self, paths: "Iterable[str]", target: Path) -> None:
        """Move files of the prefix below ``target``."""
        for path in sorted(paths):
            source, place = self.prefix / path, target / path
            if os.path.lexists(source):
                place.parent.mkdir(parents=True, exist_ok=True)
                source.rename(place)


def normalized_record(
    record: "dict[str, Any]", package: "Mapping[str, Any]", bytecode: "list[str]"
) -> "dict[str, Any]":
    """Return a record of conda-meta in its one form: without this build's paths, sorted."""
    paths = [
        {key: value for key, value in entry.items() if key != "sha256_in_prefix" or not _is_link(entry)}
        for entry in record["paths_data"]["paths"]
        if not ("/__pycache__/" in entry["_path"] and entry["_path"].endswith(".pyc"))
    ]
    paths += [{"_path": path, "path_type": "pyc_file"} for path in bytecode]
    paths.sort(key=lambda entry: entry["_path"])
    left_out = {"extracted_package_dir", "package_tarball_full_path", "requested_spec", "requested_specs"}
    kept = {key: value for key, value in record.items() if key not in left_out}
    return kept | {
        "channel": package["channel"],
        "files": [entry["_path"] for entry in paths],
        "link": {"source": "", "type": 1},
        "paths_data": {"paths": paths, "paths_version": 1},
        "url": f"{channel_address(package['channel'])}/{package['subdir']}/{package['file']}",
    }


def _is_link(entry: "Mapping[str, Any]") -> bool:
    return bool(entry["path_type"] == "softlink")


def source_of(path: str) -> str:
    """Return the source that cached bytecode belongs to (PEP 3147)."""
    folder, _, name = path.rpartition("/__pycache__/")
    return f"{folder}/{name.partition('.')[0]}.py"


def compile_apart(
    package: str, sources: "list[str]", interpreter: str, version: "tuple[int, int]", prefix: Path
) -> "set[str]":
    """Compile the sources of one package in interpreters that have done nothing else; return what came."""
    texts = ((str(prefix / source), (prefix / source).read_bytes()) for source in sources)
    made = set()
    batches = compile_in_children(package, texts, interpreter=interpreter, series=version, program=PROGRAM)
    for batch in batches:
        for _source, path, data in batch.files:
            place = Path(path)
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(data)
            made.add(str(place.relative_to(prefix)))
    return made


if __name__ == "__main__":
    done = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # py-rattler's threads may still be at work when Python takes its modules apart, and crash it
    os._exit(done)
