"""What every command says of a target's image is the same whichever engine holds it, and whoever built it.

One project, three holders: the Docker Engine with its own image, the local engine with its own, and the
Docker Engine with the local engine's image (``build --load``).
"""

import gc
import io
import json
import os
import tarfile
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from envbuild.digest import canonical_json
from envbuild.errors import EngineError, RunError
from envbuild.image.built_image import held_image, image_reference_for
from envbuild.image.engine import Engine, RunRequest
from envbuild.image.local.images import ImageStore
from envbuild.lock.codec import loads
from envbuild.lock.identity import EARLIER_FORMATS, RECIPE_FORMAT, project_target, target_digest
from envbuild.oci.image import OciImage, as_json, described
from envbuild.oci.manifest import OCI_CONFIG, OCI_MANIFEST
from envbuild.render.labels import FORMAT, labels_of
from envbuild.workflows.engines import ENGINES, open_engine
from envbuild.workflows.machine import Machine
from tests.rig.engine import docker, forget_at_the_end
from tests.rig.paths import CHECKOUT
from tests.rig.running import envbuild, python_block

pytestmark = [
    pytest.mark.engine,
    pytest.mark.network,
    pytest.mark.xdist_group("engine-contract"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the local engine needs root"),
]

NAME = f"contract-{os.getpid()}"

SPEC = """\
name = "{name}"
python = "3.11"
platforms = ["linux/amd64"]
[base]
image = "{base}"
[pip]
packages = ["six"]
"""


@dataclass(frozen=True)
class Holder:
    """A project whose engine holds the image of its lock."""

    folder: Path
    environment: dict[str, str]
    engine: str
    made_by: str
    reference: str

    def __call__(self, *arguments: str, check: bool = True) -> CompletedProcess[str]:
        return envbuild(*arguments, folder=self.folder, environment=self.environment, check=check)

    @property
    def machine(self) -> Machine:
        return Machine(environment={**os.environ, **self.environment})

    def opened(self) -> "AbstractContextManager[Engine]":
        (name,) = (name for name in ENGINES if name == self.engine)
        return closing(open_engine(name, self.machine))


@pytest.fixture(scope="module")
def project(tmp_path_factory, python_image):
    folder = tmp_path_factory.mktemp("contract")
    (folder / "envbuild.toml").write_text(SPEC.format(name=NAME, base=python_image.reference))
    envbuild("lock", folder=folder)
    return folder


@pytest.fixture(
    scope="module",
    params=[("docker", "docker"), ("local", "local"), ("docker", "local")],
    ids=["docker", "local", "loaded into docker"],
)
def holder(request, project, engine_host, tmp_path_factory):
    engine, made_by = request.param
    cache = tmp_path_factory.mktemp("cache")
    environment = {"ENVBUILD_ENGINE": engine}
    if engine == "local":
        # nothing of docker is there to be asked by mistake
        environment |= {"ENVBUILD_CACHE_DIR": str(cache), "DOCKER_HOST": "unix:///nonexistent"}
    options = ("--engine", made_by, *(("--load",) if engine != made_by else ()))
    reference = envbuild("build", *options, folder=project, environment=environment).stdout.strip()
    if engine == "docker":
        forget_at_the_end(reference)
    return Holder(project, environment, engine, made_by, reference)


def test_status_says_that_the_image_is_built(holder):
    (entry,) = json.loads(holder("status", "--json").stdout)

    assert (entry["image"], entry["built"], entry["engine"]) == ("built", True, holder.engine)
    assert entry["made-by"] == holder.made_by
    assert entry["unknown-because"] is None
    assert f"{holder.reference.rpartition(':')[2]} built" in holder("status").stdout


def test_diff_reads_the_lock_that_the_image_carries(holder):
    same = holder("diff", "envbuild.lock", f"image:{holder.reference}", "--exit-code")

    assert "make the same images" in same.stderr


def test_verify_compares_it_with_the_lock(holder):
    report = json.loads(holder("verify", "--json").stdout)

    assert report["image"] == holder.reference
    assert {result["outcome"] for result in report["results"]} <= {"passed", "skipped"}


def test_run_uses_it_and_builds_nothing(holder):
    answer = holder("run", "--", "python", "-c", "import six; print(six.__name__)")

    assert answer.stdout == "six\n"
    assert "building" not in answer.stderr


def test_the_example_of_the_python_api_builds_verifies_and_runs(holder):
    if holder.made_by != holder.engine:
        pytest.skip("the docker engine would build another engine's image again")

    shown = python_block(
        CHECKOUT / "docs/reference/python-api.md", 1, folder=holder.folder, environment=holder.environment
    )

    assert f"\n{holder.reference} was there\n" in f"\n{shown.stdout}"
    assert f"\n{holder.reference} matches its lock: " in shown.stdout
    assert shown.stdout.splitlines()[-2:] == ["hello", "the command ended with 0"]
    assert (holder.folder / "verify.xml").read_text().startswith("<?xml")


def test_doctor_finds_nothing_broken(holder):
    found = json.loads(holder("doctor", "--json").stdout)

    assert "broken" not in {finding["state"] for finding in found["findings"]}


# Docker's SDK leaves sockets to the garbage collector
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_the_protocol_is_kept(holder):
    lock = loads((holder.folder / "envbuild.lock").read_text())
    (target,) = lock.targets
    with holder.opened() as engine:
        held = held_image(lock, target, engine)

        assert held is not None
        assert (held.reference, held.made_by) == (holder.reference, holder.made_by)
        assert held.facts == engine.find(held.facts.identifier)
        assert engine.find("envbuild-contract/none:1") is None
        carried = engine.read_file(held.facts.identifier, "/etc/envbuild/lock.json", limit=1 << 20)
        assert carried is not None
        assert json.loads(carried) == project_target(lock, target, recipe_format=RECIPE_FORMAT)
        assert engine.read_file(held.facts.identifier, "/etc/envbuild/none", limit=10) is None
        request = RunRequest(
            image=held.facts.identifier,
            command=("sh", "-c", "cat /tmp/given; id -u; echo $GIVEN; exit 3"),
            files={"/tmp/given": b"given\n"},  # noqa: S108 - inside the container
            env={"GIVEN": "variable"},
            user="0",
        )
        outcome = engine.run(request)
        assert (outcome.exit_status, outcome.stdout) == (3, b"given\n0\nvariable\n")
        for command in ("no-such-command", "/etc/passwd"):
            impossible = RunRequest(image=held.facts.identifier, command=(command,))
            with pytest.raises(EngineError, match=r"cannot be started|the engine refused"):
                engine.run(impossible)
            with pytest.raises(RunError, match=r"cannot be started|could not be started"):
                engine.run_attached(impossible)
    gc.collect()


class TestAnImageOfAnEarlierRelease:
    """It has the tag and the labels of an earlier recipe format, and nothing of today's is there."""

    @pytest.fixture(params=ENGINES)
    def project(self, request, python_image, engine_host, tmp_path):
        """Return a project whose engine holds only that image, and how it is called."""
        (tmp_path / "envbuild.toml").write_text(
            SPEC.format(name=f"earlier-{request.param}-{os.getpid()}", base=python_image.reference)
        )
        environment = {"ENVBUILD_ENGINE": request.param, "ENVBUILD_CACHE_DIR": str(tmp_path / "cache")}
        envbuild("lock", folder=tmp_path, environment=environment)
        lock = loads((tmp_path / "envbuild.lock").read_text())
        (target,) = lock.targets
        earlier = EARLIER_FORMATS[0]
        reference = image_reference_for(lock, target, recipe_format=earlier)
        digest = target_digest(lock, target, recipe_format=earlier)
        found = labels_of(lock, target, digest, engine=request.param) | {FORMAT: str(earlier)}
        {"docker": import_into_docker, "local": put_into_cache}[request.param](
            reference, found, tmp_path / "cache"
        )
        if request.param == "docker":
            forget_at_the_end(reference, image_reference_for(lock, target))
        return Holder(tmp_path, environment, request.param, request.param, reference)

    def test_every_command_says_so_and_it_is_built_again(self, project):
        (entry,) = json.loads(project("status", "--json").stdout)
        assert (entry["image"], entry["built"]) == ("older format", False)
        assert "was built in an older format; rebuild it with `envbuild build`" in project("status").stderr

        unverified = project("verify", check=False)
        assert unverified.returncode == 6
        assert f"{project.reference} is in an older recipe format" in unverified.stderr
        named = project("verify", project.reference, check=False)
        assert named.returncode == 8
        assert f"{project.reference} is in the older recipe format {EARLIER_FORMATS[0]}" in named.stderr

        ran = project("run", "--", "python", "-c", "import six; print(six.__name__)")
        assert f"note: {project.reference} is in an older recipe format; building it again" in ran.stderr
        assert ran.stdout == "six\n"
        (entry,) = json.loads(project("status", "--json").stdout)
        assert entry["image"] == "built"


def import_into_docker(reference, labels, _cache):
    """Give the Docker Engine an empty image with ``labels``."""
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    changes = [word for name, value in labels.items() for word in ("--change", f'LABEL "{name}"="{value}"')]
    docker("import", *changes, "-", reference, stdin=empty.getvalue())


def put_into_cache(reference, labels, cache):
    """Give the local engine an image without layers, with ``labels``."""
    document = {
        "os": "linux",
        "architecture": "amd64",
        "config": {"Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    config = canonical_json(document)
    manifest = canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": as_json(described(config, OCI_CONFIG)),
            "layers": [],
        }
    )
    ImageStore(cache).put(reference, OciImage(config=config, manifest=manifest, layers=(), diff_ids=()))
