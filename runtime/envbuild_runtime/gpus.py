"""GPUs and their driver: asked of NVML, else read below /proc, else taken from the record.

A driver that hangs must not hang a run: whoever asks it is waited for no longer than `PATIENCE`, and it is
asked once a process.
"""

from __future__ import annotations

import os
import re
from typing import Any, Callable

from envbuild_runtime.guard import within

PATIENCE = 3.0
"""Seconds for NVML; it takes some tenths, and more where no other program has the driver loaded."""

REAPED = 0.5
"""Seconds more for the process that asked to be gone; one that waits for the driver cannot be ended."""

QUICK_PATIENCE = 0.2
"""Seconds for files below /proc."""

NVML_LIBRARY = "libnvidia-ml.so.1"
DRIVER_FOLDER = "/proc/driver/nvidia"
MOST_GPUS = 64
LARGEST_ANSWER = 64 * 1024

_VERSION = re.compile(r"Kernel Module\s+(?:for \S+\s+)?(?P<version>[0-9]+(?:\.[0-9]+)+)")
_known: dict[str, dict[str, Any]] = {}


def gpus(record: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return ``gpus`` (name, bytes of memory, compute capability), ``driver``, ``gpus-from``; or nothing."""
    for source, ask, patience in (
        ("nvml", ask_nvml, PATIENCE + REAPED),
        ("proc", read_driver, QUICK_PATIENCE),
    ):
        found = _once(source, ask, patience)
        if found.get("gpus") or found.get("driver"):
            return {**found, "gpus-from": source}
    return from_record(record)


def quick_gpus(record: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the same without NVML: what the record says, else what is below /proc."""
    found = from_record(record)
    return found or _once("proc", read_driver, QUICK_PATIENCE)


def from_record(record: dict[str, Any] | None) -> dict[str, Any]:
    """Return what the machine outside said."""
    record = record or {}
    names = record.get("gpus")
    driver = record.get("driver")
    found: dict[str, Any] = {}
    if isinstance(names, list) and names:
        found["gpus"] = [{"name": str(name)} for name in names[:MOST_GPUS]]
    if isinstance(driver, str) and driver:
        found["driver"] = driver
    return {**found, "gpus-from": "record"} if found else {}


def read_driver() -> dict[str, Any]:
    """Return what the kernel's module says below /proc.  :raises OSError: when there is none."""
    found: dict[str, Any] = {}
    with open(os.path.join(DRIVER_FOLDER, "version"), encoding="utf-8", errors="replace") as stream:
        version = _VERSION.search(stream.read(4096))
    if version:
        found["driver"] = version.group("version")
    cards = os.path.join(DRIVER_FOLDER, "gpus")
    names = []
    for card in sorted(os.listdir(cards))[:MOST_GPUS] if os.path.isdir(cards) else []:
        with open(os.path.join(cards, card, "information"), encoding="utf-8", errors="replace") as stream:
            for line in stream.read(4096).splitlines():
                field, _, value = line.partition(":")
                if field.strip() == "Model":
                    names.append({"name": value.strip()})
    if names:
        found["gpus"] = names
    return found


def ask_nvml() -> dict[str, Any]:
    """Return what NVML says, in a process of its own: a library that crashes or hangs there ends only that.

    :raises Exception: when there is no NVML, or it refuses, crashes or hangs.
    """
    import json
    import subprocess
    import sys

    from envbuild_runtime import nvml

    # its folder is in no path of that process: modules there have names of other packages
    command = [sys.executable, "-I", "-S", nvml.__file__, NVML_LIBRARY]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=PATIENCE,
        check=True,
    )
    found = json.loads(done.stdout[:LARGEST_ANSWER])
    if not isinstance(found, dict):
        raise ValueError("no answer")  # noqa: TRY004 - of a program, not of an argument
    return found


def _once(source: str, ask: Callable[[], dict[str, Any]], patience: float) -> dict[str, Any]:
    """Return the answer of the first call; nothing if it failed or took too long."""
    if source not in _known:
        try:
            _known[source] = within(patience, ask)
        except Exception:
            # a machine without a GPU is no reason for a warning
            _known[source] = {}
    return _known[source]
