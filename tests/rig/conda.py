"""A conda channel on the loopback interface, of packages that are made here and really run.

Every package is a real archive in one of conda's two formats; `repodata.json` is made of them by py-rattler's
own index.  Python is this machine's, with its prefix to be replaced in an ELF, a library and text.
"""

import asyncio
import hashlib
import importlib.util
import io
import json
import marshal
import os
import platform
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zstandard
from rattler.index import index_fs

from tests.rig.paths import cache_folder, locked
from tests.rig.web import Answer, Faults, LoopbackServer, Request

RECIPE = 3
"""Raised when the packages change, so that cached ones are built anew."""

SUBDIR = {"x86_64": "linux-64", "aarch64": "linux-aarch64"}[platform.machine()]
TIMESTAMP = 1_760_000_000_000
"""Milliseconds since 1970: when every package says it was built (2025-10-09)."""

PLACEHOLDER = "/opt/anaconda1anaconda2anaconda3" + "_placehold" * 12
"""As conda-build writes it: longer than any real prefix, for binaries have only that much room."""

PYTHON_VERSION = platform.python_version()
PYTHON_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"

_LEFT_OUT = {
    "__pycache__",
    "ensurepip",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "site-packages",
    "test",
    "tests",
    "tkinter",
    "turtledemo",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a package."""

    content: bytes = b""
    executable: bool = False
    link: str | None = None
    placeholder: str | None = None
    binary: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """What goes into one package file."""

    name: str
    version: str = "1.0"
    build: str = "h1_0"
    build_number: int = 0
    subdir: str = SUBDIR
    noarch: str | None = None
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    license: str | None = "BSD-3-Clause"
    files: Mapping[str, File] = field(default_factory=dict)
    entry_points: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Further ones of index.json."""

    extension: str = ".conda"
    no_paths: frozenset[str] = frozenset()

    @property
    def stem(self) -> str:
        return f"{self.name}-{self.version}-{self.build}"

    @property
    def file(self) -> str:
        return self.stem + self.extension


def text(content: str, *, placeholder: str | None = None, executable: bool = False) -> File:
    """Return a text file."""
    return File(content=content.encode(), placeholder=placeholder, executable=executable)


def write_package(package: Package, channel: Path) -> Path:
    """Write the archive into its subdir of ``channel``; the same package gives the same bytes."""
    info = {
        "info/index.json": _json(
            {
                "name": package.name,
                "version": package.version,
                "build": package.build,
                "build_number": package.build_number,
                "subdir": package.subdir,
                "arch": None if package.noarch else platform.machine(),
                "platform": None if package.noarch else "linux",
                "depends": list(package.depends),
                "constrains": list(package.constrains),
                "timestamp": TIMESTAMP,
                **({"license": package.license} if package.license else {}),
                **({"noarch": package.noarch} if package.noarch else {}),
                **package.fields,
            }
        ),
        "info/paths.json": _json(
            {
                "paths": [
                    _path(path, file)
                    for path, file in sorted(package.files.items())
                    if path not in package.no_paths
                ],
                "paths_version": 1,
            }
        ),
        "info/about.json": _json({"license": package.license or ""}),
    }
    if package.noarch == "python":
        info["info/link.json"] = _json(
            {
                "noarch": {"type": "python", "entry_points": list(package.entry_points)},
                "package_metadata_version": 1,
            }
        )
    folder = channel / package.subdir
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / package.file
    about = {name: File(content=data) for name, data in info.items()}
    if package.extension == ".conda":
        compressor = zstandard.ZstdCompressor(level=1)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            members = {
                "metadata.json": _json({"conda_pkg_format_version": 2}),
                f"pkg-{package.stem}.tar.zst": compressor.compress(_tar(package.files)),
                f"info-{package.stem}.tar.zst": compressor.compress(_tar(about)),
            }
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    else:
        import bz2  # noqa: PLC0415

        path.write_bytes(bz2.compress(_tar({**about, **package.files}), 1))
    return path


def _path(path: str, file: File) -> dict[str, Any]:
    entry: dict[str, Any] = {"_path": path, "path_type": "softlink" if file.link else "hardlink"}
    content = b"" if file.link else file.content
    entry |= {"sha256": hashlib.sha256(content).hexdigest(), "size_in_bytes": len(content)}
    if file.placeholder:
        entry |= {
            "file_mode": "binary" if file.binary else "text",
            "prefix_placeholder": file.placeholder,
        }
    return entry


def _tar(files: Mapping[str, File]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, file in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.mtime = TIMESTAMP // 1000 - 86_400
            entry.mode = 0o775 if file.executable else 0o664
            if file.link:
                entry.type, entry.linkname = tarfile.SYMTYPE, file.link
            entry.size = len(file.content)
            archive.addfile(entry, io.BytesIO(file.content))
    return buffer.getvalue()


def _json(value: object) -> bytes:
    return (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()


# --- packages -----------------------------------------------------------------------------------


def python_package() -> Package:
    """Return this machine's Python as a package: program, library and the part of stdlib that is needed."""
    base = Path(sys.base_prefix)
    library = f"lib/python{PYTHON_MINOR}"
    files = {
        "bin/python": File(link=f"python{PYTHON_MINOR}"),
        "bin/python3": File(link=f"python{PYTHON_MINOR}"),
        # conda-forge's has it since 3.10
        "lib/python3.1": File(link=f"python{PYTHON_MINOR}"),
    }
    wanted = [base / "bin" / f"python{PYTHON_MINOR}"]
    wanted += sorted((base / "lib").glob(f"libpython{PYTHON_MINOR}.so*"))
    for folder, folders, names in os.walk(base / library):
        folders[:] = sorted(set(folders) - _LEFT_OUT)
        wanted += [Path(folder) / name for name in sorted(names)]
    for path in wanted:
        name = str(path.relative_to(base))
        if path.is_symlink():
            files[name] = File(link=os.readlink(path))  # noqa: PTH115 - as it stands
            continue
        content = _stripped(path)
        is_here = str(base).encode() in content
        is_binary = b"\0" in content
        # not the library: there the linker let the version share the prefix's end, for both end alike
        replaced = is_here and (not is_binary or name.startswith("bin/"))
        files[name] = File(
            content=content,
            executable=os.access(path, os.X_OK),
            placeholder=str(base) if replaced else None,
            binary=is_binary,
        )
    files |= dict(_bytecode(base, f"{library}/json"))
    files[f"{library}/site-packages/README.txt"] = text("Modules of packages.\n")
    return Package(
        name="python", version=PYTHON_VERSION, build="h1_0_cpython", license="Python-2.0", files=files
    )


def _bytecode(base: Path, folder: str) -> Iterator[tuple[str, File]]:
    """Yield bytecode as packages ship it: good for its sources' times where it was made, nowhere else."""
    for source in sorted((base / folder).glob("*.py")):
        name = f"{folder}/__pycache__/{source.stem}.{sys.implementation.cache_tag}.pyc"
        code = compile(source.read_bytes(), f"{PLACEHOLDER}/{folder}/{source.name}", "exec")
        size = source.stat().st_size
        header = importlib.util.MAGIC_NUMBER + struct.pack("<III", 0, TIMESTAMP // 1000, size)
        yield name, File(content=header + marshal.dumps(code))


def _stripped(path: Path) -> bytes:
    """Return a file, without debugging symbols when it is a library."""
    if ".so" not in path.name:
        return path.read_bytes()
    copy = cache_folder() / f"stripped.{os.getpid()}"
    try:
        subprocess.run(["strip", "--strip-debug", "-o", str(copy), str(path)], check=True)
        return copy.read_bytes()
    finally:
        copy.unlink(missing_ok=True)


def greeting_program() -> bytes:
    """Return an ELF that prints the prefix it was made for, and the length of it as the compiler knew it."""
    source = f'#include <stdio.h>\nstatic const char prefix[] = "{PLACEHOLDER}/share/greet";\n'
    source += 'int main(void) { printf("greet from %s\\n", prefix); return 0; }\n'
    program = cache_folder() / f"greet.{os.getpid()}"
    try:
        subprocess.run(
            ["gcc", "-O0", "-s", "-x", "c", "-o", str(program), "-"], input=source.encode(), check=True
        )
        return program.read_bytes()
    finally:
        program.unlink(missing_ok=True)


def python_distribution(
    name: str,
    version: str,
    *,
    module: str | None = None,
    depends: tuple[str, ...] = (),
    entry_points: tuple[str, ...] = (),
) -> Package:
    """Return a noarch Python package with its dist-info, as conda-build makes it."""
    stem = f"site-packages/{name.replace('-', '_')}-{version}.dist-info"
    import_name = name.replace("-", "_")
    files = {
        f"site-packages/{import_name}/__init__.py": text(
            module or f'__version__ = "{version}"\n\n\ndef main():\n    print("{name} {version}")\n'
        ),
        f"{stem}/METADATA": text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
        f"{stem}/INSTALLER": text("conda\n"),
        f"{stem}/RECORD": text(""),
    }
    return Package(
        name=name,
        version=version,
        build="pyh1_0",
        subdir="noarch",
        noarch="python",
        depends=("python >=3.10", *depends),
        files=files,
        entry_points=entry_points,
    )


def packages() -> Iterator[Package]:
    """Yield the packages of the channel."""
    yield python_package()
    yield python_distribution("greetings", "2.1", entry_points=("greetings = greetings:main",))
    yield python_distribution("arrays", "1.26.4")
    yield python_distribution("arrays", "1.20.0")
    yield python_distribution("frames", "3.0", depends=("arrays >=1.26,<2", "greetings"))
    yield Package(
        name="greet",
        version="0.3",
        files={
            "bin/greet": File(
                content=greeting_program(), executable=True, placeholder=PLACEHOLDER, binary=True
            ),
            "bin/greet-config": text(
                f"#!/bin/sh\n# at {PLACEHOLDER}\necho prefix {PLACEHOLDER}\n",
                placeholder=PLACEHOLDER,
                executable=True,
            ),
            "share/greet/greeting.txt": text("hello\n"),
            "share/greet/current": File(link="greeting.txt"),
        },
    )
    yield Package(
        name="old-format",
        version="1.2",
        extension=".tar.bz2",
        files={"share/old/prefix.txt": text(f"{PLACEHOLDER}\n", placeholder=PLACEHOLDER)},
    )
    for version in ("11.8", "12.6"):
        yield Package(
            name="cuda-version",
            version=version,
            build="h1_3",
            subdir="noarch",
            noarch="generic",
            constrains=("cudatoolkit " + version + "|" + version + ".*", f"__cuda >={version.split('.')[0]}"),
        )
    yield Package(
        name="cuda-cudart",
        version="12.6.77",
        depends=("cuda-version >=12.6,<12.7.0a0",),
        files={"lib/libcudart-stand-in.txt": text("12.6\n")},
    )
    yield Package(
        name="accel",
        version="1.0",
        build="cuda126_h2_200",
        build_number=200,
        depends=("cuda-version >=12.6,<13", "cuda-cudart", "__cuda >=12.6"),
        files={"share/accel/backend.txt": text("cuda 12.6\n")},
    )
    yield Package(
        name="accel",
        version="1.0",
        build="cpu_h2_0",
        files={"share/accel/backend.txt": text("cpu\n")},
    )
    yield Package(name="needs-new-libc", depends=("__glibc >=2.99",), files={"share/libc.txt": text("new\n")})
    yield Package(
        name="geodata",
        version="9.6.0",
        subdir="noarch",
        noarch="generic",
        files={
            "share/geodata/table.txt": text("0 0\n"),
            "etc/conda/activate.d/geodata-activate.sh": text(
                "#!/usr/bin/env bash\n"
                "# keep what was there\n"
                'if [ -n "${GEODATA:-}" ]; then\n'
                '    export _CONDA_SET_GEODATA="${GEODATA}"\n'
                "fi\n"
                'if [ -d "${CONDA_PREFIX}/share/geodata" ]; then\n'
                '    export GEODATA="${CONDA_PREFIX}/share/geodata"\n'
                "fi\n"
                "export GEODATA_NETWORK=OFF\n"
            ),
            "etc/conda/deactivate.d/geodata-deactivate.sh": text("unset GEODATA\n"),
            "etc/conda/env_vars.d/geodata.json": text('{"GEODATA_CACHE": "none"}\n'),
        },
    )
    yield Package(
        name="indexed",
        version="2.0",
        subdir="noarch",
        noarch="generic",
        files={
            "share/indexed/a.txt": text("a\n"),
            "bin/.indexed-post-link.sh": text(
                '#!/bin/sh\nls "$PREFIX/share/indexed" > "$PREFIX/share/indexed.index"\n', executable=True
            ),
        },
    )


@dataclass(frozen=True, slots=True)
class Channel:
    """A folder that is a channel."""

    folder: Path

    def index(self) -> None:
        """Write the repodata of what the folder has."""
        (self.folder / "noarch").mkdir(parents=True, exist_ok=True)
        asyncio.run(index_fs(self.folder, write_zst=True, write_shards=False, force=True))


def standard_channel() -> Channel:
    """Return the channel of :func:`packages`, made once per machine."""
    folder = cache_folder() / f"conda-{RECIPE}-{PYTHON_VERSION}"
    with locked("conda"):
        if not folder.is_dir():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            for package in packages():
                write_package(package, unfinished)
            Channel(unfinished).index()
            unfinished.rename(folder)
    return Channel(folder)


class ChannelServer:
    """Serves a channel's folder below `/NAME`.  Use as a context manager."""

    def __init__(self, channel: Channel, name: str = "lab", auth: tuple[str, str] | None = None) -> None:
        self._channel = channel
        self._name = name
        self.faults = Faults()
        self._server = LoopbackServer(self._answer, faults=self.faults, auth=auth)

    @property
    def root(self) -> str:
        """Address above the channel: what a client's configuration calls a custom channel's."""
        return self._server.url

    @property
    def host(self) -> str:
        return self._server.host

    @property
    def url(self) -> str:
        return f"{self._server.url}/{self._name}"

    @property
    def requests(self) -> list[Request]:
        return self._server.requests

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.__exit__(kind, error, trace)

    def _answer(self, request: Request) -> Answer | None:
        name, _, rest = request.path.lstrip("/").partition("/")
        path = self._channel.folder / rest
        if name != self._name or ".." in Path(rest).parts or not path.is_file():
            return None
        return Answer(content=path)


def wheel_as_package(wheel: Path, name: str, version: str, *, depends: tuple[str, ...] = ()) -> Package:
    """Return a real wheel's content as the conda package of one platform and Python."""
    site = f"lib/python{PYTHON_MINOR}/site-packages"
    with zipfile.ZipFile(wheel) as archive:
        files = {
            f"{site}/{entry.filename}": File(
                content=archive.read(entry), executable=entry.filename.endswith(".so")
            )
            for entry in archive.infolist()
            if not entry.is_dir() and "/tests/" not in entry.filename
        }
    return Package(
        name=name,
        version=version,
        build=f"py{PYTHON_MINOR.replace('.', '')}h1_0",
        depends=(f"python >={PYTHON_MINOR},<3.{sys.version_info.minor + 1}.0a0", *depends),
        files=files,
    )


def public_channel(folder: Path) -> Channel:
    """Return a channel that stands for a public one: Python and numpy, made of what the Python index has."""
    cached = cache_folder() / f"conda-numpy-{RECIPE}-{PYTHON_VERSION}"
    with locked("conda-numpy"):
        if not cached.is_dir():
            unfinished = cached.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            wheels = unfinished / "wheels"
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            subprocess.run([*command, "--only-binary=:all:", "--dest", str(wheels), "numpy"], check=True)
            (wheel,) = wheels.glob("numpy-*.whl")
            package = wheel_as_package(wheel, "numpy", wheel.name.split("-")[1])
            write_package(package, unfinished)
            shutil.rmtree(wheels)
            unfinished.rename(cached)
    shutil.copytree(standard_channel().folder, folder)
    for path in cached.glob("*/*"):
        shutil.copy(path, folder / path.parent.name)
    channel = Channel(folder)
    channel.index()
    return channel
