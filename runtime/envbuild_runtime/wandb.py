"""Weights & Biases: the environment in the configuration, and the files as an artifact and beside the run."""

from __future__ import annotations

import importlib
import os
from typing import Any

from envbuild_runtime import facts, guard, texts

ARTIFACT_TYPE = "environment"


@guard.guarded("nothing, or not all, is attached to the run in Weights & Biases")
def record(run: Any = None) -> bool:
    """Record this environment in a run, the active one if it is None; return whether it was done.

    Its configuration gets the key ``envbuild``; record, environment, lock and card are files in the folder
    ``envbuild`` of the run's files, and an artifact of type ``environment``.  All works without a server.
    Nothing is raised: where it cannot be done there is a warning, and the run goes on.
    """
    wandb = importlib.import_module("wandb")
    run = wandb.run if run is None else run
    if run is None:
        raise LookupError("no run is active, and none was given")
    environment = facts.environment()
    run.config.update({"envbuild": summary(environment)}, allow_val_change=True)
    paths = texts.write_files(environment, os.path.join(run.dir, texts.FOLDER))
    for path in paths:
        run.save(path, base_path=run.dir, policy="now")
    artifact = wandb.Artifact(
        artifact_name(environment), type=ARTIFACT_TYPE, metadata=environment.get("target", {})
    )
    for path in paths:
        _add_file(artifact, path, f"{texts.FOLDER}/{os.path.basename(path)}")
    run.log_artifact(artifact)
    return True


def _add_file(artifact: Any, path: str, name: str) -> None:
    """Add a file where it lies, in the folder of the run.

    Weights & Biases would copy it below the home folder, which a container loses when it ends: an offline run
    could not be uploaded later.
    """
    try:
        artifact.add_file(path, name=name, policy="immutable")
    except TypeError:
        # releases before 0.16 know no policy
        artifact.add_file(path, name=name)


def artifact_name(environment: dict[str, Any]) -> str:
    """Return the artifact's name: equal environments have versions of one artifact."""
    tag = str(environment.get("target", {}).get("tag", "unknown"))
    return (
        "envbuild-" + "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in tag)[:64]
    )


def summary(environment: dict[str, Any]) -> dict[str, Any]:
    """Return what the configuration holds: the environment without its record, and CPU features by level."""
    found = {name: value for name, value in environment.items() if name != "run"}
    if "cpu" in found:
        found["cpu"] = {name: value for name, value in found["cpu"].items() if name != "features"}
    run = environment.get("run", {})
    for name in ("command", "variables"):
        if run.get(name):
            found[name] = run[name]
    return found
