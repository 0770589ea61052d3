"""What it takes to start a recorded run again."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from envbuild.digest import sha256_file
from envbuild.errors import EnvbuildError, IntegrityError, RecordError, UsageError
from envbuild.lock.codec import dumps, loads
from envbuild.lock.identity import EARLIER_FORMATS, RECIPE_FORMAT, target_digest
from envbuild.records.found import FoundRun
from envbuild.records.model import (
    RecordedData,
    RecordedGit,
    RecordedImage,
    RecordedLock,
    RecordedMount,
    RecordedOptions,
    RunRecord,
)
from envbuild.visible import visible
from envbuild.workflows.containers.options import RunOptions, variables
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from envbuild.workflows.runs.again import plan_lines
from envbuild.workflows.runs.code import check_out, plan_checkout
from envbuild.workflows.runs.plan import RunPlan, plan_run

DIGEST = f"sha256:{'1' * 64}"
IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@example.com")


def git(folder: Path, *arguments: str) -> str:
    words = ["git", *IDENTITY, *arguments]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(project: Project) -> Path:
    """Return the repository of the project, with one commit."""
    root = project.folder.parent
    git(root, "init", "--quiet")
    git(root, "add", "train")
    git(root, "commit", "--quiet", "--message=one")
    return root


@pytest.fixture
def record(project: Project, repository: Path) -> RunRecord:
    """Return the record of a run in the project."""
    lock = loads(project.lock.read_text())
    target = next(target for target in lock.targets if target.variant == lock.request.default_variant)
    return RunRecord(
        name="train",
        variant=target.variant,
        platform=target.platform,
        target=target_digest(lock, target),
        format=RECIPE_FORMAT,
        lock=RecordedLock(sha256=sha256_file(project.lock), path="train/envbuild.lock"),
        image=RecordedImage(reference="train:1", digest=DIGEST, engine="docker"),
        git=RecordedGit(commit=git(repository, "rev-parse", "HEAD"), dirty=False, folder="train"),
        command=("python", "a.py"),
        folder="src",
        mounted=True,
    )


def changed(record: RunRecord, **changes: Any) -> RunRecord:
    return record.model_copy(update=changes)


def plan_of(
    record: RunRecord,
    project: Project | None,
    machine: Machine,
    *command: str,
    options: RunOptions | None = None,
) -> RunPlan:
    found = FoundRun(source="mlflow:a", record=record, place="tag envbuild.run")
    return plan_run(found, project, command, options or RunOptions(), machine)


def said(plan: RunPlan, kind: str) -> list[str]:
    return [f"{item.what}: {item.text}" for item in plan.items if item.kind == kind]


def test_a_run_of_which_all_is_here(record: RunRecord, project: Project, machine: Machine) -> None:
    plan = plan_of(record, project, machine)
    assert plan.lock is not None
    assert (plan.lock.is_exact, plan.command, plan.code.state) == (True, ("python", "a.py"), "same")
    assert plan.options.workdir == f"{plan.lock.target.workdir}/src"
    assert (said(plan, "missing"), plan.options.frozen) == ([], True)
    plan.require_same_code()
    assert ["command", "python", "a.py"] in [line.split() for line in plan_lines(plan)]
    assert plan.document()["source"] == "mlflow:a"


def attached_to(record: RunRecord, text: bytes) -> FoundRun:
    files = {"envbuild/envbuild.lock": text}
    return FoundRun(
        source="mlflow:a", record=record, place="x", attached=lambda path, limit: files[path][:limit]
    )


def test_a_lock_that_only_the_tracker_keeps(record: RunRecord, project: Project, machine: Machine) -> None:
    text = project.lock.read_bytes()
    project.lock.unlink()
    lost = changed(record, git=None)
    plan = plan_run(attached_to(lost, text), project, (), RunOptions(), machine)
    assert plan.lock is not None
    assert (plan.lock.origin, plan.lock.is_exact) == ("envbuild/envbuild.lock, attached to the run", True)


def test_another_lock_is_not_taken_from_a_tracker(
    record: RunRecord, project: Project, machine: Machine
) -> None:
    lock = loads(project.lock.read_text())
    project.lock.unlink()
    # the same target, so it would do; but anybody may have put it there
    other = lock.model_copy(update={"tools": {"uv": "0"}})
    lost = changed(record, git=None)
    plan = plan_run(attached_to(lost, dumps(other).encode()), project, (), RunOptions(), machine)
    assert plan.lock is None


def test_a_lock_of_the_history(
    record: RunRecord, project: Project, machine: Machine, repository: Path
) -> None:
    lock = loads(project.lock.read_text())
    other = lock.request.model_copy(update={"name": "other"})
    project.lock.write_text(dumps(lock.model_copy(update={"request": other})))
    plan = plan_of(record, project, machine)
    assert plan.lock is not None
    assert plan.lock.lock.request.name == lock.request.name
    assert "of commit" in plan.lock.origin
    assert plan.code.state == "differs"
    with pytest.raises(UsageError, match="files here were changed since") as caught:
        plan.require_same_code()
    assert "--into" in str(caught.value.hint)


def test_a_lock_with_the_same_target(record: RunRecord, project: Project, machine: Machine) -> None:
    plan = plan_of(changed(record, lock=RecordedLock(sha256="0" * 64)), project, machine)
    assert plan.lock is not None
    assert not plan.lock.is_exact
    assert any("not the recorded file" in line for line in said(plan, "uses"))


def test_a_run_in_an_image_of_an_earlier_format(
    record: RunRecord, project: Project, machine: Machine
) -> None:
    lock, number = loads(project.lock.read_text()), EARLIER_FORMATS[0]
    target = next(target for target in lock.targets if target.platform == record.platform)
    digest = target_digest(lock, target, recipe_format=number)
    plan = plan_of(changed(record, format=number, target=digest), project, machine)
    assert plan.lock is not None
    assert any(f"of recipe format {number}" in line for line in said(plan, "differs"))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"target": DIGEST}, IntegrityError("the record lies")),
        ({"variant": "other"}, IntegrityError("the record lies")),
        ({"format": 999}, RecordError("recipe format 999")),
        ({"command": None}, UsageError("has no command")),
        ({"redacted": True}, UsageError("was not recorded")),
        (
            {"lock": None, "target": DIGEST, "image": None},
            RecordError("its image was not recorded by digest"),
        ),
        ({"options": RecordedOptions(shm_size="a lot")}, UsageError("is no size")),
        ({"options": RecordedOptions(workdir="../etc")}, UsageError("is no absolute path")),
    ],
)
def test_a_record_that_cannot_be_used(
    record: RunRecord, project: Project, machine: Machine, changes: dict[str, Any], expected: EnvbuildError
) -> None:
    with pytest.raises(type(expected)) as caught:
        plan_of(changed(record, **changes), project, machine)
    assert expected.message in caught.value.message
    assert caught.value.hint


def test_another_command(record: RunRecord, project: Project, machine: Machine) -> None:
    plan = plan_of(changed(record, redacted=True), project, machine, "bash")
    assert plan.command == ("bash",)


def test_an_option_that_contradicts(record: RunRecord, project: Project, machine: Machine) -> None:
    with pytest.raises(UsageError, match=r"^--variant gpu: the run was in default$"):
        plan_of(record, project, machine, options=RunOptions(variant="gpu"))


def test_nothing_of_the_machine_is_taken_from_a_record(
    record: RunRecord, project: Project, machine: Machine
) -> None:
    hostile = changed(
        record,
        options=RecordedOptions(network="host", user="root", gpus="device=0", memory="1g"),
        mounts=(RecordedMount(target="/cache", read_only=True),),
        variables={"PYTHONHASHSEED": "0", "LD_PRELOAD": "/evil.so", "XLA_FLAGS": "--xla_dump_to=/x"},
        variable_names=("HF_TOKEN",),
    )
    plan = plan_of(hostile, project, machine)
    assert (plan.options.network, plan.options.user, plan.options.gpus) == (None, None, "auto")
    assert (plan.options.memory, plan.options.mounts) == ("1g", ())
    assert plan.options.env == {"PYTHONHASHSEED": "0"}
    assert said(plan, "missing") == [
        "variable: HF_TOKEN: give --env HF_TOKEN",
        "variable: LD_PRELOAD: give --env LD_PRELOAD",
        "variable: XLA_FLAGS: give --env XLA_FLAGS",
        "mount: /cache: give --mount SOURCE:/cache:ro",
        "--network: host is not taken from a record: give it",
        "--user: root is not taken from a record: give it",
        "--gpus: device=0 is not taken from a record: give it",
    ]


def test_what_the_caller_gives_is_used(
    record: RunRecord, project: Project, machine: Machine, tmp_path: Path
) -> None:
    own = changed(
        record,
        options=RecordedOptions(network="host", memory="1g"),
        mounts=(RecordedMount(target="/cache"),),
        variables={"PYTHONHASHSEED": "0"},
        variable_names=("HF_TOKEN",),
    )
    given = RunOptions(
        network="host",
        memory="2g",
        mounts=(f"{tmp_path}:/cache",),
        env={"HF_TOKEN": "x", "PYTHONHASHSEED": "1"},
    )
    plan = plan_of(own, project, machine, options=given)
    assert (plan.options.network, plan.options.memory) == ("host", "2g")
    assert plan.options.env == {"PYTHONHASHSEED": "1", "HF_TOKEN": "x"}
    assert said(plan, "missing") == []
    assert "hunter2" not in "".join(plan_lines(plan))


def test_no_network_is_taken(record: RunRecord, project: Project, machine: Machine) -> None:
    plan = plan_of(changed(record, options=RecordedOptions(network="none", gpus="none")), project, machine)
    assert (plan.options.network, plan.options.gpus) == ("none", "none")


def test_data_that_differ(record: RunRecord, project: Project, machine: Machine) -> None:
    plan = plan_of(changed(record, data=(RecordedData(name="images", digest=DIGEST),)), project, machine)
    assert said(plan, "missing") == [f"data images: no lock here has it; recorded {DIGEST}"]


def test_changes_that_were_not_committed(record: RunRecord, project: Project, machine: Machine) -> None:
    assert record.git is not None
    plan = plan_of(changed(record, git=record.git.model_copy(update={"dirty": True})), project, machine)
    assert any("cannot be had exactly" in line for line in said(plan, "missing"))


@pytest.mark.parametrize("mounted", [True, False])
def test_another_commit(
    record: RunRecord, project: Project, machine: Machine, repository: Path, *, mounted: bool
) -> None:
    git(repository, "commit", "--quiet", "--allow-empty", "--message=two")
    plan = plan_of(changed(record, mounted=mounted), project, machine)
    if mounted:
        with pytest.raises(UsageError, match="the code here is not that of the run"):
            plan.require_same_code()
    else:
        plan.require_same_code()
        assert not plan.options.mounts_folder


def test_no_project_here(record: RunRecord, machine: Machine, tmp_path: Path) -> None:
    plan = plan_of(record, None, machine)
    assert (plan.lock, plan.options.mount) == (None, False)
    assert any("digest alone" in line for line in said(plan, "missing"))


def test_a_long_command_is_shown_to_its_end(record: RunRecord, project: Project, machine: Machine) -> None:
    words = ("python", "train.py", "--note=" + "\x1b" * 1500, "&&", "evil")
    lines = plan_lines(plan_of(changed(record, command=words), project, machine))
    # as `Output.report` shows them
    assert all(visible(line) == line for line in lines)
    shown = "".join(line.strip() for line in lines)
    assert "evil" in shown
    assert shown.count("x1b") == 1500


def test_a_record_does_not_reveal_variables_of_the_caller(
    record: RunRecord, project: Project, machine: Machine
) -> None:
    hostile = changed(record, variables={"HF_TOKEN": "x", "SEED": "1"})
    plan = plan_of(hostile, project, machine, options=RunOptions(env={"HF_TOKEN": "hunter2", "SEED": "2"}))
    assert plan.options.env == {"HF_TOKEN": "hunter2", "SEED": "2"}
    assert "hunter2" not in "".join(plan_lines(plan))
    assert "variable: SEED=2" in said(plan, "uses")


def test_a_file_of_variables_goes_before_the_record(
    record: RunRecord, project: Project, machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "env").write_text("PYTHONHASHSEED=1\n")
    own = changed(record, variables={"PYTHONHASHSEED": "0", "SEED": "7"})
    plan = plan_of(own, project, machine, options=RunOptions(env_files=(tmp_path / "env",)))
    assert variables(plan.options, machine.environment, tty=False) == {"PYTHONHASHSEED": "1", "SEED": "7"}


def test_what_is_copied_is_where_the_command_starts(
    record: RunRecord, project: Project, machine: Machine
) -> None:
    plan = plan_of(record, project, machine, options=RunOptions(copies=(project.lock,)))
    assert plan.options.workdir is None


def test_the_spec_of_another_folder_is_other_code(
    record: RunRecord, project: Project, machine: Machine
) -> None:
    assert record.git is not None
    other = record.git.model_copy(update={"folder": "other"})
    plan = plan_of(changed(record, git=other), project, machine)
    assert plan.code.text == f"commit {other.commit[:12]}, and its spec is in the folder other of it"
    # trackers that do not know the folder
    unknown = RecordedGit(commit=other.commit)
    assert plan_of(changed(record, git=unknown), project, machine).code.state == "same"


def test_a_machine_without_git(record: RunRecord, project: Project, machine: Machine, tmp_path: Path) -> None:
    without = Machine(environment={**machine.environment, "PATH": str(tmp_path)})
    plan = plan_of(record, project, without)
    assert plan.lock is not None
    assert plan.code.text.endswith(f"and git does not read {project.folder.resolve()}")
    found = FoundRun(source="x", record=record, place="x")
    with pytest.raises(EnvbuildError, match="`git` is not installed"):
        plan_checkout(found, tmp_path / "code", project, without)
    # nor is the lock of another commit to be had
    lost = changed(record, lock=RecordedLock(sha256="0" * 64), target=DIGEST)
    assert plan_of(lost, project, without).lock is None


class TestCheckout:
    """A clean checkout."""

    def test_of_the_repository_here(
        self, record: RunRecord, project: Project, machine: Machine, repository: Path, tmp_path: Path
    ) -> None:
        ran = tmp_path / "ran"
        hook = repository / ".git" / "hooks" / "post-checkout"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
        hook.chmod(0o755)
        (project.folder / "envbuild.toml").write_text("changed")
        found = FoundRun(source="x", record=record, place="x")
        checkout = plan_checkout(found, tmp_path / "code", project, machine)
        folder = check_out(checkout, machine)
        assert folder == (tmp_path / "code" / "train").resolve()
        assert (folder / "envbuild.toml").read_text() != "changed"
        assert not ran.exists()

    def test_no_filter_of_the_repository_is_run(
        self, record: RunRecord, project: Project, machine: Machine, repository: Path, tmp_path: Path
    ) -> None:
        ran = tmp_path / "ran"
        (repository / ".git" / "info").mkdir(exist_ok=True)
        (repository / ".git" / "info" / "attributes").write_text("* filter=evil\n")
        git(repository, "config", "filter.evil.smudge", f"touch {ran}; cat")
        found = FoundRun(source="x", record=record, place="x")
        checkout = plan_checkout(found, tmp_path / "code", project, machine)
        with pytest.raises(EnvbuildError, match=r"would run .*: filter\.evil\.smudge$") as caught:
            check_out(checkout, machine)
        assert (ran.exists(), checkout.folder.exists()) == (False, False)
        assert "git worktree add" in str(caught.value.hint)

    @pytest.mark.parametrize(
        "remote", [None, "ext::sh -c x", "file:///x", "/x", "--upload-pack=x", "git://host/a"]
    )
    def test_no_repository_has_the_commit(
        self, record: RunRecord, project: Project, machine: Machine, tmp_path: Path, remote: str | None
    ) -> None:
        hostile = changed(record, git=RecordedGit(commit="0" * 40, remote=remote))
        found = FoundRun(source="x", record=hostile, place="x")
        with pytest.raises(RecordError, match="is not in the repository here"):
            plan_checkout(found, tmp_path / "code", project, machine)

    def test_a_folder_that_is_there(
        self, record: RunRecord, project: Project, machine: Machine, tmp_path: Path
    ) -> None:
        found = FoundRun(source="x", record=record, place="x")
        with pytest.raises(UsageError, match="there is something in"):
            plan_checkout(found, tmp_path, project, machine)
        (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(UsageError, match="there is something in"):
            plan_checkout(found, tmp_path / "link", project, machine)

    def test_a_folder_that_leads_out(
        self, record: RunRecord, project: Project, machine: Machine, repository: Path, tmp_path: Path
    ) -> None:
        shutil.rmtree(project.folder)
        project.folder.symlink_to("/etc")
        git(repository, "add", "train")
        git(repository, "commit", "--quiet", "--message=two")
        commit = git(repository, "rev-parse", "HEAD")
        found = FoundRun(
            source="x", record=changed(record, git=RecordedGit(commit=commit, folder="train")), place="x"
        )
        (repository / "train").unlink()
        (repository / "train").mkdir()
        checkout = plan_checkout(found, tmp_path / "code", project, machine)
        with pytest.raises(RecordError, match="has no folder train"):
            check_out(checkout, machine)
