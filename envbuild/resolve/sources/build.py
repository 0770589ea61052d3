"""Wheels made of sources while an environment is locked: looked up by one key, else built twice."""

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from packaging.utils import NormalizedName, canonicalize_name

from envbuild.cache.folders import BUILT_WHEELS, WHEEL_METADATA
from envbuild.cache.notes import read_note, try_note
from envbuild.digest import sha256_bytes
from envbuild.errors import BuildFailedError, EnvbuildError, NoSolutionError
from envbuild.formats.core_metadata import WheelMetadata, headers_of, parse_metadata
from envbuild.formats.source_archive import SourceDescription
from envbuild.lock.model import Wheel, WheelSource
from envbuild.progress import Progress
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.metadata import MetadataReader
from envbuild.remote.index.page import IndexFile
from envbuild.resolve.python.backend import PythonResolver, Question
from envbuild.resolve.python.direct import DirectSource
from envbuild.resolve.python.files import parse_wheel
from envbuild.resolve.python.paths import path_of
from envbuild.resolve.python.target import TargetPython
from envbuild.resolve.sources.archives import SourceArchives
from envbuild.resolve.sources.builder import ResolvedBuilder, build_key
from envbuild.resolve.sources.failure import build_failed
from envbuild.resolve.sources.index import SourceIndex
from envbuild.resolve.sources.job import Action, Job, JobRefusedError, JobResult, read_result
from envbuild.resolve.sources.release import BuiltWheel, SourceRelease
from envbuild.resolve.sources.sandbox import Sandbox
from envbuild.resolve.sources.wheel_content import (
    FindBuilt,
    WheelContent,
    differing_files,
    named_by_key,
    nowhere,
    read_wheel_content,
    require_same_metadata,
)
from envbuild.spec.request import PipRequest

ResolveWheels = Callable[[Sequence[str]], tuple[Wheel, ...]]
"""Returns the wheels that satisfy what a build asks for."""

FetchWheels = Callable[[Iterable[Wheel]], Mapping[str, Path]]
"""Brings wheels into the store; returns the verified file of each by name."""


