"""Where code is in git."""

import os
import shutil
from pathlib import Path

import pytest

from envbuild.records.git import git_folder, public_remote
from tests.rig.run_records import GIT_ENVIRONMENT, git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository of one commit, with a folder below it."""
    root = tmp_path.resolve() / "repository"
    (root / "train").mkdir(parents=True)
    (root / "train" / "a.py").write_text("1\n")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=one")
    return root


def test_a_clean_folder_below_the_root(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://me:secret@host.example/org/repo.git?token=x")
    found = git_folder(repository / "train", GIT_ENVIRONMENT)
    assert found is not None
    assert found.root == repository
    assert found.commit == git(repository, "rev-parse", "HEAD")
    assert (found.dirty, found.folder) == (False, "train")
    assert found.remote == "https://host.example/org/repo.git"


def test_a_changed_file_is_dirty_and_a_new_one_is_not(repository: Path) -> None:
    (repository / "output.txt").write_text("x")
    new = git_folder(repository, GIT_ENVIRONMENT)
    (repository / "train" / "a.py").write_text("2\n")
    changed = git_folder(repository, GIT_ENVIRONMENT)
    git(repository, "add", "train")
    staged = git_folder(repository, GIT_ENVIRONMENT)
    assert [found and found.dirty for found in (new, changed, staged)] == [False, True, True]


def test_a_detached_head_and_a_worktree(repository: Path) -> None:
    git(repository, "worktree", "add", "--quiet", "--detach", "../other")
    found = git_folder(repository.parent / "other" / "train", GIT_ENVIRONMENT)
    assert found is not None
    assert (found.root, found.folder) == (repository.parent / "other", "train")
    assert found.commit == git(repository, "rev-parse", "HEAD")


def test_the_remote_is_that_of_the_branch(repository: Path) -> None:
    for name in ("origin", "fork"):
        git(repository, "remote", "add", name, f"git@host.example:{name}/repo.git")
    git(repository, "config", "branch.main.remote", "fork")
    found = git_folder(repository, GIT_ENVIRONMENT)
    assert found is not None
    assert found.remote == "git@host.example:fork/repo.git"


def test_no_repository_no_commit_and_no_git(tmp_path: Path, repository: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert git_folder(empty, GIT_ENVIRONMENT) is None
    git(empty, "init", "--quiet")
    assert git_folder(empty, GIT_ENVIRONMENT) is None
    assert git_folder(repository, {"PATH": str(tmp_path)}) is None


@pytest.mark.parametrize("content", ["", "gitdir: /nonexistent\n", "x" * 100])
def test_a_broken_repository_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / ".git").write_text(content)
    assert git_folder(tmp_path, GIT_ENVIRONMENT) is None


def test_a_repository_of_somebody_else_is_none(repository: Path) -> None:
    if os.geteuid() == 0:
        for path in (repository, *repository.rglob("*")):
            os.chown(path, 12345, 12345)
        assert git_folder(repository, GIT_ENVIRONMENT) is None
    else:
        assert git_folder(repository, {**GIT_ENVIRONMENT, "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}) is not None


def test_nothing_of_a_repository_is_run(repository: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    program.chmod(0o755)
    hook = repository / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(program.read_text())
    hook.chmod(0o755)
    for name in ("core.fsmonitor", "filter.evil.clean", "core.pager", "core.sshCommand", "diff.external"):
        git(repository, "config", name, str(program))
    (repository / ".git" / "info" / "attributes").write_text("* filter=evil\n")
    # looks changed, so that its content would be compared
    os.utime(repository / "train" / "a.py", (1, 1))
    found = git_folder(repository, GIT_ENVIRONMENT)
    assert found is not None
    assert (found.dirty, ran.exists()) == (None, False)


def test_what_takes_too_long_is_left_out(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a git whose comparison does not end, as in a repository of millions of files
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    real = shutil.which("git")
    program.write_text(
        f'#!/bin/sh\nfor word; do [ "$word" = status ] && exec sleep 1000; done\nexec {real} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr("envbuild.records.git.TIMEOUT_SECONDS", 0.5)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    found = git_folder(repository, {**GIT_ENVIRONMENT, "PATH": os.environ["PATH"]})
    assert found is not None
    assert (found.commit, found.dirty) == (git(repository, "rev-parse", "HEAD"), None)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://host.example/a.git", "https://host.example/a.git"),
        ("https://me@host.example:8443/a", "https://host.example:8443/a"),
        ("https://me:x@host.example/a?token=y#z", "https://host.example/a"),
        ("ssh://git@host.example:22/a", "ssh://git@host.example:22/a"),
        ("ssh://me:x@host.example/a", "ssh://host.example/a"),
        ("git@host.example:org/a.git", "git@host.example:org/a.git"),
        ("me@host.example:org/a.git", "host.example:org/a.git"),
        ("https://[::1]:8/a", "https://[::1]:8/a"),
        ("/home/me/a.git", None),
        ("../a", None),
        ("~/a", None),
        ("file:///home/me/a", None),
        ("ext::sh -c x", None),
        ("https://host.example:99999/a", None),
        ("https://-host/a", None),
        ("https://host.example/a\x1b[2J", None),
        ("", None),
    ],
)
def test_a_remote_as_others_may_see_it(address: str, expected: str | None) -> None:
    assert public_remote(address) == expected
