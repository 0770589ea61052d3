import json
from dataclasses import replace
from pathlib import Path

import pytest

from envbuild.data.manifest import parse_manifest
from envbuild.digest import sha256_bytes
from envbuild.errors import EnvbuildError, UsageError
from envbuild.workflows.data.snapshots import manifest_folder, snapshot_data
from envbuild.workflows.machine import Machine
from tests.rig.data_project import write_files

RECORD = {"version": 1, "name": "train", "command": ["python", "train.py"]}


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make outputs in the current folder."""
    write_files(tmp_path / "work", {"out/metrics.json": b"{}", "out/a/b": b"1", "model.bin": b"weights"})
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def in_run(machine: Machine, record: str) -> Machine:
    return replace(machine, environment={**machine.environment, "ENVBUILD_RUN": record})


def test_outputs_are_recorded_by_digest_beside_their_run(outputs: Path, machine: Machine) -> None:
    found = snapshot_data([Path("out"), Path("model.bin")], machine=in_run(machine, json.dumps(RECORD)))
    found.save(outputs / "outputs.json")

    document = json.loads((outputs / "outputs.json").read_text())
    model, out = document["outputs"]
    assert document["run"] == RECORD
    assert (model["path"], out["path"], out["files"], out["size"]) == ("model.bin", "out", 2, 3)
    manifests = [(outputs / "outputs.data" / item["manifest"]).read_bytes() for item in (model, out)]
    assert [item["digest"] for item in (model, out)] == [f"sha256:{sha256_bytes(data)}" for data in manifests]
    assert set(parse_manifest(manifests[1]).files) == {"metrics.json", "a/b"}


def test_the_same_outputs_give_the_same_bytes(outputs: Path, machine: Machine) -> None:
    texts = set()
    for paths in (["out", "model.bin"], ["model.bin", "out/", "out"], ["./model.bin", "out/../out"]):
        snapshot_data([Path(path) for path in paths], machine=machine).save(outputs / "o.json")
        texts.add((outputs / "o.json").read_bytes())

    assert len(texts) == 1
    assert "run" not in json.loads(texts.pop())


def test_a_record_may_be_in_a_file(outputs: Path, machine: Machine) -> None:
    (outputs / "run.json").write_text(json.dumps(RECORD))

    found = snapshot_data([Path("out")], record=outputs / "run.json", machine=in_run(machine, "{}"))

    assert found.run == RECORD


@pytest.mark.parametrize("record", ["no json", "[]", "[" * 100_000, '"x"', "{" + " " * 2_000_000 + "}"])
def test_what_is_no_record_is_refused(outputs: Path, machine: Machine, record: str) -> None:
    with pytest.raises(UsageError, match="ENVBUILD_RUN is no record"):
        snapshot_data([Path("out")], machine=in_run(machine, record))
    (outputs / "run.json").write_text(record)
    with pytest.raises(UsageError, match="is no record"):
        snapshot_data([Path("out")], record=outputs / "run.json", machine=machine)


def test_what_is_not_there_is_said_so(outputs: Path, machine: Machine) -> None:
    (outputs / "empty").mkdir()
    with pytest.raises(UsageError, match="nothing is at `none`"):
        snapshot_data([Path("none")], machine=machine)
    with pytest.raises(EnvbuildError, match="`empty` has no files"):
        snapshot_data([Path("empty")], machine=machine)
    with pytest.raises(UsageError, match="cannot be read"):
        snapshot_data([Path("out")], record=outputs / "none.json", machine=machine)


def test_the_current_folder_is_an_output_too(outputs: Path, machine: Machine) -> None:
    (found,) = snapshot_data([Path()], machine=machine).outputs

    assert (found["path"], found["files"]) == (".", 3)


@pytest.mark.parametrize(("file", "folder"), [("a/o.json", "a/o.data"), ("o", "o.data")])
def test_manifests_lie_beside_the_snapshot(file: str, folder: str) -> None:
    assert manifest_folder(Path(file)) == Path(folder)
