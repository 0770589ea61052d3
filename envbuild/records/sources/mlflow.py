"""Runs of MLflow: of its tracking server by REST, of an SQLite file or a folder of files as they lie there.

The tag ``envbuild.run`` is set by itself (``MLFLOW_RUN_CONTEXT``); ``envbuild/run.json`` is an artifact that
`envbuild_runtime` attaches.
"""

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from envbuild.errors import NetworkError, UsageError
from envbuild.records.found import FoundRun
from envbuild.records.model import LARGEST, read_record
from envbuild.records.sources.bounds import (
    MOST_VALUES,
    nothing_recorded,
    numbers,
    paths,
    texts,
)
from envbuild.records.sources.mlflow_stores import (
    RUN_FILE,
    StoredRun,
    local_path,
    run_of_database,
    run_of_files,
)
from envbuild.records.variables import RUN_TAG
from envbuild.remote.http import without_credentials
from envbuild.remote.mlflow import RUN_ID, MlflowServer

URI: Final = "MLFLOW_TRACKING_URI"
HOW: Final = (
    "runs that `envbuild run` or `envbuild shell` started have one; one of more than 5000 characters is an "
    "artifact, which `envbuild_runtime.mlflow.log_environment()` attaches"
)


def find_mlflow(name: str, environment: Mapping[str, str], folder: Path) -> FoundRun:
    """Return the run of ``RUN_ID`` or ``RUN_ID@URI``; without one it is that of ``MLFLOW_TRACKING_URI``.

    Relative paths are those of ``folder``.

    :raises UsageError: the ID or the address is none that is read.
    :raises NetworkError: the server is out of reach, refuses, or has no such run.
    :raises RecordError: the run has no record, or one that cannot be used.
    """
    run_id, _, address = name.partition("@")
    if not RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"`{run_id}` is no ID of a run of MLflow",
            hint="it is in the address of the run's page: mlflow:RUN_ID",
        )
    address = address or environment.get(URI, "")
    if not address:
        raise UsageError(
            f"{URI} is not set, so nobody knows where the run is",
            hint=f"set it as for MLflow itself, or write mlflow:{run_id}@ADDRESS",
        )
    source, run = f"mlflow:{run_id}", _read(run_id, address, environment, folder)
    shown = without_credentials(address) if address.lower().startswith("http") else address
    tag, place = run.tags.get(RUN_TAG), f"tag {RUN_TAG} of the run in {shown}"
    text: str | bytes | None = tag
    if tag is None:
        text, place = run.file, f"artifact {RUN_FILE} of the run in {shown}"
    if text is None:
        raise nothing_recorded(source, (f"tag {RUN_TAG}", f"artifact {RUN_FILE}"), HOW)
    return FoundRun(
        source=source,
        record=read_record(text, where=source),
        place=place,
        name=str(run.name)[:MOST_VALUES] if isinstance(run.name, str) and run.name else None,
        status=str(run.status)[:MOST_VALUES] if isinstance(run.status, str) else None,
        parameters=run.parameters,
        metrics=run.metrics,
        artifacts=run.artifacts,
        attached=run.attached,
    )


def _read(run_id: str, address: str, environment: Mapping[str, str], folder: Path) -> StoredRun:
    try:
        parts = urlsplit(address)
        scheme = parts.scheme
    except ValueError as error:
        raise UsageError(f"{URI} is no address") from error
    if scheme in {"http", "https"}:
        _require_host(parts)
        return _of_server(run_id, MlflowServer(address, environment))
    if scheme == "sqlite":
        return run_of_database(run_id, folder / unquote(address.removeprefix("sqlite:///").partition("?")[0]))
    if scheme in {"", "file"}:
        return run_of_files(run_id, folder / local_path(address))
    raise UsageError(
        f"runs of MLflow in `{scheme}:` are not read",
        hint="start `mlflow server` on that store, and give its address: mlflow:RUN_ID@http://127.0.0.1:5000",
    )


def _require_host(parts: SplitResult) -> None:
    """Return if there may be a server.

    :raises UsageError: an address has no host, or a port that is none.
    """
    try:
        if parts.hostname and parts.port != 0 and parts.hostname.encode("idna"):
            return
    except ValueError:
        pass
    raise UsageError(f"{URI} is no address of a server", hint="it is like http://127.0.0.1:5000")


def _of_server(run_id: str, server: MlflowServer) -> StoredRun:
    found = server.run(run_id)
    info, data = _table(found.get("info")), _table(found.get("data"))
    tags = dict(_items(data.get("tags")))
    text = tags.get(RUN_TAG)
    listed: tuple[str, ...] = ()
    # a run may be had again without its files
    with contextlib.suppress(NetworkError):
        listed = server.artifacts(run_id)
    return StoredRun(
        name=info.get("run_name"),
        status=info.get("status"),
        tags={RUN_TAG: text} if isinstance(text, str) else {},
        parameters=texts(_items(data.get("params"))),
        metrics=numbers(_items(data.get("metrics"))),
        artifacts=paths(listed),
        file=None if text else server.artifact(run_id, RUN_FILE, limit=LARGEST),
        attached=lambda path, limit: server.artifact(run_id, path, limit=limit),
    )


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> Iterable[tuple[object, object]]:
    listed = value if isinstance(value, list) else []
    return [(item.get("key"), item.get("value")) for item in listed if isinstance(item, dict)]
