"""Images between engines and a registry: asked for first, pulled by digest, pushed, listed and removed."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.rig.engine import docker, forget_at_the_end
from tests.rig.registry import Registry
from tests.rig.running import envbuild

pytestmark = [
    pytest.mark.engine,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.xdist_group("registry-first"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the local engine needs root"),
]

ENGINES = ("docker", "local")

PYTHON = (sys.executable, "-m", "envbuild")

MOST_BYTES = 1 << 20
"""What `build` of an image that the registry has may leave in an empty cache folder."""


@dataclass(frozen=True)
class Desk:
    """A project, and one person's machine: an engine, and a cache folder of its own."""

    folder: Path
    cache: Path
    engine: str

    def __call__(
        self, *arguments: str, check: bool = True, docker_host: str | None = None
    ) -> CompletedProcess[str]:
        environment = {"ENVBUILD_CACHE_DIR": str(self.cache), "ENVBUILD_ENGINE": self.engine}
        if docker_host:
            environment["DOCKER_HOST"] = docker_host
        return envbuild(*arguments, folder=self.folder, check=check, environment=environment)

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "--json").stdout)

    @property
    def kept(self) -> int:
        """Bytes in the cache folder."""
        return sum(path.stat().st_size for path in self.cache.rglob("*") if path.is_file())


@pytest.fixture(scope="module", params=ENGINES)
def pushed(request, debian_image, registry: Registry, engine_host, tmp_path_factory) -> Desk:
    """Return the desk of who built and pushed the image of a project."""
    folder = tmp_path_factory.mktemp("pushed")
    repository = f"{registry.host}/team-{os.getpid()}/first-{request.param}"
    (folder / "envbuild.toml").write_text(
        f'name = "first-{request.param}"\npython = "3.11"\nplatforms = ["linux/amd64"]\n'
        f'[base]\nimage = "{debian_image.reference}"\n[pip]\npackages = ["six"]\n'
        f'[image]\nrepository = "{repository}"\n'
    )
    envbuild("lock", folder=folder)
    desk = Desk(folder, tmp_path_factory.mktemp("cache"), request.param)
    built = desk.json("build", "--push")
    assert (built["built"], built["in-registry"], built["verified"]) == (True, True, False)
    assert built["pushed"] == built["digest"]
    forget_at_the_end(f"{registry.host}/")
    return desk


@pytest.fixture
def other(pushed: Desk, tmp_path: Path) -> Desk:
    """Return the desk of somebody who has the project, and neither the image nor a cache."""
    if pushed.engine == "docker":
        reference = pushed("build").stdout.strip()
        subprocess.run(["docker", "rmi", "--force", reference], capture_output=True, check=False)
    return Desk(pushed.folder, tmp_path / "cache", pushed.engine)


def test_build_of_what_the_registry_has_fetches_two_documents_and_asks_no_engine(other: Desk):
    said = other("build", "--push", docker_host="unix:///nonexistent")
    found = other.json("build")

    assert said.stdout.strip() == found["reference"]
    assert f"@{found['digest']} is in the registry already, not verified; nothing to push" in said.stderr
    assert (found["built"], found["held"], found["in-registry"]) == (False, False, True)
    assert found["pushed"] is None
    assert other.kept <= MOST_BYTES


def test_run_pulls_by_digest_and_does_not_build(other: Desk):
    ran = other("run", "--", "python", "-c", "import six; print(six.__name__)")

    assert ran.stdout == "six\n"
    assert "note: pulled 127.0.0.1" in ran.stderr
    assert "not verified" in ran.stderr
    again = other("run", "--", "python", "-c", "print('again')")
    assert (again.stdout, "pulled" in again.stderr) == ("again\n", False)


def test_verify_pulls_what_the_engine_lacks(other: Desk):
    report = other.json("verify")

    assert {result["outcome"] for result in report["results"]} <= {"passed", "skipped"}


