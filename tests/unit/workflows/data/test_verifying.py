from pathlib import Path

import pytest

from envbuild.cli.text.verify import as_lines
from envbuild.data.hashing import DataUnsteadyError
from envbuild.digest import sha256_bytes
from envbuild.errors import EnvbuildError, LockStaleError, UsageError, VerificationError
from envbuild.verify.checks.report import Report
from envbuild.verify.junit import render_junit
from envbuild.workflows.data import verifying
from envbuild.workflows.data.checks import data_checks
from envbuild.workflows.data.locking import lock_data
from envbuild.workflows.data.mounts import MissingDataError, data_mounts
from envbuild.workflows.data.verifying import verify_data
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, read_project_lock
from envbuild.workflows.verify import VerifyResult, _with_data
from tests.rig.data_project import ask_for, write_files


@pytest.fixture
def locked(project: Project, machine: Machine) -> Project:
    """Return the project with its data locked."""
    lock_data(project, machine=machine)
    return Project(project.spec)


def change(project: Project) -> None:
    """Change, remove and add a file of `images`."""
    write_files(project.folder / "data/images", {"a.png": b"First", "new.png": b"new"})
    (project.folder / "data/images/deep/b.png").unlink()


def test_data_as_it_was_locked_is_ok(locked: Project, machine: Machine) -> None:
    result = verify_data(locked, machine=machine)

    assert result.succeeded
    assert [(item.name, item.state, item.files) for item in result.data] == [
        ("images", "ok", 2),
        ("model", "ok", 1),
    ]
    assert result.document()["succeeded"] is True


def test_every_file_that_differs_is_named_with_both_digests(locked: Project, machine: Machine) -> None:
    change(locked)

    result = verify_data(locked, ["images"], machine=machine)

    (images,) = result.data
    assert not result.succeeded
    assert images.state == "changed"
    assert [str(item) for item in images.differences] == [
        f"a.png: changed; locked sha256:{sha256_bytes(b'first')}, found sha256:{sha256_bytes(b'First')}",
        f"deep/b.png: missing; locked sha256:{sha256_bytes(b'second')}",
        f"new.png: not in the lock; found sha256:{sha256_bytes(b'new')}",
    ]
    assert [item["kind"] for item in images.document()["differences"]] == ["changed", "missing", "extra"]
    assert images.locked in images.line
    assert images.found is not None
    assert images.found in images.line


def test_of_many_differences_the_first_are_named_and_all_are_counted(
    locked: Project, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "MOST_DIFFERENCES", 3)
    write_files(locked.folder / "data/images", {f"{number}": b"x" for number in range(9)})

    (images,) = verify_data(locked, ["images"], machine=machine).data

    assert len(images.differences) == 3
    assert images.differing == 9


def test_missing_data_and_empty_folders_are_not_ok(locked: Project, machine: Machine) -> None:
    (locked.folder / "model.bin").unlink()
    for path in ("a.png", "deep/b.png"):
        (locked.folder / "data/images" / path).unlink()

    images, model = verify_data(locked, machine=machine).data

    assert (images.state, images.differing) == ("changed", 2)
    assert (model.state, model.found) == ("missing", None)


def test_the_spec_must_ask_for_what_is_locked(locked: Project, machine: Machine) -> None:
    with pytest.raises(LockStaleError, match="does not answer"):
        verify_data(ask_for(locked, 'name = "images"\npath = "other"'), machine=machine)


def test_an_unknown_name_is_refused(locked: Project, machine: Machine) -> None:
    with pytest.raises(UsageError, match="no data `x`"):
        verify_data(locked, ["x"], machine=machine)


def test_data_is_mounted_read_only_and_recorded(locked: Project, machine: Machine) -> None:
    lock = read_project_lock(locked)

    found = data_mounts(locked, lock, machine)

    assert [(mount.target, mount.source, mount.read_only) for mount in found.mounts] == [
        ("/data/images", locked.folder / "data/images", True),
        ("/data/model", locked.folder / "model.bin", True),
    ]
    assert found.record == [
        {"name": data.name, "digest": data.digest, "target": data.target} for data in lock.data
    ]
    assert found.recorded(lock) == lock


