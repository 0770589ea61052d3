"""No false alarm: images of many kinds, as they were built, differ in nothing and hold nothing uncompared."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from envbuild.cache.location import cache_folder
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import open_project
from envbuild.workflows.verify import VerifyOptions, verify_image
from tests.rig.conda import ChannelServer, public_channel
from tests.rig.cuda_bases import push_cuda_base, write_standalone_python
from tests.rig.engine import forget_at_the_end
from tests.rig.paths import CHECKOUT
from tests.rig.tampered_project import failures, uncovered
from tests.rig.unprivileged import UID, run_unprivileged
from tests.rig.web import Answer, LoopbackServer

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.xdist_group("untouched"),
    pytest.mark.skipif(os.geteuid() != 0, reason="an image of the local engine needs root in this process"),
]

BOOKWORM = 'base.packages = "debian:bookworm"\npip.packages = ["six"]\n'


@dataclass(frozen=True)
class Kind:
    """A spec without its name; ``{image}``, ``{registry}`` and ``{python}`` are filled in."""

    spec: str
    python: str = "3.11"
    needs: tuple[str, ...] = ()
    """Fixtures: each gives variables of the environment, and what is filled in."""

    engines: tuple[str, ...] = ("local", "docker")


def with_system(*packages: str) -> Kind:
    return Kind(f"{BOOKWORM}system.packages = {json.dumps(packages)}\n")


KINDS = {
    "bookworm": Kind(BOOKWORM),
    "trixie": Kind(
        'base.packages = "debian:trixie"\npip.packages = ["six", "numpy"]\nsystem.packages = ["git"]\n',
        python="3.13",
    ),
    "a base image of Debian": Kind(
        'base.image = "{image}"\npip.packages = ["numpy"]\nsystem.packages = ["git"]\n', needs=("debian",)
    ),
    "a base image like Docker's python": Kind(
        'base.image = "{image}"\npip.packages = ["numpy", "six"]\nsystem.packages = ["libgomp1"]\n',
        needs=("docker_python",),
    ),
    "wheels alone": Kind('base.packages = "debian:bookworm"\npip.packages = ["scikit-learn", "pandas"]\n'),
    "wheels with headers, data and scripts": Kind(
        'base.packages = "debian:bookworm"\n'
        'pip.packages = ["greenlet", "jupyterlab-widgets", "numpy", "pytest", "uv"]\n'
    ),
    "conda": Kind(
        'base.packages = "debian:bookworm"\n'
        'conda.channels = ["conda-forge"]\nconda.packages = ["numpy >=2"]\n',
        needs=("conda",),
    ),
    "conda and wheels": Kind(
        'base.packages = "debian:bookworm"\npip.packages = ["tqdm", "six"]\n'
        'conda.channels = ["conda-forge"]\nconda.packages = ["numpy >=2", "geodata", "frames"]\n',
        needs=("conda",),
    ),
    "conda on a base image": Kind(
        # py-rattler starts no client where there is no certificate, though it fetches nothing
        'base.image = "{image}"\nsystem.packages = ["ca-certificates"]\n'
        'conda.channels = ["conda-forge"]\nconda.packages = ["numpy >=2"]\n',
        needs=("debian", "conda"),
    ),
    "fonts and types of files": with_system("fontconfig", "shared-mime-info", "fonts-dejavu-core"),
    "ssh and sudo": with_system("openssh-client", "sudo", "rsync"),
    "locales and certificates": with_system("locales", "ca-certificates", "tzdata", "openssl"),
    "an editor with its own compiler": with_system("emacs-nox"),
    "a message bus and its accounts": with_system("dbus", "postgresql-client", "nginx-light"),
    "a compiler and its alternatives": with_system("gcc", "make", "vim-tiny"),
    "Python packages of the distribution": with_system("python3-numpy", "python3-yaml"),
    "another user below a home": Kind(
        f'{BOOKWORM}[image]\nuser = "researcher"\nworkdir = "/home/researcher/work/deep"\n'
        'env = {{ GREETING = "say \'hi\'" }}\ncommand = ["python", "-m", "this"]\n'
    ),
    "root as its user, in the root's home": Kind(f'{BOOKWORM}[image]\nuser = "root"\nworkdir = "/root"\n'),
    "a standalone Python on CUDA's image": Kind(
        'pip.packages = ["nvidia-cuda-runtime-cu12==12.6.77"]\n'
        '[gpu]\ncuda = "12.6"\nimage = "devel"\nregistry = "{registry}"\n',
        python="{version}",
        needs=("cuda", "standalone"),
    ),
    "CUDA's libraries without a GPU": Kind(
        'base.image = "{image}"\npip.packages = ["nvidia-cuda-runtime==13.0.96"]\ngpu.vendor = "nvidia"\n',
        needs=("docker_python",),
    ),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return one cache folder for all kinds: they share bases and wheels."""
    folder = tmp_path_factory.mktemp("cache")
    if (cache_folder() / "sha256").is_dir():
        shutil.copytree(cache_folder() / "sha256", folder / "sha256")
    return folder


