"""Bring artifacts into the store: only what lacks, in parallel, each once however many processes want it.

The order in which an artifact is looked for: the store, envbuild itself, the vendored folder, its addresses.
"""

import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.cache.location import VENDOR_VARIABLE
from envbuild.errors import EnvbuildError, IntegrityError, NetworkError, NotFoundError, Problem
from envbuild.files.disk import disk_errors, no_room
from envbuild.files.sizes import readable_size
from envbuild.parallel import run_all
from envbuild.progress import SILENT, ByteCounter, Progress
from envbuild.remote.address import Address
from envbuild.store.artifact import Artifact
from envbuild.store.partial import Partial
from envbuild.store.store import Store
from envbuild.store.vendor import copy_vendored, files_named_as

if TYPE_CHECKING:
    from envbuild.remote.download import Downloader

WORKERS = 8
"""Downloads at once."""

NAMED_AT_MOST = 10
"""Missing artifacts an error lists; the rest are counted."""


@dataclass(slots=True, kw_only=True)
class _FetchRun:
    """One fetch under way."""

    store: Store
    counter: ByteCounter
    stop: threading.Event = field(default_factory=threading.Event)
    positions: dict[str, int] = field(default_factory=dict)
    """Bytes there are of an artifact, by sha256; a stopped process may have left some."""

    def moved(self, artifact: Artifact, position: int) -> None:
        """Note how many bytes of ``artifact`` there are.  One worker at a time fetches it."""
        self.counter.add(position - self.positions.get(artifact.sha256, 0))
        self.positions[artifact.sha256] = position


def fetch_all(
    artifacts: Iterable[Artifact],
    *,
    store: Store,
    workers: int = WORKERS,
    offline: bool = False,
    vendor: Path | None = None,
    progress: Progress = SILENT,
) -> None:
    """Bring every artifact into the store.  Whoever uses one verifies it then; here only sizes are compared.

    The first one that cannot be had ends the others; what they received is resumed by the next fetch.
    ``vendor`` is a folder of files by name, tried before any address.

    :raises IntegrityError: an address serves other bytes than the lock says, and no other has the right ones.
    :raises NetworkError: no address serves an artifact, each with its reason; or artifacts are missing and
        ``offline`` is asked for.
    :raises EnvbuildError: the cache folder cannot be used.
    """
    wanted = {artifact.sha256: artifact for artifact in artifacts}.values()
    with store.use(), disk_errors(store.folder, needed=lambda: _lacking_bytes(store, wanted)):
        store.sweep()
        lacking = [artifact for artifact in wanted if not _in_store(artifact, store)]
        lacking = [artifact for artifact in lacking if not _take_carried(artifact, store)]
        if not lacking:
            return
        if offline and vendor is None:
            raise _missing_offline(lacking, {})
        _require_room(store, lacking)
        # the largest first, so that none of them is what everything waits for in the end
        lacking.sort(key=lambda artifact: (-artifact.size, artifact.filename))
        counter = ByteCounter(progress, sum(artifact.size for artifact in lacking))
        run = _FetchRun(store=store, counter=counter)
        refused: dict[str, EnvbuildError] = {}
        if vendor is not None:
            refused = _take_all_vendored(lacking, vendor, run, workers=workers)
            lacking = [artifact for artifact in lacking if not store.holds(artifact.sha256, artifact.size)]
        if lacking and offline:
            raise _missing_offline(lacking, refused)
        if lacking:
            _download_all(lacking, refused, run, workers=workers)


def _in_store(artifact: Artifact, store: Store) -> bool:
    if not store.holds(artifact.sha256, artifact.size):
        return False
    store.touch(artifact.sha256)
    return True


def _take_carried(artifact: Artifact, store: Store) -> bool:
    """Put an artifact that envbuild itself carries into the store; return whether it does."""
    content = artifact.carried()
    if content is None:
        return False
    store.prepare()
    store.add_bytes(content, sha256=artifact.sha256)
    return True


def _lacking_bytes(store: Store, artifacts: Iterable[Artifact]) -> int:
    return sum(
        max(0, artifact.size - store.received(artifact.sha256))
        for artifact in artifacts
        if not store.holds(artifact.sha256, artifact.size)
    )


def _require_room(store: Store, lacking: Sequence[Artifact]) -> None:
    """Fail before the first byte rather than after the last that fits."""
    store.prepare()
    needed = _lacking_bytes(store, lacking)
    free = shutil.disk_usage(store.folder).free
    if needed > free:
        raise no_room(store.folder, needed=needed, free=free)


