"""Wheels built from source: in the sandbox of the local engine, and the same on the Docker Engine."""

import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from envbuild.errors import ExitCode
from envbuild.lock.codec import loads
from envbuild.lock.model import Lock
from tests.rig.engine import forget_at_the_end
from tests.rig.git_server import GitServer
from tests.rig.index import PackageIndex, make_wheel
from tests.rig.registry import Registry
from tests.rig.running import envbuild
from tests.rig.source_builds import make_source

pytestmark = [
    pytest.mark.engine,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.xdist_group("sources"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the local engine starts again as root otherwise"),
]

SPEC = """\
# what we need
name = "sources-{pid}"
python = "3.11"  # as the cluster has it

[base]
packages = "debian:bookworm"

[pip]
packages = [{packages}]
{pip}
[build]
engine = "local"
"""

COMPILED = """
TAG = "cp311-cp311-linux_x86_64"

def files():
    import subprocess
    source = os.path.abspath("part.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-g", "-o", "part.so", source], check=True)
    return {"part.so": open("part.so", "rb").read()}
"""


class Project:
    """A project whose index is on loopback."""

    def __init__(self, folder: Path, index: PackageIndex) -> None:
        self.folder, self.index = folder, index
        self.environment = {"UV_DEFAULT_INDEX": index.index_url, "PIP_INDEX_URL": index.index_url}

    def spec(self, *packages: str, pip: str = "") -> None:
        text = SPEC.format(
            pid=os.getpid(), packages=", ".join(f'"{package}"' for package in packages), pip=pip
        )
        (self.folder / "envbuild.toml").write_text(text)

    def run(
        self, *arguments: str, check: bool = True, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        return envbuild(
            *arguments, folder=self.folder, check=check, environment=self.environment | environment
        )

    def refused(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        answer = self.run(*arguments, check=False)
        # one of the build's own is shown behind a bar
        assert re.search("^Traceback", answer.stderr, re.MULTILINE) is None
        assert not (self.folder / "envbuild.lock").exists()
        return answer

    @property
    def lock(self) -> Lock:
        return loads((self.folder / "envbuild.lock").read_text())


@pytest.fixture(scope="module")
def installer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel that builds lay others out with, from this machine's index."""
    folder = tmp_path_factory.mktemp("installer")
    version = importlib.metadata.version("installer")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={folder}"]
    subprocess.run([*command, f"installer=={version}"], check=True, timeout=120)
    return folder


@pytest.fixture
def project(tmp_path: Path, package_index: PackageIndex, installer: Path) -> Project:
    for path in installer.iterdir():
        shutil.copy(path, package_index.folder)
    folder = tmp_path / "project"
    folder.mkdir()
    return Project(folder, package_index)


def test_locking_writes_what_must_be_built_and_keeps_the_comments(project: Project) -> None:
    make_source(project.index.folder, "alpha", "1.0", requires=("beta",))
    make_source(project.index.folder, "beta", "2.0")
    project.spec("alpha")
    asked = project.refused("lock")
    assert asked.returncode == ExitCode.NO_SOLUTION
    assert 'build = ["alpha", "beta"]' in asked.stderr or 'build = ["alpha"]' in asked.stderr

    project.run("lock", "--add-builds")

    text = (project.folder / "envbuild.toml").read_text()
    assert 'build = ["alpha", "beta"]' in text
    assert text.startswith("# what we need\n")
    assert 'python = "3.11"  # as the cluster has it' in text
    assert [source.wheel for source in project.lock.sources] == [
        "alpha-1.0-py3-none-any.whl",
        "beta-2.0-py3-none-any.whl",
    ]
    assert "127.0.0.1" not in (project.folder / "envbuild.lock").read_text()


def test_a_spec_that_cannot_be_locked_is_as_it_was(project: Project) -> None:
    make_source(project.index.folder, "alpha", "1.0", backend='raise RuntimeError("not today")')
    project.spec("alpha")
    before = (project.folder / "envbuild.toml").read_bytes()

    answer = project.refused("lock", "--add-builds")

    assert answer.returncode == ExitCode.BUILD
    assert "RuntimeError: not today" in answer.stderr
    assert (project.folder / "envbuild.toml").read_bytes() == before


NETWORK = """
import urllib.request
def files():
    return {"data": urllib.request.urlopen("http://index.example.com/data", timeout=20).read()}
"""

UNSTEADY = """
import uuid
def files():
    return {NAME + ".py": b"VALUE = 1", "stamp.txt": uuid.uuid4().hex.encode()}
"""

OTHER_METADATA = """
REQUIRES = ["six"]
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = NAME + "-" + VERSION + ".dist-info"
    os.mkdir(os.path.join(folder, info))
    with open(os.path.join(folder, info, "METADATA"), "wb") as stream:
        stream.write(metadata().replace(b"Requires-Dist: six", b"Requires-Dist: six>0.1"))
    return info
"""

HEADER = """
def files():
    import subprocess
    with open("part.c", "w") as stream:
        stream.write("#include <libpq-fe.h>\\n")
    subprocess.run(["gcc", "-c", "part.c"], check=True)
"""

NO_WHEEL = """
import builtins
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = NAME + "-" + VERSION + ".dist-info"
    os.mkdir(os.path.join(folder, info))
    with open(os.path.join(folder, info, "METADATA"), "wb") as stream:
        stream.write(metadata())
    return info

class zipfile:
    class ZipFile:
        def __init__(self, path, mode):
            builtins.open(path, "w").close()
        def __enter__(self):
            return self
        def __exit__(self, *_):
            pass
        def writestr(self, *_):
            pass

def unused(folder, config_settings=None, metadata_directory=None):
    open(os.path.join(folder, "nothing.whl"), "w").close()
    return "nothing.whl"
"""

LIAR = """
import sys
os.write(1, b"not for you")
sys.stdout.write("neither is this")
"""


@pytest.mark.parametrize(
    ("backend", "code", "told", "hint"),
    [
        (NETWORK, ExitCode.BUILD, "its build wants the network", "builds have none"),
        (UNSTEADY, ExitCode.BUILD, "otherwise each time it is built: stamp.txt", "the same on every"),
        (OTHER_METADATA, ExitCode.BUILD, "requires other packages than its source", "another version"),
        (HEADER, ExitCode.BUILD, "the header libpq-fe.h is missing", 'build-packages = ["libpq-dev"]'),
        ("raise SystemExit(3)", ExitCode.BUILD, "exit status 3", ""),
        ("os.kill(os.getpid(), 9)", ExitCode.BUILD, "exit status -9", ""),
        ("import numpy", ExitCode.BUILD, "its build imports numpy", "build-constraints"),
        ('VERSION = "9.9"', ExitCode.BUILD, "builds `alpha` 9.9", "say different things"),
        ('NAME = "omega"', ExitCode.BUILD, "builds `omega` 1.0", "say different things"),
        (NO_WHEEL, ExitCode.BUILD, "gave no proper wheel", ""),
        ("x = (", ExitCode.BUILD, "SyntaxError", ""),
    ],
    ids=[
        "network", "other bytes", "other metadata", "header", "exit", "killed", "module", "version", "name",
        "no wheel", "no Python",
    ],
)  # fmt: skip
def test_a_source_that_does_not_build_is_told_why(
    project: Project, backend: str, code: ExitCode, told: str, hint: str
) -> None:
    make_source(project.index.folder, "six", "1.0")
    make_source(project.index.folder, "alpha", "1.0", requires=("six",), backend=backend)
    project.spec("alpha", pip='build = "all"')

    answer = project.refused("lock")

    assert answer.returncode == code, answer.stderr
    assert told in answer.stderr
    assert hint in answer.stderr


def test_what_a_build_prints_is_no_answer(project: Project) -> None:
    make_source(project.index.folder, "alpha", "1.0", backend=LIAR)
    project.spec("alpha", pip='build = ["alpha"]')

    project.run("lock")

    assert [source.wheel for source in project.lock.sources] == ["alpha-1.0-py3-none-any.whl"]


BUILT_WITH = '[build-system]\nrequires = ["{}"]\nbuild-backend = "own"\nbackend-path = ["."]\n'


def test_a_new_bound_on_tools_builds_anew_what_is_beyond_it(project: Project) -> None:
    for version in ("1.0", "2.0"):
        make_wheel(project.index.folder, "tool", version)
    files = {"pyproject.toml": BUILT_WITH.format("tool")}
    make_source(project.index.folder, "alpha", "1.0", files=files)
    project.spec("alpha", pip='build = "all"')
    project.run("lock")
    assert project.lock.sources[0].requires == ("tool-2.0-py3-none-any.whl",)

    project.spec("alpha", pip='build = "all"\nbuild-constraints = ["tool<2"]')
    project.run("lock")

    assert project.lock.sources[0].requires == ("tool-1.0-py3-none-any.whl",)


def test_a_build_does_not_say_where_its_tools_are(project: Project) -> None:
    address = "tool @ https://files.example.com/tool-1.0-py3-none-any.whl"
    files = {"pyproject.toml": BUILT_WITH.format(address)}
    make_source(project.index.folder, "alpha", "1.0", files=files)
    project.spec("alpha", pip='build = "all"')

    answer = project.refused("lock")

    assert answer.returncode == ExitCode.NO_SOLUTION
    assert f"it asks for `{address}`, and only the spec says where packages are" in answer.stderr


ENDLESS = """
def get_requires_for_build_wheel(config_settings=None):
    import time
    time.sleep(600)
"""


@pytest.mark.long
def test_an_interrupt_while_a_build_is_asked_leaves_no_container(project: Project) -> None:
    make_source(project.index.folder, "alpha", "1.0", backend=ENDLESS)
    project.spec("alpha", pip='build = "all"')
    command = [sys.executable, "-m", "envbuild", "lock"]
    environment = {**os.environ, **project.environment, "ENVBUILD_ENGINE": "docker"}
    before = _containers()
    with subprocess.Popen(command, cwd=project.folder, env=environment, stderr=subprocess.PIPE) as locking:
        until = time.monotonic() + 240
        while not _containers() - before:
            assert locking.poll() is None
            assert time.monotonic() < until
            time.sleep(0.2)
        time.sleep(1)
        locking.send_signal(signal.SIGINT)
        _, told = locking.communicate(timeout=60)
    forget_at_the_end("envbuild-builder")
    assert locking.returncode == 130
    assert told.decode().endswith("interrupted\n")
    assert _containers() == before


def _containers() -> set[str]:
    command = ["docker", "ps", "--all", "--quiet", "--filter", "label=dev.envbuild.purpose=run"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_code_of_a_package_sees_nothing_of_this_machine(project: Project) -> None:
    marker = project.folder / "marker"
    marker.write_text("secret")
    spy = f"""
def files():
    seen = [path for path in ({str(marker)!r}, "/var/lib/envbuild-engine") if os.path.exists(path)]
    names = sorted(name for name in os.environ if "PROXY" in name.upper() or "TOKEN" in name.upper())
    return {{"seen.txt": repr((seen, names, os.environ["HOME"], os.getcwd(), os.environ["TZ"])).encode()}}
"""
    make_source(project.index.folder, "alpha", "1.0", backend=spy)
    project.spec("alpha", pip='build = ["alpha"]')
    project.run("lock", HTTP_PROXY="http://127.0.0.1:9", no_proxy="127.0.0.1", MY_TOKEN="t")

    (wheel,) = [item for item in project.lock.wheels if item.name == "alpha"]
    path = Path(os.environ.get("ENVBUILD_CACHE_DIR", "~/.cache/envbuild")).expanduser()
    with zipfile.ZipFile(path / "sha256" / wheel.sha256[:2] / wheel.sha256) as archive:
        seen = archive.read("seen.txt").decode()
    work = "/tmp/envbuild-build"  # noqa: S108 - inside a container
    assert seen == repr(([], [], f"{work}/home", f"{work}/project", "UTC"))


def test_what_was_built_is_found_by_its_key(project: Project, tmp_path: Path) -> None:
    make_source(project.index.folder, "alpha", "1.0")
    project.spec("alpha", pip='build = ["alpha"]')
    assert "building alpha" in project.run("lock").stderr
    first = (project.folder / "envbuild.lock").read_bytes()

    (project.folder / "envbuild.lock").unlink()
    again = project.run("lock")

    assert "building alpha" not in again.stderr
    assert (project.folder / "envbuild.lock").read_bytes() == first


def test_relocking_rebuilds_nothing_whose_key_stands(project: Project) -> None:
    make_source(project.index.folder, "alpha", "1.0")
    make_source(project.index.folder, "beta", "1.0")
    project.spec("alpha", pip='build = "all"')
    project.run("lock")

    project.spec("alpha", "beta", pip='build = "all"')
    answer = project.run("lock")

    assert "building beta" in answer.stderr
    assert "building alpha" not in answer.stderr


@pytest.mark.long
def test_another_machine_takes_the_wheel_from_beside_the_image(
    project: Project, registry: Registry, tmp_path: Path
) -> None:
    make_source(project.index.folder, "alpha", "1.0")
    repository = f"{registry.host}/sources-{os.getpid()}"
    project.spec("alpha", pip='build = ["alpha"]')
    spec = project.folder / "envbuild.toml"
    spec.write_text(f'{spec.read_text()}\n[image]\nrepository = "{repository}"\n')
    project.run("lock")
    project.run("build", "--push")
    wheels = {wheel.name: wheel for wheel in project.lock.wheels}
    cache = _cache_without_builds(tmp_path / "cache", project.lock)

    (project.folder / "envbuild.lock").rename(project.folder / "first.lock")
    answer = project.run("lock", ENVBUILD_CACHE_DIR=str(cache))
    assert "building alpha" not in answer.stderr
    assert (project.folder / "envbuild.lock").read_bytes() == (project.folder / "first.lock").read_bytes()

    shutil.rmtree(cache)
    cache = _cache_without_builds(cache, project.lock)
    project.index.folder.joinpath("alpha-1.0.tar.gz").unlink()
    # the registry has the image too, which would do
    project.run("build", "--no-cache", ENVBUILD_CACHE_DIR=str(cache))
    assert (cache / "sha256" / wheels["alpha"].sha256[:2] / wheels["alpha"].sha256).is_file()


@pytest.mark.long
def test_another_machine_takes_the_wheel_from_a_vendored_folder(project: Project, tmp_path: Path) -> None:
    make_source(project.index.folder, "alpha", "1.0")
    project.spec("alpha", pip='build = ["alpha"]')
    project.run("lock")
    (wheel,) = [item for item in project.lock.wheels if item.name == "alpha"]
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    here = _cache()
    shutil.copy(here / "sha256" / wheel.sha256[:2] / wheel.sha256, vendor / wheel.file)
    notes = [path for path in (here / "builds").rglob("*.json") if wheel.sha256 in path.read_text()]
    for note in notes:
        shutil.copy(note, vendor)
    cache = _cache_without_builds(tmp_path / "cache", project.lock)

    (project.folder / "envbuild.lock").unlink()
    answer = project.run("lock", ENVBUILD_CACHE_DIR=str(cache), ENVBUILD_VENDOR_DIR=str(vendor))

    assert "building alpha" not in answer.stderr
    assert project.lock.sources[0].wheel == wheel.file


def test_a_wheel_made_anew_must_be_the_one_that_was_locked(project: Project, tmp_path: Path) -> None:
    make_source(project.index.folder, "alpha", "1.0")
    project.spec("alpha", pip='build = ["alpha"]')
    project.run("lock")
    lock = project.folder / "envbuild.lock"
    (wheel,) = [item for item in project.lock.wheels if item.name == "alpha"]
    line = next(line for line in project.lock.sources[0].contents if line.startswith("alpha.py "))
    # as if the build of the machine that locked had come out otherwise
    changed = lock.read_text().replace(line, f"alpha.py {'0' * 64}").replace(wheel.sha256, "1" * 64)
    lock.write_text(changed)

    answer = project.run("build", check=False)

    assert answer.returncode == ExitCode.INTEGRITY
    assert "`alpha 1.0` comes out otherwise than it was locked: alpha.py" in answer.stderr


def test_another_platform_names_the_command_to_run_there(project: Project) -> None:
    if Path("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists():
        pytest.fail("this machine runs programs of linux/arm64: the test needs one that does not")
    make_source(project.index.folder, "alpha", "1.0")
    project.spec("alpha", pip='build = ["alpha"]')
    spec = project.folder / "envbuild.toml"
    spec.write_text(f'platforms = ["linux/amd64", "linux/arm64"]\n{spec.read_text()}')

    answer = project.refused("lock")

    assert answer.returncode == ExitCode.ENGINE
    assert "what is built from source for linux/arm64 cannot be built on this machine" in answer.stderr
    assert "run `envbuild lock --platform linux/arm64` on such a machine" in answer.stderr
    project.run("lock", "--platform", "linux/amd64")
    assert project.lock.request.platforms == ("linux/amd64",)


def _cache() -> Path:
    return Path(os.environ.get("ENVBUILD_CACHE_DIR", "~/.cache/envbuild")).expanduser()


def _cache_without_builds(cache: Path, lock: Lock) -> Path:
    """Return a cache folder like this machine's that has nothing built from source."""
    built = {wheel.sha256 for wheel in lock.wheels if wheel.hash_source == "built"}
    for folder in ("sha256", "apt", "metadata"):
        shutil.copytree(_cache() / folder, cache / folder, copy_function=os.link)
    for sha256 in built:
        (cache / "sha256" / sha256[:2] / sha256).unlink()
    return cache


# --- real packages, both engines ----------------------------------------------------------------


def test_both_engines_build_the_same_wheels(tmp_path: Path) -> None:
    """A pure Python sdist, a C extension, and a commit of a repository: one lock, byte for byte."""
    with GitServer(tmp_path / "served") as server:
        commit = server.repository("demo").commit(
            {
                "pyproject.toml": '[build-system]\nrequires = ["setuptools>=64"]\n'
                'build-backend = "setuptools.build_meta"\n[project]\nname = "demo"\nversion = "0.4"\n',
                "demo/__init__.py": "VALUE = 4\n",
            }
        )
        name = f"both-{os.getpid()}"
        address = f"demo @ git+{server.address('demo')}@{commit}"
        spec = SPEC.format(
            pid=os.getpid(),
            packages=f'"langdetect==1.0.9", "python-Levenshtein==0.12.2", "{address}"',
            pip='build = ["langdetect", "python-levenshtein"]',
        )
        folder = tmp_path / "project"
        folder.mkdir()
        (folder / "envbuild.toml").write_text(spec.replace(f"sources-{os.getpid()}", name))
        envbuild("lock", folder=folder)
        local = (folder / "envbuild.lock").read_text()
        (folder / "envbuild.lock").unlink()
        cache = _cache_without_builds(tmp_path / "cache", loads(local))
        forget_at_the_end("envbuild-builder")

        answer = envbuild(
            "lock",
            folder=folder,
            environment={"ENVBUILD_CACHE_DIR": str(cache), "ENVBUILD_ENGINE": "docker"},
        )

        assert "building python-levenshtein 0.12.2" in answer.stderr
        assert (folder / "envbuild.lock").read_text() == local
    sources = {source.wheel.partition("-")[0]: source for source in loads(local).sources}
    assert sources["demo"].commit == commit
    assert re.fullmatch(
        r"python_levenshtein-0\.12\.2-0[0-9a-f]{10}-cp311-cp311-linux_x86_64\.whl",
        sources["python_levenshtein"].wheel,
    )
    envbuild("build", folder=folder)
    program = (
        "import json, demo, langdetect, Levenshtein; "
        "print(json.dumps([demo.VALUE, Levenshtein.distance('a', 'b')]))"
    )
    answer = envbuild("run", "--", "python", "-c", program, folder=folder)
    assert json.loads(answer.stdout) == [4, 1]
    assert envbuild("verify", "--deep", folder=folder).returncode == 0