@pytest.fixture(scope="module")
def debian(debian_image):
    return {}, {"image": debian_image.reference}


@pytest.fixture(scope="module")
def docker_python(python_image):
    return {}, {"image": python_image.reference}


@pytest.fixture(scope="module")
def conda(tmp_path_factory):
    channel = public_channel(tmp_path_factory.mktemp("channel") / "conda-forge")
    with ChannelServer(channel, "conda-forge") as server:
        yield {"ENVBUILD_CHANNEL_CONDA_FORGE_URL": server.url}, {}


@pytest.fixture(scope="module")
def cuda(registry, tmp_path_factory):
    push_cuda_base(registry, "12.6.3-devel-ubuntu24.04", tmp_path_factory.mktemp("cuda"))
    return {}, {"registry": registry.host}


STANDALONE = "cpython-3.11.2+20260101-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"

# stands for the table of builds: the real ones cannot be had here
TABLE = """
from collections import namedtuple
PythonVersion = namedtuple("PythonVersion", "implementation major minor micro freethreaded")
def get_download_link(request, arch=None, platform=None):
    return PythonVersion("cpython", *map(int, "{version}".split(".")), False), (
        "https://builds.example.com/download/20260101/{quoted}", "{sha256}")
"""


@pytest.fixture(scope="module")
def standalone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standalone")
    archive = folder / STANDALONE
    version = write_standalone_python(archive)
    (folder / "pbs_installer").mkdir()
    table = TABLE.format(
        version=version,
        quoted=STANDALONE.replace("+", "%2B"),
        sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
    )
    (folder / "pbs_installer/__init__.py").write_text(table)

    def answer(request):
        return Answer(content=archive) if request.path == f"/mirror/20260101/{STANDALONE}" else None

    with LoopbackServer(answer) as server:
        yield {"ENVBUILD_PYTHON_URL": f"{server.url}/mirror", "SHIM": str(folder)}, {"version": version}


def run(*arguments, folder, environment):
    """Run the program, with the stand-in for a table of builds where there is one."""
    path = ":".join([*filter(None, [environment.get("SHIM")]), str(CHECKOUT)])
    done = subprocess.run(
        [sys.executable, "-m", "envbuild", *arguments],
        cwd=folder,
        env={**os.environ, **environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    ("name", "engine"), [(name, engine) for name, kind in KINDS.items() for engine in kind.engines]
)
def test_an_image_as_it_was_built_is_clean(request, name, engine, cache, tmp_path):
    kind = KINDS[name]
    environment = {"ENVBUILD_CACHE_DIR": str(cache)}
    values: dict[str, str] = {}
    for fixture in kind.needs:
        more, fields = request.getfixturevalue(fixture)
        environment |= more
        values |= fields
    if engine == "docker":
        environment["DOCKER_HOST"] = request.getfixturevalue("engine_host")
    number = list(KINDS).index(name)
    spec = f'name = "untouched-{os.getpid()}-{number}"\npython = "{kind.python}"\n{kind.spec}'
    (tmp_path / "envbuild.toml").write_text(spec.format(**values))
    run("lock", folder=tmp_path, environment=environment)
    reference = run("build", "--engine", engine, folder=tmp_path, environment=environment).stdout.strip()
    if engine == "docker":
        forget_at_the_end(reference)
    machine = Machine(environment={**os.environ, **environment})
    result = verify_image(open_project(tmp_path), VerifyOptions(deep=True, engine=engine), machine=machine)
    assert result.succeeded, failures(result)
    assert uncovered(result) == 0


@pytest.mark.skipif(shutil.which("newuidmap") is None, reason="uidmap is not installed (make setup)")
def test_an_image_built_and_verified_without_root_is_clean():
    with tempfile.TemporaryDirectory(prefix="untouched-") as name:
        place = Path(name)
        place.chmod(0o755)
        home = place / "home"
        (home / "project").mkdir(parents=True)
        spec = f'name = "untouched-{os.getpid()}-u"\npython = "3.11"\nbuild.engine = "local"\n{BOOKWORM}'
        (home / "project/envbuild.toml").write_text(spec)
        for path in (home, *home.rglob("*")):
            os.chown(path, UID, UID)
        said = ""
        for command in ("lock", "build", "verify"):
            done = run_unprivileged(
                *(sys.executable, "-m", "envbuild", command),
                *(("--deep", "--json") if command == "verify" else ()),
                *("--spec", home / "project"),
                scratch=place / command,
                ids=65_536,
                environment={"ENVBUILD_CACHE_DIR": str(home / "cache")},
            )
            said = done.stdout
            assert done.returncode == 0, f"{command}: {done.stderr}{said}"
        assert "failed" not in {item["outcome"] for item in json.loads(said)["results"]}
