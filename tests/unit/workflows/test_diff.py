import json
from typing import Any

import pytest

from envbuild.errors import EngineError, LockInvalidError, UsageError
from envbuild.lock.codec import dumps
from envbuild.lock.diff import projections_of
from envbuild.workflows import diff
from envbuild.workflows.diff import diff_locks
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from tests.rig.growing import with_target, with_wheels
from tests.rig.locks import sample_lock, wheel


def test_a_result_has_both_names_and_what_changed(project: Project, machine: Machine):
    (project.folder / "new.lock").write_text(dumps(with_wheels(sample_lock(), wheel("polars"))))

    found = diff_locks(project, str(project.lock), str(project.folder / "new.lock"), machine=machine)

    ((target,), document) = found.changes.targets, found.document()
    assert found.differs
    assert [(package.name, package.verb) for package in target.packages] == [("polars", "added")]
    assert (document["old"], document["new"]) == (found.old, found.new)


def test_a_notebook_shows_it_with_its_texts_escaped(project: Project, machine: Machine):
    lock = sample_lock()
    changed = with_target(lock, env={**lock.targets[0].env, "X": "<script>"})
    (project.folder / "new.lock").write_text(dumps(changed))

    shown = diff_locks(
        project, str(project.lock), str(project.folder / "new.lock"), machine=machine
    )._repr_html_()

    assert "<td>env X</td><td></td><td>&lt;script&gt;</td>" in shown
    assert "<script>" not in shown


class HoldingEngine:
    """Holds one image, whose lock is what a test says, and refuses names with a space in them."""

    def __init__(self, carried: bytes | None = None) -> None:
        self.carried = carried

    def find(self, reference: str) -> Any:
        if " " in reference:
            raise EngineError("the engine refused", detail="invalid reference format")
        return self if reference == "train" else None

    identifier = "sha256:1"

    def read_file(self, reference: str, path: str, *, limit: int) -> bytes | None:
        if self.carried is not None and len(self.carried) > limit:
            raise EngineError(f"{path} in {reference} has more than {limit} bytes")
        return self.carried

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def holding(monkeypatch: pytest.MonkeyPatch) -> HoldingEngine:
    """Return the engine that every name is asked of."""
    engine = HoldingEngine()
    monkeypatch.setattr(diff, "engine_of", lambda *_arguments: engine)
    return engine


def test_an_image_is_compared_by_the_lock_it_carries(
    project: Project, machine: Machine, holding: HoldingEngine
):
    (carried,) = projections_of(with_wheels(sample_lock(), wheel("polars"))).values()
    holding.carried = json.dumps(carried).encode()

    (target,) = diff_locks(project, "train", str(project.lock), machine=machine).changes.targets

    assert [(package.name, package.verb) for package in target.packages] == [("polars", "removed")]


@pytest.mark.parametrize(
    ("carried", "message"),
    [
        (None, "the image train carries no lock"),
        (b"", "the image train carries no lock"),
        (b"[" * 100_000, "image train: the lock is not JSON that envbuild writes"),
        (b'{"variant": []}', "image train: the lock is not valid"),
        (b'{"variant":"default","platform":"linux/amd64"}', "image train: the lock is not valid"),
    ],
    ids=["none", "empty", "deep", "list", "short"],
)
def test_an_image_may_carry_anything(
    project: Project, machine: Machine, holding: HoldingEngine, carried: bytes | None, message: str
):
    holding.carried = carried

    with pytest.raises(LockInvalidError) as caught:
        diff_locks(project, "train", str(project.lock), machine=machine)

    assert caught.value.message == message
    assert "`envbuild build`" in str(caught.value.hint)


def test_the_engines_reason_is_passed_on(project: Project, machine: Machine, holding: HoldingEngine):
    with pytest.raises(UsageError) as caught:
        diff_locks(project, "Bad Ref!", machine=machine)

    assert caught.value.message == (
        "`Bad Ref!` is neither a file nor a revision, "
        "and the engine could not say whether it holds such an image"
    )
    assert caught.value.detail == "invalid reference format"
    with pytest.raises(EngineError):
        diff_locks(project, "image:Bad Ref!", machine=machine)


def test_an_image_that_is_held_is_not_called_unknown(
    project: Project, machine: Machine, holding: HoldingEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(diff, "LARGEST_LOCK", 3)
    holding.carried = b"long"

    with pytest.raises(EngineError, match="has more than 3 bytes"):
        diff_locks(project, "train", machine=machine)


def test_a_name_too_long_for_a_file_is_asked_for_elsewhere(
    project: Project, machine: Machine, holding: HoldingEngine
):
    name = "n" * 300

    with pytest.raises(UsageError) as caught:
        diff_locks(project, name, machine=machine)
    assert caught.value.message == f"there is no file, revision or image `{name}`"
    with pytest.raises(UsageError) as caught:
        diff_locks(project, f"file:{name}", machine=machine)
    assert caught.value.message == f"there is no file `{name}`"
