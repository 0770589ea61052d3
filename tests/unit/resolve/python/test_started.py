"""A resolver that is asked before it is certain what will be asked."""

import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from envbuild.errors import NoSolutionError
from envbuild.parallel import DaemonPool
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import ClientConfiguration
from envbuild.resolve.python.backend import OnCandidate, Pin, Question
from envbuild.resolve.python.started import StartedResolution
from tests.rig.desk import TARGET

DEMO = Pin(name=canonicalize_name("demo"), version="1.0")
QUESTION = Question(requirements=("demo",), target=TARGET)


@dataclass
class Slow:
    """Names what it looks at, and answers when it is let."""

    let: threading.Event = field(default_factory=threading.Event)
    looked: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None
    asked: list[Question] = field(default_factory=list)
    name: str = "slow"

    def tools(self) -> dict[str, str]:
        return {"slow": "1"}

    def resolve(self, question: Question, *, on_candidate: OnCandidate = lambda *_: None) -> tuple[Pin, ...]:
        self.asked.append(question)
        on_candidate(DEMO.name, None)
        self.looked.set()
        assert self.let.wait(30)
        on_candidate(DEMO.name, "1.0")
        if self.error:
            raise self.error
        return (DEMO,)


@pytest.fixture
def index() -> PythonIndex:
    # nobody is there: what is looked up beforehand may fail without a word
    return PythonIndex(ClientConfiguration(default_url="http://127.0.0.1:9/simple"), retries=0)


def start(resolver: Slow, index: PythonIndex, tmp_path: Path) -> StartedResolution:
    return StartedResolution.start(
        QUESTION, keep={}, resolver=resolver, index=index, cache=tmp_path, threads=DaemonPool()
    )


def test_the_same_question_is_asked_once_and_all_is_heard(index: PythonIndex, tmp_path: Path) -> None:
    resolver = Slow()
    started = start(resolver, index, tmp_path)
    assert resolver.looked.wait(30)
    heard: list[tuple[str, str | None]] = []

    def hear(name: str, version: str | None) -> None:
        heard.append((name, version))
        resolver.let.set()

    assert started.answers(replace(QUESTION), {})
    assert started.resolve(replace(QUESTION), on_candidate=hear) == (DEMO,)
    assert heard == [("demo", None), ("demo", "1.0")]
    assert len(resolver.asked) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(QUESTION, requirements=("demo>1",)),
        replace(QUESTION, target=replace(TARGET, version="3.11.9")),
    ],
    ids=["requirements", "python"],
)
def test_any_other_question_is_asked_anew(index: PythonIndex, tmp_path: Path, other: Question) -> None:
    resolver = Slow()
    started = start(resolver, index, tmp_path)
    resolver.let.set()

    assert not started.answers(other, {})
    assert started.resolve(other) == (DEMO,)
    assert other in resolver.asked


def test_other_files_to_keep_are_another_question(index: PythonIndex, tmp_path: Path) -> None:
    resolver = Slow()
    resolver.let.set()

    assert not start(resolver, index, tmp_path).answers(QUESTION, {DEMO.name: "demo-1.0-py3-none-any.whl"})


def test_its_failure_is_the_answer(index: PythonIndex, tmp_path: Path) -> None:
    resolver = Slow(error=NoSolutionError("there is none"))
    started = start(resolver, index, tmp_path)
    resolver.let.set()

    with pytest.raises(NoSolutionError, match="there is none"):
        started.resolve(QUESTION)
