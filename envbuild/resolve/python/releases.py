"""From a resolver's versions to files: the one each target installs, its hash, its size and its metadata."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Literal

from packaging.utils import NormalizedName

from envbuild.cache.folders import STAGED, WHEEL_METADATA
from envbuild.errors import NoSolutionError, Problem
from envbuild.files.temporary import temporary_folder
from envbuild.formats.core_metadata import WheelMetadata
from envbuild.progress import Progress
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.metadata import MetadataReader
from envbuild.remote.index.page import IndexFile
from envbuild.resolve.python.backend import Pin, Question
from envbuild.resolve.python.files import choose_file
from envbuild.resolve.python.shortage import WHEEL_HINT, what_there_is


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One distribution as a target installs it."""

    pin: Pin
    index: str
    """Name of the index it comes from."""

    file: IndexFile
    """Size and sha256 are known."""

    hash_source: Literal["index", "computed", "built"]
    metadata: WheelMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReleaseCandidate:
    """What the index says of a pin: a file, perhaps with its metadata, or what is there instead."""

    file: IndexFile | None = None
    metadata: WheelMetadata | None = None
    instead: str = ""


class ReleaseFinder:
    """Finds the files of one resolution; work begins as soon as a version is only likely."""

    def __init__(
        self,
        question: Question,
        *,
        index: PythonIndex,
        cache: Path,
        keep: Mapping[NormalizedName, str] | None = None,
    ) -> None:
        """``keep`` names the file of each distribution that is locked already."""
        self._question = question
        self._index = index
        self._cache = cache
        self._keep = keep or {}
        self._metadata = MetadataReader(index, WHEEL_METADATA.path(cache))
        self._lock = Lock()
        self._candidates: dict[Pin, Future[_ReleaseCandidate]] = {}

    def expect(self, name: NormalizedName, version: str | None = None) -> None:
        """Begin with a distribution that may be part of the result; may be called from any thread."""
        if version is None:
            self._index.prefetch((name,), self._question.index_of(name))
        else:
            self._index.background.submit(self._candidate, Pin(name=name, version=version))

    def know(self, pin: Pin, file: IndexFile, metadata: WheelMetadata | None) -> None:
        """Take the file and the metadata of a distribution from who has read them already."""
        future: Future[_ReleaseCandidate] = Future()
        future.set_result(_ReleaseCandidate(file=file, metadata=metadata))
        with self._lock:
            self._candidates.setdefault(pin, future)

    @property
    def keep(self) -> Mapping[NormalizedName, str]:
        """The file of each distribution that is locked already."""
        return self._keep

    def find(self, pins: Sequence[Pin], progress: Progress) -> tuple[Release, ...]:
        """Return the file to install for each of ``pins``, in their order.

        :raises NoSolutionError: a version has no wheel the target can load; all of them are named.
        :raises NetworkError: an index cannot be read.
        """
        progress.on_stage("reading files and metadata from the index")
        candidates = [(pin, self._candidate(pin)) for pin in pins]
        under_way: list[Future[Release]] = []
        problems = []
        for done, (pin, future) in enumerate(candidates):
            candidate = future.result()
            if candidate.file is None:
                message = f"`{pin.name}` {pin.version} cannot be installed: the index has {candidate.instead}"
                problems.append(Problem("", message, WHEEL_HINT))
                continue
            self._note_oddities(pin, candidate.file, progress)
            under_way.append(
                self._index.background.submit(self._complete, pin, candidate.file, candidate.metadata)
            )
            progress.on_count(done + 1, len(pins))
        if problems:
            raise _no_wheels(problems, self._question)
        return tuple(future.result() for future in under_way)

    def _candidate(self, pin: Pin) -> Future[_ReleaseCandidate]:
        with self._lock:
            if pin not in self._candidates:
                page = self._index.start(pin.name, self._question.index_of(pin.name))
                self._candidates[pin] = self._index.background.after(page, self._read, pin)
            return self._candidates[pin]

    def _read(self, pin: Pin) -> _ReleaseCandidate:
        question = self._question
        name = question.index_of(pin.name)
        files = self._index.page(pin.name, name).files(pin.version)
        file = choose_file(files, question.target, snapshot=question.snapshot, keep=self._keep.get(pin.name))
        if file is None:
            return _ReleaseCandidate(
                instead=what_there_is(files, question.target, snapshot=question.snapshot)
            )
        # without a hash the whole file must be fetched: not for what may never be needed
        metadata = self._metadata.read(pin.name, file, name) if file.sha256 else None
        return _ReleaseCandidate(file=file, metadata=metadata)

    def _complete(self, pin: Pin, file: IndexFile, metadata: WheelMetadata | None) -> Release:
        index = self._question.index_of(pin.name)
        if metadata is not None:
            file = replace(file, size=self._index.size(file, index))
            return Release(pin=pin, index=index, file=file, hash_source="index", metadata=metadata)
        # in the cache rather than in the system's temporary folder: these files can be gigabytes
        workspaces = STAGED.path(self._cache)
        workspaces.mkdir(parents=True, exist_ok=True)
        with temporary_folder(workspaces) as folder:
            path = folder / "wheel"
            sha256, size = self._index.download(file, path, index)
            file = replace(file, sha256=sha256, size=size)
            metadata = self._metadata.read_downloaded(pin.name, file, path)
        return Release(pin=pin, index=index, file=file, hash_source="computed", metadata=metadata)

    def _note_oddities(self, pin: Pin, file: IndexFile, progress: Progress) -> None:
        if file.yanked is not None:
            reason = f": {file.yanked}" if file.yanked else ""
            progress.on_note(f"`{pin.name}` {pin.version} was withdrawn by its maintainers (yanked){reason}")
        if file.sha256 is None:
            index = self._question.index_of(pin.name)
            progress.on_note(
                f"index `{index}` has no sha256 of `{file.filename}`: fetching it to compute one"
            )


def _no_wheels(problems: Sequence[Problem], question: Question) -> NoSolutionError:
    if len(problems) == 1:
        return NoSolutionError(problems[0].message, hint=problems[0].hint)
    return NoSolutionError(f"there are no wheels for {question.target}", problems=problems)