def test_pulled_listed_and_removed(other: Desk):
    reference = other("build").stdout.strip()
    assert reference not in [image["reference"] for image in other.json("images")["images"]]

    first, again = other.json("pull"), other.json("pull")

    assert (first["reference"], first["pulled"], again["pulled"]) == (reference, True, False)
    assert first["verified"] is False
    (listed,) = other.json("images", "--engine", other.engine)["images"]
    assert (listed["reference"], listed["current"], listed["variant"]) == (reference, True, "default")
    assert reference in other("images").stdout
    assert other.json("push")["pushed"] is False
    assert other.json("status")[0]["image"] == "built"

    removed = other.json("rm", reference.rpartition(":")[2], "--engine", other.engine)

    assert [image["reference"] for image in removed["removed"]] == [reference]
    assert other.json("images", "--engine", other.engine)["images"] == []
    missing = other("rm", reference, "--engine", other.engine, check=False)
    assert missing.returncode == 6
    assert "that envbuild built" in missing.stderr
    if other.engine == "local":
        assert other.kept <= MOST_BYTES


@pytest.mark.long
def test_build_pull_brings_it_into_the_engine(other: Desk):
    pulled = other.json("build", "--pull")

    assert (pulled["built"], pulled["held"], pulled["in-registry"]) == (False, True, True)
    assert other.json("build", "--pull", "--push")["pushed"] == pulled["digest"]
    assert len(other.json("images", "--engine", other.engine)["images"]) == 1


@pytest.mark.long
def test_build_verify_reads_the_image_where_it_is(other: Desk):
    found = other.json("build", "--verify")

    assert (found["verified"], found["held"]) == (True, False)


@pytest.mark.long
def test_an_image_that_a_command_runs_in_is_not_removed(other: Desk):
    reference = other.json("pull")["reference"]
    if other.engine == "docker":
        running = docker("run", "--detach", reference, "sleep", "60").stdout.decode().strip()
        try:
            refused = other("rm", reference, check=False)
        finally:
            docker("rm", "--force", running)
    else:
        with subprocess.Popen(
            [*PYTHON, "run", "--", "python", "-c", "print(flush=True); input()"],
            cwd=other.folder,
            env={**os.environ, "ENVBUILD_CACHE_DIR": str(other.cache), "ENVBUILD_ENGINE": "local"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as running_command:
            assert running_command.stdout is not None
            running_command.stdout.readline()
            refused = other("rm", reference, check=False)
            running_command.communicate(b"\n", timeout=60)

    assert refused.returncode == 6, refused.stderr
    assert f"error: {reference} is used by a" in refused.stderr
    assert other("rm", reference).stderr == f"removed {reference} from {other.engine}\n"


@pytest.mark.long
def test_another_image_under_the_tag_is_an_error(other: Desk, debian_image):
    built = other.json("build")
    repository, _, tag = built["reference"].rpartition(":")
    kept = subprocess.run(
        ["docker", "pull", "--quiet", f"{repository}@{built['digest']}"], check=True, capture_output=True
    )
    assert kept.stdout
    docker("pull", "--quiet", debian_image.reference)
    docker("tag", debian_image.reference, built["reference"])
    docker("push", "--quiet", built["reference"])
    docker("rmi", "--force", built["reference"])
    try:
        for words in (["build"], ["build", "--push"], ["pull"], ["run", "--", "true"], ["verify"]):
            refused = other(*words, check=False)
            assert refused.returncode == (125 if words[0] == "run" else 8), (words, refused.stderr)
            assert f"{built['reference']} in its registry is not the image of this lock" in refused.stderr
            assert "label dev.envbuild.target is not there" in refused.stderr
    finally:
        docker("tag", f"{repository}@{built['digest']}", f"{repository}:{tag}")
        docker("push", "--quiet", built["reference"])
        docker("rmi", "--force", built["reference"], f"{repository}@{built['digest']}")
    assert other.json("build")["in-registry"] is True
