"""Plain uv as a peer: what `uv pip compile` says when packages may be built from source."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.utils import canonicalize_name

PLATFORM = "x86_64-manylinux_2_36"
"""Debian bookworm's, which locks are judged on."""

BOOKWORM_PYTHON = "3.11.2"
"""Debian bookworm's; a bound on a patch release counts as it does in the image."""

_PIN = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainUvAnswer:
    """What uv found."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Normalised name → version; empty: no solution, or nothing was asked."""

    failure: str = ""


def compile_with_uv(
    requirements: Iterable[str], constraints: Iterable[str] = (), *, python: str = BOOKWORM_PYTHON
) -> PlainUvAnswer:
    """Resolve with the machine's index.  Metadata of sources is made by uv, on this machine.

    Requirements are asked in the order a lock has them: where uv must go back, its answer depends on it.
    """
    with tempfile.TemporaryDirectory(prefix="envbuild-plain-uv-") as name:
        folder = Path(name)
        (folder / "requirements.in").write_text("".join(f"{line}\n" for line in sorted(requirements)))
        (folder / "constraints.txt").write_text("".join(f"{line}\n" for line in constraints))
        result = subprocess.run(
            [
                *(Path(sys.executable).with_name("uv"), "pip", "compile", "requirements.in"),
                *("--constraints", "constraints.txt", "--no-config", "--no-header", "--no-annotate"),
                *("--python", sys.executable, "--python-version", python, "--python-platform", PLATFORM),
            ],
            cwd=folder,
            env={**os.environ, "UV_PYTHON_DOWNLOADS": "never"},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    if result.returncode != 0:
        return PlainUvAnswer(failure=" ".join(result.stderr.split()[:60]))
    pins = filter(None, map(_PIN.match, result.stdout.splitlines()))
    return PlainUvAnswer(versions={canonicalize_name(pin["name"]): pin["version"] for pin in pins})
