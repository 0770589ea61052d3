"""`envbuild-runtime`: locked from envbuild itself, kept until it is upgraded, never asked of an index."""

from typing import Any

import pytest

from envbuild.errors import SpecError
from envbuild.lock.codec import dumps, loads
from envbuild.lock.graph.read import read_targets
from envbuild.lock.identity import target_digest
from envbuild.lock.model import Lock, Wheel
from envbuild.progress import SilentProgress
from envbuild.render.recipe import render_recipe
from envbuild.resolve import carried_wheels
from envbuild.resolve.lock_environment import lock_environment
from envbuild.resolve.upgrade import Upgrade
from envbuild.runtime.carried import CarriedWheel, newest_wheel
from envbuild.spec.request import ExperimentsRequest, Request, SystemRequest
from tests.rig.locks import request, wheel
from tests.rig.resolvers import FakeResolvers

NEWER = CarriedWheel(
    file="envbuild_runtime-99.0.0-py3-none-any.whl", version="99.0.0", size=10, sha256="9" * 64
)


def asking(**fields: Any) -> Request:
    asked = request()
    wanted = {"experiments": ExperimentsRequest(runtime=True), **fields}
    variant = asked.variants["default"].model_copy(update=wanted)
    return asked.model_copy(update={"variants": {"default": variant}})


def locked(asked: Request, previous: Lock | None = None, upgrade: Upgrade | None = None) -> Lock:
    return lock_environment(
        asked,
        previous=previous,
        resolvers=FakeResolvers(),
        upgrade=upgrade or Upgrade(),
        progress=SilentProgress(),
    )


def runtime_of(lock: Lock) -> Wheel | None:
    found = [item for item in lock.wheels_of(lock.targets[0]) if item.name == "envbuild-runtime"]
    return found[0] if found else None


def test_it_is_locked_by_version_and_sha256() -> None:
    found, newest = runtime_of(locked(asking())), newest_wheel()
    assert found is not None
    assert (found.version, found.sha256, found.size) == (newest.version, newest.sha256, newest.size)
    assert (found.index, found.path, found.url, found.requires) == ("envbuild", None, None, ())


def test_without_being_asked_for_it_is_not_there() -> None:
    assert runtime_of(locked(request())) is None


def test_its_lock_is_version_2_and_is_read_again() -> None:
    lock = locked(asking())
    assert dumps(lock).splitlines()[1] == "version = 2"
    assert loads(dumps(lock)) == lock


def test_a_newer_release_of_envbuild_leaves_a_lock_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    before = locked(asking())
    monkeypatch.setattr(carried_wheels, "newest_wheel", lambda: NEWER)
    assert locked(asking(), before) == before
    # nor does another change of the spec bring the newer one
    changed = locked(asking(system=SystemRequest(packages=("git", "less"))), before)
    assert runtime_of(changed) == runtime_of(before)


@pytest.mark.parametrize(
    "upgrade", [Upgrade(everything=True), Upgrade(packages=frozenset({"Envbuild.Runtime"}))]
)
def test_it_is_upgraded_when_that_is_asked(monkeypatch: pytest.MonkeyPatch, upgrade: Upgrade) -> None:
    before = locked(asking())
    monkeypatch.setattr(carried_wheels, "newest_wheel", lambda: NEWER)
    after = runtime_of(locked(asking(), before, upgrade))
    assert after is not None
    assert after.version == "99.0.0"


def test_upgrading_it_asks_no_resolver() -> None:
    resolvers = FakeResolvers()
    before = locked(asking())
    lock_environment(
        asking(),
        previous=before,
        resolvers=resolvers,
        upgrade=Upgrade(packages=frozenset({"envbuild-runtime"})),
        progress=SilentProgress(),
    )
    assert resolvers.asked == []


def test_when_it_is_no_longer_asked_for_it_goes() -> None:
    assert runtime_of(locked(request(), locked(asking()))) is None


def test_a_package_of_an_index_by_that_name_is_refused() -> None:
    with pytest.raises(SpecError, match="comes with envbuild and never from an index"):
        carried_wheels.carried_wheels(asking().variants["default"], [wheel("envbuild-runtime")], None)


def test_it_is_part_of_the_identity() -> None:
    with_it, without = locked(asking()), locked(request())
    assert target_digest(with_it, with_it.targets[0]) != target_digest(without, without.targets[0])


def test_a_plain_build_takes_it_from_the_folder_of_the_recipe() -> None:
    lock = locked(asking())
    recipe = render_recipe(lock, lock.targets[0], probe=b"")
    file = newest_wheel().file
    lines = recipe.files["Dockerfile"].decode().splitlines()
    (line,) = [line for line in lines if line.startswith("COPY built/")]
    assert line.startswith(f"COPY built/{file} /wheels/")
    assert not any("ENVBUILD_URL" in line for line in lines)


def test_the_graph_says_who_asked_for_it() -> None:
    graph = read_targets(dumps(locked(asking()))).targets[0].graph()
    assert ("experiments", "runtime") in {(item.table, item.requirement) for item in graph.requested}
