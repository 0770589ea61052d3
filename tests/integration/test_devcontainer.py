"""A dev container with the real dev container CLI: image by digest, pinned features, editable packages."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from envbuild.formats import jsonc
from tests.rig.archive import make_deb
from tests.rig.devcontainers import SCHEMA, DevContainers, make_feature
from tests.rig.engine import docker, forget_at_the_end
from tests.rig.paths import CHECKOUT

pytestmark = [
    pytest.mark.engine,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.xdist_group("devcontainer"),
]

NAME = f"devcontainer-{os.getpid()}"
CONFIGURATION = Path(".devcontainer/devcontainer.json")
LOCK = Path(".devcontainer/devcontainer-lock.json")
SIX = "/opt/venv/lib/python3.11/site-packages/six.py"


def envbuild(*arguments, folder, check=True):
    done = subprocess.run(
        [sys.executable, "-m", "envbuild", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if check and done.returncode != 0:
        pytest.fail(f"envbuild {' '.join(arguments)} exited {done.returncode}\n{done.stderr}")
    return done


def configuration(folder):
    return jsonc.parse((folder / CONFIGURATION).read_text()).value


@pytest.fixture(scope="module")
def cli(tmp_path_factory, engine_host):
    """Return the CLI on this engine; the program it may call by name is the checkout's."""
    programs = tmp_path_factory.mktemp("programs")
    program = programs / "envbuild"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={CHECKOUT} exec {sys.executable} -m envbuild "$@"\n')
    program.chmod(0o755)
    # its client cannot be sent to the loopback interface through a proxy
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return DevContainers({"PATH": path, "DOCKER_HOST": engine_host, "NO_PROXY": "localhost,127.0.0.1"})


@pytest.fixture(scope="module")
def features(cli, registry, tmp_path_factory):
    """Publish `greeter`, which adds a Debian package, and `words`, which it needs; return their namespace."""
    folder = tmp_path_factory.mktemp("features")
    # the CLI speaks plain HTTP to this name only
    namespace = f"localhost:{registry.host.rpartition(':')[2]}/team/features"
    make_feature(folder, "words", "1.0.3", install="echo hello >/usr/local/share/words")
    make_feature(
        folder,
        "greeter",
        "1.2.0",
        install='dpkg --install greeting.deb\necho "$LOUD" >/usr/local/share/loud',
        options={"loud": {"type": "boolean", "default": False}},
        depends_on=[f"{namespace}/words:1"],
    )
    deb = make_deb(folder, "greeting", "1.0", files={"usr/share/greeting": "hello\n"})
    deb.rename(folder / "greeter/greeting.deb")
    cli.publish(namespace.partition("/")[0], "team/features", folder)
    return namespace


@pytest.fixture(scope="module")
def project(tmp_path_factory, features, registry, debian_image, engine_host):
    """Return a project that is locked, built and pushed, and has its dev container."""
    folder = tmp_path_factory.mktemp(NAME)
    # root has no uid to give to the container's user, who therefore is a stranger here
    folder.chmod(0o755)
    (folder / "envbuild.toml").write_text(
        f"""\
name = "{NAME}"
python = "3.11"
[base]
image = "{debian_image.reference}"
[pip]
packages = ["six"]
[image]
repository = "{registry.host}/team/{NAME}"
[devcontainer]
editable = true
[devcontainer.features]
"{features}/greeter:1" = {{ loud = true }}
[variants.local.devcontainer]
editable = false
"""
    )
    envbuild("lock", folder=folder)
    reference = json.loads(envbuild("build", "--push", "--json", folder=folder).stdout)["reference"]
    envbuild("devcontainer", folder=folder)
    forget_at_the_end(reference)
    return folder


@pytest.fixture(scope="module")
def running(cli, project):
    """Bring the dev container up; return what the CLI said of that, its log with it."""
    up = cli("up", "--workspace-folder", ".", "--omit-syntax-directive", "--frozen-lockfile", folder=project)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        yield json.loads(up.stdout) | {"log": up.stderr}
    finally:
        remove_containers(project)


def remove_containers(project):
    """Remove what the CLI made of a project: it never does so itself."""
    of_project = f"--filter=label=devcontainer.local_folder={project}"
    for container in docker("ps", "--all", "--quiet", of_project).stdout.decode().split():
        docker("rm", "--force", "--volumes", container)
    images = docker("images", "--format={{.Repository}}", f"--filter=reference=vsc-{project.name}-*")
    forget_at_the_end(*images.stdout.decode().split())
    docker("volume", "rm", "--force", f"{NAME}-cache")


