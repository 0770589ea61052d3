from envbuild.lock.codec import dumps
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
