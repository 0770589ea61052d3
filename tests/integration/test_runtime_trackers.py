"""envbuild-runtime with the real trackers: what it attaches is read back with each tracker's own means.

The carried wheel is unpacked and found by PYTHONPATH, with its entry point; `scripts/trackers` has the rest.
"""

import http.server
import io
import json
import shutil
import socket
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from envbuild.digest import canonical_json, sha256_bytes
from envbuild.runtime.carried import newest_wheel, read_wheel
from tests.rig.paths import CHECKOUT
from tests.rig.running import PYTHON_BLOCK
from tests.rig.trackers import MlflowServer, mlflow_server, run_tracker

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.xdist_group("trackers")]

LOCK = {"format": 4, "name": "train", "variant": "default", "platform": "linux/amd64", "wheels": []}
DIGEST = "sha256:" + sha256_bytes(canonical_json(LOCK))
RECORD: dict[str, Any] = {
    "version": 1,
    "name": "train",
    "variant": "default",
    "platform": "linux/amd64",
    "target": DIGEST,
    "tag": DIGEST[7:19],
    "lock": {"sha256": "b" * 64, "path": "envbuild.lock"},
    "image": {"reference": f"train:{DIGEST[7:19]}", "digest": "sha256:" + "c" * 64},
    "git": {"commit": "d" * 40, "dirty": False},
    "command": ["python", "train.py"],
    "variables": {"PYTHONHASHSEED": "0"},
    "data": [{"name": "images", "digest": "sha256:" + "e" * 64, "target": "/data/images"}],
    "gpus": ["NVIDIA H200"],
    "driver": "550.54.15",
}
BAKED = {"envbuild.name": "train", "envbuild.target": DIGEST}
FILES = ["card.md", "environment.json", "lock.json", "run.json"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder into which the carried wheel is unpacked."""
    folder = tmp_path_factory.mktemp("runtime")
    with zipfile.ZipFile(io.BytesIO(read_wheel(newest_wheel().file))) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def python(installed: Path, tmp_path: Path) -> Run:
    """Return a function that runs a program with the runtime, in an image's place."""
    (tmp_path / "lock.json").write_bytes(canonical_json(LOCK))

    def run(program: str, *, runtime: Path = installed, check: bool = True, **variables: str) -> Any:
        # the one thing that only an image has
        place = f"from envbuild_runtime import sources\nsources.LOCK_FILE = {str(tmp_path / 'lock.json')!r}\n"
        return run_tracker(
            ["python", "-c", place * (runtime == installed) + dedent(program)],
            folder=tmp_path,
            environment={
                "ENVBUILD_RUN": json.dumps(RECORD),
                "MLFLOW_RUN_CONTEXT": json.dumps(BAKED),
                "PYTHONPATH": str(runtime),
                **variables,
            },
            check=check,
        )

    return run


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as running:
        yield running


def warnings_of(done: "subprocess.CompletedProcess[str]") -> int:
    return done.stderr.count("envbuild-runtime: ")


def test_mlflow_keeps_tags_and_files_of_a_run(python: Run, server: MlflowServer, tmp_path: Path) -> None:
    done = python(
        """
        import json, mlflow, envbuild_runtime
        with mlflow.start_run() as run:
            mlflow.log_metric("loss", 0.5)
            assert envbuild_runtime.mlflow.log_environment() is True
        print(run.info.run_id)
        """,
        MLFLOW_TRACKING_URI=server.url,
    )
    # MLflow itself prints where the run is shown
    run_id = done.stdout.split()[-1]
    read = python(
        f"""
        import json
        from mlflow import MlflowClient
        client = MlflowClient()
        run = client.get_run({run_id!r})
        folder = client.download_artifacts({run_id!r}, "envbuild", {str(tmp_path)!r})
        listed = sorted(file.path for file in client.list_artifacts({run_id!r}, "envbuild"))
        print(json.dumps([dict(run.data.tags), run.info.status, listed]))
        """,
        MLFLOW_TRACKING_URI=server.url,
    )
    tags, status, listed = json.loads(read.stdout)

    assert status == "FINISHED"
    assert listed == [f"envbuild/{name}" for name in FILES]
    assert {name: tags[name] for name in BAKED} == BAKED
    assert tags["envbuild.gpus"] == "NVIDIA H200"
    assert tags["envbuild.driver"] == "550.54.15"
    assert tags["envbuild.cpu"]
    assert "openblas" in tags["envbuild.blas"]
    assert json.loads((tmp_path / "envbuild" / "run.json").read_bytes()) == RECORD
    assert (tmp_path / "envbuild" / "lock.json").read_bytes() == canonical_json(LOCK)
    environment = json.loads((tmp_path / "envbuild" / "environment.json").read_bytes())
    assert environment["target"]["digest"] == DIGEST
    assert "openblas" in {library["library"] for library in environment["blas"]}
    assert (tmp_path / "envbuild" / "card.md").read_text("utf-8").startswith("# Environment `train`\n")
    assert warnings_of(done) == 0


def test_mlflows_own_registry_survives_every_broken_plugin(
    python: Run, installed: Path, tmp_path: Path
) -> None:
    broken = {
        "import": ("mlflow_context.py", "import no_such_module"),
        "attribute": ("mlflow_context.py", "import os; os.no_such_name"),
        "absent": ("mlflow_context.py", None),
        "later import": ("facts.py", "import no_such_module"),
        "later error": ("facts.py", "raise RuntimeError('broken')"),
        "later syntax": ("sources.py", "def ("),
        "later hang": ("facts.py", "import threading\ndef tags(*_): threading.Event().wait()"),
        "later recursion": ("facts.py", "def tags(*_): return tags()"),
        "no space": ("facts.py", "def tags(*_): raise OSError(28, 'No space left on device')"),
    }
    for kind, (name, text) in broken.items():
        package = tmp_path / "broken" / kind / "envbuild_runtime"
        shutil.copytree(installed / "envbuild_runtime", package)
        information = next(installed.glob("*.dist-info"))
        shutil.copytree(information, package.parent / information.name)
        (package / name).unlink() if text is None else (package / name).write_text(text)

    done = python(
        f"""
        import importlib, json, sys, warnings
        from pathlib import Path
        from mlflow.tracking.context import registry
        answers = dict()
        for folder in sorted(Path({str(tmp_path / "broken")!r}).iterdir()):
            for name in [name for name in sys.modules if name.startswith("envbuild_runtime")]:
                del sys.modules[name]
            sys.path.insert(0, str(folder))
            importlib.invalidate_caches()
            registry._run_context_provider_registry = registry.RunContextProviderRegistry()
            with warnings.catch_warnings(record=True) as shown:
                warnings.simplefilter("always")
                registry._run_context_provider_registry.register_entrypoints()
                tags = registry.resolve_tags(dict(mine="1"))
            answers[folder.name] = [tags, [str(warning.message) for warning in shown]]
            sys.path.pop(0)
        print(json.dumps(answers))
        """,
        runtime=tmp_path / "broken" / "later error",
    )
    answers = json.loads(done.stdout)

    assert sorted(answers) == sorted(broken)
    for kind, (tags, warnings) in answers.items():
        assert tags == {"mine": "1"}, kind
        assert len(warnings) <= 1, kind
    assert "no_such_module" in answers["import"][1][0]
    assert "no answer within" in answers["later hang"][1][0]
    assert "No space left" in answers["no space"][1][0]


@pytest.mark.long
@pytest.mark.parametrize(
    "text", ["import no_such_module", "import os; os.no_such_name", "raise ImportError('broken')"]
)
def test_a_broken_plugin_leaves_a_run_alone(
    text: str, python: Run, installed: Path, server: MlflowServer, tmp_path: Path
) -> None:
    shutil.copytree(installed, tmp_path / "broken")
    (tmp_path / "broken" / "envbuild_runtime" / "mlflow_context.py").write_text(text)

    done = python(
        """
        import mlflow, envbuild_runtime
        with mlflow.start_run() as run:
            mlflow.log_metric("loss", 0.5)
            print(envbuild_runtime.mlflow.log_environment())
        print("result", run.data.tags["envbuild.name"])
        """,
        runtime=tmp_path / "broken",
        MLFLOW_TRACKING_URI=server.url,
    )

    assert "result train" in done.stdout
    assert "True" in done.stdout.split()


@pytest.mark.long
def test_a_server_that_never_answers_is_left_alone(python: Run) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        done = python(
            """
            import envbuild_runtime
            print(envbuild_runtime.mlflow.log_environment("0" * 32, timeout=1))
            print(envbuild_runtime.mlflow.log_environment("0" * 32, timeout=1))
            """,
            MLFLOW_TRACKING_URI=f"http://127.0.0.1:{listener.getsockname()[1]}",
        )

    assert done.stdout == "False\nFalse\n"
    assert warnings_of(done) == 1
    assert "no answer within 1 s" in done.stderr


class Refusing(http.server.BaseHTTPRequestHandler):
    """A server that is no tracking server."""

    def do_GET(self) -> None:
        self.send_error(418)

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class named it
        del format, args


@pytest.mark.long
def test_a_server_that_refuses_gives_one_warning_without_its_password(python: Run) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as refusing:
        threading.Thread(target=refusing.serve_forever, daemon=True).start()
        done = python(
            'import envbuild_runtime; print(envbuild_runtime.mlflow.log_environment("0" * 32))',
            MLFLOW_TRACKING_URI=f"http://me:hunter2@127.0.0.1:{refusing.server_port}",
        )
        refusing.shutdown()

    assert done.stdout == "False\n"
    assert warnings_of(done) == 1
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.long
def test_the_examples_of_the_page_run(python: Run, tmp_path: Path) -> None:
    page = (CHECKOUT / "docs" / "reference" / "envbuild-runtime.md").read_text("utf-8")
    examples = PYTHON_BLOCK.findall(page)

    for example in examples:
        assert warnings_of(python(example, MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path / 'mlflow.db'}")) == 0
    assert len(examples) == 3
    assert (tmp_path / "runs" / "first" / "envbuild-run.json").is_file()
    assert list(tmp_path.glob("mlruns/**/envbuild/run.json"))
    assert list(tmp_path.glob("wandb/offline-run-*/files/envbuild/run.json"))


READ_WANDB = """
    import json
    from pathlib import Path
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = Path("wandb").glob("offline-run-*/*.wandb")
    data, found, part, at = file.read_bytes(), [], b"", 7
    # blocks of 32 KiB, each record with seven bytes before it; wandb has no reader for this in Python
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        part += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):
            found.append(Record.FromString(part))
            part = b""
    config = {u.key: json.loads(u.value_json) for r in found for u in r.config.update}
    artifacts = [
        [r.artifact.type, r.artifact.name, sorted(e.path for e in r.artifact.manifest.contents)]
        for r in found if r.HasField("artifact")
    ]
    files = sorted(f.path for r in found for f in r.files.files)
    places = [e.local_path for r in found for e in r.artifact.manifest.contents]
    print(json.dumps([config, artifacts, files, places]))
"""


def test_wandb_keeps_configuration_files_and_artifact(python: Run, tmp_path: Path) -> None:
    done = python(
        """
        import wandb, envbuild_runtime
        with wandb.init(project="test") as run:
            run.log({"loss": 0.5})
            assert envbuild_runtime.wandb.record() is True
        """
    )
    config, artifacts, files, places = json.loads(python(READ_WANDB).stdout)

    names = [f"envbuild/{name}" for name in FILES]
    assert config["envbuild"]["target"]["digest"] == DIGEST
    assert config["envbuild"]["variables"] == {"PYTHONHASHSEED": "0"}
    assert artifacts == [["environment", f"envbuild-{DIGEST[7:19]}", names]]
    assert set(names) <= set(files)
    (folder,) = (tmp_path / "wandb").glob("offline-run-*/files")
    # of a container nothing else is left when it has ended
    assert sorted(places) == sorted(str(folder / name) for name in names)
    assert json.loads((folder / "envbuild" / "run.json").read_bytes()) == RECORD
    assert warnings_of(done) == 0


@pytest.mark.long
def test_a_disabled_or_finished_wandb_fails_no_run(python: Run) -> None:
    done = python(
        """
        import wandb, envbuild_runtime
        print(envbuild_runtime.wandb.record())
        with wandb.init(project="test", mode="disabled") as run:
            print(envbuild_runtime.wandb.record(run))
        print(envbuild_runtime.wandb.record(run))
        print("result")
        """
    )

    assert done.stdout.splitlines()[0] == "False"
    assert done.stdout.splitlines()[-1] == "result"
    assert warnings_of(done) == 1


def test_tensorboard_reads_the_texts_back(python: Run, tmp_path: Path) -> None:
    done = python(
        """
        import json, sys, envbuild_runtime
        from types import SimpleNamespace
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
        from tensorboardX import SummaryWriter
        assert envbuild_runtime.tensorboard.record("logs/folder") is True
        # as Keras' callback has it
        assert envbuild_runtime.tensorboard.record(SimpleNamespace(log_dir="logs/keras")) is True
        writer = EventFileWriter("logs/writer")
        assert envbuild_runtime.tensorboard.record(writer) is True
        writer.close()
        with SummaryWriter("logs/x") as writer:
            writer.add_scalar("loss", 0.5, 1)
            assert envbuild_runtime.tensorboard.record(writer) is True
        assert not {"tensorflow", "torch"} & set(sys.modules)

        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        found = {}
        for kind in ("folder", "keras", "writer", "x"):
            events = EventAccumulator(f"logs/{kind}").Reload()
            found[kind] = {
                tag.removesuffix("/text_summary"): [
                    event.tensor_proto.string_val[0].decode() for event in events.Tensors(tag)
                ]
                for tag in events.Tags()["tensors"]
            }
        print(json.dumps(found))
        """
    )
    found = json.loads(done.stdout)

    for kind, texts in found.items():
        assert sorted(texts) == ["envbuild/card", "envbuild/environment", "envbuild/record"], kind
        (record,), (environment,), (card,) = (
            texts[f"envbuild/{name}"] for name in ("record", "environment", "card")
        )
        assert json.loads(record) == RECORD
        assert json.loads(environment)["target"]["digest"] == DIGEST
        assert card.startswith("# Environment `train`\n")
        assert json.loads((tmp_path / "logs" / kind / "envbuild-run.json").read_bytes()) == RECORD
    assert sorted(found) == ["folder", "keras", "writer", "x"]
    assert warnings_of(done) == 0


TRAIN = """
import json
with open("runs.log", "a") as log, open("metrics.json", "w") as metrics:
    log.write("run\\n")
    json.dump({"loss": 0.5}, metrics)
"""

FULL = """
    import resource, sys, envbuild_runtime, mlflow, wandb
    import tensorboard.plugins.text.summary_v2, tensorboard.summary.writer.event_file_writer
    from envbuild_runtime import guard

    run = wandb.init(project="test")
    # no file may grow any more: what a full disk is to a program
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    answers = [
        envbuild_runtime.mlflow.log_environment("0" * 32),
        envbuild_runtime.tensorboard.record("logs"),
        envbuild_runtime.wandb.record(run),
        envbuild_runtime.dvc.write("file.yaml"),
    ]
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    run.finish()
    print("result", *answers)
"""


@pytest.mark.long
def test_a_full_disk_fails_no_run(python: Run, tmp_path: Path) -> None:
    done = python(FULL)

    assert done.stdout.splitlines()[-1] == "result False False False False"
    assert warnings_of(done) == 1
    # of TensorBoard's thread there is none; W&B says by itself that it cannot write its log
    assert "event_file_writer" not in done.stderr
    assert not (tmp_path / "file.yaml").exists()


@pytest.fixture
def project(tmp_path: Path, installed: Path) -> Callable[..., str]:
    """Return a function that runs DVC or git in a repository with two stages."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(TRAIN)
    (folder / ".gitignore").write_text("runs.log\n")
    documentation = (installed / "envbuild_runtime" / "dvc.py").read_text("utf-8")
    stages = documentation.partition("::\n\n")[2].partition("\n\nThe first stage")[0]
    (folder / "dvc.yaml").write_text(dedent(stages) + "\n")

    def run(*words: str, environment: Mapping[str, str] | None = None, **changes: Any) -> str:
        arguments = ("python", "-m", *words) if words[0] == "dvc" else ("env", *words)
        variables = {
            "ENVBUILD_RUN": json.dumps({**RECORD, **changes}),
            "PYTHONPATH": str(installed),
            **{
                f"GIT_{who}_{what}": "me@example.com"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
            **(environment or {}),
        }
        if words[0] == "git":
            return subprocess.run(
                words,
                cwd=folder,
                env={**variables, "PATH": "/usr/bin:/bin"},
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            ).stdout
        return run_tracker(arguments, folder=folder, environment=variables).stdout

    run("git", "init", "--quiet")
    run("dvc", "init", "--quiet")
    return run


def locked_params(tmp_path: Path) -> Any:
    lock = yaml.safe_load((tmp_path / "project" / "dvc.lock").read_text())
    return lock["stages"]["train"]["params"]["envbuild-environment.yaml"]


def runs(tmp_path: Path) -> int:
    return len((tmp_path / "project" / "runs.log").read_text().splitlines())


def test_dvc_runs_a_stage_again_when_the_environment_changed_and_only_then(
    project: Callable[..., str], tmp_path: Path
) -> None:
    project("dvc", "repro", "--quiet")
    first = locked_params(tmp_path)
    project("dvc", "repro", "--quiet", command=["other"], git={"commit": "f" * 40})

    assert runs(tmp_path) == 1

    project("dvc", "repro", "--quiet", variables={"PYTHONHASHSEED": "1"})

    assert runs(tmp_path) == 2
    assert first == {"target": DIGEST, "variables": {"PYTHONHASHSEED": "0"}}
    assert locked_params(tmp_path) == {"target": DIGEST, "variables": {"PYTHONHASHSEED": "1"}}


@pytest.mark.long
def test_dvc_experiments_show_the_environment(project: Callable[..., str], tmp_path: Path) -> None:
    project("dvc", "repro", "--quiet")
    project("git", "add", "--all")
    project("git", "commit", "--quiet", "--message=first")
    project("dvc", "exp", "run", "--name=other", variables={"PYTHONHASHSEED": "7"})

    shown = json.loads(project("dvc", "exp", "show", "--json"))
    params = {
        row["name"]: row["data"]["params"]["envbuild-environment.yaml"]["data"]
        for entry in shown
        for row in [entry, *(inner for found in entry["experiments"] or [] for inner in found["revs"])]
        if row["name"]
    }

    assert runs(tmp_path) == 2
    assert params["other"] == {"target": DIGEST, "variables": {"PYTHONHASHSEED": "7"}}
    assert {"target": DIGEST, "variables": {"PYTHONHASHSEED": "0"}} in params.values()
    (revision,) = (
        inner["rev"]
        for entry in shown
        for found in entry["experiments"] or []
        for inner in found["revs"]
        if inner["name"] == "other"
    )
    kept = yaml.safe_load(project("git", "show", f"{revision}:envbuild-environment.yaml"))
    assert (kept["target"], kept["command"], kept["lock"]) == (DIGEST, RECORD["command"], RECORD["lock"])