@dataclass(kw_only=True)
class SourceBuilder:
    """Builds the sources of one target.  Safe to use from several threads; one build runs at a time."""

    target: TargetPython
    archives: SourceArchives
    builder: Callable[[], ResolvedBuilder]
    """Resolves what wheels are built on; called once, when the first thing must be built or looked up."""

    sandbox: Sandbox
    uv: PythonResolver
    """Resolves against :class:`SourceIndex`; keeps nothing of what it is told."""

    resolve_wheels: ResolveWheels
    fetch_wheels: FetchWheels
    cache: Path
    progress: Progress
    elsewhere: FindBuilt = nowhere
    """Looks for the wheel of a key where others may have left it."""

    locked: Mapping[str, BuiltWheel] = field(default_factory=dict)
    """What the previous lock has, by :attr:`SourceRelease.key`: kept where it is built on the same."""

    _lock: Any = field(default_factory=threading.RLock, init=False)
    _builder_lock: Any = field(default_factory=threading.Lock, init=False)
    _resolved: ResolvedBuilder | None = field(default=None, init=False)
    _wheels: dict[tuple[str, ...], tuple[Wheel, ...]] = field(default_factory=dict, init=False)
    _metadata: dict[str, WheelMetadata] = field(default_factory=dict, init=False)
    _unhashed: dict[str, SourceRelease] = field(default_factory=dict, init=False)

    def serve(
        self,
        question: Question,
        index: PythonIndex,
        pip: PipRequest,
        *,
        keep: Mapping[NormalizedName, str] | None = None,
    ) -> SourceIndex:
        """Return an index for ``question`` that counts sources.

        What a build alone would tell of a source is found out where ``pip`` allows its build; of others what
        their authors' own builds had is believed, for a message.
        """

        def metadata(release: SourceRelease) -> WheelMetadata:
            allowed = pip.build == "all" or release.name in pip.build
            return self.metadata(release) if allowed else self._estimate(release)

        if pip.build:
            # while uv is at work: it takes apt about as long
            threading.Thread(target=self._resolve_builder, daemon=True).start()
        wheels = MetadataReader(index, WHEEL_METADATA.path(self.cache))
        return SourceIndex(question=question, index=index, wheels=wheels, sources=metadata, keep=keep or {})

    @property
    def locked_sources(self) -> tuple[WheelSource, ...]:
        """What the previous lock has."""
        return tuple(built.source for built in self.locked.values())

    def of(self, source: DirectSource) -> WheelMetadata:
        """Return the metadata of the wheel that the source at an address builds."""
        return self.metadata(source_release(source))

    def metadata(self, release: SourceRelease) -> WheelMetadata:
        """Return the metadata of a wheel of ``release``: as its archive has it, else as a build does.

        :raises BuildFailedError: the build says none.
        :raises NoSolutionError: what it is built with cannot be had, or the archive is none.
        """
        with self._lock:
            release = self._fetched(release)
            key = release.key
            if key not in self._metadata:
                described = self._described(release)
                known = (
                    _stated(described)
                    if described.is_final
                    else self._seen_metadata(release) or self._kept_metadata(release)
                )
                self._metadata[key] = known or self._prepared(release, described)
            return self._metadata[key]

    def build(self, release: SourceRelease) -> BuiltWheel:
        """Return the wheel of ``release``: the one of its key where there is one, else built now.

        :raises BuildFailedError: it cannot be built, or comes out otherwise the second time.
        """
        with self._lock:
            release = self._fetched(release)
            described = self._described(release)
            expected = self._metadata.get(release.key)
            kept = self.locked.get(release.key)
            if kept is not None and self._is_current(kept):
                return self._locked_again(release, kept, expected)
            requires = self._requirements(release, described)
            key = self._key(release, requires)
            content = self._known(release, key) or self._built(release, described, requires, key)
            self._require_expected(release, expected, content)
            self._require_fit(release, content.file)
            return self._locked_wheel(release, requires, content)

    def _estimate(self, release: SourceRelease) -> WheelMetadata:
        release = self._fetched(release)
        return _stated(self._described(release))

    def _fetched(self, release: SourceRelease) -> SourceRelease:
        """Return ``release`` with its archive in the store; without a hash that is asked for once."""
        if release.file.sha256 is not None:
            return self.archives.fetch(release)
        with self._lock:
            if release.file.url not in self._unhashed:
                self._unhashed[release.file.url] = self.archives.fetch(release)
            return self._unhashed[release.file.url]

    def _described(self, release: SourceRelease) -> SourceDescription:
        described = self.archives.describe(release)
        _require_name(release, described)
        return described

    @property
    def resolved_builder(self) -> ResolvedBuilder:
        """What wheels are built on."""
        with self._builder_lock:
            if self._resolved is None:
                self._resolved = self.builder()
            return self._resolved

    def _resolve_builder(self) -> None:
        """Resolve the builder ahead of time; whoever needs it hears what is wrong."""
        with suppress(EnvbuildError):
            _ = self.resolved_builder

    # --- what it is built with ----------------------------------------------------------------------

    def _requirements(self, release: SourceRelease, described: SourceDescription) -> tuple[Wheel, ...]:
        """Return what ``release`` is built with: what it declares, and what its backend asks for besides."""
        declared = self._resolve(release, described.build_requires)
        note = self._note(self._key(release, declared), "requires")
        more = read_note(note, lambda document: tuple(str(item) for item in document["requires"]))
        if more is None:
            more = self._run("requires", release, described, declared).requires
            try_note(note, {"requires": list(more)})
        return self._resolve(release, (*described.build_requires, *more)) if more else declared

    def _resolve(self, release: SourceRelease, requirements: Sequence[str]) -> tuple[Wheel, ...]:
        question = tuple(sorted(set(requirements)))
        if question not in self._wheels:
            try:
                self._wheels[question] = self.resolve_wheels(question)
            except NoSolutionError as error:
                raise NoSolutionError(
                    f"what `{release}` is built with cannot be had: {error.message}",
                    hint=error.hint,
                    problems=error.problems,
                    detail=error.detail,
                ) from error
        return self._wheels[question]

    # --- builds -------------------------------------------------------------------------------------

    def _require_expected(
        self, release: SourceRelease, expected: WheelMetadata | None, content: WheelContent
    ) -> None:
        """Raise unless a wheel requires what was said before it was built; note what it requires."""
        note = self._seen(release)
        try:
            if expected is not None:
                require_same_metadata(str(release), expected, content.metadata)
        except BuildFailedError as error:
            if note.exists():
                # it may have been seen on another builder
                note.unlink(missing_ok=True)
                error.hint = "what was noted of an earlier build is forgotten now: run `envbuild lock` again"
            raise
        if not note.exists():
            try_note(note, {"metadata": content.headers.decode(errors="replace")})

    def _seen_metadata(self, release: SourceRelease) -> WheelMetadata | None:
        """Return the metadata that a build of the same source had, on whatever builder.

        The wheel is held to it, as to what its archive says.
        """
        return read_note(
            self._seen(release), lambda document: parse_metadata(str(document["metadata"]).encode())
        )

    def _seen(self, release: SourceRelease) -> Path:
        python = ".".join(map(str, self.target.minor))
        key = f"{release.key} {self.target.platform.name} {python}"
        return self._note(key, "seen")

    def _kept_metadata(self, release: SourceRelease) -> WheelMetadata | None:
        """Return the metadata of the wheel that the previous lock has, where that is at hand."""
        kept = self.locked.get(release.key)
        if kept is None or not self._is_current(kept) or not self.archives.store.verify(kept.sha256):
            return None
        data = self.archives.store.place_of(kept.sha256).read_bytes()
        return read_wheel_content(kept.file, data, package=str(release)).metadata

    def _prepared(self, release: SourceRelease, described: SourceDescription) -> WheelMetadata:
        requires = self._requirements(release, described)
        key = self._key(release, requires)
        note = self._note(key, "metadata")
        known = read_note(note, lambda document: str(document["metadata"]).encode())
        if known is None:
            known = headers_of(self._run("metadata", release, described, requires).metadata)
            try_note(note, {"metadata": known.decode(errors="replace")})
        return parse_metadata(known)

    def _built(
        self, release: SourceRelease, described: SourceDescription, requires: tuple[Wheel, ...], key: str
    ) -> WheelContent:
        first = self._run("wheel", release, described, requires)
        again = self._run("wheel", release, described, requires)
        if first.content != again.content:
            names = differing_files(first.content, again.content)
            raise BuildFailedError(
                f"`{release}` comes out otherwise each time it is built: {', '.join(names)}",
                hint="what is locked must be the same on every machine; take a version that has a wheel",
            )
        content = read_wheel_content(first.wheel, first.content, package=str(release))
        content = named_by_key(content, key)
        self.archives.store.add_bytes(first.content, sha256=content.sha256)
        try_note(self._note(key, "wheel"), content.document())
        return content

    def _known(self, release: SourceRelease, key: str) -> WheelContent | None:
        content = read_note(self._note(key, "wheel"), WheelContent.of)
        if content is not None and content.is_of(str(release)) and self.archives.store.verify(content.sha256):
            self.archives.store.touch(content.sha256)
            return content
        found = self.elsewhere(key)
        # others write there too: a wheel of something else is none
        if found is None or not found[0].is_of(str(release)):
            return None
        content, data = found
        self.archives.store.add_bytes(data, sha256=content.sha256)
        try_note(self._note(key, "wheel"), content.document())
        return content

    def _run(
        self, action: Action, release: SourceRelease, described: SourceDescription, requires: Iterable[Wheel]
    ) -> JobResult:
        lock, target = self.resolved_builder.environment()
        verb = {"requires": "asking the build of", "metadata": "reading the metadata of", "wheel": "building"}
        self.progress.on_stage(f"{verb[action]} {release}")
        job = Job(
            action=action,
            archive=self.archives.path(release),
            wheels=self.fetch_wheels(requires),
            backend=described.backend,
            backend_path=described.backend_path,
            subdirectory=release.subdirectory,
            is_tree=release.commit is not None,
        )
        outcome = self.sandbox.run(lock, target, job.command(target.interpreter.path), files=job.files())
        try:
            return read_result(outcome)
        except JobRefusedError as error:
            raise build_failed(str(release), error) from error

    # --- what comes of it ---------------------------------------------------------------------------

    def _is_current(self, kept: BuiltWheel) -> bool:
        """Return whether a locked wheel would be built on the same as now."""
        return kept.source.builder == self.resolved_builder.digest

    def _require_fit(self, release: SourceRelease, file: str) -> None:
        wheel = parse_wheel(file)
        if wheel is None or not any(tag in self.target.rank for tag in wheel.tags):
            raise BuildFailedError(
                f"`{release}` was built to `{file}`, which {self.target} cannot load",
                hint="take a version that has a wheel",
            )

    def _locked_again(
        self, release: SourceRelease, kept: BuiltWheel, expected: WheelMetadata | None
    ) -> BuiltWheel:
        """Return a locked wheel whose source may by now be asked for at another place."""
        content = WheelContent(
            file=kept.file,
            size=kept.size,
            sha256=kept.sha256,
            contents=kept.source.contents,
            headers=b"",
        )
        found = self._locked_wheel(release, kept.requires, content)
        return replace(found, metadata=expected or kept.metadata)

    def _locked_wheel(
        self, release: SourceRelease, requires: tuple[Wheel, ...], content: WheelContent
    ) -> BuiltWheel:
        file = release.file
        if file.sha256 is None or not file.size:
            raise ValueError(f"{file.filename} was not fetched")
        address = self.archives.index.address(release.index).url if release.url is None else ""
        source = WheelSource(
            wheel=content.file,
            file=file.filename,
            size=file.size,
            sha256=file.sha256,
            hash_source="computed" if release.url or release.is_hash_computed else "index",
            index=release.index,
            path=path_of(file.url, address) if release.url is None else None,
            url=release.url,
            commit=release.commit,
            reference=release.reference,
            described=release.described,
            subdirectory=release.subdirectory or None,
            builder=self.resolved_builder.digest,
            requires=tuple(sorted(wheel.file for wheel in requires)),
            contents=content.contents,
        )
        return BuiltWheel(
            file=content.file,
            size=content.size,
            sha256=content.sha256,
            metadata=content.metadata,
            source=source,
            requires=requires,
        )

    def _key(self, release: SourceRelease, requires: Iterable[Wheel]) -> str:
        return build_key(
            self.resolved_builder,
            source=release.file.sha256 or "",
            subdirectory=release.subdirectory,
            is_tree=release.commit is not None,
            requires=(wheel.sha256 for wheel in requires),
        )

    def _note(self, key: str, kind: str) -> Path:
        # that of a wheel has the name of the key, by which a vendored folder has it too
        name = key if kind == "wheel" else sha256_bytes(f"{kind} {key}".encode())
        return BUILT_WHEELS.path(self.cache) / name[:2] / f"{name}.json"


