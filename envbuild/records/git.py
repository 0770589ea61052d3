"""Where a folder's code is in git: commit, whether it was changed, remote.  Nothing of a repository is run.

No hook, no monitor of files, no filter of the repository's own configuration, no server: a repository may be
somebody else's.  What git does not say in time is absent.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from envbuild import process
from envbuild.errors import EnvbuildError
from envbuild.visible import visible

TIMEOUT_SECONDS: Final = 1.0
"""Of one command: a repository of a million files takes longer to compare, and is not waited for."""

FILE_SECONDS: Final = 20.0
"""Of one file of a commit."""

MOST_OUTPUT: Final = 4 << 20
LONGEST_ADDRESS: Final = 1000

COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KEPT = re.compile(r"GIT_(CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_\d+|VALUE_\d+)|EXEC_PATH)")
_OPTIONS: Final = (
    *("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"),
    # each submodule has a configuration of its own
    *("-c", "submodule.recurse=false"),
)
_STATUS: Final = (
    "status",
    "--porcelain=v2",
    "--branch",
    "--untracked-files=no",
    # a submodule at another commit counts; to look into each one takes long, and uses its configuration
    "--ignore-submodules=dirty",
    "--no-renames",
    "-z",
)
_OWN_SCOPES: Final = frozenset({"system", "global", "command"})
"""Configuration of the machine and of a person; all other is a repository's."""

_FILTER = re.compile(r"filter\..*\.(clean|process|smudge)", re.DOTALL)
_REMOTE = re.compile(r"remote\.(?P<name>.+)\.url", re.DOTALL)
_BRANCH = re.compile(r"branch\.(?P<name>.+)\.remote", re.DOTALL)
_SSH_SHORT = re.compile(r"(?:(?P<user>[\w.-]+)@)?(?P<host>[A-Za-z0-9][\w.-]*):(?P<path>[^:@\s]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class GitFolder:
    """A folder in a repository."""

    root: Path
    commit: str
    dirty: bool | None
    """Whether tracked files differ from the commit; None: not known."""

    remote: str | None
    """Without credentials."""

    folder: str
    """Below the root."""

    def document(self) -> dict[str, Any]:
        """Return it as records have it."""
        found = {"commit": self.commit, "dirty": self.dirty, "remote": self.remote, "folder": self.folder}
        return {key: value for key, value in found.items() if value is not None}


def git_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a git that asks nobody, changes nothing and is where its folder is."""
    own = {
        key: value
        for key, value in environment.items()
        if not key.startswith(("GIT_", "SSH_ASKPASS")) or _KEPT.fullmatch(key)
    }
    return own | {
        "LC_ALL": "C",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }


def run_git(
    folder: Path,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    timeout: float = TIMEOUT_SECONDS,
    limit: int = MOST_OUTPUT,
) -> process.ProcessResult:
    """Run git on the repository of ``folder``.

    :raises EnvbuildError: there is no git, it takes too long, or it says too much.
    """
    return process.run(
        ["git", *_OPTIONS, *arguments],
        environment=git_environment(environment),
        folder=folder,
        timeout=timeout,
        output_limit=limit,
    )


def file_at(
    root: Path, commit: str, path: str, environment: Mapping[str, str], *, limit: int
) -> bytes | None:
    """Return a file of a commit as it is stored; None: there is none, or it is larger than ``limit`` bytes.

    :raises EnvbuildError: there is no git, or it does not answer in time.
    """
    try:
        done = run_git(
            root, ["cat-file", "blob", f"{commit}:{path}"], environment, timeout=FILE_SECONDS, limit=limit
        )
    except process.ProgramOutputError:
        return None
    return done.stdout_bytes if done.succeeded else None


def repository_root(folder: Path) -> Path | None:
    """Return the folder that has ``.git``, from ``folder`` upwards; None: there is none."""
    for place in (folder, *folder.parents):
        if os.path.lexists(place / ".git"):
            return place
    return None


def git_folder(folder: Path, environment: Mapping[str, str]) -> GitFolder | None:
    """Return where ``folder``, absolute, is in git; None: in none, or git does not say."""
    root = repository_root(folder)
    if root is None:
        return None
    try:
        listed = run_git(folder, ["config", "-z", "--show-scope", "--list"], environment)
        if not listed.succeeded:
            return None
        settings = _settings(listed.stdout)
        return _facts(folder, root, settings, environment)
    except (EnvbuildError, OSError, ValueError):
        # no git, too slow, or something that no record can have
        return None


def repository_filters(folder: Path, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the filters that a repository itself, and not its user, configures.

    :raises EnvbuildError: there is no git, or it does not say.
    """
    listed = run_git(folder, ["config", "-z", "--show-scope", "--list"], environment, timeout=60.0)
    if not listed.succeeded:
        raise EnvbuildError("git does not read the configuration of the repository", detail=listed.stderr)
    return tuple(sorted({item.name for item in _settings(listed.stdout) if _is_filter(item)}))


@dataclass(frozen=True, slots=True)
class _GitSetting:
    scope: str
    name: str
    value: str


def _settings(text: str) -> list[_GitSetting]:
    parts = text.split("\0")
    pairs = zip(parts[::2], parts[1::2], strict=False)
    return [
        _GitSetting(scope, name, value) for scope, item in pairs for name, _, value in [item.partition("\n")]
    ]


def _facts(
    folder: Path, root: Path, settings: Sequence[_GitSetting], environment: Mapping[str, str]
) -> GitFolder | None:
    commit, branch, dirty = _status(folder, settings, environment)
    if commit is None:
        return None
    below = folder.relative_to(root).as_posix()
    return GitFolder(root=root, commit=commit, dirty=dirty, remote=_remote(settings, branch), folder=below)


def _status(
    folder: Path, settings: Sequence[_GitSetting], environment: Mapping[str, str]
) -> tuple[str | None, str, bool | None]:
    """Return the commit, the branch, and whether tracked files differ; None: not known."""
    # the filters of a person's own configuration are his own programs, those of a repository are anybody's
    if not any(map(_is_filter, settings)):
        try:
            said = run_git(folder, _STATUS, environment)
        except (process.ProgramTimeoutError, process.ProgramOutputError):
            pass
        else:
            if not said.succeeded:
                return None, "", None
            return _parse_status(said.stdout)
    said = run_git(folder, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], environment)
    commit = said.stdout.strip()
    return (commit if COMMIT.fullmatch(commit) else None), "", None


