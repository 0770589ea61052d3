import pytest

from envbuild.errors import LockMissingError, LockStaleError, SpecError
from envbuild.workflows.engines import choose_engine
from envbuild.workflows.project import Project, fresh_lock, open_project


def test_a_project_is_opened_by_its_folder_or_its_spec(project: Project):
    assert open_project(project.folder) == open_project(str(project.spec)) == project


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
