"""Runs of Weights & Biases, TensorBoard and DVC, as they lie on this machine."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from envbuild.errors import EnvbuildError, RecordError, UsageError
from envbuild.records.sources.bounds import MOST_VALUES, numbers, read_file, texts
from envbuild.records.sources.find import find_run
from envbuild.records.sources.tensorboard import LARGEST_EVENTS
from tests.rig.run_records import DIGEST, GIT_ENVIRONMENT, RECORD, git

BOMB = "\n".join(
    [
        "v:",
        "  a0: &a0 {x: 1}",
        *(f"  a{i}: &a{i} {{{', '.join(f'k{j}: *a{i - 1}' for j in range(12))}}}" for i in range(1, 8)),
        "stages: {a: {cmd: x, params: *a7}}",
        "lr: {value: *a7}",
    ]
)
"""YAML that is short, and has a hundred million values."""


def find(source: str, folder: Path) -> Any:
    return find_run(source, GIT_ENVIRONMENT, folder)


def write(folder: Path, **files: Any) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_DOT_", ".").replace("_", "-")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize("source", ["", "mlflow", "wandb:", "comet:a", "a\0b", "wandb:a\0b", ":x"])
def test_what_names_no_run(source: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no recorded run"):
        find(source, tmp_path)


class TestWandb:
    """Folders of runs."""

    def test_the_record_of_the_hook(self, tmp_path: Path) -> None:
        write(
            tmp_path / "run" / "files",
            envbuild__run_DOT_json=RECORD.text(),
            wandb_summary_DOT_json={"loss": 0.25, "_step": 3, "text": "x"},
            config_DOT_yaml='{"lr": {"value": 0.1}, "_wandb": {"value": {}}, "odd": 5}',
        )
        found = find("wandb:run", tmp_path)
        assert (found.record, found.missing, found.name) == (RECORD, (), "run")
        assert (found.parameters, found.metrics) == ({"lr": "0.1"}, {"loss": 0.25})
        assert "envbuild/run.json" in found.artifacts

    def test_its_own_metadata(self, tmp_path: Path) -> None:
        metadata = {
            "docker": f"host.example:5000/ml/train:1@{DIGEST}",
            "codePath": "train.py",
            "args": ["--lr", "0.1", "--token=x"],
            "git": {"commit": "c" * 40},
        }
        write(tmp_path / "run" / "files", wandb_metadata_DOT_json=metadata)
        found = find("wandb:run", tmp_path)
        assert found.record.document() == {
            "version": 1,
            "image": {
                "reference": "host.example:5000/ml/train:1",
                "digest": DIGEST,
                "repository": "host.example:5000/ml/train",
            },
            "command": ["python", "train.py", "--lr", "0.1", "--token=***"],
            "redacted": True,
            "git": {"commit": "c" * 40, "folder": "."},
        }
        assert "the lock" in found.missing

    @pytest.mark.parametrize("metadata", [{}, {"docker": "train:1"}, {"docker": 5}, [], "{", None])
    def test_no_image_by_digest(self, tmp_path: Path, metadata: Any) -> None:
        write(tmp_path / "run" / "files", other="x")
        if metadata is not None:
            write(tmp_path / "run" / "files", wandb_metadata_DOT_json=metadata)
        with pytest.raises(RecordError, match="has no record of envbuild") as caught:
            find("wandb:run", tmp_path)
        assert "run.json" in str(caught.value.detail)

    @pytest.mark.parametrize(
        "metadata",
        [
            {"docker": "train@sha256:1"},
            {"docker": f"a\x1b@{DIGEST}"},
            {"docker": f"train@{DIGEST}", "git": {"commit": "--output=x"}},
        ],
    )
    def test_metadata_that_is_hostile(self, tmp_path: Path, metadata: Any) -> None:
        write(tmp_path / "run" / "files", wandb_metadata_DOT_json=metadata)
        with pytest.raises(RecordError, match="is not valid"):
            find("wandb:run", tmp_path)

    def test_links_out_of_a_run_are_not_followed(self, tmp_path: Path) -> None:
        write(tmp_path / "secret", run_DOT_json=RECORD.text(), wandb_summary_DOT_json={"loss": 5})
        (tmp_path / "run" / "files").mkdir(parents=True)
        (tmp_path / "run" / "files" / "envbuild").symlink_to(tmp_path / "secret")
        with pytest.raises(RecordError, match="has no record of envbuild"):
            find("wandb:run", tmp_path)
        write(tmp_path / "other" / "files", envbuild__run_DOT_json=RECORD.text())
        (tmp_path / "other" / "files" / "wandb-summary.json").symlink_to(
            tmp_path / "secret" / "wandb-summary.json"
        )
        found = find("wandb:other", tmp_path)
        assert (found.metrics, found.attached("../../secret/run.json", 9999)) == ({}, None)
        (tmp_path / "third").mkdir()
        (tmp_path / "third" / "files").symlink_to(tmp_path / "other" / "files")
        with pytest.raises(RecordError, match="is no folder of a run"):
            find("wandb:third", tmp_path)

    def test_a_configuration_that_grows_without_end(self, tmp_path: Path) -> None:
        write(tmp_path / "run" / "files", envbuild__run_DOT_json=RECORD.text(), config_DOT_yaml=BOMB)
        assert find("wandb:run", tmp_path).parameters == {}

    def test_no_such_folder(self, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match="is no folder of a run"):
            find("wandb:run", tmp_path)


class TestTensorBoard:
    """Log folders."""

    def test_the_file_beside_the_events(self, tmp_path: Path) -> None:
        write(tmp_path / "logs", envbuild_run_DOT_json=RECORD.text())
        assert find("tensorboard:logs", tmp_path).record == RECORD

    def test_the_only_run_below(self, tmp_path: Path) -> None:
        write(tmp_path / "logs" / "a" / "b", envbuild_run_DOT_json=RECORD.text())
        found = find("tensorboard:logs", tmp_path)
        assert (found.record, found.name) == (RECORD, "b")

    def test_several_runs(self, tmp_path: Path) -> None:
        for name in "ab":
            write(tmp_path / "logs" / name, envbuild_run_DOT_json=RECORD.text())
        with pytest.raises(RecordError, match="has 2 runs") as caught:
            find("tensorboard:logs", tmp_path)
        assert caught.value.detail == "tensorboard:logs/a\ntensorboard:logs/b"

    def test_none(self, tmp_path: Path) -> None:
        (tmp_path / "logs").mkdir()
        with pytest.raises(RecordError, match="has no record of envbuild"):
            find("tensorboard:logs", tmp_path)
        with pytest.raises(RecordError, match="there is no folder none"):
            find("tensorboard:none", tmp_path)

    def test_pipes_and_links_are_not_followed(self, tmp_path: Path) -> None:
        logs = tmp_path / "logs"
        write(logs, envbuild_run_DOT_json=RECORD.text())
        os.mkfifo(logs / "events.out.tfevents.1")
        assert find("tensorboard:logs", tmp_path).missing == ("metrics: its event files are no files",)
        (logs / "envbuild-run.json").rename(tmp_path / "elsewhere.json")
        (logs / "envbuild-run.json").symlink_to(tmp_path / "elsewhere.json")
        with pytest.raises(RecordError, match="has no record of envbuild"):
            find("tensorboard:logs", tmp_path)

    def test_events_that_are_too_large(self, tmp_path: Path) -> None:
        write(tmp_path / "logs", envbuild_run_DOT_json=RECORD.text())
        with (tmp_path / "logs" / "events.out.tfevents.1").open("wb") as file:
            file.truncate(LARGEST_EVENTS + 1)
        assert "more than 1024 MiB" in find("tensorboard:logs", tmp_path).missing[0]


MD5 = hashlib.md5(b"x = 1\n", usedforsecurity=False).hexdigest()


class TestDvc:
    """Revisions."""

    PARAMETERS = f'target: "{DIGEST}"\nname: train\ndata:\n  images: "{DIGEST}"\nvariables: {{"SEED": "7"}}\n'

    @pytest.fixture
    def repository(self, tmp_path: Path) -> Path:
        """Return a repository with a stage, and the parameters of the runtime."""
        root = tmp_path.resolve() / "repository"
        stages = {
            "environment": {"cmd": "x", "outs": [{"path": "envbuild-environment.yaml"}]},
            "train": {
                "cmd": "envbuild run --env A=b -- python 'a b.py' --token=x",
                "params": {"params.yaml": {"lr": {"first": 0.1}}},
                "outs": [{"path": "metrics.json"}, {"path": "model.bin", "md5": "1"}],
            },
        }
        write(root / "ml", dvc_DOT_lock={"schema": "2.0", "stages": stages}, metrics_DOT_json={"loss": 0.25})
        write(root / "ml", envbuild_environment_DOT_yaml=self.PARAMETERS)
        git(root, "init", "--quiet")
        git(root, "add", ".")
        git(root, "commit", "--quiet", "--message=one")
        return root

    @pytest.mark.parametrize(("content", "said"), [("x = 1\n", 0), ("x = 2\n", 1)])
    def test_a_stage_that_was_not_reproduced(self, repository: Path, content: str, said: int) -> None:
        lock = {
            "schema": "2.0",
            "stages": {
                "train": {
                    "cmd": "envbuild run -- python train.py",
                    "deps": [
                        {"path": "train.py", "hash": "md5", "md5": MD5},
                        {"path": "data.bin", "hash": "md5", "md5": "0" * 32},
                    ],
                }
            },
        }
        write(repository / "ml", dvc_DOT_lock=lock, train_DOT_py=content)
        git(repository, "add", ".")
        git(repository, "commit", "--quiet", "--message=two")
        missing = find("dvc:HEAD", repository / "ml").missing
        assert len(missing) == said
        assert all("`dvc repro` was not run since" in text for text in missing)

    def test_a_revision(self, repository: Path) -> None:
        found = find("dvc:HEAD", repository / "ml")
        assert found.record.document() == {
            "version": 1,
            "name": "train",
            "target": DIGEST,
            "command": ["python", "a b.py", "--token=***"],
            "redacted": True,
            "variables": {"SEED": "7"},
            "variable-names": ["A"],
            "data": [{"name": "images", "digest": DIGEST}],
            "git": {"commit": git(repository, "rev-parse", "HEAD"), "dirty": False, "folder": "ml"},
            "mounted": True,
        }
        assert (found.name, found.metrics) == ("stage train", {"loss": 0.25})
        assert (found.parameters, found.artifacts) == (
            {"params.yaml.lr.first": "0.1"},
            ("metrics.json", "model.bin"),
        )

    def test_an_experiment_by_its_name(self, repository: Path) -> None:
        commit = git(repository, "rev-parse", "HEAD")
        git(repository, "update-ref", "refs/exps/ab/cdef/sorry-dory", commit)
        assert find("dvc:sorry-dory", repository / "ml").record.git.commit == commit

    def test_several_stages_are_named(self, repository: Path) -> None:
        stages = {"a": {"cmd": "x"}, "b": {"cmd": ["y", "z"]}}
        write(repository / "ml", dvc_DOT_lock={"stages": stages})
        git(repository, "commit", "--quiet", "--all", "--message=two")
        with pytest.raises(UsageError) as caught:
            find("dvc:HEAD", repository / "ml")
        assert caught.value.hint == "name one: dvc:HEAD:a, dvc:HEAD:b"
        assert find("dvc:HEAD:b", repository / "ml").record.command == ("sh", "-ec", "y\nz")
        with pytest.raises(RecordError, match="has no stage `c`"):
            find("dvc:HEAD:c", repository / "ml")

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("nothing", RecordError),
            ("--output=x", UsageError),
            ("a..b", UsageError),
            ("HEAD:a:b", UsageError),
            ("HEAD:a/b", UsageError),
            ("HEAD^{tree}", RecordError),
        ],
    )
    def test_no_revision(self, repository: Path, name: str, kind: type[EnvbuildError]) -> None:
        with pytest.raises(kind):
            find(f"dvc:{name}", repository / "ml")

    @pytest.mark.parametrize("text", ["", "{", "a: &a [*a, *a]", "target: 5", "- x", "[" * 5000, "target: x",
         f'target: "{DIGEST}"\nname: 2020-01-01\n', f'target: "{DIGEST}"\nname: !!timestamp x\n',
         f'target: "{DIGEST}"\nname: !!bool x\n', f'target: "{DIGEST}"\nname: !!int ""\n',
         f'target: "{DIGEST}"\nimage: !!set {{a}}\n', f'target: "{DIGEST}"\nvariables: {{1: 2, a: "3"}}\n',
         f'target: "{DIGEST}"\nimage: &a {{b: *a}}\n',
         f'target: "{DIGEST}"\nname: !!python/object/apply:os.system ["x"]\n'])  # fmt: skip
    def test_parameters_that_are_none(self, repository: Path, text: str) -> None:
        write(repository / "ml", envbuild_environment_DOT_yaml=text)
        git(repository, "commit", "--quiet", "--all", "--message=two")
        with pytest.raises(RecordError):
            find("dvc:HEAD", repository / "ml")

    @pytest.mark.parametrize("text", [BOMB, "stages: {a: &a [*a]}", "{", "a: !!timestamp x", "\t"])
    def test_a_lock_that_is_none(self, repository: Path, text: str) -> None:
        write(repository / "ml", dvc_DOT_lock=text)
        git(repository, "commit", "--quiet", "--all", "--message=two")
        with pytest.raises(RecordError, match=r"^dvc\.lock of \w+ cannot be read: "):
            find("dvc:HEAD", repository / "ml")

    def test_the_folder_is_that_of_the_lock(self, repository: Path) -> None:
        text = f"{self.PARAMETERS}lock: {{path: envbuild.lock, sha256: {'b' * 64}}}\n"
        write(repository / "ml", envbuild_environment_DOT_yaml=text)
        git(repository, "commit", "--quiet", "--all", "--message=two")
        # `ml` has the pipeline, and the spec lies above it
        assert find("dvc:HEAD:train", repository / "ml").record.git.folder == "."

    def test_no_repository(self, tmp_path: Path) -> None:
        with pytest.raises(RecordError, match="in no git repository"):
            find("dvc:HEAD", tmp_path)


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert read_file(tmp_path / "pipe") is None
    assert read_file(tmp_path) is None
    assert read_file(tmp_path / "none") is None


def test_what_the_system_refuses(tmp_path: Path) -> None:
    for source in ("wandb:", "tensorboard:", "mlflow:a@", "mlflow:a@sqlite:///"):
        with pytest.raises(RecordError, match="cannot be read: file name too long"):
            find(source + "a" * 300, tmp_path)


def test_a_mistyped_address_is_shown_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find("mlflw:a@https://me:hunter2@host.example", tmp_path)
    assert "hunter2" not in caught.value.message


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 11)
    with pytest.raises(RecordError, match="has more than"):
        read_file(tmp_path / "a", 10)


def test_values_are_bounded() -> None:
    many = [(f"{number:06}", number) for number in range(MOST_VALUES + 5)]
    assert len(texts(many)) == len(numbers(many)) == MOST_VALUES
    assert numbers([("a", float("inf")), ("b", 10**400), ("c", True), (5, 1), ("d", "x")]) == {}
    assert texts([("k" * 1000, "v" * 1000), ("n", None), (5, "x"), ("big", 1 << 60_000)]) == {
        "k" * 500: "v" * 500
    }
