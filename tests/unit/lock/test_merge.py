import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.errors import Problem
from envbuild.lock.codec import dumps, loads
from envbuild.lock.freshness import stale_fields
from envbuild.lock.merge import merge_locks
from envbuild.lock.model import Lock
from tests.rig.growing import with_conda, with_debs, with_target, with_wheels, without_wheels
from tests.rig.locks import GPU, conda_lock, conda_package, deb, sample_lock, wheel

BASE = sample_lock()


def merged(ours: Lock, theirs: Lock) -> Lock:
    result = merge_locks(BASE, ours, theirs)
    assert result.conflicts == ()
    assert result.lock is not None
    return result.lock


def test_two_additions_are_both_there_and_nothing_else_moved():
    ours = with_wheels(BASE, wheel("polars"), asks=["polars"])
    theirs = with_debs(with_wheels(BASE, wheel("requests"), asks=["requests"]), deb("curl"))

    lock = merged(ours, theirs)

    (target,) = lock.targets
    assert set(target.wheels) == {*BASE.targets[0].wheels, wheel("polars").file, wheel("requests").file}
    assert set(target.debs) == {*BASE.targets[0].debs, deb("curl").file}
    assert lock.request.variants["default"].pip.requirements == (
        "numpy>=2",
        "polars",
        "requests",
        "scikit-learn",
    )
    assert set(BASE.wheels) < set(lock.wheels)


def test_a_merge_is_a_valid_lock_and_the_same_from_both_sides():
    ours = with_wheels(BASE, wheel("polars"), asks=["polars"])
    theirs = with_wheels(BASE, wheel("numpy", "2.4.0"))

    lock = merged(ours, theirs)

    assert loads(dumps(lock)) == lock
    assert dumps(merged(theirs, ours)) == dumps(lock)


def test_an_upgrade_of_one_side_is_taken():
    theirs = with_wheels(BASE, wheel("numpy", "2.4.0"))

    assert dumps(merged(BASE, theirs)) == dumps(theirs)


def test_a_removal_of_one_side_is_taken():
    theirs = without_wheels(BASE, "scikit-learn", "joblib", asked=["scikit-learn"])

    assert dumps(merged(with_target(BASE, workdir="/w"), theirs)) == dumps(with_target(theirs, workdir="/w"))


def test_two_upgrades_of_one_package_are_a_conflict():
    result = merge_locks(
        BASE, with_wheels(BASE, wheel("numpy", "2.4.0")), with_wheels(BASE, wheel("numpy", "2.4.1"))
    )

    assert result.lock is None
    assert result.conflicts == (
        Problem("default on linux/amd64.wheels.numpy", "2.4.0 on one side, 2.4.1 on the other"),
    )


def test_an_upgrade_and_a_removal_are_a_conflict():
    result = merge_locks(
        BASE, with_wheels(BASE, wheel("joblib", "1.6")), without_wheels(BASE, "joblib", "scikit-learn")
    )

    assert [problem.message for problem in result.conflicts] == ["1.6 on one side, removed on the other"]


def test_two_demands_on_one_package_are_a_conflict_of_the_request():
    ours = with_wheels(without_wheels(BASE, asked=["numpy>=2"]), asks=["numpy>=2.1"])
    theirs = with_wheels(without_wheels(BASE, asked=["numpy>=2"]), asks=["numpy<3"])

    result = merge_locks(BASE, ours, theirs)

    assert [str(problem) for problem in result.conflicts] == [
        "request.variants.default.pip.requirements.numpy: `numpy>=2.1` on one side, `numpy<3` on the other"
    ]


def test_variables_merge_by_name():
    env = BASE.targets[0].env
    lock = merged(with_target(BASE, env={**env, "A": "1"}), with_target(BASE, env={**env, "B": "2"}))

    assert lock.targets[0].env == {**env, "A": "1", "B": "2"}


def test_what_was_resolved_for_a_base_the_other_side_replaced_is_a_conflict():
    interpreter = BASE.targets[0].interpreter.model_copy(update={"version": "3.11.9"})
    ours = with_target(BASE, interpreter=interpreter)
    theirs = with_wheels(BASE, wheel("polars"), asks=["polars"])

    result = merge_locks(BASE, ours, theirs)

    assert [problem.message for problem in result.conflicts] == [
        "it was resolved for a base that the other side replaced; run `envbuild lock`"
    ]


