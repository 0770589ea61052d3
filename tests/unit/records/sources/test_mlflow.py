"""Runs of MLflow: stores, and a server that answers as told in place of a real one."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from envbuild.errors import EnvbuildError, NetworkError, NotFoundError, RecordError, UsageError
from envbuild.records.sources.mlflow import find_mlflow
from envbuild.remote.mlflow import MlflowServer
from tests.rig.faulty_server import FaultyServer, Turn, serving
from tests.rig.run_records import RECORD

RUN_ID = "4f6a2c" + "0" * 26
GET = "/api/2.0/mlflow/runs/get"
LIST = "/api/2.0/mlflow/artifacts/list"
FILE = "/get-artifact"


def address_of(server: FaultyServer) -> str:
    return server.url("").rstrip("/")


def run_with(*tags: tuple[str, str]) -> bytes:
    found: dict[str, Any] = {
        "info": {"run_name": "roo", "status": "FINISHED"},
        "data": {
            "tags": [{"key": key, "value": value} for key, value in tags],
            "params": [{"key": "lr", "value": "0.1"}],
            "metrics": [{"key": "loss", "value": 0.25}, {"key": "bad", "value": "NaN"}],
        },
    }
    return json.dumps({"run": found}).encode()


def error(code: str) -> bytes:
    return json.dumps({"error_code": code, "message": "x"}).encode()


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    """Return a server that has a run with a record in its tags."""
    with serving() as server:
        server.files = dict.fromkeys((GET, LIST, FILE), b"")
        server.turns[GET] = [Turn(body=run_with(("envbuild.run", RECORD.text())))]
        server.turns[LIST] = [Turn(body=b'{"files": [{"path": "envbuild", "is_dir": true}, {"path": 5}]}')]
        server.turns[FILE] = [Turn(status=404, body=error("RESOURCE_DOES_NOT_EXIST"))]
        yield server


def find(server: FaultyServer, tmp_path: Path, **environment: str) -> Any:
    return find_mlflow(RUN_ID, {"MLFLOW_TRACKING_URI": address_of(server), **environment}, tmp_path)


def test_a_run_by_its_tag(server: FaultyServer, tmp_path: Path) -> None:
    found = find(server, tmp_path)
    assert found.record == RECORD
    assert (found.source, found.name, found.status) == (f"mlflow:{RUN_ID}", "roo", "FINISHED")
    assert (found.parameters, found.metrics, found.artifacts) == (
        {"lr": "0.1"},
        {"loss": 0.25},
        ("envbuild",),
    )


def test_a_run_by_its_artifact(server: FaultyServer, tmp_path: Path) -> None:
    server.turns[GET] = [Turn(body=run_with())]
    server.turns[FILE] = [Turn(body=RECORD.text().encode())]
    assert find(server, tmp_path).record == RECORD


def test_a_run_without_a_record(server: FaultyServer, tmp_path: Path) -> None:
    server.turns[GET] = [Turn(body=run_with(("mlflow.user", "me")))]
    with pytest.raises(RecordError, match=r"^mlflow:\w+ has no record of envbuild$") as caught:
        find(server, tmp_path)
    assert "tag envbuild.run" in str(caught.value.detail)
    assert caught.value.hint


def test_the_credentials_of_mlflow_are_used(server: FaultyServer, tmp_path: Path) -> None:
    find(server, tmp_path, MLFLOW_TRACKING_USERNAME="me", MLFLOW_TRACKING_PASSWORD="secret")
    assert {seen.credentials for seen in server.seen} == {"me:secret"}


def test_a_token_is_used(server: FaultyServer, tmp_path: Path) -> None:
    find(server, tmp_path, MLFLOW_TRACKING_TOKEN="t0ken")
    assert {seen.authorization for seen in server.seen} == {"Bearer t0ken"}


def test_credentials_of_the_address_are_used_and_never_shown(server: FaultyServer, tmp_path: Path) -> None:
    address = address_of(server).replace("http://", "http://me:hunter2@")
    found = find_mlflow(f"{RUN_ID}@{address}", {}, tmp_path)
    assert {seen.credentials for seen in server.seen} == {"me:hunter2"}
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("turn", "kind", "message"),
    [
        (Turn(status=404, body=error("RESOURCE_DOES_NOT_EXIST")), NotFoundError, "has no such run"),
        (Turn(status=404, body=b"<html>"), NotFoundError, "does not answer as a tracking server"),
        (Turn(status=401, body=b""), NetworkError, "refused the credentials"),
        (Turn(status=403, body=b""), NetworkError, "refused the credentials"),
        (
            Turn(status=302, body=b"", headers={"Location": "http://127.0.0.1:9/"}),
            NetworkError,
            "not followed",
        ),
        (Turn(status=500, body=b""), NetworkError, "HTTP 500"),
        (Turn(status=503, body=b"", headers={"Retry-After": "86400"}), NetworkError, "HTTP 503"),
        (Turn(body=b"<html>"), NetworkError, "is not JSON"),
        (Turn(body=b"[]"), NetworkError, "is no table"),
        (Turn(body=b"{}"), NetworkError, "holds no run"),
        (Turn(body=b'{"run": 5}'), NetworkError, "holds no run"),
        (Turn(body=b"[" * 50_000), NetworkError, "is not JSON"),
        (Turn(body=run_with(("envbuild.run", "{}"))), RecordError, "has no `version`"),
        (Turn(body=run_with(("envbuild.run", "x" * 70_000))), RecordError, "more than 64 KiB"),
        (Turn(body=b'{"run": {"info": 5, "data": [5]}}'), RecordError, "has no record"),
    ],
)
def test_an_answer_that_is_none(
    server: FaultyServer, tmp_path: Path, turn: Turn, kind: type[EnvbuildError], message: str
) -> None:
    server.turns[GET] = [turn]
    with pytest.raises(kind) as caught:
        find(server, tmp_path)
    assert message in caught.value.message
    assert all(seen.path.startswith(("/api", "/get-artifact")) for seen in server.seen)


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match=r"^cannot reach http://127\.0\.0\.1:9$"):
        find_mlflow(f"{RUN_ID}@http://me:hunter2@127.0.0.1:9", {}, tmp_path)


def test_an_answer_that_is_too_large_is_not_read_to_its_end(server: FaultyServer) -> None:
    server.turns[FILE] = [Turn(body=b"x" * 100_000)]
    with pytest.raises(NetworkError, match=r"sent more than 64 KiB"):
        MlflowServer(address_of(server), {}).artifact(RUN_ID, "envbuild/run.json", limit=1 << 16)


def test_an_answer_that_takes_too_long(server: FaultyServer) -> None:
    server.turns[GET] = [Turn(body=run_with())]
    with pytest.raises(NetworkError, match=r"did not answer within 0 seconds"):
        MlflowServer(address_of(server), {}, seconds=0.0).run(RUN_ID)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../etc", "is no ID of a run"),
        ("a?b", "is no ID of a run"),
        ("", "is no ID of a run"),
        (RUN_ID, "MLFLOW_TRACKING_URI is not set"),
        (f"{RUN_ID}@postgresql://me:hunter2@host/db", "runs of MLflow in `postgresql:` are not read"),
        (f"{RUN_ID}@databricks:", "runs of MLflow in `databricks:` are not read"),
        (f"{RUN_ID}@http://[::1", "is no address"),
        (f"{RUN_ID}@http://127.0.0.1:99999", "is no address of a server"),
        (f"{RUN_ID}@http://a..b/", "is no address of a server"),
        (f"{RUN_ID}@http:///", "is no address of a server"),
    ],
)
def test_what_names_no_run(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_mlflow(name, {}, tmp_path)
    assert message in caught.value.message
    assert "hunter2" not in str(caught.value)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Return a store with the tables of MLflow that are read."""
    path = tmp_path / "mlflow.db"
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, artifact_uri TEXT);"
            "CREATE TABLE tags (run_uuid TEXT, key TEXT, value TEXT);"
            "CREATE TABLE params (run_uuid TEXT, key TEXT, value TEXT);"
            "CREATE TABLE latest_metrics (run_uuid TEXT, key TEXT, value REAL);"
        )
        database.execute(
            "INSERT INTO runs VALUES (?, 'roo', 'FINISHED', ?)",
            (RUN_ID, str(tmp_path / RUN_ID / "artifacts")),
        )
        database.execute("INSERT INTO tags VALUES (?, 'envbuild.run', ?)", (RUN_ID, RECORD.text()))
        database.execute("INSERT INTO params VALUES (?, 'lr', '0.1')", (RUN_ID,))
        database.execute("INSERT INTO latest_metrics VALUES (?, 'loss', 0.25)", (RUN_ID,))
    database.close()
    return path


