from dataclasses import replace
from pathlib import Path

import pytest

from envbuild.data.manifest import manifest_of, parse_manifest
from envbuild.digest import sha256_bytes
from envbuild.errors import EnvbuildError, LockMissingError, LockStaleError, SpecError, UsageError
from envbuild.lock.codec import dumps, loads
from envbuild.lock.freshness import stale_fields
from envbuild.workflows.data.entries import manifest_path, read_data_lock
from envbuild.workflows.data.locking import (
    lock_data,
    lock_with_data,
    locked_data,
    remove_manifests,
    stale_manifests,
)
from envbuild.workflows.data.verifying import verify_data
from envbuild.workflows.editing.files import write_together
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, read_project_lock
from tests.rig.data_project import ask_for, write_files
from tests.rig.locks import sample_lock
from tests.unit.workflows.data.conftest import IMAGES


def files_of(project: Project) -> dict[str, bytes]:
    return {
        str(path.relative_to(project.folder)): path.read_bytes()
        for path in sorted(project.folder.rglob("*"))
        if path.is_file()
    }


def test_data_is_locked_by_digest_and_all_else_stays(project: Project, machine: Machine) -> None:
    before = project.lock.read_text()

    result = lock_data(project, machine=machine)

    lock = read_project_lock(project)
    images, model = lock.data
    manifest = manifest_of({path: sha256_bytes(content) for path, content in IMAGES.items()})
    assert result.written
    assert result.data == lock.data
    assert manifest_path(project, "images").read_bytes() == manifest.data
    assert (images.digest, images.size, images.files) == (manifest.digest, 11, 2)
    assert (images.kind, images.path, images.target) == ("files", "data/images", "/data/images")
    assert (model.size, model.files, model.path) == (7, 1, "model.bin")
    assert set(parse_manifest(manifest_path(project, "model").read_bytes()).files) == {"model.bin"}
    assert not stale_fields(project.request, lock.request)
    added = [line for line in project.lock.read_text().splitlines() if line not in before.splitlines()]
    assert all("data" in line or "sha256" in line or " = " in line for line in added)
    without = lock.model_copy(update={"data": (), "request": lock.request.model_copy(update={"data": {}})})
    assert dumps(without) == before


def test_locked_again_nothing_is_written(project: Project, machine: Machine) -> None:
    lock_data(project, machine=machine)
    before = files_of(project)
    times = {path: (project.folder / path).stat().st_mtime_ns for path in before}

    assert not lock_data(Project(project.spec), machine=machine).written
    assert files_of(project) == before
    assert {path: (project.folder / path).stat().st_mtime_ns for path in before} == times


def test_the_text_of_a_lock_whose_data_did_not_change_stays_whatever_its_form(
    project: Project, machine: Machine
) -> None:
    lock_data(project, machine=machine)
    text = "# of another release\n" + project.lock.read_text()
    project.lock.write_text(text)

    lock_data(Project(project.spec), machine=machine)

    assert project.lock.read_text() == text


def test_one_name_alone_is_locked(project: Project, machine: Machine) -> None:
    lock_data(project, machine=machine)
    write_files(project.folder, {"model.bin": b"better", "data/images/c.png": b"third"})
    images, model = read_project_lock(project).data

    lock_data(Project(project.spec), ["model"], machine=machine)

    after = read_project_lock(project).data
    assert after[0] == images
    assert after[1].digest != model.digest


def test_one_name_is_locked_where_others_never_were(project: Project, machine: Machine) -> None:
    lock_data(project, ["model"], machine=machine)

    assert [data.name for data in read_project_lock(project).data] == ["model"]
    with pytest.raises(LockStaleError) as caught:
        read_data_lock(Project(project.spec))
    assert [str(problem) for problem in caught.value.problems] == ["data.images: is not locked"]
    assert caught.value.hint is not None
    assert "data lock" in caught.value.hint


def test_what_is_no_longer_asked_for_goes_with_its_manifest(project: Project, machine: Machine) -> None:
    lock_data(project, machine=machine)
    fewer = ask_for(project, 'name = "images"')

    lock_data(fewer, machine=machine)

    assert [data.name for data in read_project_lock(project).data] == ["images"]
    assert not manifest_path(project, "model").exists()
    lock_data(ask_for(project), machine=machine)
    assert project.lock.read_text() == dumps(sample_lock())


