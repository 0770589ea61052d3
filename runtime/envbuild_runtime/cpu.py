"""The CPU: model, features, and how many of its logical processors this process may use."""

from __future__ import annotations

import os
from typing import Any

from envbuild_runtime.guard import attempt

CPU_FILE = "/proc/cpuinfo"
FIRST_BYTES = 16 * 1024
"""The first processor's lines; the kernel writes the rest anew each time, slowly where there are many."""

QUOTA_FILE = "/sys/fs/cgroup/cpu.max"
OLD_QUOTA_FILE = "/sys/fs/cgroup/cpu/cpu.cfs_quota_us"
OLD_PERIOD_FILE = "/sys/fs/cgroup/cpu/cpu.cfs_period_us"

_LEVELS = (
    ("x86-64-v2", "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"),
    ("x86-64-v3", "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"),
    ("x86-64-v4", "avx512f avx512bw avx512cd avx512dq avx512vl"),
)
"""Levels of the x86-64 psABI, with the names that Linux gives to what each adds."""


def cpu() -> dict[str, Any]:
    """Return model, level, sorted features, and counts of logical CPUs."""
    fields = attempt(_fields) or {}
    features = sorted(set((fields.get("flags") or fields.get("Features") or "").split()))
    found = {
        "model": model(fields),
        "level": level(features),
        "features": features,
        "logical": os.cpu_count(),
        "usable": attempt(usable),
        "quota": attempt(quota),
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def short_cpu() -> str:
    """Return model and level as one line; empty if neither is known."""
    facts = cpu()
    parts = [facts.get("model", ""), f"({facts['level']})" if "level" in facts else ""]
    return " ".join(part for part in parts if part)


def usable() -> int | None:
    """Return how many logical CPUs this process may run on; None where the system does not say."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else None


def quota() -> float | None:
    """Return how many CPUs' time the container may take; None: no limit, or none that is to be seen."""
    try:
        allowed, period = _text(QUOTA_FILE).split()
    except OSError:
        allowed, period = _text(OLD_QUOTA_FILE).strip(), _text(OLD_PERIOD_FILE).strip()
    if allowed in {"max", "-1"}:
        return None
    return round(int(allowed) / int(period), 2)


def level(features: list[str]) -> str | None:
    """Return the x86-64 level that the features make up; None below v2 and on other machines."""
    reached = None
    for name, wanted in _LEVELS:
        if not set(wanted.split()) <= set(features):
            break
        reached = name
    return reached


def model(fields: dict[str, str]) -> str:
    """Return the model as Linux names it; on Arm its implementer and part, which is all that it says."""
    named = fields.get("model name") or fields.get("cpu") or fields.get("uarch")
    if named:
        return " ".join(named.split())
    if "CPU implementer" in fields:
        return f"implementer {fields['CPU implementer']} part {fields.get('CPU part', '?')}"
    import platform

    return platform.machine()


def _fields() -> dict[str, str]:
    with open(CPU_FILE, "rb", buffering=0) as stream:
        text = stream.read(FIRST_BYTES).decode("utf-8", "replace")
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            # the first processor's; of another kind of core in one machine nothing is said
            fields.setdefault(name.strip(), value.strip())
    return fields


def _text(path: str) -> str:
    with open(path, encoding="ascii") as stream:
        return stream.read(200)
