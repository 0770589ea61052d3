"""Two parts of a resolution at once, and the error of the first where both have one."""

from collections.abc import Callable
from typing import TypeVar

from envbuild import process
from envbuild.errors import EnvbuildError
from envbuild.parallel import run_all
from envbuild.progress import Progress

First = TypeVar("First")
Second = TypeVar("Second")


def side_by_side(
    first: Callable[[], First], second: Callable[[], Second], *, progress: Progress
) -> tuple[First, Second]:
    """Do both at once and return what they return.

    Both come to their end.  So which error is raised never depends on which of them was faster: it is that of
    ``first`` if it has one, and what ``second`` says is a note then.  Programs that they wait for are ended
    when this thread is interrupted.
    """
    firsts: list[First] = []
    seconds: list[Second] = []
    errors: dict[int, Exception] = {}

    def do(part: int) -> None:
        try:
            if part:
                seconds.append(second())
            else:
                firsts.append(first())
        except Exception as error:  # noqa: BLE001 - it is raised below
            errors[part] = error

    run_all(do, (0, 1), workers=2, on_stop=process.end_all)
    if len(errors) > 1 and isinstance(other := errors[1], EnvbuildError):
        told = "; ".join([other.message, *map(str, other.problems)])
        progress.on_note(f"this is not the only problem: {told}")
    for part in sorted(errors):
        raise errors[part]
    return firsts[0], seconds[0]