def test_facts_of_the_gpu_that_both_changed_are_a_conflict():
    theirs = with_target(BASE, gpu=GPU.model_copy(update={"runtime": "12.8"}))

    result = merge_locks(BASE, with_target(BASE, gpu=GPU), theirs)

    assert [problem.where for problem in result.conflicts] == ["default on linux/amd64.gpu"]


def test_a_file_with_two_contents_is_a_conflict():
    ours = with_wheels(BASE, wheel("polars"), asks=["polars"])
    other = wheel("polars").model_copy(update={"sha256": "ab" * 32})

    result = merge_locks(BASE, ours, with_wheels(BASE, other, asks=["polars"]))

    assert [problem.where for problem in result.conflicts] == [
        "default on linux/amd64.wheels.polars",
        f"wheels.{other.file}",
    ]


def test_the_newer_tool_is_named():
    ours = BASE.model_copy(update={"tools": {"uv": "0.9.10", "apt": "2.6.1"}})
    theirs = BASE.model_copy(update={"tools": {"uv": "0.9.9", "catalog": "2026.11"}})

    assert merged(ours, theirs).tools == {"apt": "2.6.1", "catalog": "2026.11", "uv": "0.9.10"}


def test_conda_packages_of_one_side_come_along_with_what_lays_them_down():
    base = conda_lock()
    ours = with_conda(base, conda_package("zlib", "1.3", "h1"))
    theirs = with_wheels(base, wheel("tqdm-extras"), asks=["tqdm-extras"])

    lock = merge_locks(base, ours, theirs).lock

    assert lock is not None
    assert loads(dumps(lock)) == lock
    assert {package.name for package in lock.conda} == {*(item.name for item in base.conda), "zlib"}
    assert wheel("tqdm-extras").file in lock.targets[0].wheels


def test_conda_packages_both_changed_are_a_conflict():
    base = conda_lock()

    result = merge_locks(
        base,
        with_conda(base, conda_package("zlib", "1.3", "h1")),
        with_conda(base, conda_package("xz", "5.6", "h1")),
    )

    assert [str(problem) for problem in result.conflicts] == [
        "default on linux/amd64.conda: another value on one side, another value on the other"
    ]


def asking(lock: Lock, *requirements: str) -> Lock:
    """Return `lock` with other requirements, and nothing else changed."""
    return _asking(
        lock, pip=lock.request.variants["default"].pip.model_copy(update={"requirements": requirements})
    )


def _asking(lock: Lock, **fields: object) -> Lock:
    variants = {"default": lock.request.variants["default"].model_copy(update=fields)}
    return lock.model_copy(update={"request": lock.request.model_copy(update={"variants": variants})})


def on_both_platforms(lock: Lock) -> Lock:
    """Return `lock` with a target for linux/arm64 that is made as the one for linux/amd64."""
    (target,) = lock.targets
    (base,) = lock.bases
    other = base.model_copy(update={"key": "debian:bookworm linux/arm64", "platform": "linux/arm64"})
    platforms = ("linux/amd64", "linux/arm64")
    return lock.model_copy(
        update={
            "request": lock.request.model_copy(update={"platforms": platforms}),
            "bases": (base, other),
            "targets": (target, target.model_copy(update={"platform": "linux/arm64", "base": other.key})),
        }
    )


def test_two_demands_of_one_side_on_one_package_are_both_kept():
    base = asking(BASE, "numpy<3", "numpy>=2", "scikit-learn")

    assert merge_locks(base, base, base).lock == base
    theirs = with_wheels(base, wheel("polars"), asks=["polars"])
    ours = asking(base, "numpy!=2.1", "numpy<3", "numpy>=2", "scikit-learn")
    result = merge_locks(base, ours, theirs)

    assert result.conflicts == ()
    assert result.lock is not None
    assert result.lock.request.variants["default"].pip.requirements == (
        "numpy!=2.1",
        "numpy<3",
        "numpy>=2",
        "polars",
        "scikit-learn",
    )


def test_demands_both_sides_added_to_one_package_are_shown_whole():
    ours, theirs = (asking(BASE, extra, "numpy>=2", "scikit-learn") for extra in ("numpy<3", "numpy!=2.1"))

    result = merge_locks(BASE, ours, theirs)

    message = "`numpy<3`, `numpy>=2` on one side, `numpy!=2.1`, `numpy>=2` on the other"
    assert result.conflicts == (Problem("request.variants.default.pip.requirements.numpy", message),)


