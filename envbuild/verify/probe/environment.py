"""Interpreters, and the Python environment an image is made for."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from envbuild.verify.checks.facts import EnvironmentFacts, InterpreterFacts
from envbuild.verify.probe.roots import place, read_text, real_path

_MARK = "envbuild-interpreter:"
# The environment's own interpreter answers, with site and everything it starts, since that is what users get.
_QUESTION = f"""
import json, sys
print({_MARK!r} + json.dumps([sys.implementation.name, sys.version.split()[0], sys.version, sys.path]))
"""
_PATIENCE = 60.0
"""Seconds the environment's interpreter may take to start."""


def interpreter_facts() -> InterpreterFacts:
    """Describe the interpreter that runs this."""
    executable = os.path.realpath(sys.executable or "/proc/self/exe")
    return InterpreterFacts(
        implementation=sys.implementation.name,
        version=sys.version.split()[0],
        build=sys.version,
        executable=executable,
        sha256=file_sha256(Path(executable)),
    )


def environment_facts(prefix: str, root: Path) -> EnvironmentFacts:
    """Describe the environment at ``prefix``: ask its interpreter what it is and where it imports from.

    In another root than ``/`` nothing is started: its version is read from ``pyvenv.cfg``.
    """
    settings = _settings(place(root, f"{prefix}/pyvenv.cfg"))
    program = f"{prefix}/bin/python"
    executable = real_path(root, program)
    answer: tuple[str, str, str, list[str]] | None = None
    reason = None
    if executable is None:
        reason = f"{program} does not exist"
    elif root != Path("/"):
        answer = ("cpython", (settings or {}).get("version", ""), "", [])
    else:
        answer, reason = _ask(program)
    python = None
    if answer is not None and executable is not None:
        implementation, version, build, _ = answer
        python = InterpreterFacts(
            implementation=implementation,
            version=version,
            build=build,
            executable=executable,
            sha256=file_sha256(place(root, executable)),
        )
    return EnvironmentFacts(
        prefix=prefix,
        python=python,
        reason=reason,
        # -c puts an empty entry, the working directory, in front
        sys_path=tuple(entry for entry in answer[3] if entry) if answer else None,
        settings=settings,
    )


def file_sha256(path: Path) -> str | None:
    """Return the sha256 of a file, or None when it cannot be read."""
    state = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                state.update(chunk)
    except OSError:
        return None
    return state.hexdigest()


def _ask(program: str) -> tuple[tuple[str, str, str, list[str]] | None, str | None]:
    try:
        child = subprocess.run(
            [program, "-B", "-c", _QUESTION],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, f"{program} did not start within {_PATIENCE:.0f} seconds"
    except OSError as error:
        return None, f"{program} cannot be started: {error.strerror}"
    for line in child.stdout.splitlines():
        # a .pth file may have printed before
        if line.startswith(_MARK):
            implementation, version, build, path = json.loads(line[len(_MARK) :])
            return (implementation, version, build, path), None
    last = (child.stderr.strip().splitlines() or [f"exit status {child.returncode}"])[-1]
    return None, f"{program} cannot be started: {last}"


def _settings(path: Path) -> dict[str, str] | None:
    """Read ``pyvenv.cfg`` as the interpreter does (PEP 405)."""
    text = read_text(path)
    if text is None:
        return None
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}
