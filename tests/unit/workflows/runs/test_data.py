"""The data of a recorded run: what is linked into a checkout, and what is fetched."""

import os
from pathlib import Path
from typing import Any

import pytest

from envbuild.digest import sha256_bytes
from envbuild.errors import EnvbuildError
from envbuild.lock.codec import dumps
from envbuild.lock.data import LockedData
from envbuild.lock.identity import RECIPE_FORMAT, target_digest
from envbuild.records.found import FoundRun
from envbuild.records.model import RecordedLock, RunRecord
from envbuild.spec.request import DataRequest
from envbuild.workflows.containers.options import RunOptions
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from envbuild.workflows.runs.data import link_data, missing_data
from envbuild.workflows.runs.locks import RunLock, lock_of_run
from envbuild.workflows.runs.plan import plan_run
from tests.rig.locks import sample_lock
from tests.rig.program import SPEC

DIGEST = f"sha256:{'1' * 64}"


def locked(name: str, path: str, **values: Any) -> LockedData:
    return LockedData(
        name=name,
        path=path,
        **({"target": f"/data/{name}", "digest": DIGEST, "size": 1, "files": 1} | values),
    )


def lock_text(*data: LockedData) -> str:
    lock = sample_lock()
    asked = {
        item.name: DataRequest(kind=item.kind, path=item.path, target=item.target, source=item.source)
        for item in data
    }
    request = lock.request.model_copy(update={"data": asked})
    return dumps(lock.model_copy(update={"request": request, "data": data}))


@pytest.fixture
def checkout(tmp_path: Path) -> Project:
    """Return a clean checkout, which has the spec, and no data."""
    folder = tmp_path / "code" / "train"
    folder.mkdir(parents=True)
    (folder / "envbuild.toml").write_text(SPEC)
    return Project(folder / "envbuild.toml")


def run_with(project: Project, *data: LockedData) -> FoundRun:
    """Return a run whose lock, in the folder of a project, has data."""
    text = lock_text(*data)
    project.lock.write_text(text)
    lock = sample_lock()
    target = next(target for target in lock.targets if target.variant == lock.request.default_variant)
    record = RunRecord(
        variant=target.variant,
        platform=target.platform,
        target=target_digest(lock, target),
        format=RECIPE_FORMAT,
        lock=RecordedLock(sha256=sha256_bytes(text.encode())),
        command=("true",),
    )
    return FoundRun(source="x", record=record, place="x")


def lock_of(found: FoundRun, project: Project, machine: Machine) -> RunLock:
    lock = lock_of_run(found, project, machine)
    assert lock is not None
    return lock


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


class TestLinks:
    """Into a checkout."""

    def test_to_what_the_project_has(self, checkout: Project, project: Project, machine: Machine) -> None:
        (project.folder / "data" / "images").mkdir(parents=True)
        (project.folder / "data" / "images" / "a").write_text("a")
        (project.folder / "model.bin").write_text("b")
        data = (locked("images", "data/images"), locked("model", "model.bin"), locked("none", "data/none"))
        link_data(run_with(checkout, *data), checkout, project, machine)
        assert (checkout.folder / "data" / "images").readlink() == (
            project.folder / "data" / "images"
        ).resolve()
        assert (checkout.folder / "model.bin").read_text() == "b"
        assert not os.path.lexists(checkout.folder / "data" / "none")

    def test_what_the_commit_has_stays(self, checkout: Project, project: Project, machine: Machine) -> None:
        for folder in (project.folder, checkout.folder):
            (folder / "data").mkdir()
            (folder / "data" / "a").write_text(str(folder))
        # a link that leads nowhere here is one, too
        (checkout.folder / "data" / "b").symlink_to("/nonexistent/b")
        (project.folder / "data" / "b").write_text("b")
        data = (locked("a", "data/a"), locked("b", "data/b"))
        link_data(run_with(checkout, *data), checkout, project, machine)
        assert (checkout.folder / "data" / "a").read_text() == str(checkout.folder)
        assert str((checkout.folder / "data" / "b").readlink()) == "/nonexistent/b"

    @pytest.mark.parametrize("below", ["", "/new"])
    def test_nothing_is_written_outside_of_the_checkout(
        self, checkout: Project, project: Project, machine: Machine, tmp_path: Path, below: str
    ) -> None:
        outside = tmp_path / "home"
        outside.mkdir()
        (checkout.folder / "data").symlink_to(outside)
        path = f"data{below}/autostart"
        (project.folder / path).parent.mkdir(parents=True)
        (project.folder / path).write_text("x")
        link_data(run_with(checkout, locked("a", path)), checkout, project, machine)
        assert tree(outside) == []

    def test_absolute_paths_are_left_alone(
        self, checkout: Project, project: Project, machine: Machine, tmp_path: Path
    ) -> None:
        (tmp_path / "there").write_text("x")
        before = tree(tmp_path / "code")
        data = (locked("a", str(tmp_path / "there")), locked("b", str(tmp_path / "code" / "new")))
        link_data(run_with(checkout, *data), checkout, project, machine)
        assert tree(tmp_path / "code") == sorted([*before, "train/envbuild.lock"])

    @pytest.mark.parametrize("path", ["../home", "data/../../home", "~/home", "."])
    def test_a_lock_with_a_path_that_leads_out_is_none(
        self, checkout: Project, project: Project, machine: Machine, tmp_path: Path, path: str
    ) -> None:
        found = run_with(checkout, locked("a", "data/a"))
        checkout.lock.write_text(checkout.lock.read_text().replace('"data/a"', f'"{path}"'))
        (tmp_path / "home").mkdir()
        before = tree(tmp_path)
        link_data(found, checkout, project, machine)
        assert tree(tmp_path) == before

    def test_the_place_cannot_be_made(self, checkout: Project, project: Project, machine: Machine) -> None:
        (checkout.folder / "data").write_text("a file")
        (project.folder / "data").mkdir()
        (project.folder / "data" / "a").write_text("x")
        with pytest.raises(EnvbuildError, match="data"):
            link_data(run_with(checkout, locked("a", "data/a")), checkout, project, machine)


class TestMissing:
    """What is fetched before a run starts."""

    DATA = (locked("a", "data/a", kind="url", source="https://host.example/a"), locked("b", "data/b"))

    def test_what_has_a_source_and_is_not_here(self, project: Project, machine: Machine) -> None:
        lock = lock_of(run_with(project, *self.DATA), project, machine)
        assert [data.name for data in missing_data(lock, project)] == ["a"]
        (project.folder / "data").mkdir()
        (project.folder / "data" / "a").write_text("x")
        assert missing_data(lock, project) == []

    @pytest.mark.parametrize("is_there", [True, False])
    def test_nothing_by_another_lock(self, project: Project, machine: Machine, *, is_there: bool) -> None:
        lock = lock_of(run_with(project, *self.DATA), project, machine)
        project.lock.unlink()
        if is_there:
            project.lock.write_text(
                lock_text(locked("a", "data/a", kind="url", source="https://evil.example"))
            )
        assert missing_data(lock, project) == []

    def test_it_is_shown_and_left_out_where_no_data_is_wanted(
        self, project: Project, machine: Machine
    ) -> None:
        found = run_with(project, *self.DATA)
        assert plan_run(found, project, (), RunOptions(), machine).fetches == ("a",)
        assert plan_run(found, project, (), RunOptions(data=False), machine).fetches == ()