def test_labels_change_and_nothing_is_read(project: Project, machine: Machine) -> None:
    lock_data(project, machine=machine)
    lock = read_project_lock(project)
    (project.folder / "model.bin").unlink()
    relabelled = ask_for(
        project,
        'name = "images"\nversion = "v2"\nlicense = "CC-BY-4.0"',
        'name = "model"\npath = "model.bin"\ntarget = "/models/one"',
    )

    found = locked_data(relabelled, lock, machine)

    assert found.manifests == {}
    assert (found.data[0].version, found.data[0].license) == ("v2", "CC-BY-4.0")
    assert found.data[1].target == "/models/one"
    assert [data.digest for data in found.data] == [data.digest for data in lock.data]


def test_a_new_entry_is_hashed_and_the_others_are_kept(project: Project, machine: Machine) -> None:
    lock_data(project, machine=machine)
    lock = read_project_lock(project)
    write_files(project.folder, {"data/images/a.png": b"changed", "data/more/x": b"new"})
    more = ask_for(project, 'name = "images"', 'name = "model"\npath = "model.bin"', 'name = "more"')

    found = locked_data(more, lock, machine)

    assert [data.name for data in found.data] == ["images", "model", "more"]
    assert found.data[:2] == lock.data
    assert list(found.manifests) == ["more"]
    assert [change.path.name for change in found.changes(more)] == ["more.sha256"]


def test_a_lock_that_was_resolved_anew_gets_its_data(project: Project, machine: Machine) -> None:
    resolved = sample_lock()

    lock, changes = lock_with_data(project, resolved, None, machine)

    assert loads(dumps(lock)) == lock
    assert [change.path.name for change in changes] == ["images.sha256", "model.sha256"]
    write_together(changes)
    again, unchanged = lock_with_data(project, resolved, lock, machine)
    assert (again, unchanged) == (lock, [])
    remove_manifests(project, lock, resolved)
    assert not manifest_path(project, "images").exists()


def test_an_entry_whose_manifest_is_gone_is_locked_again(project: Project, machine: Machine) -> None:
    lock_data(project, machine=machine)
    manifest_path(project, "images").unlink()

    found = locked_data(project, read_project_lock(project), machine)

    assert list(found.manifests) == ["images"]


@pytest.mark.parametrize("damage", ["removed", "edited", "conflict"])
def test_a_lost_manifest_makes_a_lock_stale_and_is_written_again_from_the_data(
    project: Project, machine: Machine, damage: str
) -> None:
    lock_data(project, machine=machine)
    project, lock = Project(project.spec), read_project_lock(project)
    assert stale_manifests(project, lock) == ()
    before = _damage(manifest_path(project, "images"), damage)

    (problem,) = stale_manifests(project, lock)
    again, manifests = lock_with_data(project, lock, lock, machine)

    assert problem.where == "data.images"
    assert "envbuild.data/images.sha256" in str(problem)
    assert again == lock
    assert [(change.path.name, change.after) for change in manifests] == [("images.sha256", before)]


@pytest.mark.parametrize("damage", ["removed", "edited", "conflict"])
def test_a_lost_manifest_is_not_replaced_by_that_of_other_data(
    project: Project, machine: Machine, damage: str
) -> None:
    lock_data(project, machine=machine)
    project, lock = Project(project.spec), read_project_lock(project)
    _damage(manifest_path(project, "images"), damage)
    (project.folder / "data/images/a.png").write_bytes(b"First")

    with pytest.raises(EnvbuildError, match=r"envbuild\.data/images\.sha256"):
        lock_with_data(project, lock, lock, machine)

    # that is what says to take the data as it is
    assert lock_data(project, ["images"], machine=machine).data != lock.data
    assert stale_manifests(project, read_project_lock(project)) == ()


def test_a_conflict_in_a_manifest_is_called_one(project: Project, machine: Machine) -> None:
    lock_data(project, machine=machine)
    project = Project(project.spec)
    _damage(manifest_path(project, "images"), "conflict")

    with pytest.raises(EnvbuildError, match="markers of a merge conflict") as caught:
        verify_data(project, machine=machine)

    assert caught.value.hint is not None
    assert "git checkout --ours" in caught.value.hint


def _damage(manifest: Path, how: str) -> bytes:
    """Damage a manifest; return its bytes before."""
    before = manifest.read_bytes()
    if how == "removed":
        manifest.unlink()
    elif how == "edited":
        manifest.write_bytes(before.replace(b"a.png", b"b.png"))
    else:
        manifest.write_bytes(b"<<<<<<< HEAD\n" + before + b"=======\n" + before + b">>>>>>> other\n")
    return before


def test_data_that_is_not_here_is_an_error_and_nothing_is_written(project: Project, machine: Machine) -> None:
    (project.folder / "model.bin").unlink()
    before = files_of(project)

    with pytest.raises(EnvbuildError, match=r"data `model` is not here: .*model\.bin"):
        lock_data(project, machine=machine)

    assert files_of(project) == before


