"""`envbuild verify --here`: the container this runs in, compared with the lock it carries."""

import os
import stat
from pathlib import Path
from typing import Final

from envbuild import process
from envbuild.errors import UsageError
from envbuild.formats.json_text import parse_json
from envbuild.lock.image_paths import IMAGE_LOCK, IMAGE_PROBE
from envbuild.workflows.machine import Machine

MOST_BYTES: Final = 1 << 26
"""Of a lock that is read: 64 MiB, thousands of times what one has."""


def verify_here(*, profile: str, require_gpu: bool, as_json: bool, machine: Machine | None = None) -> int:
    """Run the probe this container carries with its own interpreter, on this process' streams.

    Return its exit status: 0, or 8 when the container differs from its lock.

    :raises UsageError: this is no container that envbuild built, or its interpreter cannot be started.
    """
    machine = machine or Machine()
    try:
        interpreter = _interpreter(_content(IMAGE_LOCK))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"this is no container of envbuild: {IMAGE_LOCK} cannot be read",
            hint="run it inside an image that envbuild built",
            detail=(error.strerror if isinstance(error, OSError) else None) or str(error),
        ) from error
    arguments = ["check", f"--profile={profile}"]
    arguments += ["--require-gpu"] if require_gpu else []
    arguments += ["--json"] if as_json else []
    command = [interpreter, "-I", "-S", "-B", IMAGE_PROBE, *arguments]
    try:
        if not Path(interpreter).is_file():
            raise FileNotFoundError(0, "there is no such file")
        return process.run_attached(command, environment=machine.environment)
    except (OSError, ValueError, process.ProgramMissingError) as error:
        raise UsageError(
            f"the interpreter of this container cannot be started: {ascii(interpreter)[:200]}",
            hint=f"it is the one that {IMAGE_LOCK} names",
            detail=(error.strerror if isinstance(error, OSError) else None) or str(error),
        ) from error


def _content(path: str) -> bytes:
    """Return the content of a file, which may be anything.

    :raises OSError: it cannot be read.
    :raises ValueError: it is no file, or too large.
    """
    # whoever opens a pipe to read waits for somebody to write; not with this
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no file")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES >> 20} MiB")
    return content


def _interpreter(content: bytes) -> str:
    """Return the path of the interpreter that a lock in an image names.

    :raises ValueError: it is no such lock.
    """
    lock = parse_json(content.decode("utf-8"))
    found = lock.get("interpreter") if isinstance(lock, dict) else None
    path = found.get("path") if isinstance(found, dict) else None
    if not isinstance(path, str) or not path.startswith("/"):
        raise ValueError("it names no interpreter by an absolute path")
    return path
