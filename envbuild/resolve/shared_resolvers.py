"""Resolutions shared by the locks of one run: a question several specs have in common is answered once.

Each question is answered by resolvers opened for it alone, so an answer depends on the question and on
no question before it: a lock made beside nineteen others has the bytes it has when made alone.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from threading import Lock
from typing import Any, cast

from envbuild.digest import canonical_json, sha256_bytes
from envbuild.progress import Progress
from envbuild.resolve.resolvers import OpenResolvers, Resolvers
from envbuild.resolve.upgrade import Upgrade
from envbuild.spec.request import VariantRequest
from envbuild.values import Value

_IRRELEVANT_FIELDS: Mapping[str, frozenset[str]] = {
    "foundation": frozenset({"pip", "system", "image", "seed"}),
    "system": frozenset({"pip", "conda", "image", "seed"}),
    "conda": frozenset({"pip", "system", "image", "seed"}),
    "python": frozenset({"system", "image", "seed"}),
}
"""Parts of a request that do not bear on a question: without them two questions may be one."""


@dataclass
class Answers:
    """The answers so far, by question; shared by threads."""

    _futures: dict[str, "Future[Any]"] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, question: str, find: Callable[[], Any]) -> Any:
        """Return the answer to ``question``: the first caller calls ``find``, the others wait for it.

        An error is an answer too: every caller gets it.
        """
        with self._lock:
            known = self._futures.get(question)
            future = self._futures.setdefault(question, Future())
        if known is None:
            try:
                future.set_result(find())
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()


def share_resolvers(open_resolvers: OpenResolvers, answers: Answers) -> OpenResolvers:
    """Return a way to open resolvers that takes from ``answers`` and adds to them."""

    @contextmanager
    def open_shared(upgrade: Upgrade, progress: Progress) -> Iterator[Resolvers]:
        yield cast("Resolvers", SharedResolvers(open_resolvers, answers, upgrade, progress))

    return open_shared


class SharedResolvers:
    """The resolvers of one lock: any question of :class:`Resolvers`, answered once for all who share."""

    def __init__(
        self, open_resolvers: OpenResolvers, answers: Answers, upgrade: Upgrade, progress: Progress
    ) -> None:
        self._open = partial(open_resolvers, upgrade, progress)
        self._answers = answers
        self._upgrade = upgrade
        self._tools: dict[str, str] = {}

    def tools(self) -> dict[str, str]:
        """Return the version of each program and table that had a say in the answers of this lock."""
        return dict(self._tools)

    def expect_lists(self, *_: object, **__: object) -> None:
        """Do nothing, as below."""

    def expect_python(self, *_: object, **__: object) -> None:
        """Do nothing: each question is answered by resolvers of its own, which could not take it over."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the question ``name`` of :class:`Resolvers`."""
        if not hasattr(Resolvers, name):
            raise AttributeError(name)
        return partial(self._ask, name)

    def _ask(self, name: str, *arguments: Any, **named: Any) -> Any:
        def find() -> tuple[Any, dict[str, str]]:
            with self._open() as resolvers:
                answer = getattr(resolvers, name)(*arguments, **named)
                return answer, resolvers.tools()

        without = _IRRELEVANT_FIELDS.get(name, frozenset())
        question = [name, *(_plain(value, without=without) for value in (*arguments, named, self._upgrade))]
        answer, tools = self._answers.of(sha256_bytes(canonical_json(question)), find)
        self._tools |= tools
        return answer


def _plain(value: Any, *, without: frozenset[str] = frozenset()) -> Any:
    """Return a value of the resolution as JSON, a request without what has no say."""
    match value:
        case VariantRequest():
            plain: Any = value.model_dump(mode="json", exclude=set(without))
        case Value():
            plain = value.model_dump(mode="json")
        case Mapping():
            plain = {key: _plain(item) for key, item in value.items()}
        case set() | frozenset():
            plain = sorted(value)
        case tuple() | list():
            plain = [_plain(item) for item in value]
        case _ if is_dataclass(value):
            plain = {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
        case _:
            plain = value
    return plain
