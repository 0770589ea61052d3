import gc
import json
from pathlib import Path

import pytest

from envbuild.lock.codec import dumps
from tests.rig.growing import with_debs, with_target, with_wheels, without_wheels
from tests.rig.locks import GPU, deb, gpu_lock, sample_lock, wheel
from tests.rig.program import Program
from tests.rig.repository import IDENTITY, Repository

OLD = gpu_lock()
NEW = with_target(
    with_debs(
        without_wheels(
            with_wheels(OLD, wheel("numpy", "2.4.0", size=17_000_000), wheel("polars", size=31_000_000)),
            "joblib",
        ),
        deb("curl", "7.88.1"),
    ),
    gpu=GPU.model_copy(
        update={
            "toolkit": "13.2.2",
            "architectures": (GPU.architectures[0].model_copy(update={"cubins": {"sm_80": 1, "sm_120": 1}}),),
        }
    ),
    env={**OLD.targets[0].env, "HF_HOME": "/cache"},
)
TEXT = """\
default on linux/amd64: {old} → {new}, files 25.3 MB → 57.0 MB
         CUDA           13.0.3 → 13.2.2
         env HF_HOME    + /cache
         architectures  +sm_120 -sm_75
  wheel  joblib         - 1.5.2
  wheel  numpy          2.3.4 → 2.4.0
  wheel  polars         + 1.0
  deb    curl           + 7.88.1
"""


@pytest.fixture
def two(program: Program) -> Program:
    """Return a program beside two locks, old.lock and new.lock."""
    (program.folder / "old.lock").write_text(dumps(OLD))
    (program.folder / "new.lock").write_text(dumps(NEW))
    program.has(NEW)
    return program


def tags(program: Program) -> dict[str, str]:
    (target,) = json.loads(program("diff", "old.lock", "new.lock", "--json").stdout)["targets"]
    return dict(target["tag"])


def test_changes_are_shown_by_kind(two: Program):
    answer = two("diff", "old.lock", "new.lock")

    assert (answer.code, answer.stderr) == (0, "")
    assert answer.stdout == TEXT.format_map(tags(two))


def test_the_new_side_is_the_lock_that_lies_there(two: Program):
    assert two("diff", "old.lock").stdout == two("diff", "old.lock", ".").stdout


def test_the_same_lock_has_no_differences(two: Program):
    answer = two("diff", "new.lock", "--exit-code")

    assert (answer.code, answer.stdout) == (0, "")
    assert answer.stderr == "new.lock and envbuild.lock make the same images\n"


def test_differences_can_be_an_exit_code(two: Program):
    assert two("diff", "old.lock", "new.lock", "--exit-code").code == 1


def test_a_pull_request_gets_markdown(two: Program):
    answer = two("diff", "old.lock", "new.lock", "--markdown")

    shown = tags(two)
    assert (
        answer.stdout
        == f"""\
### Environment: `old.lock` → `new.lock`

**default** on linux/amd64: `{shown["old"]}` → `{shown["new"]}`, files 25.3 MB → 57.0 MB

- CUDA: `13.0.3` → `13.2.2`
- env HF_HOME: + `/cache`
- architectures gained: `sm_120`
- architectures lost: `sm_75`

<details open><summary>Python packages: 1 added, 1 removed, 1 changed</summary>

| | package | before | after |
|---|---|---|---|
| - | joblib | `1.5.2` |  |
| ~ | numpy | `2.3.4` | `2.4.0` |
| + | polars |  | `1.0` |

</details>

<details><summary>system packages: 1 added</summary>

| | package | before | after |
|---|---|---|---|
| + | curl |  | `7.88.1` |

</details>
"""
    )


def test_a_program_gets_json(two: Program):
    document = json.loads(two("diff", "old.lock", "new.lock", "--json").stdout)

    (target,) = document["targets"]
    assert (document["old"], document["new"], document["differs"]) == ("old.lock", "new.lock", True)
    assert target["architectures"] == {"gained": ["sm_120"], "lost": ["sm_75"]}
    assert target["packages"][0] == {
        "kind": "wheel",
        "name": "joblib",
        "change": "removed",
        "old": {"version": "1.5.2", "sha256": wheel("joblib", "1.5.2").sha256, "size": 308_000},
        "new": None,
    }


def test_one_form_at_a_time(two: Program):
    answer = two("diff", "old.lock", "--json", "--markdown")

    assert answer.code == 2
    assert "--markdown and --json are two forms of one answer" in answer.stderr


