"""`envbuild verify --here`: the container this runs in, compared with the lock it carries."""

from pathlib import Path

from envbuild import process
from envbuild.errors import UsageError
from envbuild.formats.json_text import parse_json
from envbuild.lock.image_paths import IMAGE_LOCK, IMAGE_PROBE
from envbuild.workflows.machine import Machine


def verify_here(*, profile: str, require_gpu: bool, as_json: bool, machine: Machine | None = None) -> int:
    """Run the probe this container carries with its own interpreter, on this process' streams.

    Return its exit status: 0, or 8 when the container differs from its lock.

    :raises UsageError: this is no container that envbuild built.
    """
    machine = machine or Machine()
    try:
        interpreter = parse_json(Path(IMAGE_LOCK).read_text(encoding="utf-8"))["interpreter"]["path"]
    except (OSError, ValueError, KeyError) as error:
        raise UsageError(
            f"this is no container of envbuild: {IMAGE_LOCK} cannot be read",
            hint="run it inside an image that envbuild built",
        ) from error
    arguments = ["check", f"--profile={profile}"]
    arguments += ["--require-gpu"] if require_gpu else []
    arguments += ["--json"] if as_json else []
    command = [interpreter, "-I", "-S", "-B", IMAGE_PROBE, *arguments]
    return process.run_attached(command, environment=machine.environment)
