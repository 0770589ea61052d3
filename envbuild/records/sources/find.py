"""A run by its source: the tracker, and what it calls the run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from envbuild.errors import RecordError, UsageError
from envbuild.records.found import FoundRun
from envbuild.records.redaction import redacted_text

FORMS: Final = ("mlflow:RUN_ID", "wandb:FOLDER", "tensorboard:FOLDER", "dvc:REVISION")


def find_run(source: str, environment: Mapping[str, str], folder: Path) -> FoundRun:
    """Return the run that ``source`` names; relative paths are those of ``folder``.

    :raises UsageError: it has none of the forms of :data:`FORMS`.
    :raises NetworkError: the tracker is out of reach, refuses, or has no such run.
    :raises RecordError: the run has no record, or one that cannot be used.
    """
    tracker, _, name = source.partition(":")
    found = None
    if name and "\0" not in name:
        try:
            found = _find(tracker, name, environment, folder)
        except OSError as error:
            # such as a name that is too long, or a folder that others may not enter
            reason = (error.strerror or str(error)).lower()
            raise RecordError(f"{redacted_text(source)} cannot be read: {reason}") from error
    if found is None:
        # somebody may have mistyped an address with a password
        raise UsageError(f"`{redacted_text(source)}` names no recorded run", hint=", ".join(FORMS))
    return found


def _find(tracker: str, name: str, environment: Mapping[str, str], folder: Path) -> FoundRun | None:
    if tracker == "mlflow":
        from envbuild.records.sources.mlflow import find_mlflow  # noqa: PLC0415 - one alone is needed

        return find_mlflow(name, environment, folder)
    if tracker == "wandb":
        from envbuild.records.sources.wandb import find_wandb  # noqa: PLC0415 - one alone is needed

        return find_wandb(name, folder)
    if tracker == "tensorboard":
        from envbuild.records.sources.tensorboard import find_tensorboard  # noqa: PLC0415 - one alone is needed

        return find_tensorboard(name, folder)
    if tracker == "dvc":
        from envbuild.records.sources.dvc import find_dvc  # noqa: PLC0415 - one alone is needed

        return find_dvc(name, environment, folder)
    return None
