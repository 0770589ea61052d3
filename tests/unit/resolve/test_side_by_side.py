import threading

import pytest

from envbuild.errors import NetworkError, NoSolutionError, Problem
from envbuild.progress import SILENT
from envbuild.resolve.side_by_side import side_by_side
from tests.rig.progress import RecordedProgress


def failing(error):
    def fail():
        raise error

    return fail


def test_both_are_at_work_at_once():
    meeting = threading.Barrier(2, timeout=30)

    def first():
        meeting.wait()
        return 1

    def second():
        meeting.wait()
        return "two"

    assert side_by_side(first, second, progress=SILENT) == (1, "two")


def test_the_error_of_one_is_raised_when_both_have_ended():
    ended = threading.Event()
    progress = RecordedProgress()

    with pytest.raises(NoSolutionError, match="first"):
        side_by_side(failing(NoSolutionError("first")), ended.set, progress=progress)
    assert ended.is_set()
    with pytest.raises(NetworkError, match="second"):
        side_by_side(lambda: 1, failing(NetworkError("second")), progress=progress)
    assert progress.notes == []


@pytest.mark.parametrize("late", ["first", "second"])
def test_of_two_errors_the_first_is_raised_whichever_comes_first(late):
    other = threading.Event()

    def part(name, error):
        def fail():
            try:
                if name == late:
                    assert other.wait(30)
                raise error
            finally:
                other.set()

        return fail

    progress = RecordedProgress()
    problem = Problem("system.packages", "`gti` is unknown")

    with pytest.raises(NoSolutionError, match="one"):
        side_by_side(
            part("first", NoSolutionError("one")),
            part("second", NoSolutionError("two", problems=[problem])),
            progress=progress,
        )

    assert progress.notes == ["this is not the only problem: two; system.packages: `gti` is unknown"]


def test_a_bug_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda: 1, lambda: 1 / 0, progress=SILENT)
