"""Git repositories: from a branch or tag to a commit, and from a commit to its sources.

The ``git`` program does it, with this machine's own configuration for reaching servers (proxies,
certificates, credential helpers, ssh), and with nothing that a repository says: no hooks, no filters, no
attributes, no protocols besides https, http and ssh.  It never asks a person.
"""

import contextlib
import posixpath
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from envbuild import process
from envbuild.errors import EnvbuildError, IntegrityError, NotFoundError
from envbuild.remote.git.archival import ARCHIVAL, archival_text, takes_version_from_tags
from envbuild.remote.git.environment import OPTIONS, git_environment, without_configuration
from envbuild.remote.git.errors import explain_failure
from envbuild.remote.git.source_tree import SourceFiles, SourceTreeError
from envbuild.remote.git.submodules import Submodule, read_submodules
from envbuild.remote.http import without_credentials

TIMEOUT_SECONDS: Final = 1800.0
"""Of one command: histories can be large."""

MOST_OUTPUT: Final = 64 << 20
"""Bytes that a command may say: some 500 000 files."""

LARGEST_TREE: Final = 4 << 30
"""Bytes of all files of one commit, submodules apart."""

MOST_FILES: Final = 500_000
DEEPEST_SUBMODULE: Final = 8
MOST_SUBMODULES: Final = 128

COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT = re.compile(r"[0-9a-f]{7,39}")
_REDIRECTED = re.compile(r"^warning: redirecting to (\S+)", re.MULTILINE)
_AS_STORED = "* -text !eol !ident !filter !working-tree-encoding !export-subst !export-ignore\n"
"""Attributes over all others: files are taken as they are stored, every one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """The sources of one commit, submodules among them."""

    commit: str
    path: Path
    """The tar of :mod:`envbuild.remote.git.source_tree`."""

    sha256: str
    """Of the tar: the digest of the content."""

    size: int
    """Of the tar, in bytes."""

    described: str | None = None
    """What ``git describe`` said, where the project takes its version from tags."""

    notes: tuple[str, ...] = ()
    """What the user should know."""


@dataclass(slots=True)
class _GatheredSources:
    """What was gathered of a commit and its submodules so far."""

    files: SourceFiles = field(default_factory=SourceFiles)
    notes: list[str] = field(default_factory=list)
    submodules: int = 0


class GitClient:
    """Asks servers of repositories, as this machine is configured."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        proxy: str | None = None,
        bundle: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        """``proxy`` and ``bundle`` (of CA certificates) count where the environment names none."""
        self._environment = git_environment(environment, proxy=proxy, bundle=bundle)
        self._timeout = timeout

    def resolve_reference(self, url: str, reference: str | None = None) -> str:
        """Return the commit that a branch, tag or commit is; None: the default branch.

        A short commit is looked up in the history, which is fetched without files where the server can.

        :raises NotFoundError: the repository, or the reference in it, does not exist.
        :raises NetworkError: the server cannot be reached, or refuses.
        :raises EnvbuildError: a branch and a tag have that name, and are different commits.
        """
        if reference and COMMIT.fullmatch(reference.lower()):
            return reference.lower()
        wanted = [reference] if reference else ["HEAD"]
        if reference and not reference.startswith("refs/"):
            wanted = [f"refs/heads/{reference}", f"refs/tags/{reference}"]
        patterns = [pattern for name in wanted for pattern in (name, f"{name}^{{}}")]
        said = self._run(["ls-remote", "--", url, *patterns], url).stdout
        listed = {name: commit for commit, _, name in (line.partition("\t") for line in said.splitlines())}
        commits = {name: listed.get(f"{name}^{{}}") or listed[name] for name in wanted if name in listed}
        if len(set(commits.values())) > 1:
            raise EnvbuildError(
                f"{without_credentials(url)} has a branch and a tag `{reference}`, of different commits",
                hint=f"write `@refs/heads/{reference}` or `@refs/tags/{reference}`",
            )
        if commits:
            return next(iter(commits.values()))
        if reference and _SHORT.fullmatch(reference.lower()):
            return self._whole_commit(url, reference.lower())
        raise _no_reference(url, reference)

    def fetch_source(
        self,
        url: str,
        commit: str,
        folder: Path,
        *,
        subdirectory: str | None = None,
        described: str | None = None,
    ) -> SourceTree:
        """Write the sources of ``commit`` into ``folder``, an empty one, as one tar.

        The same commit gives the same bytes on every machine.  Submodules are among them, files of Git LFS
        are not: their pointers stay, and a note says so.  ``.git`` is not there.  Where the project, in
        ``subdirectory`` if it is not at the top, takes its version from tags (setuptools-scm, hatch-vcs,
        versioningit, PDM's scm), a ``.git_archival.txt`` is added with the commit, its date and what ``git
        describe`` says: setuptools-scm 7 and newer, and what is built on it, take the version from that file.
        One that the repository has stays, unless it is the template that only ``git archive`` fills in.  As
        tags come later, give what was ``described`` when the sources were locked: then no history is asked
        for.

        :raises NotFoundError: the repository has no such commit.
        :raises NetworkError: a server cannot be reached, or refuses.
        :raises IntegrityError: the sources have something that is not taken, such as a link out of them.
        """
        if not COMMIT.fullmatch(commit):
            raise ValueError(f"not a commit: {commit!r}")
        collected = _GatheredSources()
        repository = self._collect(url, commit, folder, collected, below=b"", depth=0)
        if takes_version_from_tags(collected.files, subdirectory):
            described = described or self._describe(repository, url, commit, collected)
            date = self._local(repository, ["show", "-s", "--format=%cI", commit]).stdout.strip()
            self._add_archival(collected.files, subdirectory, archival_text(commit, date, described))
        else:
            described = None
        if pointers := collected.files.pointers():
            more = f" and {len(pointers) - 1} more" if len(pointers) > 1 else ""
            collected.notes.append(
                f"`{pointers[0]}`{more} of {without_credentials(url)} is in Git LFS, which is not fetched"
            )
        path = folder / "source.tar"
        with _tree_errors(url, commit):
            sha256, size = collected.files.write(path)
        return SourceTree(
            commit=commit,
            path=path,
            sha256=sha256,
            size=size,
            described=described,
            notes=tuple(collected.notes),
        )

    def _collect(
        self, url: str, commit: str, folder: Path, collected: _GatheredSources, *, below: bytes, depth: int
    ) -> Path:
        """Add the sources of a commit, and of its submodules, under ``below``; return the repository."""
        repository = self._init(folder / f"repository-{collected.submodules}")
        self._fetch_commit(repository, url, commit, collected)
        submodules = self._listed_submodules(repository, url, commit)
        archive = folder / f"sources-{collected.submodules}.tar"
        (repository / "info").mkdir(exist_ok=True)
        (repository / "info" / "attributes").write_text(_AS_STORED, encoding="utf-8")
        done = self._local(repository, ["archive", "--format=tar", f"--output={archive}", commit])
        if not done.succeeded:
            raise EnvbuildError(f"git cannot read {commit} of {without_credentials(url)}", detail=done.stderr)
        with _tree_errors(url, commit):
            collected.files.add_archive(archive, below=below)
        for submodule in submodules:
            collected.submodules += 1
            if depth == DEEPEST_SUBMODULE or collected.submodules > MOST_SUBMODULES:
                raise IntegrityError(f"{without_credentials(url)} has more submodules than anybody needs")
            place = posixpath.join(below, submodule.path)
            self._collect(submodule.url, submodule.commit, folder, collected, below=place, depth=depth + 1)
        return repository

    def _fetch_commit(self, repository: Path, url: str, commit: str, collected: _GatheredSources) -> None:
        """Fetch one commit alone; from servers that refuse this, all that branches and tags have."""
        arguments = ["fetch", "--depth=1", "--no-tags", "--", url, commit]
        done = self._git(repository, arguments)
        if not done.succeeded:
            self._fetch_all(repository, url)
        if not self._local(repository, ["cat-file", "-e", f"{commit}^{{commit}}"]).succeeded:
            raise NotFoundError(
                f"{without_credentials(url)} has no commit {commit}",
                hint="it may have been rewritten: ask for a branch, a tag or a newer commit",
            )
        if moved := _REDIRECTED.search(done.stderr):
            collected.notes.append(
                f"{without_credentials(url)} has moved to {without_credentials(moved[1].rstrip('/'))}: "
                "write that address"
            )

    def _fetch_all(self, repository: Path, url: str, *, without_files: bool = False) -> None:
        arguments = ["fetch", "--no-tags", *(["--filter=tree:0"] if without_files else [])]
        refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
        self._run([*arguments, "--", url, *refs], url, repository)

    def _whole_commit(self, url: str, short: str) -> str:
        with tempfile.TemporaryDirectory(prefix="envbuild-git-") as name:
            repository = self._init(Path(name) / "history")
            self._fetch_all(repository, url, without_files=True)
            found = self._local(repository, ["rev-parse", "--verify", "--quiet", f"{short}^{{commit}}"])
        if not found.succeeded:
            raise _no_reference(url, short)
        return found.stdout.strip()

    def _listed_submodules(self, repository: Path, url: str, commit: str) -> tuple[Submodule, ...]:
        """Return the submodules of a commit.  :raises IntegrityError: it is too large, or they are wrong."""
        listed = self._local(repository, ["ls-tree", "-r", "-z", "-l", "--full-tree", commit])
        entries = [entry for entry in listed.stdout_bytes.split(b"\0") if entry]
        sizes = [int(size) for entry in entries if (size := entry.split(b"\t")[0].split()[3]).isdigit()]
        if len(entries) > MOST_FILES or sum(sizes) > LARGEST_TREE:
            raise IntegrityError(
                f"{commit} of {without_credentials(url)} has {len(entries)} files of {sum(sizes)} bytes",
                hint=f"at most {MOST_FILES} files of {LARGEST_TREE} bytes are taken",
            )
        pinned = [entry for entry in entries if entry.startswith(b"160000 ")]
        if not pinned:
            return ()
        settings = self._local(
            repository, ["config", "--blob", f"{commit}:.gitmodules", "-z", "--list"]
        ).stdout
        return read_submodules(pinned, settings, url)

    def _describe(self, repository: Path, url: str, commit: str, collected: _GatheredSources) -> str | None:
        """Return the nearest tag before a commit, how many commits there are since, and the commit."""
        shallow = self._local(repository, ["rev-parse", "--is-shallow-repository"]).stdout.strip() == "true"
        unshallow = ["--unshallow"] if shallow else []
        refs = [commit, "+refs/tags/*:refs/tags/*"]
        for only in (["--filter=tree:0"], []):
            done = self._git(repository, ["fetch", "--no-tags", *only, *unshallow, "--", url, *refs])
            if done.succeeded:
                break
        # nine digits: git's own choice depends on how much of a repository there is
        arguments = ["describe", "--tags", "--long", "--abbrev=9", "--match=*[0-9]*", commit]
        said = self._local(repository, arguments)
        if not said.succeeded:
            collected.notes.append(f"no tag of {without_credentials(url)} comes before {commit[:9]}")
        return said.stdout.strip() or None

    def _add_archival(self, files: SourceFiles, subdirectory: str | None, text: str) -> None:
        for folder in sorted({"", subdirectory or ""}):
            path = posixpath.join(folder, ARCHIVAL).encode()
            known = files.read(path, MOST_OUTPUT)
            if known is None or b"$Format" in known:
                files.add_text(path, text)

    def _init(self, repository: Path) -> Path:
        # no templates: they may have hooks
        done = self._git(None, ["init", "--quiet", "--bare", "--template=", str(repository)])
        if not done.succeeded:
            raise EnvbuildError("git cannot make a repository", detail=done.stderr)
        return repository

    def _run(
        self, arguments: Sequence[str], url: str, repository: Path | None = None
    ) -> process.ProcessResult:
        done = self._git(repository, arguments)
        if not done.succeeded:
            raise explain_failure(url, done.stderr)
        return done

    def _git(self, repository: Path | None, arguments: Sequence[str]) -> process.ProcessResult:
        place = [f"--git-dir={repository}"] if repository else []
        return process.run(
            ["git", *OPTIONS, *place, *arguments],
            environment=self._environment,
            timeout=self._timeout,
            output_limit=MOST_OUTPUT,
        )

    def _local(self, repository: Path, arguments: Sequence[str]) -> process.ProcessResult:
        """Run a command that asks no server, whatever this machine's configuration says."""
        return process.run(
            ["git", f"--git-dir={repository}", *arguments],
            environment=without_configuration(self._environment),
            timeout=self._timeout,
            output_limit=MOST_OUTPUT,
        )


@contextlib.contextmanager
def _tree_errors(url: str, commit: str) -> Iterator[None]:
    try:
        yield
    except (SourceTreeError, tarfile.TarError) as error:
        raise IntegrityError(f"{without_credentials(url)} at {commit[:12]}: {error}") from error


def _no_reference(url: str, reference: str | None) -> NotFoundError:
    if reference is None:
        return NotFoundError(f"{without_credentials(url)} has no commit yet")
    return NotFoundError(
        f"{without_credentials(url)} has no branch, tag or commit `{reference}`",
        hint=f"`git ls-remote {without_credentials(url)}` lists what it has",
    )
