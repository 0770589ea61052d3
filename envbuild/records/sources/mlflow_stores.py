"""Stores of MLflow on this machine, read as they lie there: an SQLite file, or a folder of files."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from envbuild.errors import RecordError
from envbuild.records.model import LARGEST
from envbuild.records.sources.bounds import MOST_VALUES, is_below, numbers, paths, read_below, texts
from envbuild.records.variables import RUN_TAG

URI: Final = "MLFLOW_TRACKING_URI"
RUN_FILE: Final = "envbuild/run.json"
_BUSY_SECONDS = 5.0
_LONGEST_SECONDS = 10.0

_ROW: Final = (
    "SELECT substr(name, 1, 500), substr(status, 1, 500), substr(artifact_uri, 1, 4096) FROM runs "
    "WHERE run_uuid = ?"
)
_TAG: Final = "SELECT key, substr(value, 1, 70000) FROM tags WHERE run_uuid = ? AND key = 'envbuild.run'"
_PARAMETERS: Final = (
    "SELECT substr(key, 1, 500), substr(value, 1, 500) FROM params WHERE run_uuid = ? ORDER BY key"
)
_METRICS: Final = "SELECT substr(key, 1, 500), value FROM latest_metrics WHERE run_uuid = ? ORDER BY key"
"""Tables of MLflow since 1.0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run as a store has it."""

    name: object = None
    status: object = None
    tags: Mapping[str, str]
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    artifacts: tuple[str, ...] = ()
    file: bytes | None = None
    """Content of :data:`RUN_FILE`."""

    attached: Callable[[str, int], bytes | None] = lambda _path, _limit: None
    """Returns an artifact by its path, of at most so many bytes; None: there is none."""


def run_of_database(run_id: str, path: Path) -> StoredRun:
    """Return a run of an SQLite file, which is not written to.

    :raises RecordError: there is no such file or run, or the file is of another program.
    """
    if not path.is_file():
        raise RecordError(f"there is no database {path}", hint=f"check {URI}")
    address = f"file:{quote(str(path))}?mode=ro"
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as database:
            # its tables may be views that compute for ever
            end = time.monotonic() + _LONGEST_SECONDS
            database.set_progress_handler(lambda: time.monotonic() > end, 10_000)
            database.execute("PRAGMA trusted_schema = OFF")
            rows = _select(database, _ROW, run_id)
            if not rows:
                raise RecordError(f"{path} has no run {run_id}", hint=f"check {URI}")
            tags = _select(database, _TAG, run_id)
            parameters = _select(database, _PARAMETERS, run_id)
            metrics = _select(database, _METRICS, run_id)
    except sqlite3.Error as error:
        raise RecordError(
            f"{path} is no database of MLflow that is known: {error}",
            hint="start `mlflow server` on it, and give its address: mlflow:RUN_ID@http://127.0.0.1:5000",
        ) from error
    name, status, place = rows[0]
    return StoredRun(
        name=name,
        status=status,
        tags={key: value for key, value in tags if isinstance(value, str)},
        parameters=texts(parameters),
        metrics=numbers(metrics),
        **_files_in(place, run_id, path.parent),
    )


def _select(database: sqlite3.Connection, query: str, run_id: str) -> list[tuple[Any, ...]]:
    return database.execute(query, (run_id,)).fetchmany(MOST_VALUES)


def run_of_files(run_id: str, folder: Path) -> StoredRun:
    """Return a run of a folder of files (``mlruns``).

    :raises RecordError: it has no such run.
    """
    found = next(
        (place for place in sorted(folder.glob(f"*/{run_id}")) if (place / "meta.yaml").is_file()), None
    )
    if found is None:
        raise RecordError(f"{folder} has no run {run_id}", hint=f"check {URI}")
    tag = read_below(found, f"tags/{RUN_TAG}", LARGEST)
    return StoredRun(
        tags={} if tag is None else {RUN_TAG: tag.decode(errors="replace")},
        parameters=texts((name, _first_line(found, f"params/{name}")) for name in _listed(found, "params")),
        # each line is: time, value, step
        metrics=numbers((name, _last_value(found, f"metrics/{name}")) for name in _listed(found, "metrics")),
        **_files_below(found, "artifacts"),
    )


def _files_in(place: object, run_id: str, folder: Path) -> dict[str, Any]:
    """Return what :func:`_files_below` does of the folder that a database names."""
    try:
        if not isinstance(place, str) or "\0" in place or urlsplit(place).scheme not in {"", "file"}:
            return {}
    except ValueError:
        return {}
    root = folder / local_path(place)
    # as MLflow lays them out: a database names no other folder of this machine
    if root.parts[-2:] != (run_id, "artifacts") or ".." in root.parts:
        return {}
    return _files_below(root.parent, root.name)


def _files_below(run: Path, name: str) -> dict[str, Any]:
    """Return the artifacts of a run where they lie on this machine, and the record among them.

    Nothing that links lead to elsewhere.
    """
    if not is_below(run, run / name):
        return {}
    root = run / name
    return {
        "artifacts": paths(_listed(run, name)),
        "file": read_below(root, RUN_FILE, LARGEST),
        "attached": lambda path, limit: read_below(root, path, limit),
    }


def local_path(address: str) -> str:
    """Return the path of a `file:` address, or of one that is a path."""
    return unquote(urlsplit(address).path) if address.startswith("file:") else address


def _listed(root: Path, name: str) -> list[str]:
    """Return the names in a folder below ``root``, sorted, as many as are taken."""
    if not is_below(root, root / name):
        return []
    try:
        with os.scandir(root / name) as entries:
            return sorted(entry.name for entry, _ in zip(entries, range(MOST_VALUES), strict=False))
    except OSError:
        return []


def _first_line(root: Path, name: str) -> str | None:
    content = _content(root, name)
    return None if content is None else content.decode(errors="replace").partition("\n")[0]


def _content(root: Path, name: str) -> bytes | None:
    try:
        return read_below(root, name)
    except RecordError:
        # a value that is too large, or that others may not read: a run can be had again without it
        return None


def _last_value(root: Path, name: str) -> float | None:
    lines = (_content(root, name) or b"").split(b"\n")
    words = next((line.split() for line in reversed(lines) if line.strip()), [])
    try:
        return float(words[1])
    except (IndexError, ValueError):
        return None
