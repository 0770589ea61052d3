"""Data that `envbuild run` mounts, once it is as it is locked: on both engines."""

import os
from pathlib import Path

import pytest

from envbuild.data.manifest import manifest_of
from envbuild.digest import sha256_bytes
from envbuild.lock.codec import dumps, loads
from envbuild.lock.data import LockedData
from envbuild.spec.request import DataRequest
from tests.rig.data_project import write_files
from tests.rig.shell_project import ShellProject, give_shell_project

pytestmark = [
    pytest.mark.engine,
    pytest.mark.xdist_group("data"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the local engine needs root"),
]

FILES = {"a.txt": b"first", "deep/b.txt": b"second"}


@pytest.fixture(scope="module", params=["docker", "local"])
def project(
    request: pytest.FixtureRequest, engine_host: object, tmp_path_factory: pytest.TempPathFactory
) -> ShellProject:
    """Return a project whose lock has data, which is here."""
    found = give_shell_project(request.param, tmp_path_factory.mktemp("data"))
    lock_files(found.folder, "images", "/data/images")
    return found


@pytest.fixture(autouse=True)
def images(project: ShellProject) -> Path:
    """Lay the data there as it is locked."""
    return write_files(project.folder / "data/images", FILES)


def lock_files(folder: Path, name: str, target: str) -> None:
    """Lock FILES by hand, as the project has no spec."""
    manifest = manifest_of({path: sha256_bytes(content) for path, content in FILES.items()})
    write_files(folder / "envbuild.data", {f"{name}.sha256": manifest.data})
    lock, path = loads((folder / "envbuild.lock").read_text()), f"data/{name}"
    data = LockedData(name=name, path=path, target=target, digest=manifest.digest, size=11, files=2)
    asked = lock.request.model_copy(update={"data": {name: DataRequest(path=path, target=target)}})
    (folder / "envbuild.lock").write_text(dumps(lock.model_copy(update={"request": asked, "data": (data,)})))


def test_a_command_reads_the_data(project: ShellProject) -> None:
    done = project("run", "--", "head", "-c", "99", "/data/images/deep/b.txt")

    assert done.stdout == "second"


def test_a_command_cannot_change_the_data(project: ShellProject, images: Path) -> None:
    done = project("run", "--", "sh", "-c", "echo x > /data/images/a.txt", check=False)

    assert done.returncode != 0
    assert "Read-only file system" in done.stderr
    assert (images / "a.txt").read_bytes() == b"first"


def test_the_record_has_the_digest(project: ShellProject) -> None:
    done = project("run", "--", "sh", "-c", 'echo "$ENVBUILD_RUN"')

    digest = loads((project.folder / "envbuild.lock").read_text()).data[0].digest
    assert f'"data":[{{"digest":"{digest}","name":"images","target":"/data/images"}}]' in done.stdout.replace(
        ": ", ":"
    ).replace(", ", ",")


@pytest.mark.parametrize("command", ["run", "shell"])
def test_changed_data_stops_the_command(project: ShellProject, images: Path, command: str) -> None:
    (images / "a.txt").write_bytes(b"First")

    words = ("--", "true") if command == "run" else ()
    done = project(command, *words, check=False)

    # 8 could be the command's own
    assert done.returncode == 125
    assert f"locked sha256:{sha256_bytes(b'first')}, found sha256:{sha256_bytes(b'First')}" in done.stderr
    assert "data verify" in done.stderr


def test_missing_data_stops_the_command_and_says_what_to_do(project: ShellProject, images: Path) -> None:
    images.rename(images.with_name("elsewhere"))
    try:
        done = project("run", "--", "true", check=False)
    finally:
        images.with_name("elsewhere").rename(images)

    # 8 could be the command's own
    assert done.returncode == 125
    assert "put it there: the lock knows nowhere to fetch it" in done.stderr
    assert "images" in done.stderr


def test_a_mount_of_the_caller_takes_its_place(project: ShellProject, tmp_path: Path, images: Path) -> None:
    write_files(tmp_path / "mine", {"a.txt": b"mine"})
    (images / "a.txt").write_bytes(b"changed")

    mount = f"{tmp_path / 'mine'}:/data/images:ro"
    done = project("run", "--mount", mount, "--", "head", "-c", "99", "/data/images/a.txt")

    assert done.stdout == "mine"