def test_data_without_files_is_an_error(project: Project, machine: Machine) -> None:
    (project.folder / "model.bin").unlink()
    (project.folder / "model.bin").mkdir()

    with pytest.raises(EnvbuildError, match="has no files"):
        lock_data(project, machine=machine)


def test_data_outside_of_the_project_is_locked_only_when_that_is_allowed(
    project: Project, machine: Machine, tmp_path: Path
) -> None:
    write_files(tmp_path / "elsewhere", {"key": b"private"})
    (project.folder / "link").symlink_to(tmp_path / "elsewhere")

    asked = project
    for path in (str(tmp_path / "elsewhere"), "link"):
        asked = ask_for(project, f'name = "far"\npath = "{path}"')
        with pytest.raises(UsageError, match="outside of the project") as caught:
            lock_data(asked, machine=machine)
        assert caught.value.hint is not None
        assert "data lock" in caught.value.hint
        assert "--outside far" in caught.value.hint

    lock_data(asked, machine=machine, outside=True)
    assert read_project_lock(project).data[0].files == 1
    # locked: nobody has to say it again
    assert not locked_data(asked, read_project_lock(project), machine).manifests


def test_an_unknown_name_is_refused(project: Project, machine: Machine) -> None:
    with pytest.raises(UsageError, match="no data `pictures`") as caught:
        lock_data(project, ["pictures"], machine=machine)

    assert caught.value.hint == "there is images, model"


def test_without_a_lock_there_is_nothing_to_write_into(project: Project, machine: Machine) -> None:
    project.lock.unlink()

    with pytest.raises(LockMissingError) as caught:
        lock_data(project, machine=machine)
    assert caught.value.hint is not None
    assert "envbuild lock" in caught.value.hint
    with pytest.raises(LockMissingError):
        read_data_lock(project)


def test_the_lock_is_put_back_when_a_manifest_cannot_be_written(project: Project, machine: Machine) -> None:
    (project.folder / "envbuild.data").write_text("a file in its place")
    before = project.lock.read_bytes()

    with pytest.raises(OSError, match=r"envbuild\.data"):
        lock_data(project, machine=machine)

    assert project.lock.read_bytes() == before


@pytest.mark.parametrize(
    ("pointer", "reason"),
    [
        ("outs:\n- md5: '0'\n  hash: md5\n  path: images\n", "gives no md5"),
        (f"outs:\n- md5: {'a' * 32}\n  path: images\n", "is of DVC 2"),
        (f"outs:\n- md5: {'a' * 32}\n  hash: md5\n  path: ../images\n", "no path in its folder"),
        (f"outs:\n- md5: {'a' * 32}\n  hash: md5\n  path: /etc\n", "no path in its folder"),
        (f"wdir: ..\nouts:\n- md5: {'a' * 32}\n  hash: md5\n  path: images\n", "no path in its folder"),
        ("outs: []\n", "has 0 outputs"),
        ("outs: 3\n", "no list of outputs"),
        ("[1, 2]", "no file of DVC"),
        ("a: [", "no file of DVC"),
        ("!!python/object/apply:os.system ['true']", "no file of DVC"),
    ],
)  # fmt: skip
def test_a_pointer_that_is_not_understood_or_hostile_is_refused(
    project: Project, machine: Machine, pointer: str, reason: str
) -> None:
    (project.folder / "data/images.dvc").write_text(pointer)
    asked = ask_for(project, 'name = "images"\ndvc = "data/images.dvc"')

    with pytest.raises(EnvbuildError, match=reason):
        lock_data(asked, machine=machine)


def test_a_pointer_of_another_path_is_refused(project: Project, machine: Machine) -> None:
    (project.folder / "other.dvc").write_text(f"outs:\n- md5: {'a' * 32}\n  hash: md5\n  path: other\n")
    asked = ask_for(project, 'name = "images"\ndvc = "other.dvc"')

    with pytest.raises(SpecError) as caught:
        lock_data(asked, machine=machine)

    assert caught.value.problems[0].hint == 'write path = "other"'


def test_offline_no_server_is_asked(project: Project, machine: Machine) -> None:
    asked = ask_for(project, 'name = "far"\nurl = "http://127.0.0.1:9/file"')

    with pytest.raises(EnvbuildError, match="locking `far` asks"):
        lock_data(asked, machine=replace(machine, offline=True))


def test_a_lock_of_data_is_read_as_it_was_written(project: Project, machine: Machine) -> None:
    lock_data(project, machine=machine)

    text = project.lock.read_text()
    assert dumps(loads(text)) == text
    assert read_data_lock(Project(project.spec)) == read_project_lock(project)
