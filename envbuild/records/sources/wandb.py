"""Runs of Weights & Biases: the folder of a run, as `WANDB_MODE=offline` and online runs leave it."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from envbuild.errors import RecordError
from envbuild.records.found import FoundRun
from envbuild.records.model import LARGEST, RunRecord, read_record, record_of
from envbuild.records.redaction import redacted
from envbuild.records.sources.bounds import (
    is_below,
    nothing_recorded,
    numbers,
    parse_yaml,
    paths,
    read_below,
    read_json_table,
    texts,
)

RUN_FILE: Final = "files/envbuild/run.json"
METADATA: Final = "files/wandb-metadata.json"
SUMMARY: Final = "files/wandb-summary.json"
CONFIGURATION: Final = "files/config.yaml"
HOW: Final = (
    "`envbuild_runtime.wandb.record()` in a run that `envbuild run` started writes one into the run's files"
)
MOST_FILES: Final = 2000


def find_wandb(name: str, folder: Path) -> FoundRun:
    """Return the run of a folder such as ``wandb/latest-run``; without a record, what its metadata tells.

    :raises RecordError: there is no such folder, or the run has no record, or one that cannot be used.
    """
    source, place = f"wandb:{name}", folder / name
    if not (place / "files").is_dir() or not is_below(place, place / "files"):
        raise RecordError(
            f"{name} is no folder of a run of Weights & Biases: it has no folder `files`",
            hint="name one such as wandb/latest-run or wandb/offline-run-…",
        )
    metadata = read_json_table(place, METADATA)
    missing: tuple[str, ...] = ()
    text = read_below(place, RUN_FILE, LARGEST)
    if text is None:
        record, missing = _from_metadata(source, metadata)
    else:
        record = read_record(text, where=source)
    summary = read_json_table(place, SUMMARY)
    return FoundRun(
        source=source,
        record=record,
        place=RUN_FILE if text is not None else METADATA,
        name=place.resolve().name,
        parameters=texts(_configured(read_below(place, CONFIGURATION))),
        metrics=numbers((key, value) for key, value in summary.items() if not key.startswith("_")),
        artifacts=paths(_files(place / "files")),
        attached=lambda path, limit: read_below(place / "files", path, limit),
        missing=missing,
    )


def _from_metadata(source: str, metadata: Mapping[str, Any]) -> tuple[RunRecord, tuple[str, ...]]:
    """Return a record of what Weights & Biases itself wrote down: the image and the command.

    :raises RecordError: it has no image by digest.
    """
    image, program, arguments = (metadata.get(key) for key in ("docker", "codePath", "args"))
    name, at, digest = image.partition("@") if isinstance(image, str) else ("", "", "")
    if not at:
        raise nothing_recorded(source, (RUN_FILE, f"`docker` in {METADATA}"), HOW)
    found: dict[str, Any] = {"version": 1, "image": {"reference": name, "digest": digest}}
    # a name without a registry is one of that engine alone
    if {".", ":"} & set(name.partition("/")[0]) and "/" in name:
        found["image"]["repository"] = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
    words = ["python", program, *(arguments if isinstance(arguments, list) else ())]
    if all(isinstance(word, str) for word in words):
        found["command"], found["redacted"] = redacted([str(word) for word in words])
    git = metadata.get("git")
    if isinstance(git, dict) and isinstance(git.get("commit"), str):
        found["git"] = {"commit": git["commit"]}
    missing = ("the lock", "the variables", "the data", "options of the run")
    return record_of(found, where=source), missing


def _configured(content: bytes | None) -> Iterator[tuple[object, object]]:
    """Yield the configuration of a run: each key has a table with its ``value``."""
    found: object = None
    with contextlib.suppress(ValueError):
        found = parse_yaml(content or b"")
    for key, entry in found.items() if isinstance(found, dict) else ():
        if key not in {"_wandb", "wandb_version", "envbuild"} and isinstance(entry, dict):
            yield key, entry.get("value")


def _files(root: Path) -> Iterator[str]:
    for path, _ in zip(root.rglob("*"), range(MOST_FILES), strict=False):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(root).as_posix()
