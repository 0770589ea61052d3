"""What every command says of a target's image is the same whichever engine holds it, and whoever built it.

One project, three holders: the Docker Engine with its own image, the local engine with its own, and the
Docker Engine with the local engine's image (``build --load``).
"""

import json
import os
import subprocess
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from envbuild.image.engine import Engine, RunRequest
from envbuild.image.identity import held_image
from envbuild.lock.codec import loads
from envbuild.lock.identity import RECIPE_FORMAT, project_target
from envbuild.workflows.engines import ENGINES, open_engine
from envbuild.workflows.machine import Machine
from tests.rig.running import envbuild

pytestmark = [
    pytest.mark.engine,
    pytest.mark.network,
    pytest.mark.xdist_group("engine-contract"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the local engine needs root"),
]

NAME = f"contract-{os.getpid()}"


@dataclass(frozen=True)
class Holder:
    """A project whose engine holds the image of its lock."""

    folder: Path
    environment: dict[str, str]
    engine: str
    made_by: str
    reference: str

    def __call__(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
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
    (folder / "envbuild.toml").write_text(f"""\
name = "{NAME}"
python = "3.11"
platforms = ["linux/amd64"]
[base]
image = "{python_image.reference}"
[pip]
packages = ["six"]
""")
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
    yield Holder(project, environment, engine, made_by, reference)
    if engine == "docker":
        subprocess.run(["docker", "rmi", "--force", reference], check=True, capture_output=True)


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


def test_doctor_finds_nothing_broken(holder):
    found = json.loads(holder("doctor", "--json").stdout)

    assert "broken" not in {finding["state"] for finding in found["findings"]}


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
