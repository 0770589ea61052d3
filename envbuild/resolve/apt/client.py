"""apt's programs, run on a private root: updates once per process, one process at a time per view."""

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from envbuild.cache.folders import FOLDER_LOCK
from envbuild.digest import sha256_bytes, sha256_file
from envbuild.errors import EnvbuildError, IntegrityError, NetworkError
from envbuild.files.last_use import note_use
from envbuild.files.locks import locked
from envbuild.formats.deb822 import stanzas
from envbuild.parallel import DaemonPool
from envbuild.process import ProcessResult
from envbuild.progress import SILENT, Progress
from envbuild.remote.http import ca_bundle
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.failures import update_error, without_credentials_in
from envbuild.resolve.apt.lists import require_listed, update_lists
from envbuild.resolve.apt.output import (
    REPOSITORY_FORMAT,
    Repository,
    parse_release_date,
    parse_repositories,
)
from envbuild.resolve.apt.programs import (
    AptWay,
    RunProgram,
    apt_missing,
    chosen_way,
    has_host_apt,
    run_on_host,
)
from envbuild.resolve.apt.root import AptRoot, write_root

if TYPE_CHECKING:
    from concurrent.futures import Future

Result = TypeVar("Result")

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
    """apt, used on private roots only: this machine's, or the distribution's own in one of other ways.

    One object serves a whole run of envbuild and may be shared between threads.
    """

    def __init__(
        self,
        cache: Path,
        *,
        environment: Mapping[str, str],
        offline: bool = False,
        answers: Path | None = None,
        progress: Progress = SILENT,
        ways: Sequence[AptWay] = (),
    ) -> None:
        """``cache`` keeps package lists between runs; ``offline`` uses them as they are.

        ``answers`` is where answers are kept between runs (:mod:`envbuild.resolve.apt.answers`), if anywhere.
        ``ways`` are tried in their order where this machine has no apt.
        """
        self.progress = progress
        self.answers = answers
        self._ways = tuple(ways)
        self._caller = dict(environment)
        self._cache = cache
        self._offline = offline
        self._environment = {name: environment[name] for name in _PASSED_ON if name in environment} | {
            "LC_ALL": "C.UTF-8"
        }
        self._ca_bundle = ca_bundle(environment)
        self._updated: set[str] = set()
        self._under_way: dict[str, Future[None]] = {}
        self._settings: dict[str, str] = {}
        self._versions: set[str] = set()
        self._version: str | None = None
        self._guard = threading.Lock()

    def version(self) -> str:
        """Return apt's version: this machine's, or that of each apt which sessions have used so far.

        :raises ToolMissingError: there is no apt on this machine, and no session has found another.
        """
        if not self._is_host():
            with self._guard:
                if self._versions:
                    return ", ".join(sorted(self._versions))
        if self._version is None:
            self._version = _version_of(self.run(["apt-get", "--version"], timeout=SOLVE_SECONDS))
        return self._version

    def begin(self, archives: AptArchives, threads: DaemonPool) -> None:
        """Begin to update the lists of ``archives``; the first session with them waits, and has the error."""

        def update() -> None:
            with self._open(archives) as session:
                # asked meanwhile, and remembered
                session.inputs()

        with self._guard:
            if archives.key() not in {*self._under_way, *self._updated}:
                self._under_way[archives.key()] = threads.submit(update)

    def describe(self) -> str:
        """Return the version of this machine's apt, or how another is run.

        :raises ToolMissingError: apt can be run in no way here.
        """
        return self.version() if self._is_host() else self._first_way(lambda way: way.describe())

    def versions(self) -> str | None:
        """Return what :meth:`version` does, or None where no session has needed an apt yet."""
        return self.version() if self._is_host() or self._versions else None

    @contextlib.contextmanager
    def session(self, archives: AptArchives) -> Iterator["AptSession"]:
        """Open a view of the archives, its lists up to date, nothing installed and nothing pinned.

        No other process uses the same lists meanwhile: apt's own cache points into them.

        :raises ToolMissingError: apt can be run in no way here.
        :raises NetworkError: an archive cannot be reached.
        :raises IntegrityError: what an archive serves is not signed by a known key.
        """
        with self._guard:
            under_way = self._under_way.pop(archives.key(), None)
        if under_way is not None:
            under_way.result()
        with self._open(archives) as session:
            yield session

    @contextlib.contextmanager
    def _open(self, archives: AptArchives) -> Iterator["AptSession"]:
        if self._is_host():
            with self._opened_root(archives, ca_bundle=self._own_ca_bundle(archives)) as root:
                session = AptSession(self, root, archives)
                self._refresh(archives, session.update, session)
                yield session
            return
        way = self._way_for(archives)
        with self._lists(archives) as root, way.open(archives, root, self._lists) as apt:
            asked: tuple[str | Path, ...] = ("apt-get", "-c", root.configuration, "--version")
            version = _version_of(apt.run(asked, timeout=SOLVE_SECONDS))
            with self._guard:
                self._versions.add(version)
            yield AptSession(self, root, archives, run=apt.run, version=version, is_trusted=apt.is_trusted)

    def run(self, arguments: Sequence[str | Path], *, timeout: float) -> ProcessResult:
        """Run one of apt's programs on this machine.  :raises ToolMissingError: it is not on it."""
        return run_on_host(arguments, environment=self._environment, timeout=timeout)

    def close(self) -> None:
        """Let go of what was kept for further sessions, such as a container."""
        for way in self._ways:
            way.close()

    def _is_host(self) -> bool:
        chosen = chosen_way(self._caller)
        if chosen is None:
            return not self._ways or has_host_apt(self._caller)
        return chosen == "host"

    def _way_for(self, archives: AptArchives) -> AptWay:
        """Return the way to run apt on ``archives``.  :raises ToolMissingError: there is none."""

        def prepared(way: AptWay) -> AptWay:
            way.prepare(archives)
            return way

        return self._first_way(prepared)

    def _first_way(self, use: Callable[[AptWay], Result]) -> Result:
        """Return what ``use`` makes of the way that is asked for, else of the first that can be taken.

        :raises ToolMissingError: none can.
        """
        chosen = chosen_way(self._caller)
        reasons = []
        for way in self._ways:
            if chosen in {None, way.name}:
                try:
                    return use(way)
                except EnvbuildError as error:
                    reasons.append((way.name, error))
        raise apt_missing(reasons)

    @contextlib.contextmanager
    def _lists(self, archives: AptArchives) -> Iterator[AptRoot]:
        """Open a private root whose lists envbuild has fetched and checked itself."""
        with self._opened_root(archives, ca_bundle=None) as root:
            session = AptSession(self, root, archives)
            self._refresh(archives, lambda: update_lists(archives, root, self.progress), session)
            yield root

    @contextlib.contextmanager
    def _opened_root(self, archives: AptArchives, *, ca_bundle: str | None) -> Iterator[AptRoot]:
        kept = self._cache / archives.key()
        try:
            kept.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvbuildError(f"cannot write to the cache folder {kept}: {error.strerror}") from error
        with locked(kept / FOLDER_LOCK), tempfile.TemporaryDirectory(prefix="envbuild-apt-") as folder:
            note_use(kept / FOLDER_LOCK)
            root = AptRoot(folder=Path(folder), lists=kept / "lists", source_cache=kept / "srcpkgcache.bin")
            write_root(root, archives, ca_bundle=ca_bundle)
            yield root

    def settings(self, archives: AptArchives, find: Callable[[], str]) -> str:
        """Return what ``find`` says of apt's configuration for ``archives``; it stays the same in one run."""
        if archives.key() not in self._settings:
            self._settings[archives.key()] = find()
        return self._settings[archives.key()]

    def _refresh(self, archives: AptArchives, update: Callable[[], None], session: "AptSession") -> None:
        """Bring the lists up to date, once in a run of envbuild."""
        with self._guard:
            fresh = archives.key() in self._updated
        if self._offline:
            session.require_lists()
        elif not fresh:
            self.progress.on_stage(f"package lists of {archives.name} for {archives.architecture}")
            update()
            session.require_snapshot()
            with self._guard:
                self._updated.add(archives.key())

    def _own_ca_bundle(self, archives: AptArchives) -> str | None:
        """Return the client's CA bundle when an archive is behind TLS and apt is not configured with one."""
        schemes = {urlsplit(uri).scheme for source in archives.sources for uri in source.uris}
        if not self._ca_bundle or "https" not in schemes:
            return None
        asked = ["apt-config", "dump", "--no-empty", "--format", "%v%n", "Acquire::https::CaInfo"]
        return None if self.run(asked, timeout=SOLVE_SECONDS).stdout.strip() else self._ca_bundle


