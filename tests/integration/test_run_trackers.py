"""Real trackers keep the record of a run and give it back: MLflow's server, W&B, TensorBoard, DVC."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from tests.rig.paths import CHECKOUT
from tests.rig.running import envbuild
from tests.rig.shell_project import ShellProject, give_shell_project
from tests.rig.trackers import mlflow_server, run_tracker

pytestmark = [
    pytest.mark.engine,
    pytest.mark.long,
    pytest.mark.xdist_group("trackers"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the local engine needs root"),
]

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@example.com")
MLFLOW = """
import mlflow, os
mlflow.set_experiment("e")
with mlflow.start_run(run_name="a | <b>") as run:
    mlflow.log_param("lr", 0.1)
    for loss in (0.5, 0.25):
        mlflow.log_metric("loss", loss)
    if os.environ.get("ATTACH"):
        import envbuild_runtime
        envbuild_runtime.mlflow.log_environment()
    open("id", "w").write(run.info.run_id)
"""
WANDB = """
import wandb, envbuild_runtime
with wandb.init(project="p", dir=".", config={"lr": 0.1}) as run:
    run.log({"loss": 0.25})
    envbuild_runtime.wandb.record(run)
"""
TENSORBOARD = """
import envbuild_runtime
envbuild_runtime.tensorboard.record("logs/one")
"""


@pytest.fixture(scope="module")
def project(engine_host, tmp_path_factory) -> ShellProject:
    found = give_shell_project("docker", tmp_path_factory.mktemp("trackers"))
    (found.folder / ".gitignore").write_text("/output.txt\n/wandb\n/logs\n/id\n/told\n")
    for words in (("init", "--quiet"), ("add", "."), (*IDENTITY, "commit", "--quiet", "-m", "one")):
        subprocess.run(["git", *words], cwd=found.folder, check=True)
    return found


@pytest.fixture(scope="module")
def told(project) -> Mapping[str, str]:
    """Variables of a run, as its container has them; trackers run on this machine, with them."""
    script = "env -0 >/workspace/told; echo $PYTHONHASHSEED >/workspace/output.txt"
    project("run", "--env", "PYTHONHASHSEED=7", "--", "bash", "-c", script)
    lines = (project.folder / "told").read_text().split("\0")
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    names = {"ENVBUILD_RUN", "MLFLOW_RUN_CONTEXT", "WANDB_DOCKER", "WANDB_TAGS"}
    return {name: found[name] for name in names & found.keys()} | {"PYTHONPATH": str(CHECKOUT / "runtime")}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


def track(project: ShellProject, program: str, environment: Mapping[str, str]) -> None:
    """Run a program in the environment of the trackers."""
    run_tracker(["python", "-c", program], folder=project.folder, environment=environment)


def gives_the_same(project: ShellProject, source: str, **variables: str) -> None:
    """Start a run again, and expect the bytes of its output."""
    output = project.folder / "output.txt"
    first = output.read_bytes()
    output.unlink()
    environment = {**project.environment, **variables}
    words = project.words("run", "--from", source, "--yes")
    envbuild(*words, folder=project.folder, environment=environment)
    assert output.read_bytes() == first == b"7\n"


def described(project: ShellProject, source: str, **variables: str) -> dict[str, Any]:
    """Return the description of a run."""
    done = envbuild("describe", "--run", source, "--json", folder=project.folder, environment=variables)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


class TestMlflow:
    """MLflow's real server on SQLite."""

    def test_a_run_is_found_by_its_tag_and_gives_the_same_bytes(self, project, told, server):
        track(project, MLFLOW, {**told, "MLFLOW_TRACKING_URI": server.url})
        run_id = (project.folder / "id").read_text()
        found = described(project, f"mlflow:{run_id}", MLFLOW_TRACKING_URI=server.url)
        assert found["record"] == json.loads(told["ENVBUILD_RUN"])
        assert (found["parameters"], found["metrics"]) == ({"lr": "0.1"}, {"loss": 0.25})
        gives_the_same(project, f"mlflow:{run_id}@{server.url}")

    def test_a_long_record_is_an_artifact(self, project, told, server):
        others = {name: value for name, value in told.items() if name != "MLFLOW_RUN_CONTEXT"}
        track(
            project,
            MLFLOW,
            # what `run` sets of a record that is too long for a tag
            {**others, "MLFLOW_RUN_CONTEXT": "{}", "ATTACH": "1", "MLFLOW_TRACKING_URI": server.url},
        )
        run_id = (project.folder / "id").read_text()
        found = described(project, f"mlflow:{run_id}", MLFLOW_TRACKING_URI=server.url)
        assert found["record"] == json.loads(told["ENVBUILD_RUN"])
        assert "envbuild" in found["artifacts"]

    @pytest.mark.parametrize(("run_id", "code"), [(None, 1), ("0" * 32, 9)])
    def test_a_run_without_a_record_and_none(self, project, server, run_id, code):
        if run_id is None:
            track(project, MLFLOW, {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_RUN_CONTEXT": "{}"})
            run_id = (project.folder / "id").read_text()
        done = envbuild(
            *("describe", "--run", f"mlflow:{run_id}@{server.url}"), folder=project.folder, check=False
        )
        assert done.returncode == code
        assert "Traceback" not in done.stderr

    def test_its_store_is_read_as_it_lies_there(self, project, told, tmp_path):
        address = f"sqlite:///{tmp_path}/own.db"
        track(project, MLFLOW, {**told, "MLFLOW_TRACKING_URI": address})
        run_id = (project.folder / "id").read_text()
        found = described(project, f"mlflow:{run_id}", MLFLOW_TRACKING_URI=address)
        assert found["record"] == json.loads(told["ENVBUILD_RUN"])
        assert found["metrics"] == {"loss": 0.25}

    def test_its_folder_of_files_is_read_as_it_lies_there(self, project, told, tmp_path):
        address = f"file:{tmp_path}/mlruns"
        allowed = {"MLFLOW_ALLOW_FILE_STORE": "true"}
        track(project, MLFLOW, {**told, **allowed, "MLFLOW_TRACKING_URI": address})
        run_id = (project.folder / "id").read_text()
        found = described(project, f"mlflow:{run_id}", MLFLOW_TRACKING_URI=address)
        assert found["record"] == json.loads(told["ENVBUILD_RUN"])
        assert (found["parameters"], found["metrics"]) == ({"lr": "0.1"}, {"loss": 0.25})


def test_an_offline_run_of_wandb(project, told):
    track(project, WANDB, told)
    found = described(project, "wandb:wandb/latest-run")
    assert found["record"] == json.loads(told["ENVBUILD_RUN"])
    gives_the_same(project, "wandb:wandb/latest-run")


def test_a_log_folder_of_tensorboard(project, told):
    track(project, TENSORBOARD, told)
    found = described(project, "tensorboard:logs")
    assert found["record"] == json.loads(told["ENVBUILD_RUN"])
    gives_the_same(project, "tensorboard:logs/one")


def test_event_files_of_tensorboard_are_read_by_its_own_reader(project, told):
    track(project, TENSORBOARD, told)
    (project.folder / "logs" / "one" / "envbuild-run.json").unlink()
    # envbuild in the environment of the trackers, where the reader is
    own = os.pathsep.join((str(CHECKOUT), *(path for path in sys.path if path.endswith("site-packages"))))
    program = """
from pathlib import Path
from envbuild.records.sources.tensorboard import find_tensorboard
print(find_tensorboard("logs/one", Path.cwd()).record.text())
"""
    done = run_tracker(["python", "-c", program], folder=project.folder, environment={"PYTHONPATH": own})
    assert json.loads(done.stdout.splitlines()[-1]) == json.loads(told["ENVBUILD_RUN"])


def test_a_stage_of_dvc(project, told):
    folder = project.folder
    stages = {
        "environment": {
            "cmd": "python -m envbuild_runtime dvc",
            "always_changed": True,
            "outs": [{"envbuild-environment.yaml": {"cache": False}}],
        },
        "train": {
            "cmd": "echo $PYTHONHASHSEED >/dev/null; sh -c 'echo 7 >output.txt'",
            "deps": [".gitignore"],
            "params": [{"envbuild-environment.yaml": ["target", "variables"]}],
            "outs": [{"output.txt": {"cache": False}}],
        },
    }
    (folder / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    run_tracker(["dvc", "init", "--quiet"], folder=folder)
    run_tracker(["dvc", "repro", "--quiet"], folder=folder, environment=told)
    names = ["dvc.yaml", "dvc.lock", "envbuild-environment.yaml", ".dvc", ".dvcignore", ".gitignore"]
    subprocess.run(["git", "add", "--", *names], cwd=folder, check=True)
    subprocess.run(["git", *IDENTITY, "commit", "--quiet", "-m", "two"], cwd=folder, check=True)
    found = described(project, "dvc:HEAD:train")
    record = found["record"]
    assert record["target"] == json.loads(told["ENVBUILD_RUN"])["target"]
    assert record["variables"] == {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONHASHSEED": "7"}
    gives_the_same(project, "dvc:HEAD")
