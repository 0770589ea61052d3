"""Drives the live line as an engine does: ``python -m tests.rig.live_program SCENARIO``.

It goes on from one step to the next when the test says so, over the pipe in STEPS.
"""

import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from envbuild.cli.output import Output
from envbuild.image.docker.buildkit import BuildLog
from envbuild.progress import Progress

RECORDED = Path(__file__).parents[1] / "rig" / "buildkit" / "packages.jsonl"
FILES = {
    "/debs/base": [f"base-{number}.deb" for number in range(90)],
    "/debs/system": [f"system-{number}.deb" for number in range(31)],
    "/wheels/1": ["scipy-1.16.3-cp311-cp311-manylinux_2_27_x86_64.whl"],
    "/wheels/2": ["numpy-2.3.4-cp311-cp311-manylinux_2_27_x86_64.whl"],
    "/wheels/3": ["pandas-2.3.3-cp311-cp311-manylinux_2_27_x86_64.whl"],
    "/wheels/4": ["scikit_learn-1.7.2-cp311-cp311-manylinux_2_27_x86_64.whl"],
    "/wheels/5": ["joblib-1.5.2-py3-none-any.whl", "six-1.17.0-py2.py3-none-any.whl"],
}
LONG = "installing wheels: " + ", ".join(f"package-{number}" for number in range(40))


def wait() -> None:
    """Wait until the test says go on."""
    os.read(int(os.environ["STEPS"]), 1)


def local(activity: Progress) -> None:
    """Report from two threads at once, as the local engine does, and end with a long text and a bar."""

    def report(texts: Sequence[str]) -> Callable[[], None]:
        def calls() -> None:
            for number in range(25):
                activity.on_stage(texts[number % len(texts)])
                activity.on_item("; ".join(texts))
                activity.on_bytes(number * 1_000_000, 25_000_000)

        return calls

    sys.setswitchinterval(1e-6)
    threads = [
        threading.Thread(target=report(texts))
        for texts in (("unpacking Python", "installing 31 system packages"), ("fetching artifacts", LONG))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    activity.on_note("a note [x] of :warning: signs")
    activity.on_stage(LONG)
    activity.on_bytes(12_300_000, 45_600_000)
    wait()
    sys.stderr.write("said by a library\n")
    wait()


def docker(activity: Progress) -> None:
    """Say what BuildKit said of a real build, a message at a time."""
    log = BuildLog(activity.on_stage, files_in=lambda folder: FILES.get(folder, ()))
    for line in RECORDED.read_text().splitlines():
        log.feed(line)
    wait()


def error(activity: Progress) -> None:
    """Fail at work."""
    activity.on_stage(LONG)
    wait()
    raise OSError("no space left")


SCENARIOS = {"local": local, "docker": docker, "error": error}


def main(name: str) -> int:
    """Run a scenario and say how it ended, as the program does."""
    output = Output()
    output.say("the line before")
    try:
        with output.activity() as activity:
            SCENARIOS[name](activity)
    except KeyboardInterrupt:
        output.report(["", "interrupted"])
        return 130
    except OSError as refused:
        output.say(f"error: {refused}")
        return 1
    output.data("done")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
