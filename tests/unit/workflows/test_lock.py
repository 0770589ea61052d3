import pytest

from envbuild.errors import LockMissingError, LockStaleError, NetworkError, Problem, UsageError
from envbuild.lock.codec import dumps
from envbuild.lock.identity import target_digest
from envbuild.workflows.lock import LockOptions, LockResult, TargetSummary, lock_project
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from tests.rig.locks import sample_lock


def test_a_lock_that_answers_is_returned_and_not_written(project: Project, machine: Machine):
    before = project.lock.stat().st_mtime_ns

    result = lock_project(project, machine=machine)

    assert (result.lock, result.written) == (sample_lock(), False)
    assert project.lock.stat().st_mtime_ns == before


def test_a_check_of_a_stale_lock_names_the_fields(project: Project, machine: Machine):
    project.spec.write_text(project.spec.read_text().replace("seed = 7", "seed = 8"))

    with pytest.raises(LockStaleError) as caught:
        lock_project(project, LockOptions(check=True), machine=machine)

    assert caught.value.problems == (Problem("determinism.seed", "7 → 8"),)


def test_a_check_of_no_lock(project: Project, machine: Machine):
    project.lock.unlink()

    with pytest.raises(LockMissingError):
        lock_project(project, LockOptions(check=True), machine=machine)


def test_offline_nothing_is_resolved(project: Project):
    project.lock.unlink()

    with pytest.raises(NetworkError):
        lock_project(project, machine=Machine(offline=True))

    assert not project.lock.exists()


@pytest.mark.parametrize("more", [{"upgrade": True}, {"upgrade_packages": frozenset({"numpy"})}])
def test_a_check_upgrades_nothing(more):
    with pytest.raises(UsageError):
        LockOptions(check=True, **more)


def test_a_result_summarises_its_targets(project: Project):
    lock = sample_lock()

    (target,) = LockResult(project=project, lock=lock, written=True).targets

    assert target.digest == target_digest(lock, lock.targets[0])
    assert str(target).startswith(f"default on linux/amd64: {target.distribution}, Python 3.11")


def test_a_notebook_shows_a_result_with_its_texts_escaped(project: Project):
    text = dumps(sample_lock()).replace("Debian GNU/Linux 12 (bookworm)", "<b>Debian</b>")
    project.lock.write_text(text)

    shown = lock_project(project)._repr_html_()

    assert "<td>&lt;b&gt;Debian&lt;/b&gt;</td>" in shown
    assert "<b>" not in shown


@pytest.mark.parametrize(
    ("counts", "text"),
    [((0, 1, 1), "Python 3, 1 wheel, 1 deb"), ((1, 0, 2), "Python 3, 1 conda package, 0 wheels, 2 debs")],
)
def test_a_summary_counts_its_packages(counts: tuple[int, int, int], text: str):
    conda, wheels, debs = counts
    summary = TargetSummary(
        variant="default",
        platform="linux/amd64",
        digest="",
        distribution="Debian",
        python="3",
        conda=conda,
        wheels=wheels,
        debs=debs,
    )

    assert str(summary) == f"default on linux/amd64: Debian, {text}"


def test_where_the_lock_is_a_link_its_file_is_written(
    project: Project, tmp_path_factory: pytest.TempPathFactory
):
    elsewhere = tmp_path_factory.mktemp("locks") / "of-this-project"
    project.lock.replace(elsewhere)
    project.lock.symlink_to(elsewhere)

    assert project.written_lock == elsewhere.resolve()


def test_a_link_that_leads_to_itself_is_written_over(project: Project):
    project.lock.unlink()
    project.lock.symlink_to(project.lock.name)

    assert project.written_lock == project.folder.resolve() / project.lock.name
