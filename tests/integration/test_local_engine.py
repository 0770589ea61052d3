"""The local engine end to end: the same bytes in every circumstance, and where its images go."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import pytest

from envbuild.cache.folders import LAYOUT, TAG, USE_LOCK
from envbuild.image.local.check import REFERENCE, WORKER
from envbuild.image.local.images import ImageStore
from envbuild.oci.reference import parse_reference
from envbuild.verify.probe_bundle import build_probe
from tests.rig.engine import docker, forget_at_the_end
from tests.rig.paths import CHECKOUT
from tests.rig.podman import own_podman
from tests.rig.python313 import newer_python
from tests.rig.running import envbuild
from tests.rig.unprivileged import UID, run_unprivileged

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.xdist_group("local-engine")]

NAME = f"local-{os.getpid()}"

# Docker 20.10, of Debian 12, reads no zstd (make test-engines)
IS_OLD = os.environ.get("ENGINE_SUITE") == "bookworm"
BUILD = ("build", *(("--compression", "gzip") if IS_OLD else ()))


def spec_on(image, registry):
    return f"""\
name = "{NAME}"
python = "3.11"
platforms = ["linux/amd64"]
[base]
image = "{image.reference}"
[system]
packages = ["libgomp1"]
[pip]
packages = ["six", "numpy"]
[image]
repository = "{registry.host}/team/{NAME}"
[build]
engine = "local"
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return a cache folder of these tests alone; without an engine nothing else is needed."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def away(cache):
    """Return the environment of a machine without an engine and without docker."""
    found = (Path(folder) for folder in os.environ["PATH"].split(":"))
    path = ":".join(str(folder) for folder in found if not (folder / "docker").exists())
    return {"ENVBUILD_CACHE_DIR": str(cache), "DOCKER_HOST": "unix:///nonexistent", "PATH": path}


@pytest.fixture(scope="module")
def project(tmp_path_factory, python_image, registry, away):
    folder = tmp_path_factory.mktemp("local")
    (folder / "envbuild.toml").write_text(spec_on(python_image, registry))
    envbuild("lock", folder=folder, environment=away)
    return folder


@pytest.fixture(scope="module")
def image(project, away):
    """Return the reference and the manifest's digest of the image, built from nothing."""
    built = json.loads(envbuild(*BUILD, "--json", folder=project, environment=away).stdout)
    assert built["built"]
    assert built["engine"] == "local"
    return built["reference"], built["image"]


def build_elsewhere(project, away, cache, folder, **options):
    """Build with a cache of its own that has the artifacts, and return the digest."""
    (folder / "cache").mkdir(exist_ok=True)
    if not (folder / "cache" / "sha256").exists():
        shutil.copytree(cache / "sha256", folder / "cache" / "sha256", copy_function=os.link)
    environment = {**away, "ENVBUILD_CACHE_DIR": str(folder / "cache")} | options.pop("environment", {})
    result = envbuild(*BUILD, "--json", folder=project, environment=environment, **options)
    return json.loads(result.stdout)["image"]


def test_second_build_has_nothing_to_do(project, image, away):
    again = envbuild(*BUILD, folder=project, environment=away)
    assert again.stdout.strip() == image[0]
    assert "nothing to do" in again.stderr


def test_it_comes_out_the_same_in_other_circumstances(project, image, away):
    """Cache folder, order, workers, umask, time zone, locale, hash seed and, with libfaketime, clock."""
    checked = json.loads(envbuild(*BUILD, "--check", "--json", folder=project, environment=away).stdout)
    assert checked["image"] == image[1]
    assert {"cache folder", "order of wheels", "umask", "clock (+400d)"} <= set(checked["checked"])


