"""Variables by which an image tells trackers of experiments what it is, without a line of code in between.

They follow from the target alone.  They are no part of ``env`` of a target: one of them holds the target's
digest.  The probe carries this module, so it needs the standard library only, of any Python.

MLFLOW_RUN_CONTEXT: MLflow, "Automatically set tags": a JSON object whose items become tags of each run.
WANDB_TAGS: Weights & Biases, "Environment variables": tags of each run, with commas between them.
"""

import json
from collections.abc import Mapping

MLFLOW = "MLFLOW_RUN_CONTEXT"
WANDB = "WANDB_TAGS"

TAG_DIGITS = 12
"""Hexadecimal digits of the target digest that make the tag: 48 bits."""

MOST_WANDB_TAG = 64
"""Characters of one tag; Weights & Biases refuses a run with a longer one."""


def tracker_variables(projection: Mapping[str, object], digest: str) -> dict[str, str]:
    """Return the variables of the image of a target, by name.

    ``projection`` is the target's (:func:`envbuild.lock.identity.project_target`), ``digest`` its
    ``sha256:…``.  Empty where nothing is to be recorded.  A variable that the environment of the target has
    already is left alone.
    """
    if projection.get("record") is False:
        return {}
    name = str(projection["name"])
    tag = digest[len("sha256:") :][:TAG_DIGITS]
    context = {
        "envbuild.name": name,
        "envbuild.platform": projection["platform"],
        "envbuild.tag": tag,
        "envbuild.target": digest,
        "envbuild.variant": projection["variant"],
    }
    variables = {
        MLFLOW: json.dumps(context, sort_keys=True, separators=(",", ":")),
        WANDB: ",".join(["envbuild", name[:MOST_WANDB_TAG], f"envbuild-{tag}"]),
    }
    env = projection["env"]
    return {key: value for key, value in variables.items() if not isinstance(env, Mapping) or key not in env}


def includes(name: str, expected: str, found: str) -> bool:
    """Return whether ``found`` says all that ``expected`` says: programs and people add to them."""
    if name == WANDB:
        return set(expected.split(",")) <= {tag.strip() for tag in found.split(",")}
    try:
        present = json.loads(found)
    except (ValueError, RecursionError):
        return False
    wanted = json.loads(expected)
    return isinstance(present, dict) and all(present.get(key) == value for key, value in wanted.items())
