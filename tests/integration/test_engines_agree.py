"""Both engines make the same environment, and the local one survives being killed while it does."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import pytest

from envbuild.cache.location import cache_folder
from envbuild.errors import ExitCode
from tests.rig.engine import docker, forget_at_the_end
from tests.rig.filesystem import differences, open_layers, tree_of_image, tree_of_layout
from tests.rig.paths import CHECKOUT
from tests.rig.running import envbuild
from tests.rig.unprivileged import UID, run_unprivileged

pytestmark = [
    pytest.mark.engine,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.xdist_group("engines-agree"),
    pytest.mark.skipif(os.geteuid() != 0, reason="looks at every process of the machine"),
]

NAME = f"engines-{os.getpid()}"

# git has hard links and a maintainer script of its own, iputils-ping a capability, openssh-client a group
PACKAGES = f"""\
name = "{NAME}"
python = "3.11"
platforms = ["linux/amd64"]
[base]
packages = "debian:bookworm"
[system]
packages = ["git", "libgomp1", "iputils-ping", "openssh-client"]
[pip]
packages = ["requests", "numpy"]
"""

ALLOWED: frozenset[str] = frozenset()
"""Paths that may differ: none (docs/adr/0024-two-engines-one-environment.md)."""


class Engines:
    """One project, built by both engines with the local one's own cache folder."""

    def __init__(self, folder, spec):
        self.folder = folder / "project"
        self.cache = folder / "cache"
        self.layout = folder / "layout"
        self.folder.mkdir()
        self.cache.mkdir()
        (self.folder / "envbuild.toml").write_text(spec)
        self.environment = {"ENVBUILD_CACHE_DIR": str(self.cache)}
        envbuild("lock", folder=self.folder)
        self.reference = ""

    def build_with_docker(self):
        self.reference = envbuild("build", folder=self.folder).stdout.strip()
        # what was fetched need not be fetched again
        shutil.copytree(cache_folder() / "sha256", self.cache / "sha256", copy_function=os.link)

    def build_locally(self):
        self.local("build", "--output", f"oci:{self.layout}")

    def local(self, *arguments, **options):
        return envbuild(
            *arguments[:1],
            "--engine=local",
            *arguments[1:],
            folder=self.folder,
            environment=self.environment,
            **options,
        )

    def start_locally(self):
        return subprocess.Popen(
            [sys.executable, "-m", "envbuild", "build", "--engine=local"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(CHECKOUT), **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@pytest.fixture(scope="module")
def on_packages(tmp_path_factory, engine_host):
    """Build on a bootstrapped base; the local build is killed late in it before it may finish."""
    engines = Engines(tmp_path_factory.mktemp("packages"), PACKAGES)
    engines.build_with_docker()
    left = kill_when(engines, installing)
    engines.build_locally()
    forget_at_the_end(engines.reference)
    return engines, left


def kill_when(engines, phase):
    """Kill a build when ``phase`` is seen in its cache; return what was left running and mounted."""
    child = engines.start_locally()
    deadline = time.monotonic() + 500
    while not phase(engines.cache):
        assert child.poll() is None, f"the build ended before {phase.__name__}"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    deadline = time.monotonic() + 60
    while (left := users_of(engines.cache)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def bootstrapping(cache):
    # layers of wheels are made meanwhile, so theirs say nothing
    return any(cache.glob("roots/root-*/upper/var/lib/dpkg/info/*.list")) and not any(
        cache.glob("unpacked/*/extent")
    )


def unpacking(cache):
    return any(cache.glob("unpacked/partial-*/tree/usr"))


def installing(cache):
    return any(cache.glob("unpacked/*/extent")) and any(
        cache.glob("roots/root-*/upper/var/lib/dpkg/info/*.list")
    )


def users_of(cache):
    """Return the processes that have something of ``cache`` mounted, or work for it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mounts = (process / "mountinfo").read_text()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(cache) in mounts or os.fsencode(cache) in command:
            found.append(command)
    return found


@pytest.mark.long
def test_killed_in_every_phase_nothing_runs_on_and_the_next_build_finishes(tmp_path, engine_host):
    engines = Engines(tmp_path, PACKAGES.replace(NAME, f"{NAME}-k"))
    for phase in (bootstrapping, unpacking, installing):
        assert kill_when(engines, phase) == [], phase.__name__
    engines.build_locally()
    assert_nothing_is_left(engines)


def test_killed_while_packages_are_installed_nothing_runs_on(on_packages):
    engines, left = on_packages
    assert left == []
    assert_nothing_is_left(engines)


def assert_nothing_is_left(engines):
    assert str(engines.cache) not in Path("/proc/self/mountinfo").read_text()
    assert list((engines.cache / "roots").iterdir()) == []
    assert not list((engines.cache / "unpacked").glob("partial-*"))


def test_a_bootstrapped_base_has_the_same_files(on_packages, engine_host):
    engines, _ = on_packages
    in_docker, local = tree_of_image(engine_host, engines.reference), tree_of_layout(engines.layout)
    assert len(in_docker) > 10_000
    assert local["usr/bin/ping"][5], "ping has no capability"
    assert differences(in_docker, local).keys() <= ALLOWED


@pytest.mark.parametrize(
    ("left_out", "program"),
    [
        pytest.param(('"git", ', ', "numpy"'), "ping", id="few packages"),
        pytest.param((), "git", id="all packages", marks=pytest.mark.long),
    ],
)
def test_an_image_base_has_the_same_files(debian_image, engine_host, tmp_path, left_out, program):
    base = f'image = "{debian_image.reference}"'
    spec = PACKAGES.replace('packages = "debian:bookworm"', base).replace(NAME, f"{NAME}-i")
    for package in left_out:
        spec = spec.replace(package, "")
    engines = Engines(tmp_path, spec)
    engines.build_with_docker()
    forget_at_the_end(engines.reference)
    engines.build_locally()
    in_docker, local = tree_of_image(engine_host, engines.reference), tree_of_layout(engines.layout)
    assert in_docker[f"usr/bin/{program}"] == local[f"usr/bin/{program}"]
    assert differences(in_docker, local).keys() <= ALLOWED
    assert outcomes(engines.local("verify", "--deep", "--json")) <= {"passed", "skipped"}


def test_deep_verification_accounts_for_every_path_on_both(on_packages):
    engines, _ = on_packages
    for result in (
        envbuild("verify", "--deep", "--require-complete", "--json", folder=engines.folder),
        engines.local("verify", "--deep", "--require-complete", "--json"),
    ):
        assert outcomes(result) == {"passed"}
        document = json.loads(result.stdout)
        coverage = document["coverage"]
        assert (coverage["uncovered"], coverage["differing"], document["complete"]) == (0, 0, True)
        assert sum(coverage["accounted"].values()) == coverage["paths"] > 10_000
        assert min(coverage["accounted"][name] for name in ("wheels", "debs", "the reference")) > 100


def test_each_engines_image_is_exactly_the_locks(on_packages, tmp_path):
    engines, _ = on_packages

    def proof(result):
        return json.loads(result.stdout)["proof"]

    assert proof(envbuild("verify", "--exact", "--json", folder=engines.folder)) == "tree"
    assert proof(engines.local("verify", "--exact", "--json")) == "digest"
    assert proof(engines.local("verify", "--exact", "--json", f"oci:{engines.layout}")) == "digest"
    saved = tmp_path / "saved.tar"
    docker("save", "--output", str(saved), engines.reference)
    assert proof(engines.local("verify", "--exact", "--json", f"archive:{saved}")) == "tree"


def test_a_layer_that_is_damaged_is_no_proof(on_packages, tmp_path):
    """What was read before is known by its digest; the bytes at hand are hashed all the same."""
    engines, _ = on_packages
    layout = tmp_path / "layout"
    shutil.copytree(engines.layout, layout)
    largest = max((layout / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    result = engines.local("verify", "--exact", f"oci:{layout}", check=False)
    assert result.returncode == ExitCode.INTEGRITY
    assert largest.name[:12] in result.stderr


@pytest.mark.parametrize(
    ("ids", "code", "said"),
    [
        pytest.param(
            65_536, 0, "is exactly what its lock makes, by digest", id="ids", marks=pytest.mark.long
        ),
        pytest.param(0, 0, "paths not covered (no reference: the local engine needs root", id="no ids"),
    ],
)
def test_somebody_without_root_verifies_as_far_as_possible(on_packages, ids, code, said):
    """With subordinate ids a process of its own makes the reference; without there is none."""
    engines, _ = on_packages
    with tempfile.TemporaryDirectory(prefix="verify-unprivileged-") as name:
        place = Path(name)
        place.chmod(0o755)
        shutil.copytree(engines.layout, place / "layout")
        shutil.copytree(engines.folder, place / "project")
        shutil.copytree(engines.cache / "sha256", place / "home/cache/sha256")
        for path in (place, *place.rglob("*")):
            os.chown(path, UID, UID, follow_symlinks=False)
        level = ("--deep", "--exact") if ids else ("--deep",)
        result = run_unprivileged(
            *(sys.executable, "-m", "envbuild", "verify", *level, f"oci:{place}/layout"),
            *("--spec", place / "project"),
            scratch=place / "home",
            ids=ids,
            environment={"ENVBUILD_CACHE_DIR": str(place / "home/cache")},
        )
    assert result.returncode == code, result.stderr
    assert said in result.stdout + result.stderr


def outcomes(result):
    return {item["outcome"] for item in json.loads(result.stdout)["results"]}


STATES = "dpkg-query -W -f '${Status}\\n' | grep -v '^install ok installed$' || :"


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("dpkg", "--audit"), id="audit"),
        pytest.param(("dpkg", "--verify"), id="verify"),
        pytest.param(("sh", "-c", STATES), id="states"),
    ],
)
def test_the_package_database_is_true(on_packages, command):
    engines, _ = on_packages
    said = engines.local("run", "--", *command)
    assert (said.stdout, said.stderr) == ("", "")


def test_distributions_fit_together(on_packages, tmp_path):
    """Run pip inside, which the image has not: it is laid into the container."""
    engines, _ = on_packages
    import pip  # noqa: PLC0415 - the one of this environment, only to be copied

    packed = tmp_path / "pip"
    shutil.copytree(Path(pip.__file__).parent, packed, ignore=shutil.ignore_patterns("__pycache__"))
    checked = engines.local("run", "--copy", str(packed), "--", "python", "pip", "check")
    assert checked.stdout == "No broken requirements found.\n"
    listed = engines.local("run", "--copy", str(packed), "--", "python", "pip", "list", "--format=json")
    assert {"numpy", "requests", "idna"} <= {item["name"] for item in json.loads(listed.stdout)}


def test_scanners_that_look_at_single_layers_find_the_packages(on_packages):
    """What trivy reads, by its own rules: a status file, and in the same layer the lists of its packages."""
    engines, _ = on_packages
    seen = []
    for layer in open_layers(engines.layout):
        with tarfile.open(fileobj=layer, mode="r|") as archive:
            names, status = set(), None
            for entry in archive:
                names.add(entry.name)
                if entry.name == "var/lib/dpkg/status" and (stream := archive.extractfile(entry)):
                    status = stream.read().decode()
        if status is None:
            continue
        packages = re.findall(r"^Package: (.+)$", status, re.MULTILINE)
        lists = {Path(name).stem.partition(":")[0] for name in names if name.endswith(".list")}
        own = {package for package in packages if package in lists}
        seen.append((len(packages), own))
    (base, base_lists), (everything, system_lists) = seen
    assert base == len(base_lists)
    assert {"git", "libgomp1", "iputils-ping"} <= system_lists
    assert everything == len(base_lists | system_lists)