def test_a_database(database: Path, tmp_path: Path) -> None:
    found = find_mlflow(f"{RUN_ID}@sqlite:///mlflow.db", {}, tmp_path)
    assert (found.record, found.metrics, found.parameters) == (RECORD, {"loss": 0.25}, {"lr": "0.1"})


def test_the_artifact_of_a_database(database: Path, tmp_path: Path) -> None:
    with sqlite3.connect(database) as opened:
        opened.execute("DELETE FROM tags")
    opened.close()
    place = tmp_path / RUN_ID / "artifacts" / "envbuild"
    place.mkdir(parents=True)
    (place / "run.json").write_text(RECORD.text())
    assert find_mlflow(f"{RUN_ID}@sqlite:///{database}", {}, tmp_path).record == RECORD


@pytest.mark.parametrize(
    "place", ["/etc", "file:///etc", f"{RUN_ID}/artifacts/..", "http://[", 5, None, "a\0b"]
)
def test_a_database_names_no_other_folder(database: Path, tmp_path: Path, place: object) -> None:
    with sqlite3.connect(database) as opened:
        opened.execute("UPDATE runs SET artifact_uri = ?", (place,))
    opened.close()
    found = find_mlflow(f"{RUN_ID}@sqlite:///mlflow.db", {}, tmp_path)
    assert (found.record, found.artifacts) == (RECORD, ())