@pytest.fixture(scope="module")
def inside(cli, project, running):
    """Return what runs a command in the dev container, as its user."""

    def execute(*command):
        return cli("exec", "--workspace-folder", ".", *command, folder=project)

    return execute


def test_the_configuration_is_what_the_schema_and_the_cli_read(cli, project, registry):
    value = configuration(project)
    jsonschema.Draft201909Validator(SCHEMA).validate(value)
    read = json.loads(cli("read-configuration", "--workspace-folder", ".", folder=project).stdout)
    assert read["configuration"]["remoteUser"] == "app"
    assert read["workspace"]["workspaceFolder"] == "/workspace"
    dockerfile = (project / ".devcontainer/Dockerfile").read_text()
    assert f"FROM {registry.host}/team/{NAME}@sha256:" in dockerfile


def test_each_variant_has_its_folder(project):
    value = jsonc.parse((project / ".devcontainer/local/devcontainer.json").read_text()).value
    jsonschema.Draft201909Validator(SCHEMA).validate(value)
    assert value["name"] == f"{NAME} (local)"
    assert value["initializeCommand"] == {
        "envbuild": ["envbuild", "build", "--engine=docker", "--variant=local"]
    }


def test_features_and_what_they_need_are_pinned(project, features):
    locked = json.loads((project / LOCK).read_text())["features"]
    assert list(locked) == [f"{features}/greeter:1", f"{features}/words:1"]
    greeter = locked[f"{features}/greeter:1"]
    assert greeter["version"] == "1.2.0"
    assert greeter["resolved"] == f"{features}/greeter@{greeter['integrity']}"
    assert greeter["dependsOn"] == [f"{features}/words:1"]


def test_the_cli_builds_with_the_lockfile_as_it_is(cli, project, running):
    before = (project / LOCK).read_bytes()
    built = cli(
        "build", "--workspace-folder", ".", "--omit-syntax-directive", "--frozen-lockfile",
        "--image-name", f"{NAME}:dev", folder=project,
    )  # fmt: skip
    forget_at_the_end(f"{NAME}:dev")
    assert built.returncode == 0, built.stderr
    assert (project / LOCK).read_bytes() == before


def test_the_probe_of_the_image_runs_when_the_container_is_made(running):
    assert running["outcome"] == "success"
    assert "warned   greeting → 1.0" in running["log"]
    assert "failed" not in running["log"].partition("profile devcontainer")[2]


def test_commands_run_as_the_locked_user_in_the_workspace(inside, project):
    (project / "there.txt").write_text("mine\n")
    shown = inside(
        "sh", "-c", "id -un; pwd; cat there.txt /usr/local/share/loud; touch ~/.cache/kept && echo kept"
    )
    assert shown.stdout.splitlines() == ["app", "/workspace", "mine", "true", "kept"], shown.stderr


def test_an_edited_package_is_what_runs(inside):
    ask = ("python", "-c", "import six; print(six.__version__)")
    assert inside(*ask).stdout != "edited\n"
    assert inside("sh", "-c", f"echo '__version__ = \"edited\"' >>{SIX}").returncode == 0
    assert inside(*ask).stdout == "edited\n"


def test_a_container_that_was_changed_is_named(inside, project):
    probe = configuration(project)["postCreateCommand"]["envbuild"]
    assert inside(*probe).returncode == 0
    other = inside(*probe[:-1], f"--target=sha256:{'0' * 64}")
    assert other.returncode == 8
    assert "this container was made from another lock" in other.stdout + other.stderr
    metadata = "/opt/venv/lib/python3.11/site-packages/six-*.dist-info/METADATA"
    inside("sh", "-c", f"sed -i 's/^Version: .*/Version: 0.1/' {metadata}")
    changed = inside(*probe)
    assert changed.returncode == 8
    assert re.search(r"^failed   six [0-9.]+ → 0\.1$", changed.stdout, re.MULTILINE)


def test_a_second_time_there_is_nothing_to_do_and_a_check_asks_nobody(project, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in sorted((project / ".devcontainer").rglob("*"))}
    assert "nothing to do" in envbuild("devcontainer", folder=project).stderr
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    envbuild("devcontainer", "--check", folder=project)
    assert {path: path.stat().st_mtime_ns for path in before} == before