class TestRevisions:
    @pytest.fixture
    def repository(self, program: Program, monkeypatch: pytest.MonkeyPatch) -> Repository:
        for name, value in IDENTITY.items():
            monkeypatch.setenv(name, value)
        repository = Repository.of(program, OLD)
        repository.commit(NEW)
        return repository

    def test_the_work_tree_is_compared_with_head(self, repository: Repository):
        repository.program.lock.write_text(dumps(OLD))

        assert "polars         - 1.0" in repository.program("diff").stdout

    def test_two_revisions(self, repository: Repository):
        answer = repository.program("diff", "HEAD~1", "main")

        assert answer.stdout == repository.program("diff", "git:HEAD~1", "HEAD:envbuild.lock").stdout
        assert "polars         + 1.0" in answer.stdout

    def test_a_lock_in_a_folder_of_the_repository(self, repository: Repository):
        folder = repository.program.folder / "envs" / "train"
        folder.mkdir(parents=True)
        (folder / "envbuild.lock").write_text(dumps(sample_lock()))
        repository.commit()
        (folder / "envbuild.lock").write_text(dumps(NEW))

        answer = repository.program("diff", "HEAD", "--spec", "envs/train")

        assert "polars" in answer.stdout
        assert (
            repository.program("diff", "HEAD:envs/train/envbuild.lock", "envs/train").stdout == answer.stdout
        )

    def test_a_revision_without_a_lock(self, repository: Repository):
        answer = repository.program("diff", "HEAD:elsewhere/envbuild.lock")

        assert (answer.code, answer.stdout) == (4, "")
        assert answer.stderr.startswith("error: there is no elsewhere/envbuild.lock in revision HEAD\n")

    def test_a_revision_whose_lock_cannot_be_read(self, repository: Repository):
        repository.program.lock.write_text("version = 99\n")
        repository.commit()

        answer = repository.program("diff", "HEAD", "HEAD~1")

        assert answer.code == 4
        assert answer.stderr.startswith(
            "error: HEAD: the lock has format version 99; this envbuild reads versions 1 and 2\n"
        )


# Docker's SDK leaves the socket of a connection that failed to the garbage collector
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("name", ["no-such-thing", "HEAD~7", "--upload-pack=x"])
def test_what_is_neither_file_nor_revision(two: Program, name: str):
    answer = two("diff", "--", name)
    gc.collect()

    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr.startswith(
        f"error: `{name}` is neither a file nor a revision, and no engine can be asked for such an image\n"
    )


def test_an_unknown_revision_asked_for_as_one(two: Program):
    answer = two("diff", "git:no-such-branch")

    assert (answer.code, answer.stderr) == (2, "error: there is no revision `no-such-branch`\n")


def test_a_lock_with_an_unresolved_merge(two: Program):
    (two.folder / "old.lock").write_text(f"<<<<<<< ours\n{dumps(OLD)}")

    answer = two("diff", "old.lock")

    assert answer.code == 4
    assert "it holds an unresolved merge" in answer.stderr


def test_without_a_lock(program: Program, tmp_path: Path):
    (tmp_path / "old.lock").write_text(dumps(OLD))
    program.spec.write_text('name = "train"\npython = "3.11"\n')

    answer = program("diff", str(tmp_path / "old.lock"))

    assert (answer.code, answer.stderr) == (
        4,
        "error: there is no envbuild.lock\n\nhint: run `envbuild lock`\n",
    )


def test_two_locks_need_no_project(program: Program):
    (program.folder / "old.lock").write_text(dumps(OLD))
    (program.folder / "new.lock").write_text(dumps(NEW))

    assert program("diff", "old.lock", "new.lock").code == 0
    assert program("diff", "old.lock").stderr.startswith("error: there is no envbuild.lock\n")


DEFAULT = "error: OLD defaults to the lock of the last commit"
NAME_OLD = "name OLD: a lock or its folder, a git revision, or an image\n"


class TestWithoutOld:
    """What is compared by default is in git: nobody typed HEAD, so no message speaks of it."""

    @pytest.fixture(autouse=True)
    def identity(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in IDENTITY.items():
            monkeypatch.setenv(name, value)

    def test_outside_git(self, two: Program):
        answer = two("diff")

        assert (answer.code, answer.stdout) == (2, "")
        assert answer.stderr == (
            f"{DEFAULT}, and there is no git repository here\n"
            "  | fatal: not a git repository (or any of the parent directories): .git\n\n"
            f"hint: {NAME_OLD}"
        )

    def test_git_is_not_installed(self, two: Program, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setenv("PATH", str(two.folder))

        answer = two("diff")

        assert (answer.code, answer.stderr) == (
            2,
            f"{DEFAULT}, and git is not installed\n\nhint: {NAME_OLD}",
        )

    def test_nothing_is_committed(self, two: Program):
        Repository(two).git("init", "--quiet")

        answer = two("diff")

        assert (answer.code, answer.stderr) == (
            2,
            f"{DEFAULT}, and nothing is committed yet\n\nhint: {NAME_OLD}",
        )

    def test_the_lock_is_not_in_git(self, two: Program):
        repository = Repository(two)
        repository.git("init", "--quiet")
        (two.folder / ".gitignore").write_text("envbuild.lock\n")
        repository.commit()

        answer = two("diff")

        assert (answer.code, answer.stderr) == (
            4,
            f"{DEFAULT}, which has none\n\nhint: commit the lock, or {NAME_OLD}",
        )


# Docker's SDK leaves the socket of a connection that failed to the garbage collector
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_an_image_is_asked_of_the_docker_engine_unless_said_otherwise(two: Program):
    answer = two("diff", "image:train")
    gc.collect()

    assert answer.code == 6
    assert answer.stderr.startswith("error: no Docker Engine answers")
