"""MLflow: record, environment, lock and card as artifacts of a run, by one call."""

from __future__ import annotations

import importlib
from typing import Any

from envbuild_runtime import facts, guard, texts

PATIENCE = 60.0
"""Seconds for a server to take the files; MLflow alone would try for minutes."""


@guard.guarded("nothing is attached to the run in MLflow")
def log_environment(run_id: str | None = None, client: Any = None, *, timeout: float = PATIENCE) -> bool:
    """Attach ``envbuild/{run.json,environment.json,lock.json,card.md}`` to a run; return whether it was done.

    ``run_id`` is that of the active run if it is None; none is started.  ``client`` is an `MlflowClient`,
    made if it is None.  ``timeout`` is in seconds: a server that does not answer so long is left alone.
    Nothing is raised: where it cannot be done there is a warning, and the run goes on.
    """
    mlflow = importlib.import_module("mlflow")
    if run_id is None:
        # the active run belongs to this thread: it is asked for here
        run = mlflow.active_run()
        if run is None:
            raise LookupError("no run is active, and no run_id was given")
        run_id = run.info.run_id
    if client is None:
        client = importlib.import_module("mlflow.tracking").MlflowClient()
    environment = facts.environment()
    guard.within(timeout, lambda: _upload(client, run_id, environment))
    return True


def _upload(client: Any, run_id: str, environment: dict[str, Any]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="envbuild-runtime-") as folder:
        texts.write_files(environment, folder)
        client.log_artifacts(run_id, folder, texts.FOLDER)