class AptSession:
    """A private root with up-to-date lists; see :meth:`Apt.session`."""

    def __init__(
        self,
        apt: Apt,
        root: AptRoot,
        archives: AptArchives,
        *,
        run: RunProgram | None = None,
        version: str | None = None,
        is_trusted: bool = True,
    ) -> None:
        """``run`` runs an apt of ``version``, by default this machine's; believed if ``is_trusted``."""
        self._apt = apt
        self._start = run or apt.run
        self._version = version
        self._root = root
        self._is_trusted = is_trusted
        self.archives = archives

    @property
    def answers(self) -> Path | None:
        """Where answers are kept between runs, if anywhere: not those of an apt that nobody signed."""
        return self._apt.answers if self._is_trusted else None

    def inputs(self) -> list[str]:
        """Return all that decides an answer and is no part of the question, as texts."""
        return [
            self.archives.key(),
            self.state(),
            self._version or self._apt.version(),
            self._apt.settings(self.archives, self._configuration),
        ]

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
        found = tuple(stanzas(self._run("apt-cache", "show", "--", *asked).stdout))
        if not self._is_trusted:
            require_listed(found, self._root)
        return found

    def versions(self, package: str) -> tuple[str, ...]:
        """Return every version of a package that the archives have, newest first."""
        found = self.records([package])
        return tuple(dict.fromkeys(fields["Version"] for fields in found if fields.get("Filename")))

    def names(self, prefix: str = "") -> tuple[str, ...]:
        """Return the names of all packages that start with ``prefix``, sorted; virtual ones are left out."""
        listed = self._run("apt-cache", "pkgnames", "--", *filter(None, [prefix]))
        return tuple(sorted(listed.stdout.split()))

    def policy(self, packages: Iterable[str]) -> str:
        """Return what ``apt-cache policy`` says of ``packages``; those unknown are left out."""
        return self._run("apt-cache", "policy", "--", *packages).stdout

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
        """Return what tells these lists from any others: a digest of what the archives signed.

        Lists that no Release file speaks of, of an archive trusted without one, are part of it themselves.
        """
        releases = sorted(self._root.lists.glob("*Release"))
        archives = tuple(path.name.removesuffix("Release").removesuffix("In") for path in releases)
        others = (path for path in self._root.lists.glob("*Packages") if not path.name.startswith(archives))
        digests = map(sha256_file, (*releases, *sorted(others)))
        return sha256_bytes("".join(digests).encode())

    def update(self) -> None:
        """Fetch the lists.  :raises NetworkError, IntegrityError: see :meth:`Apt.session`."""
        # built by the first program that needs it, which also knows what is installed
        no_cache = ("-o", "pkgCacheFile::Generate=false")
        done = self._run("apt-get", "update", "--error-on=any", *no_cache, timeout=UPDATE_SECONDS)
        if not done.succeeded:
            raise update_error(done.stderr, self.archives)

    def require_snapshot(self) -> None:
        """Make sure that lists of a day are of that day.  :raises NetworkError: they are later ones."""
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

    def _configuration(self) -> str:
        """Return a digest of all settings that count here, this machine's and ours: apt joins them."""
        settings = self._run("apt-config", "dump").stdout
        return sha256_bytes(settings.replace(str(self._root.folder), "").encode())

    def _releases(self) -> Iterator[dict[str, str]]:
        for path in sorted(self._root.lists.glob("*Release")):
            for fields in stanzas(path.read_text(encoding="utf-8", errors="replace")):
                if "Date" in fields:
                    yield fields

    def _run(self, program: str, *arguments: str, timeout: float = SOLVE_SECONDS) -> ProcessResult:
        words: tuple[str | Path, ...] = (program, "-c", self._root.configuration, *arguments)
        done = self._start(words, timeout=timeout)
        if "E: Malformed" in done.stderr or "E: Opening configuration file" in done.stderr:
            raise EnvbuildError(
                "apt cannot read its configuration", detail=without_credentials_in(done.stderr)
            )
        return done


def _version_of(answer: ProcessResult) -> str:
    words = answer.stdout.split()
    return words[1] if len(words) > 1 else "unknown"
