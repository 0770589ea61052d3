"""The expected files of real wheels and real Debian packages, and what it takes to be named by them alone."""

import base64
import csv
import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from envbuild.oci.file_tree import merge_layers
from envbuild.oci.layer_listing import list_layer
from envbuild.verify.checks import LockedTarget, Profile, Report, read_target
from envbuild.verify.files.accounting import Comparison, account_files
from envbuild.verify.files.artifact_trees import deb_tree, wheel_tree
from envbuild.verify.files.artifacts import TreeCache, expected_files
from tests.rig.locks import TARGET_DIGEST
from tests.rig.paths import SCRIPTS
from tests.rig.recipe import lay_scripts

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.xdist_group("verify-probe")]

PREFIX = "/opt/venv"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE = f"{PREFIX}/lib/python{PYTHON}/site-packages"
# compiled code, scripts, entry points, headers, a data scheme
WHEELS = ("numpy", "pandas", "scikit-learn", "greenlet", "jupyterlab-widgets", "six")
# a setuid program, configuration files, links, a shared library
DEBS = ("sudo", "libgomp1", "netbase", "passwd")


@dataclass(frozen=True)
class Installed:
    """Real wheels installed into `/opt/venv` of a folder, as a build does it."""

    root: Path
    wheels: tuple[Path, ...]
    target: LockedTarget
    cache: TreeCache

    def path(self, inside: str) -> Path:
        return self.root / inside.lstrip("/")

    def verify(self, *, profile: Profile = "image") -> Report:
        """Read the folder as a layer, and compare it with the artifacts: there is no reference."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(self.root, arcname=".", filter=_of_root)
        image = merge_layers([list_layer([packed.getvalue()])])
        paths = {hashlib.sha256(wheel.read_bytes()).hexdigest(): wheel for wheel in self.wheels}
        expected = expected_files(self.target, artifact=paths.__getitem__, cache=self.cache)
        results, coverage = account_files(
            Comparison(
                target=self.target,
                image=image,
                expected=expected,
                reference=None,
                no_reference="there is none",
                profile=profile,
            )
        )
        return Report(target="demo", profile=profile, results=results, coverage=coverage)


def _of_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    # of two names of one file the second would be stored as a link to the first
    return entry


def failures(report: Report) -> dict[str, str]:
    return {result.id: result.difference for result in report.results if result.outcome == "failed"}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Return real wheels for this interpreter, from the index pip is configured with."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "--no-deps", "--only-binary=:all:", "--dest", folder, *WHEELS], check=True)
    return tuple(sorted(folder.glob("*.whl")))


@pytest.fixture(scope="module")
def installed(wheels: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Make `/opt/venv` below a folder and install the wheels into it."""
    root = tmp_path_factory.mktemp("image") / "root"
    prefix = root / PREFIX.lstrip("/")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    interpreter = os.path.realpath(prefix / "bin" / "python")
    # as though it had been made at /opt/venv, by an interpreter that lies in the image
    for script in (prefix / "bin").iterdir():
        if not script.is_symlink():
            script.write_bytes(script.read_bytes().replace(os.fsencode(prefix), PREFIX.encode()))
    (root / interpreter.lstrip("/")).parent.mkdir(parents=True)
    (root / interpreter.lstrip("/")).write_bytes(b"")
    (prefix / "bin/python").unlink()
    (prefix / "bin/python").symlink_to(interpreter)
    install = lay_scripts(root.parent / "recipe") / "install.py"
    subprocess.run(
        [sys.executable, install, "--prefix", PREFIX, "--root", root, "--wheels", wheels[0].parent],
        env={"PATH": os.environ["PATH"]},
        umask=0o077,
        check=True,
    )
    return Installed(
        root=root,
        wheels=wheels,
        target=read_target(projection(interpreter, wheels), TARGET_DIGEST),
        cache=TreeCache(root.parent / "trees"),
    )


