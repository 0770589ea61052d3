"""The variables that carry a record into a container, in the words of each tracker.  Pure."""

from collections.abc import Collection, Mapping
from typing import Any, Final

from envbuild.digest import canonical_json
from envbuild.lock.tracker_variables import MLFLOW

RUN: Final = "ENVBUILD_RUN"
"""The record as one line of JSON: envbuild's own name, always set."""

WANDB: Final = "WANDB_DOCKER"
"""The image, which Weights & Biases keeps as ``docker`` of a run."""

LONGEST_TAG: Final = 5000
"""Characters of a tag that every server of MLflow keeps: 2.11 and earlier refuse longer ones."""

RUN_TAG: Final = "envbuild.run"

_OF_TARGET: Final = ("name", "platform", "tag", "target", "variant")


def record_text(document: Mapping[str, Any]) -> str:
    """Return a record as one line of JSON with sorted keys."""
    return canonical_json(document).decode()


def variables_of(document: Mapping[str, Any], *, taken: Collection[str] = ()) -> dict[str, str]:
    """Return what a container gets of a record, given as plain JSON values.

    Variables of trackers that somebody set, ``taken``, are left alone; :data:`RUN` is envbuild's own.
    """
    found = {MLFLOW: canonical_json(mlflow_tags(document)).decode()}
    image = pinned_image(document)
    found |= {WANDB: image} if image else {}
    return {RUN: record_text(document)} | {name: value for name, value in found.items() if name not in taken}


def mlflow_tags(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a run in MLflow, sorted."""
    image, git = document.get("image", {}), document.get("git", {})
    text = record_text(document)
    found = {
        **{f"envbuild.{name}": document.get(name) for name in _OF_TARGET},
        "envbuild.lock": document.get("lock", {}).get("sha256"),
        "envbuild.image": image.get("reference"),
        "envbuild.image.digest": image.get("digest"),
        "envbuild.git.commit": git.get("commit"),
        "envbuild.git.dirty": str(git["dirty"]).lower() if "dirty" in git else None,
        "envbuild.git.remote": git.get("remote"),
        "envbuild.driver": document.get("driver"),
        "envbuild.gpus": ",".join(document.get("gpus", ())) or None,
        RUN_TAG: text if len(text) <= LONGEST_TAG else None,
    }
    return {name: value for name, value in sorted(found.items()) if value is not None}


def pinned_image(document: Mapping[str, Any]) -> str | None:
    """Return ``repository:tag@sha256:…``; None: the record does not know it."""
    image = document.get("image", {})
    return f"{image['reference']}@{image['digest']}" if {"reference", "digest"} <= image.keys() else None
