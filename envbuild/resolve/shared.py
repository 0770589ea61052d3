"""Resolutions shared by the locks of one run: what several specs ask alike is asked of the world once.

Each question is answered by resolvers opened for it alone, so an answer depends on the question and on
nothing that was asked before it: a lock made beside nineteen others has the bytes it has when made alone.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from threading import Lock
from typing import Any, cast

from envbuild.digest import canonical_json, sha256_bytes
from envbuild.resolve.resolvers import Resolvers
from envbuild.spec.request import VariantRequest
from envbuild.values import Value

OpenResolvers = Callable[[], AbstractContextManager[Resolvers]]

_NO_SAY: Mapping[str, frozenset[str]] = {
    "foundation": frozenset({"pip", "system", "image", "seed"}),
    "system": frozenset({"pip", "conda", "image", "seed"}),
    "conda": frozenset({"pip", "system", "image", "seed"}),
    "python": frozenset({"system", "image", "seed"}),
}
"""Parts of a request that do not bear on a question: without them two questions may be one."""


@dataclass
class Answers:
    """What was asked so far and what came of it; shared by threads."""

    _futures: dict[str, "Future[Any]"] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, question: str, find: Callable[[], Any]) -> Any:
        """Return the answer to ``question``; who asks first finds it, the others wait for it.

        An error is an answer too: everybody who asks gets it.
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


class SharedResolvers:
    """The resolvers of one lock: any question of :class:`Resolvers`, answered once for all who share."""

    def __init__(self, open_resolvers: OpenResolvers, answers: Answers) -> None:
        self._open = open_resolvers
        self._answers = answers
        self._tools: dict[str, str] = {}

    @classmethod
    def of(cls, open_resolvers: OpenResolvers, answers: Answers) -> Resolvers:
        """Return them as what they stand in for."""
        return cast("Resolvers", cls(open_resolvers, answers))

    def tools(self) -> dict[str, str]:
        """Return the version of each program and table that had a say in the answers of this lock."""
        return dict(self._tools)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the question ``name`` of :class:`Resolvers`."""
        if not hasattr(Resolvers, name):
            raise AttributeError(name)
        return partial(self._ask, name)

    def _ask(self, name: str, *arguments: Any, progress: Any, **named: Any) -> Any:
        def find() -> tuple[Any, dict[str, str]]:
            with self._open() as resolvers:
                answer = getattr(resolvers, name)(*arguments, progress=progress, **named)
                return answer, resolvers.tools()

        asked = [_plain(value, without=_NO_SAY.get(name, frozenset())) for value in (*arguments, named)]
        answer, tools = self._answers.of(sha256_bytes(canonical_json([name, *asked])), find)
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
