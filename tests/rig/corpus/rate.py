"""How many environments of the corpus come out right, and why the others do not."""

import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from envbuild.errors import EnvbuildError
from tests.rig.corpus.environments import NEEDS_LATER, RIGHT, CorpusEnvironment, environments
from tests.rig.corpus.judged_lock import judge_lock
from tests.rig.corpus.written_spec import judge_spec, with_problems, write_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was wrong with one environment; None: that was not judged."""

    environment: CorpusEnvironment
    spec: tuple[str, ...]
    lock: tuple[str, ...] | None = None


def judge_all(*, lock: bool = False, only: Callable[[str], bool] = lambda _: True) -> tuple[Judgement, ...]:
    """Judge every environment whose name ``only`` lets through."""
    return tuple(_judge(environment, lock=lock) for environment in environments() if only(environment.name))


def _judge(environment: CorpusEnvironment, *, lock: bool) -> Judgement:
    with tempfile.TemporaryDirectory(prefix="envbuild-corpus-") as name:
        written = write_spec(environment, Path(name) / "project")
        spec = judge_spec(environment, written)
        is_judged = lock and environment.lock == RIGHT and bool(written.tables)
        try:
            locked = judge_lock(environment, written) if is_judged else None
        except EnvbuildError as error:
            locked = (f"the spec does not load: {with_problems(error)}",)
        return Judgement(environment=environment, spec=spec, lock=locked)


def summary(judgements: Iterable[Judgement]) -> str:
    """Return the rate of each kind, and each failure's reason, as tables of Markdown."""
    judged = sorted(judgements, key=lambda judgement: judgement.environment.name)
    rows = [
        _rate(kind, [item for item in judged if item.environment.kind == kind])
        for kind in dict.fromkeys(item.environment.kind for item in judged)
    ]
    rates = [
        "| kind | environments | init complete | locked right |",
        "|---|---|---|---|",
        *rows,
        _rate("all", judged),
    ]
    failures = [
        f"| {item.environment.name} | {step} | {_cell(reason)} |"
        for item in judged
        for step, reasons in (("init", item.spec), ("lock", item.lock or ()))
        for reason in reasons
    ]
    later = [
        f"| {item.environment.name} | later | {item.environment.reason} |"
        for item in judged
        if item.environment.lock == NEEDS_LATER
    ]
    return "\n".join([*rates, "", "| environment | step | reason |", "|---|---|---|", *failures, *later, ""])


def _rate(name: str, judged: list[Judgement]) -> str:
    locked = [item.lock for item in judged if item.lock is not None]
    complete = sum(not item.spec for item in judged)
    shares = (_share(complete, len(judged)), _share(locked.count(()), len(locked)))
    return f"| {name} | {len(judged)} | {shares[0]} | {shares[1]} |"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _share(count: int, of: int) -> str:
    return f"{count} of {of}, {100 * count / of:.0f} %" if of else "–"
