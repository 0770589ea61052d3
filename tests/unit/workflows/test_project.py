from pathlib import Path

import pytest

from envbuild.errors import LockMissingError, LockStaleError, SpecError
from envbuild.workflows.engines import choose_engine
from envbuild.workflows.lock import lock_project
from envbuild.workflows.project import Project, fresh_lock, open_project
from tests.rig.locks import sample_lock


def test_a_project_is_opened_by_its_folder_or_its_spec(project: Project):
    assert open_project(project.folder) == open_project(str(project.spec)) == project


def test_an_opened_project_does_not_depend_on_the_current_folder(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    opened = open_project("train")
    monkeypatch.chdir("/")

    assert opened == project
    assert fresh_lock(opened, frozen=False) == sample_lock()
    assert lock_project(opened).document()["lock"] == "train/envbuild.lock"
    assert opened.label == "train"


def test_a_missing_lock_is_named_as_the_project_was(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    project.lock.unlink()
    monkeypatch.chdir(tmp_path)

    with pytest.raises(LockMissingError, match=r"^there is no envbuild\.lock in train$"):
        fresh_lock(open_project("train"), frozen=True)


def test_the_command_line_sees_paths_as_they_were_named(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    assert open_project("train").as_named().lock == Path("train/envbuild.lock")
    assert open_project(project.folder).as_named().lock == project.lock


def test_a_folder_without_a_spec_is_no_project(project: Project):
    project.spec.unlink()

    with pytest.raises(SpecError):
        open_project(project.folder)
    assert open_project(project.folder, frozen=True) == project


def test_a_spec_is_read_once(project: Project):
    project.spec.write_text(f'{project.spec.read_text()}\n[build]\nengine = "local"\n')
    fresh_lock(project, frozen=False)
    request = project.request
    project.spec.write_text("no TOML")

    assert choose_engine(None, project, {}) == "local"
    assert project.request is request
    with pytest.raises(SpecError):
        fresh_lock(open_project(project.spec), frozen=False)


def test_a_lock_is_compared_unless_it_is_frozen(project: Project):
    project.spec.write_text(project.spec.read_text().replace("seed = 7", "seed = 8"))

    with pytest.raises(LockStaleError) as caught:
        fresh_lock(open_project(project.spec), frozen=False)
    assert [problem.where for problem in caught.value.problems] == ["determinism.seed"]
    assert fresh_lock(project, frozen=True).request.variants["default"].seed == 7


def test_there_is_no_lock(project: Project):
    project.lock.unlink()

    with pytest.raises(LockMissingError):
        fresh_lock(project, frozen=True)
