"""This machine, asked with the environment it was given and not with that of the process."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from envbuild.errors import VerificationError
from envbuild.process import ProcessResult
from envbuild.verify import host
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from envbuild.workflows.upkeep.doctor import examine_machine
from envbuild.workflows.verify import VerifyOptions, verify_image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked")


Environments = list[Mapping[str, str]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Environments:
    """Return the environments that probes are started with; none of them answers."""
    found: Environments = []

    def run(words: Sequence[str], *, environment: Mapping[str, str], **_options: Any) -> ProcessResult:
        found.append(environment)
        return ProcessResult(arguments=tuple(words), exit_status=1, stderr_bytes=b"no answer")

    monkeypatch.setattr(host, "process", SimpleNamespace(run=run))
    return found


def test_verification_asks_with_it(
    project: Project, machine: Machine, asked: list[Mapping[str, str]]
) -> None:
    with pytest.raises(VerificationError, match="did not answer"):
        verify_image(project, VerifyOptions(host=True, frozen=True), machine=machine)
    assert asked == [machine.environment]


def test_doctor_asks_with_it(project: Project, machine: Machine, asked: Environments) -> None:
    # where Docker's SDK leaves no socket open that it could not connect
    machine = replace(machine, environment={**machine.environment, "DOCKER_HOST": "tcp://127.0.0.1:9"})
    findings = examine_machine(project.spec, machine=machine).findings
    assert [finding.state for finding in findings if finding.name == "GPUs"] == ["missing"]
    assert asked == [machine.environment]