def projection(
    interpreter: str, wheels: tuple[Path, ...], debs: tuple[dict[str, Any], ...] = ()
) -> dict[str, Any]:
    """Return the part of a target that is looked at here."""
    return {
        "name": "demo",
        "variant": "default",
        "platform": "linux/amd64",
        "base": {
            "os": {"id": "debian", "pretty-name": "Debian"},
            "libc": {"family": "glibc", "version": "2.36"},
            "image": None if debs else {"reference": "base", "diff-ids": []},
        },
        "interpreter": {"implementation": "cpython", "version": f"{PYTHON}.0", "path": interpreter},
        "prefix": PREFIX,
        "record": False,
        "user": {"name": "root", "uid": 0, "gid": 0},
        "workdir": "/",
        "command": ["python"],
        "debs": list(debs),
        "wheels": [
            {
                "name": wheel.name.partition("-")[0].replace("_", "-").lower(),
                "version": wheel.name.split("-")[1],
                "file": wheel.name,
                "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
            }
            for wheel in wheels
        ],
    }


@pytest.fixture
def tamper(installed: Installed) -> Iterator[Callable[[str, Callable[[bytes], bytes]], None]]:
    """Return a function that changes a file of the image; each is put back afterwards."""
    before: dict[Path, bytes] = {}

    def change(inside: str, how: Callable[[bytes], bytes]) -> None:
        path = installed.path(inside)
        before.setdefault(path, path.read_bytes())
        path.write_bytes(how(before[path]))

    yield change
    for path, data in before.items():
        path.write_bytes(data)


