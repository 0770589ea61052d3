"""Data with real servers and programs: S3 by rclone, DVC by itself."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from envbuild.data.dvc import cached_files, read_output
from envbuild.errors import EnvbuildError, IntegrityError, NetworkError, NotFoundError, ToolMissingError
from envbuild.workflows.data.fetching import fetch_data
from envbuild.workflows.data.locking import lock_data
from envbuild.workflows.data.verifying import verify_data
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, read_project_lock
from tests.rig.data_project import data_project, write_files
from tests.rig.paths import CHECKOUT
from tests.rig.s3 import S3Server, s3_server

FILES = {"a.bin": bytes(range(256)) * 20_000, "deep/b c.txt": "é".encode(), "deep/empty": b""}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Return a machine with an empty cache and home."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path / "home"),
        "ENVBUILD_CACHE_DIR": str(tmp_path / "cache"),
    }
    return Machine(environment=environment)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """Yield a store with one bucket; boto3 finds it in the environment of this process."""
    write_files(tmp_path / "buckets/models", {f"images/{path}": content for path, content in FILES.items()})
    write_files(tmp_path / "buckets/models", {"weights.bin": b"weights"})
    with s3_server(tmp_path / "buckets") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_prefix_of_a_bucket_is_locked_and_fetched(
    store: S3Server, tmp_path: Path, machine: Machine
) -> None:
    project = data_project(tmp_path / "train", 'name = "images"\ns3 = "s3://models/images"')

    lock_data(project, machine=machine)
    (locked,) = read_project_lock(project).data
    fetch_data(project, machine=machine)

    assert (locked.kind, locked.source, locked.files) == ("s3", "s3://models/images", 3)
    assert contents(project.folder / "data/images") == FILES
    assert verify_data(project, machine=machine).succeeded
    assert "secret-of-the-store" not in project.lock.read_text()


def test_one_object_is_locked_and_fetched(store: S3Server, tmp_path: Path, machine: Machine) -> None:
    project = data_project(tmp_path / "train", 'name = "w"\ns3 = "s3://models/weights.bin"\npath = "w.bin"')

    lock_data(project, machine=machine)
    (project.folder / ".w.bin.partial").rename(tmp_path / "elsewhere")
    fetch_data(project, machine=machine)

    assert (project.folder / "w.bin").read_bytes() == b"weights"


def test_an_object_that_was_replaced_is_refused(store: S3Server, tmp_path: Path, machine: Machine) -> None:
    project = data_project(tmp_path / "train", 'name = "w"\ns3 = "s3://models/weights.bin"\npath = "w.bin"')
    lock_data(project, machine=machine)
    (project.folder / ".w.bin.partial").rename(tmp_path / "elsewhere")
    (store.folder / "models/weights.bin").write_bytes(b"WEIGHTS")

    with pytest.raises(IntegrityError, match="not the locked file"):
        fetch_data(project, machine=machine)
    assert not (project.folder / "w.bin").exists()


@pytest.mark.parametrize("uri", ["s3://models/none", "s3://nobody/none", "s3://models/images/a"])
def test_what_is_not_in_the_store_is_said_so(
    store: S3Server, tmp_path: Path, machine: Machine, uri: str
) -> None:
    project = data_project(tmp_path / "train", f'name = "x"\ns3 = "{uri}"')

    with pytest.raises((NotFoundError, IntegrityError), match=uri):
        lock_data(project, machine=machine)


def test_refused_credentials_are_said_so_and_not_shown(
    store: S3Server, tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    project = data_project(tmp_path / "train", 'name = "images"\ns3 = "s3://models/images"')

    with pytest.raises(NetworkError, match="cannot be read") as caught:
        lock_data(project, machine=machine)
    assert "wrong-secret" not in f"{caught.value} {caught.value.hint} {caught.value.detail}"


def test_without_boto3_the_error_says_what_to_install(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3.session", None)
    project = data_project(tmp_path / "train", 'name = "images"\ns3 = "s3://models/images"')

    with pytest.raises(ToolMissingError, match="boto3") as caught:
        lock_data(project, machine=machine)
    assert caught.value.hint is not None
    assert "envbuild[s3]" in caught.value.hint


def dvc(project: Project, machine: Machine, *words: str) -> None:
    """Run DVC in a project."""
    subprocess.run(
        ["dvc", *words], cwd=project.folder, env=dict(machine.environment), check=True, capture_output=True
    )


@pytest.fixture
def dvc_machine(machine: Machine) -> Machine:
    """Return a machine with the real DVC on its path."""
    python = subprocess.run(
        [CHECKOUT / "scripts/trackers"], check=True, capture_output=True, text=True
    ).stdout.strip()
    path = f"{Path(python).parent}:/usr/bin:/bin"
    site = {"DVC_SITE_CACHE_DIR": f"{machine.environment['HOME']}/site", "DVC_NO_ANALYTICS": "1"}
    return replace(machine, environment={**machine.environment, **site, "PATH": path})


@pytest.mark.long
def test_what_dvc_keeps_is_locked_fetched_and_verified(tmp_path: Path, dvc_machine: Machine) -> None:
    machine = dvc_machine
    project = data_project(tmp_path / "train", 'name = "images"\ndvc = "data/images.dvc"')
    data = write_files(project.folder / "data/images", FILES)
    for words in (
        ("init", "--no-scm"),
        ("add", "data/images"),
        ("remote", "add", "-d", "there", str(tmp_path / "remote")),
        ("push",),
    ):
        dvc(project, machine, *words)

    lock_data(project, machine=machine)
    (locked,) = read_project_lock(project).data
    assert locked.md5 is not None
    assert locked.md5.endswith(".dir")
    assert locked.md5 in (project.folder / "data/images.dvc").read_text()

    # in DVC's cache alone
    subprocess.run(["rm", "-r", data], check=True)
    assert not lock_data(project, machine=machine).written
    fetch_data(project, machine=replace(machine, offline=True))
    assert contents(data) == FILES

    # in the remote alone
    subprocess.run(["rm", "-r", data, project.folder / ".dvc/cache"], check=True)
    with pytest.raises(EnvbuildError, match="is not here"):
        lock_data(project, machine=machine)
    fetch_data(project, machine=machine)
    assert contents(data) == FILES
    assert verify_data(project, machine=machine).succeeded

    # changed, and DVC was not told
    (data / "a.bin").chmod(0o644)
    (data / "a.bin").write_bytes(b"changed")
    with pytest.raises(IntegrityError, match=r"is not what data/images\.dvc says"):
        lock_data(project, machine=machine)


@pytest.mark.long
def test_outputs_of_stages_are_found_in_dvc_lock(tmp_path: Path, dvc_machine: Machine) -> None:
    machine = dvc_machine
    project = data_project(tmp_path / "train", 'name = "m"\ndvc = "dvc.lock:out/m.txt"\npath = "out/m.txt"')
    dvc(project, machine, "init", "--no-scm")
    command = "mkdir -p out && echo model > out/m.txt"
    dvc(project, machine, "stage", "add", "--run", "-n", "train", "-o", "out/m.txt", command)

    lock_data(project, machine=machine)
    (project.folder / "out/m.txt").unlink()
    fetch_data(project, machine=replace(machine, offline=True))

    assert (project.folder / "out/m.txt").read_text() == "model\n"


@pytest.mark.long
def test_a_listing_of_dvc_that_lies_is_refused(tmp_path: Path, dvc_machine: Machine) -> None:
    project = data_project(tmp_path / "train", 'name = "images"\ndvc = "data/images.dvc"')
    write_files(project.folder / "data/images", FILES)
    dvc(project, dvc_machine, "init", "--no-scm")
    dvc(project, dvc_machine, "add", "data/images")
    output = read_output(project.folder, "data/images.dvc")
    assert {file.path for file in cached_files(output, "images") or ()} == set(FILES)
    (listing,) = (project.folder / ".dvc/cache/files/md5").rglob("*.dir")
    listing.chmod(0o644)
    listing.write_text(json.dumps([{"md5": "a" * 32, "relpath": "../../evil"}]))

    with pytest.raises(EnvbuildError, match="not what its name says"):
        cached_files(output, "images")


def test_ten_thousand_files_are_locked_and_verified(tmp_path: Path, machine: Machine) -> None:
    project = data_project(tmp_path / "train", 'name = "many"')
    for number in range(100):
        (project.folder / f"data/many/{number}").mkdir(parents=True)
        for file in range(100):
            (project.folder / f"data/many/{number}/{file}").write_bytes(b"%d" % file)
    lock_data(project, machine=machine)
    victim = project.folder / "data/many/42/42"
    status = victim.stat()
    victim.write_bytes(b"43")
    # as it was, as far as its owner can say
    os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))

    (many,) = verify_data(project, machine=machine).data

    assert [item.path for item in many.differences] == ["42/42"]
