"""The code of a recorded run: whether the folder here has it, and a clean checkout of it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from envbuild.errors import EnvbuildError, RecordError, UsageError

if TYPE_CHECKING:
    from envbuild.records.found import FoundRun
    from envbuild.records.model import RecordedGit, RunRecord
    from envbuild.workflows.machine import Machine
    from envbuild.workflows.project import Project

SECONDS: Final = 1800.0
"""Of a checkout: histories can be large."""

MOST_OUTPUT: Final = 16 << 20

State = Literal["same", "differs", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeState:
    """How the code here relates to that of the run."""

    state: State
    text: str
    """In words."""


def code_here(record: "RunRecord", project: "Project | None", machine: "Machine") -> CodeState:
    """Return whether the folder of the spec has the code of the run."""
    from envbuild.records.git import git_folder, repository_root

    git = record.git
    if git is None:
        return CodeState(state="unknown", text="no commit was recorded")
    commit = git.commit[:12]
    if project is None:
        return CodeState(state="differs", text=f"commit {commit}, and there is no spec here")
    folder = project.folder.resolve()
    here = git_folder(folder, machine.environment)
    difference = None
    if here is None:
        # no git, a repository of another user, or no commit yet
        is_in_one = repository_root(folder) is not None
        difference = f"git does not read {folder}" if is_in_one else "this folder is in no git repository"
    elif here.commit != git.commit:
        difference = f"here is {here.commit[:12]}"
    elif "folder" in git.model_fields_set and here.folder != git.folder:
        difference = f"its spec is in the folder {git.folder} of it"
    elif here.dirty and not git.dirty:
        difference = "files here were changed since"
    if difference is not None:
        return CodeState(state="differs", text=f"commit {commit}, and {difference}")
    if here is not None and here.dirty is None:
        return CodeState(state="unknown", text=f"commit {commit}; git did not say whether files were changed")
    return CodeState(state="same", text=f"commit {commit}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A clean checkout that is to be made."""

    folder: Path
    commit: str
    repository: Path | None
    """Of this machine, which has the commit; None: it is fetched."""

    remote: str | None
    below: str
    """The spec's folder in it."""

    def __str__(self) -> str:
        where = self.repository if self.repository is not None else self.remote
        return f"commit {self.commit[:12]} of {where} into {self.folder}"


def plan_checkout(found: "FoundRun", folder: Path, project: "Project | None", machine: "Machine") -> Checkout:
    """Return the checkout of a run's commit into ``folder``: of the repository here, or of the recorded one.

    :raises UsageError: there is something in ``folder``.
    :raises RecordError: the record names no commit, or none that can be had.
    :raises EnvbuildError: there is no git.
    """
    from envbuild.records.git import public_remote

    git = found.record.git
    if git is None:
        raise RecordError("the record names no commit, so that nothing can be checked out")
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise UsageError(f"--into: there is something in {folder} already", hint="name a folder that is new")
    repository = _repository_with(git, project, machine)
    # an address of a record may name a program of this machine
    remote = public_remote(git.remote) if git.remote else None
    if repository is None and (remote is None or remote.startswith("git://")):
        raise RecordError(
            f"commit {git.commit[:12]} is not in the repository here, and the record names no remote",
            hint="change to a clone of its repository, and `git fetch`",
        )
    return Checkout(
        folder=folder.parent.resolve() / folder.name,
        commit=git.commit,
        repository=repository,
        remote=remote,
        below=git.folder,
    )


def check_out(checkout: Checkout, machine: "Machine") -> Path:
    """Make a checkout, without hooks; return the spec's folder in it.

    :raises UsageError: it is to be fetched, and the machine is offline.
    :raises EnvbuildError: git cannot make it.
    """
    if checkout.repository is not None:
        _require_no_filters(checkout.repository, checkout.commit, machine)
        add = ["worktree", "add", "--quiet", "--detach", str(checkout.folder), checkout.commit]
        _git(checkout.repository, add, machine)
    else:
        if machine.offline:
            raise UsageError(f"{checkout.remote} is asked for the code, and --offline asks nobody")
        checkout.folder.parent.mkdir(parents=True, exist_ok=True)
        _clone(checkout, machine)
    place = (checkout.folder / checkout.below).resolve()
    if not place.is_relative_to(checkout.folder.resolve()) or not place.is_dir():
        raise RecordError(
            f"the commit has no folder {checkout.below}", hint=f"it was checked out into {checkout.folder}"
        )
    return place


def _require_no_filters(repository: Path, commit: str, machine: "Machine") -> None:
    """Return if a checkout runs nothing that the repository itself names: it may be somebody else's."""
    from envbuild.records.git import repository_filters

    filters = repository_filters(repository, machine.environment)
    if filters:
        raise EnvbuildError(
            f"a checkout would run what the configuration of the repository names: {', '.join(filters)}",
            hint=f"if that is yours, make it yourself: git worktree add FOLDER {commit}",
        )


def _repository_with(git: "RecordedGit", project: "Project | None", machine: "Machine") -> Path | None:
    from envbuild.records.git import repository_root, run_git

    root = repository_root((project.folder if project else Path.cwd()).resolve())
    if root is None:
        return None
    words = ["cat-file", "-e", f"{git.commit}^{{commit}}"]
    return root if run_git(root, words, machine.environment, timeout=60.0).succeeded else None


def _git(folder: Path, arguments: list[str], machine: "Machine") -> None:
    from envbuild.records.git import run_git

    done = run_git(folder, arguments, machine.environment, timeout=SECONDS, limit=MOST_OUTPUT)
    if not done.succeeded:
        raise EnvbuildError("git could not check the code out", detail=done.stderr[-2000:])


def _clone(checkout: Checkout, machine: "Machine") -> None:
    from envbuild import process
    from envbuild.remote.git.environment import OPTIONS, git_environment
    from envbuild.remote.git.errors import explain_failure

    remote = checkout.remote or ""
    clone = ["clone", "--quiet", "--no-checkout", "--template=", "--", remote, os.fspath(checkout.folder)]
    done = process.run(
        ["git", *OPTIONS, *clone],
        environment=git_environment(machine.environment),
        timeout=SECONDS,
        output_limit=MOST_OUTPUT,
    )
    if not done.succeeded:
        raise explain_failure(remote, done.stderr)
    _git(checkout.folder, ["checkout", "--quiet", "--detach", checkout.commit], machine)