def test_real_wheels_come_out_as_expected(installed: Installed) -> None:
    expected = {}
    for wheel in installed.wheels:
        for path, entry in wheel_tree(wheel, file=wheel.name, python=PYTHON, prefix=PREFIX).items():
            expected[f"{PREFIX}/{path}"] = (entry.mode, entry.content)
    names = ("activate", "activate.csh", "activate.fish", "Activate.ps1")
    skeleton = {"pyvenv.cfg", ".gitignore", *(f"bin/{name}" for name in names)}
    on_disk = {
        f"/{path.relative_to(installed.root)}": (
            path.stat().st_mode & 0o7777,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in installed.path(PREFIX).rglob("*")
        if path.is_file()
        and not path.is_symlink()
        and path.suffix != ".pyc"
        and str(path.relative_to(installed.path(PREFIX))) not in skeleton
    }
    assert on_disk == expected
    assert len(on_disk) > 3000


def test_a_sound_environment_has_no_difference(installed: Installed) -> None:
    report = installed.verify()
    assert failures(report) == {}
    assert report.count("skipped") == report.count("warned") == 0
    assert report.coverage is not None
    assert report.coverage.accounted["wheels"] > 3000
    # bytecode, folders and the venv's own: only a reference knows those
    assert report.coverage.uncovered > 1000


def test_one_byte_of_a_shared_library_is_named(
    installed: Installed, tamper: Callable[[str, Callable[[bytes], bytes]], None]
) -> None:
    library = min(installed.path(SITE).rglob("_multiarray_umath*.so"))
    inside = f"/{library.relative_to(installed.root)}"
    tamper(inside, lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    found = failures(installed.verify())
    assert list(found) == [f"file{inside}"]
    assert found[f"file{inside}"].startswith(f"{inside} sha256 ")


def test_a_record_rewritten_to_fit_a_changed_file_is_named(
    installed: Installed, tamper: Callable[[str, Callable[[bytes], bytes]], None]
) -> None:
    (record,) = installed.path(SITE).glob("numpy-*.dist-info/RECORD")
    changed = f"{SITE}/numpy/version.py"
    tamper(changed, lambda data: data + b"\n# added\n")
    data = installed.path(changed).read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")

    def fit(text: bytes) -> bytes:
        lines = text.decode().splitlines()
        row = f"numpy/version.py,sha256={digest},{len(data)}"
        return (
            "\n".join([row if line.startswith("numpy/version.py,") else line for line in lines]).encode()
            + b"\n"
        )

    inside = f"/{record.relative_to(installed.root)}"
    tamper(inside, fit)
    # the image now agrees with itself
    rows = {row[0]: row[1:] for row in csv.reader(record.read_text().splitlines())}
    assert rows["numpy/version.py"] == [f"sha256={digest}", str(len(data))]
    found = failures(installed.verify())
    assert set(found) == {f"file{changed}", f"file{inside}"}


def test_an_extra_and_a_missing_file_are_named(installed: Installed) -> None:
    extra, gone = f"{SITE}/sitecustomize.py", f"{SITE}/six.py"
    installed.path(extra).write_text("print('hello')\n")
    source = installed.path(gone).read_bytes()
    installed.path(gone).unlink()
    try:
        found = failures(installed.verify())
    finally:
        installed.path(extra).unlink()
        installed.path(gone).write_bytes(source)
    assert set(found) == {f"file{extra}", f"file{gone}"}
    assert found[f"file{extra}"].startswith(f"{extra} → sha256 ")
    assert found[f"file{gone}"] == f"{gone} a file → missing"


# --- debs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Return real packages, fetched by apt with a state of its own from the archive this machine uses."""
    folder = tmp_path_factory.mktemp("debs")
    for name in ("lists/partial", "cache/archives/partial", "log", "empty"):
        (folder / name).mkdir(parents=True)
    archive = subprocess.run([SCRIPTS / "debian-mirror"], capture_output=True, text=True, check=True).stdout
    (folder / "sources.list").write_text(f"deb {archive.strip()} bookworm main\n")
    (folder / "status").write_text("")
    options = {
        "APT::Sandbox::User": "root",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": folder / "empty",
        "Dir::Log": folder / "log",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::status": folder / "status",
    }
    apt = ["apt-get", "--quiet=2", *(f"--option={key}={value}" for key, value in options.items())]
    subprocess.run([*apt, "update"], check=True, capture_output=True)
    subprocess.run([*apt, "download", *DEBS], check=True, capture_output=True, cwd=folder)
    return tuple(sorted(folder.glob("*.deb")))


def test_real_debs_come_out_as_dpkg_unpacks_them(debs: tuple[Path, ...], tmp_path: Path) -> None:
    locked = []
    for deb in debs:
        subprocess.run(["dpkg-deb", "--extract", deb, tmp_path / "root"], check=True)
        name, _, rest = deb.stem.partition("_")
        version, _, architecture = rest.rpartition("_")
        locked.append(
            {
                "name": name,
                "version": version,
                "architecture": architecture,
                "file": deb.name,
                "sha256": hashlib.sha256(deb.read_bytes()).hexdigest(),
            }
        )
    # sudo's own script would tighten this one
    (tmp_path / "root/etc/sudoers").chmod(0o440)
    target = read_target(projection("/usr/bin/python3", (), tuple(locked)), TARGET_DIGEST)
    installed = Installed(
        root=tmp_path / "root", wheels=debs, target=target, cache=TreeCache(tmp_path / "trees")
    )
    report = installed.verify()
    assert failures(report) == {}
    assert sum(result.id.startswith("files/deb/") for result in report.results) == len(DEBS)
    modes = [entry.mode for deb in debs for entry in deb_tree(deb, file=deb.name).values()]
    assert 0o4755 in modes

    (library,) = (path for path in (tmp_path / "root").rglob("libgomp.so.1.*") if not path.is_symlink())
    data = library.read_bytes()
    library.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    (tmp_path / "root/usr/bin/sudo").chmod(0o755)
    (tmp_path / "root/etc/protocols").unlink()
    (tmp_path / "root/usr/local/bin").mkdir(parents=True)
    (tmp_path / "root/usr/local/bin/tool").write_text("#!/bin/sh\n")
    found = failures(installed.verify())
    assert set(found) == {
        f"file/{library.relative_to(tmp_path / 'root')}",
        "file/usr/bin/sudo",
        "file/etc/protocols",
        "file/usr/local/bin/tool",
    }
    assert found["file/usr/bin/sudo"] == "/usr/bin/sudo mode 4755 → mode 0755"