def _is_filter(setting: _GitSetting) -> bool:
    return setting.scope not in _OWN_SCOPES and _FILTER.fullmatch(setting.name) is not None


def _parse_status(text: str) -> tuple[str | None, str, bool | None]:
    commit, branch, dirty = None, "", False
    for entry in text.split("\0"):
        if entry.startswith("# branch.oid "):
            found = entry.removeprefix("# branch.oid ")
            # `(initial)`: there is no commit yet
            commit = found if COMMIT.fullmatch(found) else None
        elif entry.startswith("# branch.head "):
            branch = entry.removeprefix("# branch.head ")
        elif entry[:2] in {"1 ", "2 ", "u "}:
            dirty = True
    return commit, branch, dirty


def _remote(settings: Sequence[_GitSetting], branch: str) -> str | None:
    """Return the address of the branch's remote, else of ``origin``, else of the only one."""
    addresses: dict[str, str] = {}
    remotes: dict[str, str] = {}
    for setting in settings:
        if found := _REMOTE.fullmatch(setting.name):
            addresses.setdefault(found["name"], setting.value)
        elif found := _BRANCH.fullmatch(setting.name):
            remotes[found["name"]] = setting.value
    only = next(iter(addresses)) if len(addresses) == 1 else ""
    for name in (remotes.get(branch, ""), "origin", only):
        if name in addresses:
            return public_remote(addresses[name])
    return None


def public_remote(address: str) -> str | None:
    """Return the address of a remote as others may see it; None: it is a place on this machine alone.

    No password, no query, and no user but ``git``, which is nobody.
    """
    if len(address) > LONGEST_ADDRESS or visible(address, limit=None) != address:
        return None
    if "://" not in address:
        short = _SSH_SHORT.fullmatch(address)
        if short is None or address.startswith(("/", ".", "~")):
            return None
        user = "git@" if short["user"] == "git" else ""
        return f"{user}{short['host']}:{short['path']}"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in {"https", "http", "ssh", "git"} or not host or host.startswith("-"):
        return None
    user = "git@" if parts.scheme == "ssh" and parts.username == "git" else ""
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{user}{shown}{f':{port}' if port else ''}{parts.path}"