def test_two_demands_on_one_conda_package_are_a_conflict():
    base = conda_lock()
    asked = base.request.variants["default"].conda
    assert asked is not None
    ours, theirs = (
        _asking(
            base,
            conda=asked.model_copy(update={"packages": ("numpy >=2", "proj", f"python {version}.*", "tqdm")}),
        )
        for version in ("3.12", "3.13")
    )

    result = merge_locks(base, ours, theirs)

    assert [problem.where for problem in result.conflicts] == [
        "request.variants.default.conda.packages.python"
    ]


@pytest.mark.parametrize("swapped", [False, True], ids=["ours", "theirs"])
def test_a_new_target_does_not_miss_what_the_other_side_asks_for(swapped: bool):
    new = on_both_platforms(BASE)
    env = {**BASE.request.variants["default"].image.env, "FOO": "1"}
    asked = _asking(BASE, image=BASE.request.variants["default"].image.model_copy(update={"env": env}))
    asked = with_target(asked, env={**BASE.targets[0].env, "FOO": "1"})

    result = merge_locks(BASE, *((asked, new) if swapped else (new, asked)))

    assert result.lock is None
    message = "it is new on one side, and the other changed what is asked of it; run `envbuild lock`"
    assert result.conflicts == (Problem("default on linux/arm64", message),)


def test_a_new_target_is_taken_when_the_other_side_asks_for_nothing_else():
    new = on_both_platforms(BASE)

    lock = merged(with_wheels(BASE, wheel("numpy", "2.4.0")), new)

    assert [(target.platform, wheel("numpy", "2.4.0").file in target.wheels) for target in lock.targets] == [
        ("linux/amd64", True),
        ("linux/arm64", False),
    ]


NAMES = st.sampled_from(["numpy", "joblib", "polars", "requests", "tqdm"])
CHANGES = st.dictionaries(NAMES, st.sampled_from(["1.0", "2.0", None]), max_size=4)


def with_channels(lock: Lock, *channels: str) -> Lock:
    """Return `lock` with the channels that are asked, as a lock of that spec has them."""
    asked = lock.request.variants["default"]
    assert asked.conda is not None
    variant = asked.model_copy(update={"conda": asked.conda.model_copy(update={"channels": channels})})
    return lock.model_copy(
        update={"request": lock.request.model_copy(update={"variants": {"default": variant}})}
    )


def test_channels_keep_their_order_which_is_their_priority():
    base = with_channels(conda_lock(), "nvidia", "conda-forge", "bioconda")
    theirs = with_conda(base, conda_package("zlib", "1.3", "h1"))

    result = merge_locks(base, with_target(base, workdir="/w"), theirs)

    assert result.lock is not None
    assert stale_fields(base.request, result.lock.request) == ()


def test_channels_both_changed_are_a_conflict():
    base = with_channels(conda_lock(), "conda-forge")

    result = merge_locks(
        base,
        with_channels(base, "nvidia", "conda-forge"),
        with_channels(base, "conda-forge", "bioconda"),
    )

    assert [problem.where for problem in result.conflicts] == ["request.variants.default.conda.channels"]


def changed(changes: dict[str, str | None]) -> Lock:
    lock = without_wheels(BASE, *(name for name, version in changes.items() if version is None))
    return with_wheels(lock, *(wheel(name, version) for name, version in changes.items() if version))


@pytest.mark.property
@given(ours=CHANGES, theirs=CHANGES)
def test_each_package_is_as_the_side_that_changed_it_has_it(
    ours: dict[str, str | None], theirs: dict[str, str | None]
):
    before = {item.name: item.version for item in BASE.wheels_of(BASE.targets[0])}
    sides = [{**before, **side} for side in (ours, theirs)]
    contested = {
        name for name in {*ours, *theirs} if len({before.get(name), *(side.get(name) for side in sides)}) == 3
    }

    result = merge_locks(BASE, changed(ours), changed(theirs))

    assert {problem.where.rpartition(".")[2] for problem in result.conflicts} == contested
    if result.lock:
        expected = {}
        for name in {*before, *ours, *theirs}:
            mine, other = (side.get(name) for side in sides)
            expected[name] = other if mine == before.get(name) else mine
        held = {item.name: item.version for item in result.lock.wheels_of(result.lock.targets[0])}
        assert held == {name: version for name, version in expected.items() if version}
