"""All facts of one run together, and the short ones that trackers show as tags."""

from __future__ import annotations

import json
import sys
from typing import Any

from envbuild_runtime import cpu, gpus, sources, threads
from envbuild_runtime.guard import attempt
from envbuild_runtime.version import __version__

FORMAT = 1
"""Of what `environment` returns; raised when a key changes its meaning."""

LONGEST_TAG = 5000
"""Characters that every MLflow server takes."""

_FROM_RECORD = ("image", "lock", "git", "data")


def environment() -> dict[str, Any]:
    """Return all that is known, as plain JSON values; see `envbuild_runtime.environment`."""
    record = sources.record()
    found: dict[str, Any] = {
        "version": FORMAT,
        "runtime": __version__,
        "target": target(record),
        "cpu": attempt(cpu.cpu),
        "threads": attempt(threads.threads),
        "blas": attempt(threads.blas),
        "switches": attempt(threads.switches),
        "torch": attempt(threads.torch),
        "python": {
            "version": "{}.{}.{}".format(*sys.version_info[:3]),
            "implementation": sys.implementation.name,
            "packages": attempt(threads.packages),
        },
        "run": record,
        **{name: (record or {}).get(name) for name in _FROM_RECORD},
        **(attempt(lambda: gpus.gpus(record)) or {}),
    }
    return {name: value for name, value in found.items() if value not in (None, {}, [])}


def target(record: dict[str, Any] | None) -> dict[str, Any]:
    """Return which target of which lock this is: what the image says, else the record.

    ``recorded`` is there where the record names another target than the image is.
    """
    locked, record = sources.target_lock(), record or {}
    digest = record.get("target")
    names = ("name", "variant", "platform", "format")
    if locked is not None:
        said = {
            name: locked.target[name] for name in names if isinstance(locked.target.get(name), (str, int))
        }
        if isinstance(digest, str) and digest != locked.digest:
            said["recorded"] = digest
        return {"digest": locked.digest, "tag": locked.tag, **said}
    said = {name: record[name] for name in (*names, "tag") if isinstance(record.get(name), (str, int))}
    return {"digest": digest, **said} if isinstance(digest, str) else said


def tags(record: dict[str, Any] | None, known: frozenset[str] = frozenset()) -> dict[str, str]:
    """Return the tags of a run by their names, without those in ``known``; quick, for start-up."""
    found: dict[str, str] = {}
    found.update(_said_tags(record) if TARGET_TAGS - known else {})
    found["envbuild.cpu"] = attempt(cpu.short_cpu) or ""
    found["envbuild.threads"] = attempt(_thread_tag) or ""
    found["envbuild.blas"] = ", ".join(
        f"{library['library']} ({library['file']})" for library in (attempt(threads.mapped_blas) or [])
    )
    cards = attempt(lambda: gpus.quick_gpus(record)) or {}
    found["envbuild.driver"] = str(cards.get("driver", ""))
    found["envbuild.gpus"] = ",".join(card["name"] for card in cards.get("gpus", []))
    return {name: value[:LONGEST_TAG] for name, value in sorted(found.items()) if value and name not in known}


TARGET_TAGS = frozenset(
    {"envbuild.name", "envbuild.platform", "envbuild.tag", "envbuild.target", "envbuild.variant"}
)


def _said_tags(record: dict[str, Any] | None) -> dict[str, str]:
    """Return what MLFLOW_RUN_CONTEXT says where nobody replaced it."""
    of_target = target(record)
    record = record or {}
    found = {
        "envbuild.name": of_target.get("name"),
        "envbuild.platform": of_target.get("platform"),
        "envbuild.tag": of_target.get("tag"),
        "envbuild.target": of_target.get("digest"),
        "envbuild.variant": of_target.get("variant"),
        "envbuild.lock": _part(record, "lock", "sha256"),
        "envbuild.image": _part(record, "image", "reference"),
        "envbuild.image.digest": _part(record, "image", "digest"),
        "envbuild.git.commit": _part(record, "git", "commit"),
        "envbuild.git.remote": _part(record, "git", "remote"),
    }
    dirty = _part(record, "git", "dirty")
    if isinstance(dirty, bool):
        found["envbuild.git.dirty"] = "true" if dirty else "false"
    if record:
        text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        found["envbuild.run"] = text if len(text) <= LONGEST_TAG else None
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _part(record: dict[str, Any], *names: str) -> Any:
    value: Any = record
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _thread_tag() -> str:
    usable = cpu.usable()
    limit = attempt(cpu.quota)
    parts = [f"{usable} CPUs" if usable else "", f"limit {limit:g}" if limit else ""]
    parts += [f"{name}={value}" for name, value in threads.threads().items()]
    return "; ".join(part for part in parts if part)
