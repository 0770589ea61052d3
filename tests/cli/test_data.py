import json
from pathlib import Path

import pytest

from envbuild.digest import sha256_bytes
from envbuild.workflows.project import Project
from tests.rig.data_project import ask_for, write_files
from tests.rig.locks import sample_lock
from tests.rig.program import Program
from tests.rig.web import Answer, LoopbackServer


@pytest.fixture
def data(program: Program) -> Program:
    """Return a program beside a project with data that is not locked yet."""
    program.has(sample_lock())
    ask_for(Project(program.spec), 'name = "images"', 'name = "model"\npath = "model.bin"')
    write_files(program.folder / "data/images", {"a.png": b"first", "b.png": b"second"})
    write_files(program.folder, {"model.bin": b"w"})
    return program


def test_data_is_locked_and_the_digests_are_told(data: Program) -> None:
    answer = data("data", "lock")

    assert answer.code == 0
    assert "images  files  2 files  11 B  sha256:" in answer.stderr
    assert f"wrote {data.lock.name}" in answer.stderr
    again = data("data", "lock", "--json")
    document = json.loads(again.stdout)
    assert document["written"] is False
    assert [item["name"] for item in document["data"]] == ["images", "model"]
    assert "envbuild.lock is up to date" in data("data", "lock", "images").stderr


def test_verify_names_a_changed_byte_and_exits_with_8(data: Program) -> None:
    data("data", "lock")
    assert data("data", "verify").code == 0
    assert data("data", "verify", "--quiet").stderr == ""
    (data.folder / "data/images/a.png").write_bytes(b"First")
    (data.folder / "model.bin").unlink()

    answer = data("data", "verify", "--again")

    assert answer.code == 8
    assert "CHANGED  images" in answer.stderr
    assert f"a.png: changed; locked sha256:{sha256_bytes(b'first')}" in answer.stderr
    assert f"found sha256:{sha256_bytes(b'First')}" in answer.stderr
    assert "MISSING  model" in answer.stderr
    document = json.loads(data("data", "verify", "--json").stdout)
    assert [item["state"] for item in document["data"]] == ["changed", "missing"]


def test_many_differences_are_counted(data: Program) -> None:
    data("data", "lock")
    write_files(data.folder / "data/images", {f"{number:03}": b"x" for number in range(100)})

    answer = data("data", "verify", "images")

    assert "… and 80 more" in answer.stderr
    assert answer.stderr.count("not in the lock") == 20
    assert data("data", "verify", "images", "--verbose").stderr.count("not in the lock") == 100


def test_diff_shows_digests_of_both_sides(data: Program) -> None:
    data("data", "lock")
    assert data("data", "diff").stdout == "no data differs between the lock and this machine\n"
    (data.folder / "data/images/a.png").write_bytes(b"First")

    answer = data("data", "diff", "--exit-code")

    assert answer.code == 1
    assert f"a.png: sha256:{sha256_bytes(b'first')} → sha256:{sha256_bytes(b'First')}" in answer.stdout
    assert json.loads(data("data", "diff", "--json").stdout)["differs"] is True
    assert data("data", "diff", "v9").code == 2


def test_data_at_an_address_is_fetched(program: Program) -> None:
    program.has(sample_lock())
    with LoopbackServer(lambda _: Answer(content=b"weights")) as server:
        ask_for(Project(program.spec), f'name = "weights"\nurl = "http://{server.host}/w.bin"')
        program("data", "lock")

        answer = program("data", "fetch")

        assert answer.code == 0
        assert "weights  fetched 1 file  7 B  data/weights" in answer.stderr
        document = json.loads(program("data", "fetch", "weights", "--json").stdout)
    assert document["data"][0]["fetched"] == 0
    assert (program.folder / "data/weights").read_bytes() == b"weights"


def test_changed_data_is_not_overwritten(data: Program) -> None:
    data("data", "lock")
    (data.folder / "model.bin").write_bytes(b"mine")

    answer = data("data", "fetch")

    assert answer.code == 8
    assert sha256_bytes(b"mine") in answer.stderr
    assert "hint:" in answer.stderr


def test_outputs_are_recorded(data: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVBUILD_RUN", '{"version": 1, "name": "train"}')

    answer = data("data", "snapshot", "model.bin", "-o", "out.json")

    assert answer.code == 0
    assert "wrote out.json" in answer.stderr
    document = json.loads((data.folder / "out.json").read_text())
    assert document["run"]["name"] == "train"
    assert (data.folder / "out.data" / document["outputs"][0]["manifest"]).exists()
    assert json.loads(data("data", "snapshot", "model.bin", "--json").stdout) == document
    assert (data.folder / "envbuild.outputs.json").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("data", "lock", "pictures"),
        ("data", "fetch", "pictures"),
        ("data", "verify", "pictures"),
        ("data", "diff", "--name", "pictures"),
        ("data", "snapshot", "pictures"),
    ],
)
def test_a_name_that_is_not_there_is_an_error_with_a_hint(data: Program, words: tuple[str, ...]) -> None:
    data("data", "lock")
    answer = data(*words)

    assert answer.code == 2
    assert "pictures" in answer.stderr


def test_names_of_files_are_shown_safely(data: Program) -> None:
    (data.folder / "data/images/\x1b[31mred\nline").write_bytes(b"x")
    assert data("data", "lock").code == 0
    (data.folder / "data/images/\x1b[31mred\nline").write_bytes(b"y")

    told = data("data", "verify").stderr

    assert "\x1b" not in told
    assert "red" in told


def test_without_a_spec_there_is_an_error(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nothing").mkdir()
    monkeypatch.chdir(tmp_path / "nothing")

    assert program("data", "verify").code == 3
