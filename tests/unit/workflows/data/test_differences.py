import subprocess
from pathlib import Path

import pytest

from envbuild.errors import EnvbuildError, IntegrityError, UsageError
from envbuild.workflows.data.differences import diff_data
from envbuild.workflows.data.locking import lock_data
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from tests.rig.data_project import ask_for, write_files


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def committed(project: Project, machine: Machine) -> Project:
    """Return the project with its data locked and committed."""
    lock_data(project, machine=machine)
    git(project.folder, "init", "--quiet")
    git(project.folder, "add", "envbuild.lock", "envbuild.data", "envbuild.toml")
    git(project.folder, "commit", "--quiet", "-m", "one")
    return Project(project.spec)


def test_nothing_changed(committed: Project, machine: Machine) -> None:
    assert not diff_data(committed, machine=machine).differs
    assert not diff_data(committed, "HEAD", machine=machine).differs


def test_what_is_here_differs_from_the_lock(committed: Project, machine: Machine) -> None:
    write_files(committed.folder / "data/images", {"a.png": b"First", "c.png": b"third"})
    (committed.folder / "model.bin").unlink()

    document = diff_data(committed, machine=machine).document()

    images, model = document["changes"]
    assert (document["old"], document["new"]) == ("the lock", "this machine")
    assert [(item["path"], item["kind"]) for item in images["files"]] == [
        ("a.png", "changed"),
        ("c.png", "added"),
    ]
    assert (model["change"], model["new"]) == ("removed", None)
    assert [item.name for item in diff_data(committed, None, ["model"], machine=machine).changes] == ["model"]


def test_the_lock_differs_from_that_of_a_revision(committed: Project, machine: Machine) -> None:
    write_files(committed.folder / "data/images", {"a.png": b"First"})
    write_files(committed.folder, {"data/more/x": b"x"})
    now = ask_for(committed, 'name = "images"\nversion = "v2"', 'name = "more"')
    lock_data(now, machine=machine)

    result = diff_data(Project(now.spec), "HEAD", machine=machine)

    images, model, more = result.changes
    assert (images.change, model.change, more.change) == ("changed", "removed", "added")
    assert images.facts == (("version", None, "v2"),)
    assert [item.path for item in images.files] == ["a.png"]
    assert (result.old, result.new) == ("HEAD", "the lock")


@pytest.mark.parametrize("revision", ["v9", "--help", "HEAD:envbuild.lock", ""])
def test_what_is_no_revision_is_refused(committed: Project, machine: Machine, revision: str) -> None:
    with pytest.raises(UsageError, match="no revision"):
        diff_data(committed, revision, machine=machine)


def test_a_revision_whose_manifest_is_missing_or_another_is_refused(
    committed: Project, machine: Machine
) -> None:
    manifest = committed.folder / "envbuild.data/images.sha256"
    text = manifest.read_text()
    manifest.write_text(text.replace("a.png", "b.png"))
    git(committed.folder, "commit", "--quiet", "-am", "two")
    git(committed.folder, "rm", "--quiet", "--cached", "envbuild.data/images.sha256")
    git(committed.folder, "commit", "--quiet", "-m", "three")
    write_files(committed.folder / "data/images", {"a.png": b"First"})
    lock_data(Project(committed.spec), machine=machine)

    with pytest.raises(IntegrityError, match="HEAD~1 is not what its lock says"):
        diff_data(committed, "HEAD~1", machine=machine)
    with pytest.raises(EnvbuildError, match=r"HEAD has no envbuild\.data/images\.sha256"):
        diff_data(committed, "HEAD", machine=machine)
    assert [change.name for change in diff_data(committed, "HEAD~2", machine=machine).changes] == ["images"]