@pytest.mark.long
def test_it_comes_out_the_same_with_more_workers(project, image, away, cache, tmp_path):
    """Twice as many as this machine has cores; `--check` takes one."""
    (tmp_path / "again").mkdir()
    order = {
        "lock": (project / "envbuild.lock").read_text(),
        "variant": "default",
        "platform": "linux/amd64",
        "folder": str(tmp_path / "again"),
        "workers": 4,
        "offline": False,
        "use-cache": True,
        "compression": "gzip" if IS_OLD else "zstd",
        "cache": str(cache),
        "probe": base64.b64encode(build_probe()).decode(),
    }
    subprocess.run(
        [sys.executable, "-m", WORKER],
        env={**os.environ, **away, "PYTHONPATH": str(CHECKOUT)},
        input=json.dumps(order),
        capture_output=True,
        text=True,
        check=True,
    )
    again = ImageStore(tmp_path / "again").get(REFERENCE)
    assert again is not None
    assert again.descriptor.digest == image[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_it_comes_out_the_same_for_another_user(project, image, away, cache):
    """A user without privileges, whose subordinate ids stand in for the image's."""
    with tempfile.TemporaryDirectory(prefix="another-user-") as name:
        open_path = Path(name)
        open_path.chmod(0o755)
        home = open_path / "home"
        for source, place in ((project, home / "project"), (cache / "sha256", home / "cache/sha256")):
            shutil.copytree(source, place)
        for path in (home, *home.rglob("*")):
            os.chown(path, UID, UID, follow_symlinks=False)
        built = run_unprivileged(
            *(sys.executable, "-m", "envbuild", *BUILD, "--all", "--json", "--spec", home),
            scratch=home,
            ids=65_536,
            environment={**away, "ENVBUILD_CACHE_DIR": str(home / "cache")},
        )
        assert built.returncode == 0, built.stderr
        assert [entry["image"] for entry in json.loads(built.stdout)] == [image[1]]


@pytest.mark.long
def test_it_comes_out_the_same_from_another_python(project, image, away, cache, tmp_path):
    """Another host: the Python of Debian 13, its zlib, its libraries, its standard library."""
    python = newer_python(CHECKOUT)
    said = python.run("--version").stdout
    assert said.startswith("Python 3.13."), said
    (tmp_path / "cache").mkdir()
    shutil.copytree(cache / "sha256", tmp_path / "cache" / "sha256", copy_function=os.link)
    built = python.run(
        "-m", "envbuild", "build", "--json",
        folder=project,
        environment={**away, "ENVBUILD_CACHE_DIR": str(tmp_path / "cache"), "PATH": "/usr/sbin:/usr/bin"},
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert json.loads(built.stdout)["image"] == image[1]


def test_check_names_the_file_that_differs(project, image, away, cache, tmp_path):
    """A probe of another release is in the image: it stands for whatever may differ."""
    shutil.copytree(CHECKOUT / "envbuild", tmp_path / "envbuild")
    shutil.copytree(CHECKOUT / "templates", tmp_path / "templates")
    probe = tmp_path / "envbuild/verify/probe/main.py"
    probe.write_text(probe.read_text() + "\n# changed\n")
    result = envbuild(
        *BUILD, "--check", folder=project, check=False, environment=away | {"PYTHONPATH": str(tmp_path)}
    )
    assert result.returncode == 8
    assert "gave a different image" in result.stderr
    assert (
        "user, working directory, lock and probe): etc/envbuild/probe.pyz: content: sha256:" in result.stderr
    )
    assert "numpy" not in result.stderr


def test_verified_and_run_without_a_daemon(project, image, away, cache):
    report = json.loads(envbuild("verify", "--deep", "--json", folder=project, environment=away).stdout)
    assert {item["outcome"] for item in report["results"]} <= {"passed", "skipped"}
    shown = envbuild(
        "run",
        "--",
        "python",
        "-c",
        "import numpy; print(numpy.arange(3).sum())",
        folder=project,
        environment=away,
    )
    assert shown.stdout == "3\n"
    assert_layout_knows(cache)


def assert_layout_knows(cache):
    """Hold the table of the cache folder to what locking, building, verifying and running made there."""
    made = {path.name for path in cache.iterdir()} - {USE_LOCK, TAG}
    assert [name for name in made if not any(folder.is_called(name) for folder in LAYOUT)] == []
    assert made >= {
        "apt",
        "documents",
        "images",
        "layers",
        "roots",
        "scans",
        "sha256",
        "trees",
        "wheel-trees",
    }


def test_a_changed_environment_shares_what_it_can(project, image, away, cache, tmp_path):
    """One small wheel more: its layer and the last are new, the rest is the same to the byte."""
    (tmp_path / "envbuild.toml").write_text(
        (project / "envbuild.toml").read_text().replace('"six"', '"six", "idna"')
    )
    envbuild("lock", folder=tmp_path, environment=away)
    changed = envbuild(*BUILD, folder=tmp_path, environment=away).stdout.strip()
    one, other = (ImageStore(cache).get(reference) for reference in (image[0], changed))
    assert one is not None
    assert other is not None
    new = {layer.digest: layer.size for layer in other.layers} | {}
    for layer in one.layers:
        new.pop(layer.digest, None)
    assert len(new) == 2
    assert sum(new.values()) < one.size // 20


def test_pushed_with_the_bases_layers_mounted(project, image, away, cache, registry):
    shutil.rmtree(cache / "bases")
    pushed = json.loads(envbuild(*BUILD, "--push", "--json", folder=project, environment=away).stdout)
    assert pushed["pushed"] == image[1]
    # the registry has the base: nobody downloaded a byte of it
    assert not (cache / "bases").exists()
    again = json.loads(envbuild(*BUILD, "--push", "--json", folder=project, environment=away).stdout)
    assert again["pushed"] == image[1]


def test_layout_and_archive(project, image, away, tmp_path):
    outputs = ["--output", f"oci:{tmp_path / 'layout'}", "--output", f"archive:{tmp_path / 'image.tar'}"]
    envbuild(*BUILD, *outputs, folder=project, environment=away)
    (entry,) = json.loads((tmp_path / "layout/index.json").read_bytes())["manifests"]
    assert entry["digest"] == image[1]
    with tarfile.open(tmp_path / "image.tar") as archive:
        names = archive.getnames()
    assert f"blobs/{image[1].replace(':', '/')}" in names


@pytest.mark.engine
def test_the_docker_engine_takes_it_and_verifies_it(project, image, away, engine_host, cache):
    reference = image[0]
    environment = {"ENVBUILD_CACHE_DIR": str(cache), "DOCKER_HOST": engine_host}
    forget_at_the_end(reference)
    loaded = json.loads(envbuild(*BUILD, "--load", "--json", folder=project, environment=environment).stdout)
    assert loaded["loaded"]["way"] != "there"
    held = json.loads(docker("image", "inspect", reference).stdout)
    kept = ImageStore(cache).get(reference)
    assert kept is not None
    assert tuple(held[0]["RootFS"]["Layers"]) == kept.diff_ids
    again = json.loads(envbuild(*BUILD, "--load", "--json", folder=project, environment=environment).stdout)
    assert again["loaded"] == {"way": "there", "size": 0}
    report = envbuild(
        "verify", "--engine", "docker", "--deep", "--json", folder=project, environment=environment
    )
    assert {item["outcome"] for item in json.loads(report.stdout)["results"]} <= {"passed", "skipped"}
    shown = envbuild(
        "run", "--engine", "docker", "--", "python", "-c", "import six; print(six.__name__)",
        folder=project, environment=environment,
    )  # fmt: skip
    assert shown.stdout == "six\n"


@pytest.mark.engine
def test_the_docker_engine_pulls_it_from_a_registry(project, image, away, engine_host):
    envbuild(*BUILD, "--push", folder=project, environment=away)
    pinned = f"{image[0].rpartition(':')[0]}@{image[1]}"
    docker("pull", "--quiet", pinned)
    shown = docker("run", "--rm", pinned, "python", "-c", "import numpy; print(numpy.ones(2).sum())")
    assert shown.stdout == b"2.0\n"


@pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed (make setup)")
def test_podman_loads_it_and_pulls_it(project, image, away, tmp_path):
    envbuild(
        *BUILD, "--push", "--output", f"archive:{tmp_path / 'image.tar'}", folder=project, environment=away
    )
    pinned = f"{image[0].rpartition(':')[0]}@{image[1]}"
    with own_podman() as podman:
        podman("load", podman.policy, "--input", str(tmp_path / "image.tar"))
        assert podman.run(image[0], "python", "-c", "import six; print(six.__name__)") == "six"
        podman("rmi", "--all", "--force")
        podman("pull", podman.policy, "--tls-verify=false", "--quiet", pinned)
        assert podman.run(pinned, "python", "-c", "import numpy; print(numpy.ones(2).sum())") == "2.0"


@pytest.mark.long
def test_killed_in_every_phase_the_next_run_finishes(project, image, away, cache, tmp_path):
    (tmp_path / "cache").mkdir()
    shutil.copytree(cache / "sha256", tmp_path / "cache" / "sha256", copy_function=os.link)
    environment = {
        **os.environ,
        **away,
        "ENVBUILD_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(CHECKOUT),
    }
    ends = []
    for phase, delay in (("reading", 0.1), ("installing", 0.5), ("assembling", 0.1)):
        with subprocess.Popen(
            [sys.executable, "-m", "envbuild", "build"],
            cwd=project, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        ) as child:  # fmt: skip
            assert child.stderr is not None
            for line in child.stderr:
                if phase in line:
                    time.sleep(delay)
                    break
            os.kill(child.pid, signal.SIGKILL)
        ends.append(child.returncode)
    # what is left to assemble may be done before it is killed
    assert ends[:2] == [-signal.SIGKILL] * 2
    assert ends[2] in {-signal.SIGKILL, 0}
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    assert build_elsewhere(project, away, cache, tmp_path) == image[1]
    assert list((tmp_path / "cache" / "layers" / "partial").iterdir()) == []


def test_killed_while_pushing_the_next_push_finishes(project, image, away, registry, tmp_path):
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    elsewhere = f"{registry.host}/killed/{NAME}"
    lock = (folder / "envbuild.lock").read_text()
    (folder / "envbuild.lock").write_text(lock.replace(f"{registry.host}/team/{NAME}", elsewhere))
    shutil.copy(project / "envbuild.toml", folder)
    envbuild(*BUILD, "--frozen", folder=folder, environment=away)
    environment = {**os.environ, **away, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "envbuild", "build", "--frozen", "--push"]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if "pushing" in line:
                time.sleep(0.05)
                break
        os.kill(child.pid, signal.SIGKILL)
    pushed = json.loads(
        envbuild(*BUILD, "--frozen", "--push", "--json", folder=folder, environment=away).stdout
    )
    assert pushed["pushed"] == image[1]
    assert parse_reference(pushed["reference"]).repository == f"killed/{NAME}"


def test_full_disk_is_said_and_leaves_nothing_half_written(project, image, away, cache, tmp_path):
    """On a small file system of its own; with more room the same command finishes."""
    shutil.copytree(cache / "sha256", tmp_path / "artifacts", copy_function=os.link)
    script = f"""
set -e
mkdir {tmp_path}/small
mount -t tmpfs -o size=60m tmpfs {tmp_path}/small
cp -r {tmp_path}/artifacts {tmp_path}/small/sha256
if "$@"; then exit 90; fi
find {tmp_path}/small/layers -path '*/partial/*' -type f
mount -o remount,size=2g {tmp_path}/small
exec "$@"
"""
    result = subprocess.run(
        [
            "unshare",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            sys.executable,
            "-m",
            "envbuild",
            "build",
            "--output",
            f"oci:{tmp_path}/layout",
            "--json",
        ],
        cwd=project,
        env={**os.environ, **away, "ENVBUILD_CACHE_DIR": f"{tmp_path}/small", "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["image"] == image[1]
    assert "error: no room left in the cache folder" in result.stderr
    assert "Traceback" not in result.stderr


def test_pruning_to_nothing_leaves_nothing(project, image, away, cache):
    """Comes last: it takes what the others made."""
    envbuild("cache", "prune", "--max-size", "0", folder=project, environment=away)

    left = {path.relative_to(cache).name for path in cache.rglob("*") if not path.is_dir()}
    assert left == {USE_LOCK, TAG}
    info = json.loads(envbuild("cache", "info", "--json", folder=project, environment=away).stdout)
    assert set(info["kinds"].values()) == {0}
