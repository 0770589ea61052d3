"""Locks that share answers: nothing is asked twice, and each is what it would be alone."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from envbuild.errors import NoSolutionError
from envbuild.lock.codec import dumps
from envbuild.progress import SILENT
from envbuild.resolve.lock_environment import lock_environment
from envbuild.resolve.python.resolution import PythonResolution
from envbuild.resolve.shared_resolvers import Answers, SharedResolvers, share_resolvers
from envbuild.resolve.upgrade import NO_UPGRADE, Upgrade
from envbuild.spec.request import ImageRequest, PipRequest, SystemRequest
from tests.rig.locks import WHEELS, request, wheel
from tests.rig.resolvers import FakeResolvers


class World:
    """Stands for the index and the archive: counts what it is asked, and knows which tools answered."""

    def __init__(self):
        self.asked: Counter[str] = Counter()

    @contextmanager
    def open(self, upgrade, progress):
        yield Desk(self.asked)


class Desk(FakeResolvers):
    """Resolvers of one question; `tools` names those that had a say in it."""

    def __init__(self, counter):
        super().__init__()
        self.counter = counter
        self.used = {}

    def foundation(self, request, platform, *, previous):
        self.counter["foundation"] += 1
        self.used["apt"] = "2.6.1"
        return super().foundation(request, platform, previous=previous)

    def system(self, request, foundation, *, previous):
        self.counter["system"] += 1
        self.used["apt"] = "2.6.1"
        return super().system(request, foundation, previous=previous)

    def python(self, request, foundation, *, previous):
        self.counter["python"] += 1
        self.used["uv"] = "0.9.0"
        if "impossible" in request.pip.requirements:
            raise NoSolutionError("no version of impossible")
        names = {requirement.partition(">")[0] for requirement in request.pip.requirements}
        wheels = tuple(item for item in (*WHEELS, wheel("polars")) if item.name in {*names, "joblib"})
        return PythonResolution(wheels=wheels)

    def installer(self, foundation, *, previous):
        self.counter["installer"] += 1
        return super().installer(foundation, previous=previous)

    def tools(self):
        return {"catalog": "2026.11"} | self.used


def asking(name="train", **fields):
    asked = request()
    variant = asked.variants["default"].model_copy(update=fields)
    return asked.model_copy(update={"name": name, "variants": {"default": variant}})


def lock(world, answers, asked, upgrade=NO_UPGRADE):
    open_resolvers = share_resolvers(world.open, answers) if answers else world.open
    with open_resolvers(upgrade, SILENT) as resolvers:
        return lock_environment(asked, previous=None, resolvers=resolvers, upgrade=upgrade, progress=SILENT)


def test_twenty_alike_are_resolved_once_and_each_is_what_it_is_alone():
    world, answers = World(), Answers()
    requests = [asking(f"train-{number}", seed=number) for number in range(20)]

    with ThreadPoolExecutor(8) as threads:
        locks = list(threads.map(lambda asked: lock(world, answers, asked), requests))

    assert world.asked == {"foundation": 1, "system": 1, "python": 1, "installer": 1}
    assert [dumps(item) for item in locks] == [dumps(lock(World(), None, asked)) for asked in requests]


@pytest.mark.parametrize(
    ("fields", "again"),
    [
        ({"pip": PipRequest(requirements=("polars",))}, {"python"}),
        ({"system": SystemRequest(packages=("git", "less"))}, {"system"}),
        ({"image": ImageRequest(workdir="/w")}, set()),
        ({"python": "3.12"}, {"foundation", "system", "python"}),
    ],
    ids=["pip", "system", "image", "python"],
)
def test_what_differs_is_asked_again(fields, again):
    world, answers = World(), Answers()

    lock(world, answers, asking())
    lock(world, answers, asking(**fields))

    assert {name for name, count in world.asked.items() if count == 2} == again


def test_an_upgrade_is_part_of_the_question():
    world, answers = World(), Answers()

    lock(world, answers, asking())
    lock(world, answers, asking(), Upgrade(packages=frozenset({"numpy"})))

    assert set(world.asked.values()) == {2}


def test_a_tool_that_had_no_say_in_a_lock_is_not_in_it():
    world, answers = World(), Answers()

    lock(world, answers, asking())
    without = lock(world, answers, asking(pip=PipRequest()))

    assert without.tools == {"apt": "2.6.1", "catalog": "2026.11"}


def test_an_error_reaches_everybody_who_asked():
    world, answers = World(), Answers()
    impossible = asking(pip=PipRequest(requirements=("impossible",)))

    for _ in range(2):
        with pytest.raises(NoSolutionError, match="no version of impossible"):
            lock(world, answers, impossible)

    assert world.asked["python"] == 1


def test_who_comes_second_waits_for_the_first():
    answers, started, go = Answers(), threading.Event(), threading.Event()

    def slow():
        started.set()
        assert go.wait(10)
        return "found"

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(answers.of, "q", slow)
        assert started.wait(10)
        second = threads.submit(answers.of, "q", lambda: pytest.fail("asked twice"))
        go.set()

        assert (first.result(10), second.result(10)) == ("found", "found")


def test_only_questions_of_a_resolver_are_answered():
    with pytest.raises(AttributeError, match="weather"):
        SharedResolvers(World().open, Answers(), NO_UPGRADE, SILENT).weather  # noqa: B018 - the access is the point
