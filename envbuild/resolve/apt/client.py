"""apt's programs, run in a private root: updates once per process, one process at a time per view."""

import contextlib
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from envbuild import process
from envbuild.cache.folders import FOLDER_LOCK
from envbuild.digest import sha256_bytes
from envbuild.errors import EnvbuildError, IntegrityError, NetworkError, ToolMissingError
from envbuild.files.last_use import note_use
from envbuild.formats.deb822 import stanzas
from envbuild.process import ProcessResult, ProgramMissingError, ProgramTimeoutError
from envbuild.progress import SILENT, Progress
from envbuild.remote.http import ca_bundle
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.failures import update_error, without_credentials_in
from envbuild.resolve.apt.output import (
    REPOSITORY_FORMAT,
    Repository,
    parse_release_date,
    parse_repositories,
)
from envbuild.resolve.apt.root import AptRoot, write_root

UPDATE_SECONDS = 600.0
"""How long fetching the lists of all archives may take."""

SOLVE_SECONDS = 120.0
"""How long one run of the solver may take; a usual one takes half a second."""

_PASSED_ON = (
    *("PATH", "HOME", "TMPDIR", "APT_CONFIG"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)
"""Variables of the caller's environment that reach apt: how to find things and how to get out."""


class Apt:
    """This machine's apt, used on private roots only.

    One object serves a whole run of envbuild and may be shared between threads.
    """

    def __init__(
        self,
        cache: Path,
        *,
        environment: Mapping[str, str],
        offline: bool = False,
        progress: Progress = SILENT,
    ) -> None:
        """``cache`` keeps package lists between runs; ``offline`` uses them as they are."""
        self.progress = progress
        self._cache = cache
        self._offline = offline
        self._environment = {name: environment[name] for name in _PASSED_ON if name in environment} | {
            "LC_ALL": "C.UTF-8"
        }
        self._ca_bundle = ca_bundle(environment)
        self._updated: set[str] = set()
        self._version: str | None = None
        self._guard = threading.Lock()

    def version(self) -> str:
        """Return apt's version.  :raises ToolMissingError: there is no apt on this machine."""
        if self._version is None:
            words = self.run(["apt-get", "--version"], timeout=SOLVE_SECONDS).stdout.split()
            self._version = words[1] if len(words) > 1 else "unknown"
        return self._version

    @contextlib.contextmanager
    def session(self, archives: AptArchives) -> Iterator["AptSession"]:
        """Open a view of the archives, its lists up to date, nothing installed and nothing pinned.

        No other process uses the same lists meanwhile: apt's own cache points into them.

        :raises ToolMissingError: there is no apt on this machine.
        :raises NetworkError: an archive cannot be reached.
        :raises IntegrityError: what an archive serves is not signed by a known key.
        """
        kept = self._cache / archives.key()
        try:
            kept.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvbuildError(f"cannot write to the cache folder {kept}: {error.strerror}") from error
        with FileLock(kept / FOLDER_LOCK), tempfile.TemporaryDirectory(prefix="envbuild-apt-") as folder:
            note_use(kept / FOLDER_LOCK)
            root = AptRoot(folder=Path(folder), lists=kept / "lists", source_cache=kept / "srcpkgcache.bin")
            write_root(root, archives, ca_bundle=self._own_ca_bundle(archives))
            session = AptSession(self, root, archives)
            with self._guard:
                fresh = archives.key() in self._updated
            if self._offline:
                session.require_lists()
            elif not fresh:
                self.progress.on_stage(f"package lists of {archives.name} for {archives.architecture}")
                session.update()
                with self._guard:
                    self._updated.add(archives.key())
            yield session

    def run(self, arguments: Sequence[str | Path], *, timeout: float) -> ProcessResult:
        """Run one of apt's programs.  :raises ToolMissingError: it is not on this machine."""
        try:
            return process.run(arguments, environment=self._environment, timeout=timeout)
        except ProgramMissingError as error:
            raise ToolMissingError(
                "apt is missing, and locking system packages needs it",
                hint="run `envbuild lock` on Debian or Ubuntu, or in a container of one; "
                "`envbuild build` of an existing lock needs no apt",
            ) from error
        except ProgramTimeoutError as error:
            raise NetworkError(
                error.message, hint="check the mirror and the network, then try again"
            ) from error

    def _own_ca_bundle(self, archives: AptArchives) -> str | None:
        """Return the client's CA bundle when an archive is behind TLS and apt is not configured with one."""
        schemes = {urlsplit(uri).scheme for source in archives.sources for uri in source.uris}
        if not self._ca_bundle or "https" not in schemes:
            return None
        asked = ["apt-config", "dump", "--no-empty", "--format", "%v%n", "Acquire::https::CaInfo"]
        return None if self.run(asked, timeout=SOLVE_SECONDS).stdout.strip() else self._ca_bundle


class AptSession:
    """A private root with up-to-date lists; see :meth:`Apt.session`."""

    def __init__(self, apt: Apt, root: AptRoot, archives: AptArchives) -> None:
        self._apt = apt
        self._root = root
        self.archives = archives

    def set_installed(self, status: str) -> None:
        """Say what is installed, as the text of a dpkg status."""
        self._root.status.write_text(status, encoding="utf-8")

    def set_pins(self, preferences: str) -> None:
        """Say which versions are preferred, in the words of apt_preferences(5)."""
        self._root.preferences.write_text(preferences, encoding="utf-8")

    def plan_install(self, packages: Iterable[str]) -> ProcessResult:
        """Ask what installing ``packages`` would fetch; nothing is fetched or installed.

        A plan that removes something fails, as does one that puts an older version in place of a newer.
        """
        options = ("--yes", "--print-uris", "--no-remove", "--no-install-recommends")
        return self._run("apt-get", *options, "install", "--", *packages)

    def records(self, packages: Iterable[str]) -> tuple[dict[str, str], ...]:
        """Return the index's stanzas of ``packages`` (``name=version``, or a name for every version of it).

        Those unknown are left out.
        """
        asked = tuple(packages)
        if not asked:
            return ()
        return tuple(stanzas(self._run("apt-cache", "show", "--", *asked).stdout))

    def versions(self, package: str) -> tuple[str, ...]:
        """Return every version of a package that the archives have, newest first."""
        found = self.records([package])
        return tuple(dict.fromkeys(fields["Version"] for fields in found if fields.get("Filename")))

    def names(self, prefix: str = "") -> tuple[str, ...]:
        """Return the names of all packages that start with ``prefix``, sorted; virtual ones are left out."""
        listed = self._run("apt-cache", "pkgnames", "--", *filter(None, [prefix]))
        return tuple(sorted(listed.stdout.split()))

    def repositories(self) -> tuple[Repository, ...]:
        """Return the archives and what they call themselves."""
        listed = self._run("apt-get", "indextargets", "--format", REPOSITORY_FORMAT)
        return parse_repositories(listed.stdout)

    def release_date(self, suite: str) -> datetime:
        """Return when the archive signed the lists of ``suite`` that are read here (UTC)."""
        for fields in self._releases():
            if suite in {fields.get("Codename"), fields.get("Suite")}:
                return parse_release_date(fields)
        raise IntegrityError(f"no Release file of the archives says it is of suite {suite}")

    def state(self) -> str:
        """Return what tells these lists from any others: a digest of what the archives signed."""
        releases = (path.read_bytes() for path in sorted(self._root.lists.glob("*Release")))
        return sha256_bytes(b"".join(sha256_bytes(content).encode() for content in releases))

    def update(self) -> None:
        """Fetch the lists.  :raises NetworkError, IntegrityError: see :meth:`Apt.session`."""
        # built by the first program that needs it, which also knows what is installed
        no_cache = ("-o", "pkgCacheFile::Generate=false")
        done = self._run("apt-get", "update", "--error-on=any", *no_cache, timeout=UPDATE_SECONDS)
        if not done.succeeded:
            raise update_error(done.stderr, self.archives)
        if self.archives.snapshot:
            self._require_older_than(
                datetime.combine(self.archives.snapshot, time(), UTC) + timedelta(days=1)
            )

    def require_lists(self) -> None:
        """Make sure lists of an earlier run are there.  :raises NetworkError: they are not."""
        if not any(self._root.lists.glob("*Packages")):
            raise NetworkError(
                f"the package lists of {self.archives.name} are not in the cache",
                hint="run once without --offline",
            )

    def _require_older_than(self, end: datetime) -> None:
        late = sorted(
            fields.get("Codename", "?") for fields in self._releases() if parse_release_date(fields) >= end
        )
        if late:
            raise NetworkError(
                f"the service of dated archives answered with a later state of {', '.join(late)}",
                hint="check ENVBUILD_APT_SNAPSHOT: it must serve archive/<name>/<YYYYMMDD>T000000Z/",
            )

    def _releases(self) -> Iterator[dict[str, str]]:
        for path in sorted(self._root.lists.glob("*Release")):
            for fields in stanzas(path.read_text(encoding="utf-8", errors="replace")):
                if "Date" in fields:
                    yield fields

    def _run(self, program: str, *arguments: str, timeout: float = SOLVE_SECONDS) -> ProcessResult:
        words: tuple[str | Path, ...] = (program, "-c", self._root.configuration, *arguments)
        done = self._apt.run(words, timeout=timeout)
        if "E: Malformed" in done.stderr or "E: Opening configuration file" in done.stderr:
            raise EnvbuildError(
                "apt cannot read its configuration", detail=without_credentials_in(done.stderr)
            )
        return done
