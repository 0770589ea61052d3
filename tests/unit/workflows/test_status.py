"""The status of a project, for a program that imports envbuild."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest

from envbuild.errors import NetworkError, UsageError
from envbuild.lock.codec import dumps
from envbuild.oci.reference import ImageReference
from envbuild.remote.registry.client import RegistryClient
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from envbuild.workflows.status import StatusOptions, project_status, statuses_of
from tests.rig.locks import image_base, sample_lock
from tests.rig.loopback_registry import loopback_registry

LOGIN = {"auth": base64.b64encode(b"user:secret").decode()}


@pytest.mark.parametrize(
    ("of_machine", "of_process", "state"),
    [(LOGIN, None, "moved"), (None, LOGIN, "unknown")],
    ids=["the machine has a login", "the process has a login"],
)
def test_registries_are_asked_with_the_credentials_of_the_machine(
    project: Project,
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    of_machine: object,
    of_process: object,
    state: str,
):
    with loopback_registry() as registry:
        registry.login = "Basic"
        registry.put_image("python", "3.11")
        project.lock.write_text(dumps(sample_lock(image_base(f"{registry.host}/python:3.11"))))
        for name, login in (("machine", of_machine), ("process", of_process)):
            (tmp_path / name).mkdir()
            auths = {registry.host: login} if login else {}
            (tmp_path / name / "config.json").write_text(json.dumps({"auths": auths}))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "process"))
        environment = {**machine.environment, "DOCKER_CONFIG": str(tmp_path / "machine")}

        found = project_status(
            project,
            StatusOptions(remote=True, engine="local"),
            machine=replace(machine, environment=environment),
        )

    assert [target.base_state for target in found.targets] == [state]


def test_offline_no_registry_is_asked(project: Project, machine: Machine, monkeypatch: pytest.MonkeyPatch):
    def asked(*_arguments: object, **_options: object) -> None:
        pytest.fail("a registry is asked")

    monkeypatch.setattr(RegistryClient, "digest_of", asked)
    project.lock.write_text(dumps(sample_lock(image_base())))
    options = StatusOptions(remote=True, engine="local")

    with pytest.raises(UsageError, match="--remote asks registries, and --offline asks nobody"):
        project_status(project, options, machine=replace(machine, offline=True))


def test_a_registry_that_does_not_answer_is_asked_once(
    project: Project, machine: Machine, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []

    def no_answer(_registry: RegistryClient, reference: ImageReference) -> None:
        asked.append(str(reference))
        raise NetworkError("no answer")

    monkeypatch.setattr(RegistryClient, "digest_of", no_answer)
    project.lock.write_text(dumps(sample_lock(image_base())))
    options = StatusOptions(remote=True, engine="local")

    found = tuple(statuses_of((project, project), options, machine=machine))

    assert [target.why for status in found for target in status.targets] == ["no answer"] * 2
    assert len(asked) == 1


def test_a_notebook_tells_the_two_states_apart(project: Project, machine: Machine):
    shown = project_status(project, StatusOptions(engine="local"), machine=machine)._repr_html_()

    assert "<th>image state</th>" in shown
    assert "<th>base state</th>" in shown
