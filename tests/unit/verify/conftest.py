"""A sound environment as values, and small real wheels and debs, for the tests of verification."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from envbuild.verify.checks import Facts, LockedTarget, read_target
from envbuild.verify.checks.facts import (
    FACTS_FORMAT,
    DebFacts,
    DistributionFacts,
    EnvironmentFacts,
    InterpreterFacts,
    LibcFacts,
    MachineFacts,
    OsFacts,
    ProcessFacts,
    VariableFacts,
)
from tests.rig.locks import TARGET_DIGEST
from tests.rig.recipe import lay_scripts
from tests.rig.wheels import write_wheel

SITE = "/opt/venv/lib/python3.11/site-packages"

MakeWheel = Callable[..., Path]
MakeDeb = Callable[..., Path]


@pytest.fixture
def projection() -> dict[str, Any]:
    """Return what an image carries in `/etc/envbuild/lock.json`, keys it does not compare included."""
    return {
        "format": 1,
        "name": "train",
        "variant": "cpu",
        "platform": "linux/amd64",
        "epoch": 1_700_000_000,
        "base": {
            "key": "python:3.11-slim linux/amd64",
            "platform": "linux/amd64",
            "os": {"id": "debian", "version-id": "12", "codename": "bookworm", "pretty-name": "Debian 12"},
            "libc": {"family": "glibc", "version": "2.36"},
            "env": {"PATH": "/usr/bin:/bin"},
            "users": {"root": "0:0"},
            "debs": ["libc6=2.36-9:amd64", "tzdata=2025a-1:all"],
            "excludes": [],
            "image": {
                "reference": "python:3.11-slim",
                "index": None,
                "digest": f"sha256:{'1' * 64}",
                "config": f"sha256:{'2' * 64}",
                "layers": [f"sha256:{'3' * 64}"],
                "diff-ids": [f"sha256:{'4' * 64}", f"sha256:{'5' * 64}"],
            },
            "packages": None,
        },
        "interpreter": {
            "implementation": "cpython",
            "version": "3.11.2",
            "path": "/usr/bin/python3.11",
            "provider": "image",
            "sha256": "a" * 64,
        },
        "prefix": "/opt/venv",
        "debs": [
            {
                "name": "git",
                "version": "1:2.39.5-0+deb12u2",
                "architecture": "amd64",
                "file": "git_1:2.39.5-0+deb12u2_amd64.deb",
                "size": 10,
                "sha256": "b" * 64,
                "source": "git",
                "in": "system",
            }
        ],
        "wheels": [
            {
                "name": "numpy",
                "version": "2.1.0",
                "file": "numpy-2.1.0-cp311-cp311-linux_x86_64.whl",
                "size": 10,
                "sha256": "c" * 64,
            },
            {
                "name": "pytz",
                "version": "2024.2.6",
                "file": "pytz-2024.2.6-py3-none-any.whl",
                "size": 10,
                "sha256": "d" * 64,
            },
        ],
        "env": {"HF_HOME": "/cache", "PATH": "/opt/venv/bin:/usr/bin:/bin"},
        "user": {"name": "app", "uid": 1000, "gid": 1000},
        "workdir": "/workspace",
        "command": ["python", "-m", "train"],
        "record": False,
    }


@pytest.fixture
def target(projection: dict[str, Any]) -> LockedTarget:
    """Return the target of `projection`."""
    return read_target(projection, TARGET_DIGEST)


@pytest.fixture
def facts() -> Facts:
    """Return what a container of `target` says."""
    python = InterpreterFacts(
        implementation="cpython",
        version="3.11.2",
        build="3.11.2 (main) [GCC 12.2.0]",
        executable="/usr/bin/python3.11",
        sha256="a" * 64,
    )
    return Facts(
        format=FACTS_FORMAT,
        os=OsFacts(id="debian", version_id="12", codename="bookworm", pretty_name="Debian 12"),
        libc=LibcFacts(family="glibc", version="2.36"),
        machine=MachineFacts(
            machine="x86_64",
            pointer_bits=64,
            cpu_count=2,
            cpu_model="a processor",
            cpu_level="x86-64-v3",
            cpu_features=(),
        ),
        interpreter=python,
        environment=EnvironmentFacts(
            prefix="/opt/venv",
            python=python,
            reason=None,
            sys_path=("/usr/lib/python3.11", SITE),
            settings={"home": "/usr/bin", "include-system-site-packages": "false", "version": "3.11.2"},
        ),
        process=ProcessFacts(uid=1000, gid=1000, user="app", groups=(), workdir="/workspace"),
        variables=VariableFacts(
            values={"HF_HOME": "/cache", "PATH": "/opt/venv/bin:/usr/bin:/bin"}, others=("HOME",)
        ),
        debs=(
            DebFacts(name="git", version="1:2.39.5-0+deb12u2", architecture="amd64", status=INSTALLED),
            DebFacts(name="libc6", version="2.36-9", architecture="amd64", status=INSTALLED),
            DebFacts(name="tzdata", version="2025a-1", architecture="all", status=INSTALLED),
        ),
        distributions=(
            distribution("numpy", "2.1.0"),
            # as its metadata spells it
            distribution("pytz", "2024.02.06"),
        ),
        outside_distributions=(),
    )


INSTALLED = "install ok installed"


def distribution(name: str, version: str | None, *, installer: str | None = "envbuild") -> DistributionFacts:
    """Return one distribution in the prefix."""
    return DistributionFacts(
        name=name,
        version=version,
        path=f"{SITE}/{name}-{version}.dist-info",
        record_sha256="e" * 64,
        installer=installer,
        tags=("py3-none-any",),
    )


@pytest.fixture
def add_distribution() -> Callable[..., Facts]:
    """Return a function that puts one more distribution into facts."""

    def add(facts: Facts, name: str, version: str | None, **fields: Any) -> Facts:
        return replace(facts, distributions=(*facts.distributions, distribution(name, version, **fields)))

    return add


@pytest.fixture
def make_wheel(tmp_path: Path) -> MakeWheel:
    """Return a function that writes a real wheel and returns its path."""

    def make(
        name: str = "demo",
        files: Mapping[str, bytes] | None = None,
        *,
        version: str = "1.0",
        executable: tuple[str, ...] = (),
        record: Mapping[str, str] | None = None,
        folder: str = "wheels",
    ) -> Path:
        return write_wheel(
            tmp_path / folder, name, files, version=version, executable=executable, record=record
        )

    return make


@pytest.fixture
def make_deb(tmp_path: Path) -> MakeDeb:
    """Return a function that writes a real deb from tar members and returns its path."""

    def make(
        members: list[tuple[tarfile.TarInfo, bytes]],
        *,
        conffiles: str | None = None,
        compress: Callable[[bytes], bytes] = bytes,
        suffix: str = "",
    ) -> Path:
        control = [(entry("./control"), b"Package: demo\n")]
        if conffiles is not None:
            control.append((entry("./conffiles"), conffiles.encode()))
        parts = {
            "debian-binary": b"2.0\n",
            f"control.tar{suffix}": compress(_tar(control)),
            f"data.tar{suffix}": compress(_tar(members)),
        }
        path = tmp_path / "demo_1.0_amd64.deb"
        # ar(5): name, time, owner, group, mode, size, end of header; members start at even offsets
        with path.open("wb") as archive:
            archive.write(b"!<arch>\n")
            for name, data in parts.items():
                archive.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode())
                archive.write(data + b"\n" * (len(data) % 2))
        return path

    return make


@pytest.fixture
def tar_entry() -> Callable[..., tarfile.TarInfo]:
    """Return a function that makes the head of a tar member."""
    return entry


def entry(name: str, *, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = "") -> tarfile.TarInfo:
    """Return the head of a tar member."""
    made = tarfile.TarInfo(name)
    made.type, made.mode, made.linkname = kind, mode, link
    return made


def _tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs the recipe's installer on `wheels` into `/opt/venv` below `root`."""

    script = lay_scripts(tmp_path / "recipe") / "install.py"

    def run(
        *,
        umask: int = 0o022,
        wheels: str = "wheels",
        root: str = "root",
        python: str = sys.executable,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                python,
                script,
                "--prefix",
                "/opt/venv",
                "--wheels",
                tmp_path / wheels,
                "--root",
                tmp_path / root,
            ],
            env={
                **os.environ,
                "PYTHONWARNINGS": "error",
                "PYTHONHASHSEED": "random",
                **(environment or {}),
            },
            capture_output=True,
            text=True,
            check=False,
            umask=umask,
        )

    return run


@pytest.fixture
def running_python() -> str:
    """Return the version of this interpreter as folders spell it."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def tree_on_disk() -> Callable[[Path], dict[str, tuple[int, str]]]:
    """Return a function that lists the files below a folder as path → (mode, sha256), bytecode left out."""

    def read(folder: Path) -> dict[str, tuple[int, str]]:
        return {
            str(path.relative_to(folder)): (
                path.stat().st_mode & 0o7777,
                hashlib.sha256(path.read_bytes()).hexdigest(),
            )
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix != ".pyc"
        }

    return read
