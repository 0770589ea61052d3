import pytest

from envbuild.store.progress import FetchState, FetchTracker, NoProgress
from tests.unit.store.making import artifact_of

ONE = artifact_of(b"x" * 10, filename="one.whl")
TWO = artifact_of(b"y" * 30, filename="two.whl")


class FakeProgress:
    def __init__(self) -> None:
        self.states: list[FetchState] = []

    def show(self, state: FetchState) -> None:
        self.states.append(state)


def test_states_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envbuild.store.progress.EVERY_SECONDS", 0)
    progress = FakeProgress()
    tracker = FetchTracker(progress, [ONE, TWO])
    with tracker.fetching(TWO):
        tracker.moved(TWO, 20)
        with tracker.fetching(ONE):
            pass
    with pytest.raises(KeyError), tracker.fetching(TWO):
        raise KeyError
    tracker.moved(TWO, 0)

    seen = [(s.files_done, s.files_total, s.bytes_done, s.bytes_total, s.current) for s in progress.states]
    assert seen == [
        (0, 2, 0, 40, ()),
        (0, 2, 0, 40, ("two.whl",)),
        (0, 2, 20, 40, ("two.whl",)),
        (0, 2, 20, 40, ("two.whl", "one.whl")),
        (1, 2, 30, 40, ("two.whl",)),
        (2, 2, 40, 40, ()),
        (2, 2, 40, 40, ("two.whl",)),
        (2, 2, 10, 40, ()),
    ]


def test_states_do_not_come_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("envbuild.store.progress.EVERY_SECONDS", 1000)
    progress = FakeProgress()
    tracker = FetchTracker(progress, [ONE, TWO])
    for artifact in (ONE, TWO):
        with tracker.fetching(artifact):
            tracker.moved(artifact, 1)

    assert [state.files_done for state in progress.states] == [0, 2]


def test_nobody_need_look() -> None:
    with FetchTracker(NoProgress(), [ONE]).fetching(ONE):
        pass