def test_what_the_caller_mounts_takes_the_place_of_data(locked: Project, machine: Machine) -> None:
    (locked.folder / "model.bin").write_bytes(b"changed")

    found = data_mounts(locked, read_project_lock(locked), machine, taken=["/data/model", "/workspace"])

    assert [mount.target for mount in found.mounts] == ["/data/images"]
    assert [item["name"] for item in found.record] == ["images"]


def test_changed_data_is_not_mounted(locked: Project, machine: Machine) -> None:
    change(locked)
    (locked.folder / "model.bin").unlink()

    with pytest.raises(VerificationError, match="not as it is locked: images") as caught:
        data_mounts(locked, read_project_lock(locked), machine)

    told = "\n".join(map(str, caught.value.problems))
    assert f"a.png: changed; locked sha256:{sha256_bytes(b'first')}" in told
    assert sha256_bytes(b"First") in told


def test_missing_data_is_fetched_first(locked: Project, machine: Machine) -> None:
    (locked.folder / "model.bin").unlink()

    with pytest.raises(MissingDataError, match="not here: model") as caught:
        data_mounts(locked, read_project_lock(locked), machine)

    assert caught.value.hint == "put it there: the lock knows nowhere to fetch it; or run with --no-data"


def test_without_data_nothing_is_mounted(tmp_path: Path, locked: Project, machine: Machine) -> None:
    lock = read_project_lock(locked).model_copy(update={"data": ()})

    assert data_mounts(locked, lock, machine).mounts == ()


def test_data_is_a_group_of_checks(locked: Project, machine: Machine) -> None:
    lock = read_project_lock(locked)
    assert [(item.id, item.outcome) for item in data_checks(locked, lock, machine)] == [
        ("data/images", "passed"),
        ("data/model", "passed"),
    ]
    change(locked)
    (locked.folder / "model.bin").unlink()

    results = data_checks(locked, lock, machine)

    assert [(item.id, item.outcome) for item in results] == [
        ("data/images", "failed"),
        ("data/images/a.png", "failed"),
        ("data/images/deep/b.png", "failed"),
        ("data/images/new.png", "failed"),
        ("data/model", "skipped"),
    ]
    assert {item.evidence for item in results} == {"stored"}
    assert results[1].difference == (
        f"images: a.png sha256:{sha256_bytes(b'first')} → sha256:{sha256_bytes(b'First')}"
    )
    assert results[-1].reason is not None
    assert "data fetch" in results[-1].reason
    report = render_junit(Report(target="train", profile="image", results=results))
    assert 'name="data/images/a.png"' in report
    assert sha256_bytes(b"First") in report


def test_data_that_cannot_be_read_is_a_failed_check(locked: Project, machine: Machine) -> None:
    (locked.folder / "data/images/out").symlink_to("/etc/passwd")

    images, model = data_checks(locked, read_project_lock(locked), machine)

    assert (images.outcome, images.found) == ("failed", "cannot be read")
    assert model.outcome == "passed"


def test_data_that_changes_meanwhile_is_an_error_and_not_a_verdict(
    locked: Project, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changing(*_arguments: object, **_options: object) -> None:
        raise DataUnsteadyError("data changed while it was read")

    monkeypatch.setattr("envbuild.data.hashing.look_at_data", changing)

    with pytest.raises(EnvbuildError, match="while it was read"):
        verify_data(locked, machine=machine)


def test_a_verification_of_an_image_names_the_changed_byte(locked: Project, machine: Machine) -> None:
    lock = read_project_lock(locked)
    of_image = VerifyResult(subject="train:1", report=Report(target="train", profile="image", results=()))
    assert _with_data(of_image, locked, lock, machine).succeeded
    (locked.folder / "data/images/a.png").write_bytes(b"First")

    result = _with_data(of_image, locked, lock, machine)

    assert not result.succeeded
    text = "\n".join(as_lines(result, quiet=True, verbose=False))
    assert f"images: a.png sha256:{sha256_bytes(b'first')} → sha256:{sha256_bytes(b'First')}" in text
    assert any(item["id"] == "data/images/a.png" for item in result.document()["results"])
    without = lock.model_copy(update={"data": ()})
    assert _with_data(of_image, locked, without, machine) is of_image
