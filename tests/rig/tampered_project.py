"""A locked and built environment whose images are tampered with, and what a verification says of one."""

import re
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from envbuild.image.engine import ContainerOutcome, RunRequest
from envbuild.image.local.engine import LocalEngine
from envbuild.visible import visible
from envbuild.workflows.engines import EngineName
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, open_project
from envbuild.workflows.verify import VerifyOptions, VerifyResult, verify_image
from tests.rig.good_image import GoodImage
from tests.rig.running import envbuild
from tests.rig.tampering import Tampering

# ping has a capability; numpy has libraries, bytecode and a script
SPEC = """\
name = "{name}"
python = "3.11"
platforms = ["linux/amd64"]
[base]
{base}
[system]
packages = ["libgomp1", "iputils-ping"]
[pip]
packages = ["six==1.17.0", "numpy"]
[build]
engine = "local"
"""

MEMORY = 3 << 30
"""Bytes that a verification may take beyond what the tests have: an answer without end needs more."""


@dataclass(frozen=True, kw_only=True)
class TamperedProject:
    """A project, the image that its lock says, and where the local engine keeps images."""

    project: Project
    machine: Machine
    good: GoodImage

    @property
    def cache(self) -> Path:
        return self.machine.cache

    def verify(self, image: str | None, *, engine: EngineName = "local", seconds: int = 60) -> VerifyResult:
        """Verify an image deeply; one that keeps the verifier for too long fails the test."""
        options = VerifyOptions(image=image, deep=True, engine=engine)
        with bounded(seconds):
            return verify_image(self.project, options, machine=self.machine)


PACKAGES_BASE = 'packages = "debian:bookworm"'


def make_project(
    folder: Path, name: str, environment: dict[str, str], *, base: str = PACKAGES_BASE
) -> TamperedProject:
    """Lock, build and verify; the answers of the image are kept, to be given by others."""
    (folder / "envbuild.toml").write_text(SPEC.format(name=name, base=base))
    layout = folder / "good"
    envbuild("lock", folder=folder, environment=environment)
    envbuild("build", "--output", f"oci:{layout}", folder=folder, environment=environment)
    project, machine = open_project(folder), Machine(environment=environment)
    with recorded_answers() as answers:
        found = verify_image(project, VerifyOptions(deep=True), machine=machine)
    assert found.succeeded, failures(found)
    return TamperedProject(project=project, machine=machine, good=GoodImage(layout, answers=answers))


@contextmanager
def recorded_answers() -> Iterator[dict[str, bytes]]:
    """Keep what probes answer to the local engine, by their arguments."""
    answers: dict[str, bytes] = {}
    run = LocalEngine.run

    def recording(self: LocalEngine, request: RunRequest) -> ContainerOutcome:
        outcome = run(self, request)
        if "facts" in request.command:
            answers[" ".join(request.command[request.command.index("facts") :])] = outcome.stdout
        return outcome

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalEngine, "run", recording)
        yield answers


@contextmanager
def bounded(seconds: int) -> Iterator[None]:
    """Let what runs inside take so long, and no more memory than is reasonable."""

    def too_long(_: int, __: Any) -> None:
        pytest.fail(f"it took more than {seconds} s", pytrace=False)

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = signal.signal(signal.SIGALRM, too_long)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, hard))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def names(tampering: Tampering, result: VerifyResult) -> bool:
    """Return whether a difference says what was changed, wherever it says it."""
    return any(
        is_named(tampering, text)
        for item in result.report.with_outcome("failed")
        for text in (item.id, item.title, item.found, item.reason)
    )


def is_named(tampering: Tampering, text: str | None) -> bool:
    """Return whether a text, as a person sees it, says what was changed."""
    named = tampering.named
    pattern = named if isinstance(named, re.Pattern) else re.compile(re.escape(named))
    return pattern.search(visible(text or "")) is not None


def failures(result: VerifyResult) -> list[str]:
    """Return every difference on one line, for a person who looks at a failed test."""
    return [f"{item.id}: {item.difference}" for item in result.report.with_outcome("failed")]


def uncovered(result: VerifyResult) -> int:
    """Return how many paths of the image nothing was compared with."""
    assert result.report.coverage is not None
    return result.report.coverage.uncovered