def source_release(source: DirectSource) -> SourceRelease:
    """Return what is at an address as something that can be built."""
    name = canonicalize_name(source.name)
    filename = f"{name}-{source.commit[:12]}.tar" if source.commit else _plain_name(source.filename)
    return SourceRelease(
        name=name,
        version=None,
        file=IndexFile(filename=filename, url=source.url, sha256=source.sha256, size=source.size),
        url=source.url,
        commit=source.commit,
        reference=source.reference,
        described=source.described,
        subdirectory=source.subdirectory or "",
    )


def _plain_name(filename: str) -> str:
    """Return the name of a file at an address, as a lock can have it."""
    return re.sub(r"[^A-Za-z0-9._+!-]", "-", filename).lstrip("._+!-")


def _stated(described: SourceDescription) -> WheelMetadata:
    return WheelMetadata(
        name=described.name,
        version=described.version,
        requires=described.requires,
        requires_python=described.requires_python,
        license=parse_metadata(described.headers).license,
    )


def _require_name(release: SourceRelease, described: SourceDescription) -> None:
    """Raise unless an archive is of the project it was offered for.

    :raises NoSolutionError: it is another's.
    """
    if described.name and canonicalize_name(described.name) != release.name:
        raise NoSolutionError(
            f"`{release.file.filename}` is of `{described.name}`, not of `{release.name}`",
            hint="check what asks for it",
        )