def test_links_out_of_a_run_are_not_followed(tmp_path: Path) -> None:
    run, secret = tmp_path / "mlruns" / "0" / RUN_ID, tmp_path / "secret"
    (run / "tags").mkdir(parents=True)
    secret.mkdir()
    (secret / "password").write_text("hunter2")
    (run / "meta.yaml").write_text("")
    (run / "tags" / "envbuild.run").write_text(RECORD.text())
    for name in ("artifacts", "params", "metrics"):
        (run / name).symlink_to(secret)
    found = find_mlflow(f"{RUN_ID}@mlruns", {}, tmp_path)
    assert (found.artifacts, found.parameters, found.metrics) == ((), {}, {})
    assert found.attached("password", 100) is None


def test_a_parameter_that_is_too_large_is_left_out(tmp_path: Path) -> None:
    run = tmp_path / "mlruns" / "0" / RUN_ID
    for name, content in (
        ("tags/envbuild.run", RECORD.text()),
        ("meta.yaml", ""),
        ("params/a", "x" * (5 << 20)),
    ):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(content)
    assert find_mlflow(f"{RUN_ID}@mlruns", {}, tmp_path).parameters == {}


def test_a_token_that_is_none_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="MLFLOW_TRACKING_TOKEN has characters") as caught:
        find_mlflow(f"{RUN_ID}@http://127.0.0.1:9", {"MLFLOW_TRACKING_TOKEN": "hunter2\nX: y"}, tmp_path)
    assert "hunter2" not in f"{caught.value} {caught.value.detail} {caught.value.hint}"


def test_credentials_in_any_language(server: FaultyServer, tmp_path: Path) -> None:
    found = find(server, tmp_path, MLFLOW_TRACKING_USERNAME="ü", MLFLOW_TRACKING_PASSWORD="\u2603")
    assert found.record == RECORD


def test_the_credentials_of_an_address_in_capitals_are_not_shown(
    server: FaultyServer, tmp_path: Path
) -> None:
    address = address_of(server).replace("http://", "HTTP://me:hunter2@")
    assert "hunter2" not in find_mlflow(f"{RUN_ID}@{address}", {}, tmp_path).place


@pytest.mark.parametrize("content", [b"", b"x" * 5000, None])
def test_a_database_of_another_program(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(RecordError):
        find_mlflow(f"{RUN_ID}@sqlite:///a.db", {}, tmp_path)


def test_a_database_that_computes_for_ever(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("envbuild.records.sources.mlflow_stores._LONGEST_SECONDS", 0.2)
    with sqlite3.connect(database) as opened:
        opened.execute("DROP TABLE tags")
        opened.execute(
            "CREATE VIEW tags AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT i AS run_uuid, 'envbuild.run' AS key, 'y' AS value FROM n"
        )
    opened.close()
    with pytest.raises(RecordError, match=r"is no database of MLflow that is known: interrupted$"):
        find_mlflow(f"{RUN_ID}@sqlite:///mlflow.db", {}, tmp_path)


def test_a_folder_of_files(tmp_path: Path) -> None:
    run = tmp_path / "mlruns" / "0" / RUN_ID
    for name, content in (
        ("meta.yaml", ""),
        ("tags/envbuild.run", RECORD.text()),
        ("params/lr", "0.1"),
        ("metrics/loss", "1 0.5 0\n2 0.25 1\n"),
        ("metrics/bad", "x\n"),
        ("artifacts/model.bin", ""),
    ):
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(content)
    for address in ("mlruns", f"file:{tmp_path}/mlruns"):
        found = find_mlflow(f"{RUN_ID}@{address}", {}, tmp_path)
        assert (found.record, found.metrics, found.parameters) == (RECORD, {"loss": 0.25}, {"lr": "0.1"})
        assert found.artifacts == ("model.bin",)
    with pytest.raises(RecordError, match=r"has no run other$"):
        find_mlflow("other@mlruns", {}, tmp_path)
