"""Interpreters, and the Python environment an image is made for."""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from envbuild.verify.checks.facts import EnvironmentFacts, InterpreterFacts
from envbuild.verify.probe.isolated import Answer, ask
from envbuild.verify.probe.roots import place, read_text, real_path

_QUESTION = """
import sys
reply([sys.implementation.name, sys.version.split()[0], sys.version, sys.path])
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
    answer: Any = None
    reason = None
    if executable is None:
        reason = f"{program} does not exist"
    elif root != Path("/"):
        answer = ("cpython", (settings or {}).get("version", ""), "", [])
    else:
        try:
            asked = ask(program, _QUESTION, seconds=_PATIENCE)
        except OSError as error:
            asked = Answer(problem=error.strerror)
        answer = asked.value
        reason = f"{program} cannot be started: {asked.problem}" if asked.problem else None
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


def _settings(path: Path) -> dict[str, str] | None:
    """Read ``pyvenv.cfg`` as the interpreter does (PEP 405)."""
    text = read_text(path)
    if text is None:
        return None
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}