def _take_all_vendored(
    lacking: Sequence[Artifact], vendor: Path, run: _FetchRun, *, workers: int
) -> dict[str, EnvbuildError]:
    """Copy from ``vendor`` what it has; return by sha256 why a file of the right name was refused."""
    refused: dict[str, EnvbuildError] = {}

    def take(artifact: Artifact) -> None:
        with run.store.partial(artifact.sha256, stop=run.stop) as partial:
            if not run.store.holds(artifact.sha256, artifact.size):
                error = copy_vendored(artifact, vendor, partial)
                if error is not None:
                    refused[artifact.sha256] = error
                    return
                partial.finish(run.store.place_of(artifact.sha256))
            run.moved(artifact, artifact.size)

    named = [artifact for artifact in lacking if any(True for _ in files_named_as(artifact, vendor))]
    run_all(take, named, workers=workers, stop=run.stop)
    return refused


def _download_all(
    lacking: Sequence[Artifact], refused: Mapping[str, EnvbuildError], run: _FetchRun, *, workers: int
) -> None:
    # requests takes 0.1 s to import: a fetch that lacks nothing does without
    from envbuild.remote.download import Downloader  # noqa: PLC0415

    with Downloader() as downloader:

        def bring(artifact: Artifact) -> None:
            with run.store.partial(artifact.sha256, stop=run.stop) as partial:
                # another process may have brought it while this one waited for the lock
                if not run.store.holds(artifact.sha256, artifact.size):
                    _receive(artifact, partial, downloader, run, refused.get(artifact.sha256))
                    partial.finish(run.store.place_of(artifact.sha256))
            run.moved(artifact, artifact.size)

        run_all(bring, lacking, workers=workers, stop=run.stop, on_stop=downloader.cancel)


def _receive(
    artifact: Artifact,
    partial: Partial,
    downloader: "Downloader",
    run: _FetchRun,
    refused: EnvbuildError | None,
) -> None:
    """Fill ``partial`` from the first address that serves the artifact."""
    from envbuild.remote.attempt import ExpectedFile  # noqa: PLC0415 - see above

    wanted = ExpectedFile(name=artifact.filename, size=artifact.size, sha256=artifact.sha256)
    failures = [refused] if refused else []
    for address in _addresses(artifact, failures):
        try:
            downloader.download(
                address,
                partial,
                wanted,
                on_position=lambda position: run.moved(artifact, position),
            )
        except (NetworkError, IntegrityError) as error:
            failures.append(error)
        else:
            return
    raise _unobtainable(artifact, failures)


def _addresses(artifact: Artifact, failures: list[EnvbuildError]) -> Iterator[Address]:
    """Yield each address once, asking for the next only when the one before did not serve."""
    tried: set[str] = set()
    try:
        for address in artifact.locate():
            if address.url not in tried:
                tried.add(address.url)
                yield address
    except EnvbuildError as error:
        failures.append(error)


def _unobtainable(artifact: Artifact, failures: Sequence[EnvbuildError]) -> EnvbuildError:
    problems = tuple(Problem("", _reason(failure)) for failure in failures)
    if any(isinstance(failure, IntegrityError) for failure in failures):
        return IntegrityError(
            f"`{artifact.filename}` cannot be had as it was locked",
            problems=problems,
            hint="do not use such a mirror before you know why; if the file was replaced on purpose, "
            f"lock {artifact.name.partition(' ')[0]} again with --upgrade-package",
        )
    if failures and all(isinstance(failure, NotFoundError) for failure in failures):
        return NotFoundError(
            f"`{artifact.filename}` is no longer where it was when it was locked",
            problems=problems,
            hint=f"put the file into a folder named by {VENDOR_VARIABLE}, name a mirror that kept it, "
            "or lock again",
        )
    return NetworkError(
        f"cannot fetch `{artifact.filename}`",
        problems=problems or (Problem("", "no address is known for it"),),
        hint=next((failure.hint for failure in failures if failure.hint), None),
    )


def _reason(failure: EnvbuildError) -> str:
    return f"{failure.message} ({failure.detail})" if failure.detail else failure.message


def _missing_offline(lacking: Sequence[Artifact], refused: Mapping[str, EnvbuildError]) -> NetworkError:
    by_name = sorted(lacking, key=lambda artifact: artifact.filename)
    problems = [
        Problem(artifact.filename, _reason(refused[artifact.sha256]))
        if artifact.sha256 in refused
        else Problem(artifact.filename, f"{readable_size(artifact.size)}, not in the store")
        for artifact in by_name[:NAMED_AT_MOST]
    ]
    if len(by_name) > NAMED_AT_MOST:
        problems.append(Problem("", f"and {len(by_name) - NAMED_AT_MOST} more"))
    count = "1 artifact is" if len(by_name) == 1 else f"{len(by_name)} artifacts are"
    return NetworkError(
        f"{count} missing and --offline forbids fetching",
        problems=problems,
        hint=f"run once without --offline, or put the files into a folder named by {VENDOR_VARIABLE}",
    )
