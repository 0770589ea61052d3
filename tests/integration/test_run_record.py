"""What is known of a run reaches its container on both engines, and starts the run again from there."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.rig.shell_project import ShellProject, give_shell_project

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("containers"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the local engine needs root"),
]

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@example.com")


@pytest.fixture(scope="module", params=["docker", "local"])
def project(request, engine_host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    found = give_shell_project(request.param, folder)
    (found.folder / ".gitignore").write_text("/runs\n")
    git(found.folder, "init", "--quiet")
    git(found.folder, "add", ".")
    git(found.folder, *IDENTITY, "commit", "--quiet", "-m", "one")
    git(found.folder, "remote", "add", "origin", "https://me:secret@host.example/a.git")
    return found


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def told(project: ShellProject, *options: str) -> dict[str, str]:
    """Return the variables of a container."""
    lines = project("run", *options, "--", "env").stdout.splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def kept(project: ShellProject, name: str, *words: str) -> Path:
    """Run a command, and keep its record as TensorBoard's hook does."""
    place = project.folder / "runs" / name
    place.mkdir(parents=True)
    script = f'{" ".join(words)}\necho "$ENVBUILD_RUN" >/workspace/runs/{name}/envbuild-run.json\n'
    project("run", "--env", "PYTHONHASHSEED=7", "--env", "HF_TOKEN=hunter2", "--", "bash", "-ec", script)
    return place


def again(project: ShellProject, source: str, *words: str, check: bool = True):
    """Start a recorded run again."""
    return project("run", "--from", source, *words, check=check)


class TestRecord:
    """Variables of a container."""

    def test_a_container_is_told_what_it_runs(self, project):
        env = (
            told(project, "--env", "PYTHONHASHSEED=7", "--env", "HF_TOKEN=hunter2", "--memory", "1g")
            if (project.engine == "docker")
            else told(project, "--env", "PYTHONHASHSEED=7", "--env", "HF_TOKEN=hunter2")
        )
        record, tags = json.loads(env["ENVBUILD_RUN"]), json.loads(env["MLFLOW_RUN_CONTEXT"])
        assert record["image"]["engine"] == project.engine
        assert record["image"]["digest"].startswith("sha256:")
        assert record["git"] == {
            "commit": git(project.folder, "rev-parse", "HEAD"),
            "dirty": False,
            "remote": "https://host.example/a.git",
            "folder": ".",
        }
        assert record["variables"] == {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONHASHSEED": "7"}
        assert record["variable-names"] == ["HF_TOKEN"]
        assert tags["envbuild.run"] == env["ENVBUILD_RUN"]
        assert env["WANDB_DOCKER"] == f"{project.reference}@{record['image']['digest']}"
        assert "hunter2" not in env["ENVBUILD_RUN"] + env["MLFLOW_RUN_CONTEXT"]

    def test_no_record(self, project):
        env = told(project, "--no-record")
        # an image says what it is itself
        assert "envbuild.run" not in env.get("MLFLOW_RUN_CONTEXT", "")
        assert not {"ENVBUILD_RUN", "WANDB_DOCKER"} & env.keys()


class TestAgain:
    """A recorded run, started again."""

    def test_the_same_command_gives_the_same_bytes(self, project):
        place = kept(project, "same", "echo seed $PYTHONHASHSEED >/workspace/runs/same/output.txt")
        first = (place / "output.txt").read_bytes()
        (place / "output.txt").unlink()
        done = again(project, "tensorboard:runs/same", "--yes")
        assert (place / "output.txt").read_bytes() == first == b"seed 7\n"
        assert "HF_TOKEN: give --env HF_TOKEN" in done.stderr
        record = json.loads((place / "envbuild-run.json").read_text())
        assert record["again"] == {"source": "tensorboard:runs/same"}

    def test_another_command(self, project):
        kept(project, "other")
        done = again(project, "tensorboard:runs/other", "--yes", "--", "bash", "-c", "echo $PYTHONHASHSEED")
        assert done.stdout == "7\n"

    def test_nobody_agrees(self, project):
        kept(project, "nobody")
        done = again(project, "tensorboard:runs/nobody", check=False)
        assert done.returncode == 2
        assert "add --yes" in done.stderr
        assert "echo" in done.stderr

    def test_changed_code_needs_a_checkout(self, project, tmp_path):
        kept(project, "changed", "cat .gitignore")
        (project.folder / ".gitignore").write_text("/runs\n# changed\n")
        try:
            refused = again(project, "tensorboard:runs/changed", "--yes", check=False)
            words = ("--into", str(tmp_path / "code"), "--yes", "--", "cat", ".gitignore")
            done = again(project, "tensorboard:runs/changed", *words)
        finally:
            git(project.folder, "checkout", "--quiet", ".gitignore")
        assert (refused.returncode, "--into FOLDER" in refused.stderr) == (2, True)
        assert done.stdout == "/runs\n"

    def test_without_a_lock_the_image_is_had_by_its_digest(self, project, tmp_path):
        place = kept(project, "digest")
        shutil.copytree(place, tmp_path / "run")
        done = project(
            *("run", "--from", "tensorboard:run", "--yes", "--", "bash", "-c", "echo $PYTHONHASHSEED"),
            folder=tmp_path,
        )
        assert done.stdout == "7\n"

    def test_a_person_agrees(self, project):
        kept(project, "person", "echo it ran")
        words = ("--from", "tensorboard:runs/person", "--", "bash", "-c", "echo it r''uns")
        with project.on_terminal("run", *words, columns=300) as terminal:
            terminal.wait_for(lambda: any("start it? [y/N]" in line for line in terminal.lines))
            terminal.type("y\n")
            terminal.wait_for(lambda: any("it runs" in line for line in terminal.lines))
            assert terminal.end() == 0

    def test_a_person_does_not(self, project):
        kept(project, "not")
        with project.on_terminal("run", "--from", "tensorboard:runs/not", columns=300) as terminal:
            terminal.wait_for(lambda: any("start it? [y/N]" in line for line in terminal.lines))
            terminal.type("\n")
            assert terminal.end() == 1

    def test_a_record_that_lies(self, project):
        place = kept(project, "lie")
        record = json.loads((place / "envbuild-run.json").read_text())
        record["target"] = f"sha256:{'0' * 64}"
        (place / "envbuild-run.json").write_text(json.dumps(record))
        done = again(project, "tensorboard:runs/lie", "--yes", check=False)
        assert (done.returncode, "the record lies" in done.stderr) == (10, True)
