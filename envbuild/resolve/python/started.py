"""A resolution that begins before it is certain what will be asked: the question decides whether it counts.

The Python of a base is known once its packages are, and nearly always it is the one of last time.  So the
resolver can be asked meanwhile.  Its answer is taken for exactly the question that it was given, else it is
as if it had not been asked.
"""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Self

from packaging.utils import NormalizedName

from envbuild.parallel import DaemonPool
from envbuild.remote.index.client import PythonIndex
from envbuild.resolve.python.backend import OnCandidate, Pin, PythonResolver, Question
from envbuild.resolve.python.releases import ReleaseFinder


@dataclass
class _Candidates:
    """What a resolver looked at so far, for whoever comes later."""

    seen: list[tuple[NormalizedName, str | None]] = field(default_factory=list)
    listener: OnCandidate | None = None
    lock: Lock = field(default_factory=Lock)

    def add(self, name: NormalizedName, version: str | None) -> None:
        with self.lock:
            self.seen.append((name, version))
            if self.listener is not None:
                self.listener(name, version)

    def replay(self, listener: OnCandidate) -> None:
        with self.lock:
            for name, version in self.seen:
                listener(name, version)
            self.listener = listener


@dataclass(frozen=True, kw_only=True)
class StartedResolution:
    """A question that a resolver is at work on, and the files of what it has looked at."""

    question: Question
    keep: Mapping[NormalizedName, str]
    finder: ReleaseFinder
    _resolver: PythonResolver
    _pins: Future[tuple[Pin, ...]]
    _candidates: _Candidates

    @classmethod
    def start(
        cls,
        question: Question,
        *,
        keep: Mapping[NormalizedName, str],
        resolver: PythonResolver,
        index: PythonIndex,
        cache: Path,
        threads: DaemonPool,
    ) -> Self:
        """Ask ``resolver`` in one of ``threads``, and fetch what it looks at."""
        finder = ReleaseFinder(question, index=index, cache=cache, keep=keep)
        candidates = _Candidates()

        def on_candidate(name: NormalizedName, version: str | None) -> None:
            if name not in question.there:
                finder.expect(name, version)
            candidates.add(name, version)

        return cls(
            question=question,
            keep=keep,
            finder=finder,
            _resolver=resolver,
            _pins=threads.submit(resolver.resolve, question, on_candidate=on_candidate),
            _candidates=candidates,
        )

    def answers(self, question: Question, keep: Mapping[NormalizedName, str]) -> bool:
        """Return whether this is what was asked."""
        return self.question == question and self.keep == keep

    @property
    def name(self) -> str:
        """How the spec calls the resolver."""
        return self._resolver.name

    def tools(self) -> dict[str, str]:
        """Return the version of every program that has a say."""
        return self._resolver.tools()

    def resolve(self, question: Question, *, on_candidate: OnCandidate = lambda *_: None) -> tuple[Pin, ...]:
        """Return what satisfies ``question``; see :class:`PythonResolver`."""
        if question != self.question:
            return self._resolver.resolve(question, on_candidate=on_candidate)
        self._candidates.replay(on_candidate)
        return self._pins.result()
