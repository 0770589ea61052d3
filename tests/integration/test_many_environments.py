"""Several specs in one repository: built, pushed, pulled, verified, baked and run by CI, on real programs."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from tests.rig.engine import docker
from tests.rig.paths import CHECKOUT
from tests.rig.running import envbuild

pytestmark = [
    pytest.mark.engine,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.xdist_group("many-environments"),
]

NAMES = ("first", "second")


def forget(references):
    docker("rmi", "--force", *references)


@pytest.fixture(scope="module")
def repository(python_image, registry, engine_host, tmp_path_factory):
    """Return a git repository with two locked specs; their images go to the registry on loopback."""
    folder = tmp_path_factory.mktemp("repository")
    for name, package in zip(NAMES, ("six", "idna"), strict=True):
        (folder / "envs" / name).mkdir(parents=True)
        (folder / "envs" / name / "envbuild.toml").write_text(
            f'name = "{name}"\npython = "3.11"\n[base]\nimage = "{python_image.reference}"\n'
            f'[pip]\npackages = ["{package}"]\n'
            f'[image]\nrepository = "{registry.host}/team-{os.getpid()}/{name}"\n'
        )
    locked = json.loads(envbuild("lock", "--all", "--json", folder=folder).stdout)
    assert [(entry["spec"], entry["ok"]) for entry in locked] == [(f"envs/{name}", True) for name in NAMES]
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "x"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def pushed(repository):
    """Build and push all images; return their references."""
    built = json.loads(envbuild("build", "--all", "--push", "--json", folder=repository).stdout)
    references = [entry["reference"] for entry in built]
    assert all(entry["pushed"].startswith("sha256:") for entry in built)
    return references


def test_all_are_built_once_and_verified(repository, pushed):
    again = envbuild("build", "--all", folder=repository)
    assert again.stdout.splitlines() == pushed
    assert again.stderr.count("was in the registry, not verified") == 2

    verified = envbuild("verify", "--all", "--deep", folder=repository)
    assert verified.stderr.count("matches its lock") == 2


def test_one_that_differs_is_named_and_the_others_are_verified(repository, pushed):
    impostor = f"FROM {pushed[0]}\nUSER 0\nRUN rm -r /opt/venv/lib/python3.11/site-packages/six*\nUSER app\n"
    docker(
        *("buildx", "build", "--quiet", "--provenance=false", "--tag", pushed[0], "-"),
        stdin=impostor.encode(),
    )
    try:
        answer = envbuild("verify", "--all", folder=repository, check=False)
    finally:
        forget(pushed[:1])
        envbuild("build", "--all", "--pull", folder=repository)

    assert answer.returncode == 8
    assert "six 1" in answer.stderr
    assert "envs/first   failed" in answer.stderr
    assert "envs/second  ok" in answer.stderr


def test_what_the_registry_has_is_pulled_and_not_built(repository, pushed):
    forget(pushed)

    answer = envbuild("build", "--all", "--pull", folder=repository)

    assert answer.stderr.count("was in the registry, not verified") == 2, answer.stderr
    assert "#" not in answer.stdout
    standing = json.loads(envbuild("status", "--all", "--remote", "--json", folder=repository).stdout)
    assert [(entry["built"], entry["base"]["state"]) for entry in standing] == [(True, "as locked")] * 2


def test_an_image_is_compared_with_a_lock(repository, pushed):
    found = json.loads(envbuild("diff", pushed[0], pushed[1], "--json", folder=repository).stdout)

    (target,) = found["targets"]
    assert [(package["name"], package["change"]) for package in target["packages"]] == [
        ("idna", "added"),
        ("six", "removed"),
    ]
    same = envbuild("diff", pushed[0], "envs/first", "--exit-code", folder=repository)
    assert "make the same images" in same.stderr


def test_bake_builds_the_images_of_all_specs_without_envbuild(repository, pushed, tmp_path):
    exported = json.loads(
        envbuild("export", "bake", "--all", "--output", str(tmp_path), "--json", folder=repository).stdout
    )
    text = (tmp_path / "docker-bake.json").read_text()
    assert not any(address in text for address in exported["variables"].values())
    assert sorted(exported["targets"].values()) == sorted(pushed)

    forget(pushed)
    environment = {**os.environ, **exported["variables"]}
    subprocess.run(
        [*exported["command"], "--load"], cwd=tmp_path, env=environment, check=True, capture_output=True
    )

    verified = envbuild("verify", "--all", "--deep", folder=repository)
    assert verified.stderr.count("matches its lock") == 2


class Runner:
    """Runs the steps of a composite action as GitHub's runner does, but for what it installs."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self.folder = folder
        self.files = {
            name: scratch / name for name in ("GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
        }
        self.scratch = scratch
        for path in self.files.values():
            path.touch()

    def steps(self, action: dict[str, Any], inputs: dict[str, str]) -> dict[str, int]:
        """Run all steps and return their exit statuses by name; after a failure only those for always()."""
        given = {name: str(value["default"]) for name, value in action["inputs"].items()} | inputs
        statuses: dict[str, int] = {}
        for step in action["runs"]["steps"]:
            condition = step.get("if", "success()")
            after_failure = condition == "always()" or (
                "inputs.all" in condition
                and given["all"] == "true"
                and statuses.get("Build the image", 0) != 0
            )
            if any(statuses.values()) and not after_failure:
                continue
            environment = {
                name: given[value.removeprefix("${{ inputs.").removesuffix(" }}")]
                for name, value in step.get("env", {}).items()
                if value.startswith("${{ inputs.")
            }
            result = subprocess.run(
                ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
                cwd=self.folder,
                env={
                    **os.environ,
                    **{name: str(path) for name, path in self.files.items()},
                    **environment,
                    "RUNNER_TEMP": str(self.scratch),
                    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                    "PYTHONPATH": str(CHECKOUT),
                },
                capture_output=True,
                text=True,
                check=False,
            )
            statuses[step["name"]] = result.returncode
        return statuses

    def outputs(self) -> dict[str, str]:
        """Return what the steps wrote for others, as the runner reads it."""
        found: dict[str, str] = {}
        lines = iter(self.files["GITHUB_OUTPUT"].read_text().splitlines())
        for line in lines:
            name, several, end = line.partition("<<")
            if several:
                found[name] = "\n".join(itertools.takewhile(end.__ne__, lines))
            else:
                name, _, value = line.partition("=")
                found[name] = value
        return found


@pytest.fixture
def action():
    """Return the action without the step that installs envbuild: the one under test is installed."""
    document = yaml.safe_load((CHECKOUT / "action.yml").read_text())
    first, *document["runs"]["steps"] = document["runs"]["steps"]
    assert first["name"] == "Install envbuild"
    return document


def test_the_steps_of_the_action(repository, pushed, action, tmp_path):
    runner = Runner(repository, tmp_path)

    statuses = runner.steps(action, {"spec": "envs/first", "compare-with": "HEAD", "push": "true"})

    assert statuses == {
        "Check the lock": 0,
        "Build the image": 0,
        "Verify the image": 0,
        "Write the summary": 0,
    }
    outputs = runner.outputs()
    assert outputs["image"] == pushed[0]
    assert outputs["digest"].startswith("sha256:")
    assert Path(outputs["report"]).read_text().startswith("<?xml")
    summary = runner.files["GITHUB_STEP_SUMMARY"].read_text()
    assert "The same images." in summary
    assert f"### Verification of `{pushed[0]}`" in summary
    assert "passed" in summary


def test_the_action_handles_all_specs(repository, pushed, action, tmp_path):
    runner = Runner(repository, tmp_path)

    statuses = runner.steps(action, {"spec": ".", "all": "true", "compare-with": "HEAD", "push": "true"})

    assert set(statuses.values()) == {0}
    outputs = runner.outputs()
    assert outputs["image"].splitlines() == pushed
    assert [line[:7] for line in outputs["digest"].splitlines()] == ["sha256:"] * 2
    suites = ET.parse(outputs["report"]).getroot()  # noqa: S314 - our own
    assert [suite.get("name") for suite in suites] == [
        f"envs/{name}: {name} (default, linux/amd64)" for name in NAMES
    ]
    summary = runner.files["GITHUB_STEP_SUMMARY"].read_text()
    assert summary.count("The same images.") == 2
    assert all(f"### Verification of `{reference}`" in summary for reference in pushed)


def test_the_action_reports_the_others_when_one_cannot_be_built(repository, pushed, action, tmp_path):
    """The lock of one says another digest of a wheel: it answers its spec, and cannot be built."""
    copy = tmp_path / "copy"
    shutil.copytree(repository, copy)
    lock = copy / "envs/first/envbuild.lock"
    (digest,) = {
        item["sha256"] for item in tomllib.loads(lock.read_text())["wheels"] if item["name"] == "six"
    }
    lock.write_text(lock.read_text().replace(digest, "0" * 64))
    runner = Runner(copy, tmp_path)

    statuses = runner.steps(action, {"spec": ".", "all": "true"})

    assert (statuses["Check the lock"], statuses["Build the image"], statuses["Verify the image"]) == (
        0,
        10,
        6,
    )
    suites = ET.parse(runner.outputs()["report"]).getroot()  # noqa: S314 - our own
    assert [(suite.get("name"), suite.get("errors")) for suite in suites] == [
        ("envs/first", "1"),
        ("envs/second: second (default, linux/amd64)", "0"),
    ]
    assert "### No verification of" in runner.files["GITHUB_STEP_SUMMARY"].read_text()


def test_the_action_with_the_local_engine(repository, pushed, action, tmp_path):
    runner = Runner(repository, tmp_path)

    statuses = runner.steps(action, {"spec": ".", "all": "true", "engine": "local", "deep": "true"})

    assert set(statuses.values()) == {0}
    assert runner.outputs()["image"].splitlines() == pushed
    assert runner.files["GITHUB_STEP_SUMMARY"].read_text().count("### Verification of") == 2


def test_an_image_that_is_not_there_is_an_error_in_the_report(repository, pushed, tmp_path):
    forget(pushed[:1])
    try:
        answer = envbuild(
            # asked, the registry would have it
            *("verify", "--all", "--offline", "--junit", str(tmp_path / "r.xml")),
            folder=repository,
            check=False,
        )
    finally:
        envbuild("build", "--all", "--pull", folder=repository)

    root = ET.parse(tmp_path / "r.xml").getroot()  # noqa: S314 - our own
    assert answer.returncode == 6
    assert [(suite.get("errors"), suite.get("failures")) for suite in root] == [("1", "0"), ("0", "0")]
    error = root.find(".//error")
    assert error is not None
    assert (root.get("errors"), error.get("type")) == ("1", "engine")


def test_the_action_stops_at_a_stale_lock(repository, action, tmp_path):
    stale = tmp_path / "stale"
    stale.mkdir()
    for name in ("envbuild.toml", "envbuild.lock"):
        (stale / name).write_text((repository / "envs/first" / name).read_text())
    with (stale / "envbuild.toml").open("a") as spec:
        spec.write("[determinism]\nseed = 1\n")

    statuses = Runner(repository, tmp_path).steps(action, {"spec": str(stale)})

    assert statuses == {"Check the lock": 4, "Write the summary": 0}
