"""What is required must be there, whoever brought it; what nobody requires goes."""

from pathlib import Path

import pytest

from envbuild.lock.codec import dumps, loads
from envbuild.lock.model import Lock
from envbuild.resolve.completeness import reach_wheels, unmet_requirements
from envbuild.resolve.merge import join_locks
from tests.rig.growing import with_conda, with_debs, with_wheels, without_wheels
from tests.rig.locks import conda_lock, conda_package, deb, image_base, sample_lock, wheel
from tests.rig.paths import CHECKOUT

EXAMPLES = CHECKOUT / "examples"
BASE = sample_lock()


def names(lock: Lock) -> set[str]:
    return {item.name for item in lock.wheels_of(lock.targets[0])}


def problems(lock: Lock) -> list[str]:
    return [str(problem) for problem in unmet_requirements(lock)]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/envbuild.lock")), ids=lambda path: path.parent.name)
def test_a_resolved_lock_lacks_nothing(path: Path):
    lock = loads(path.read_text())

    assert problems(lock) == []
    for target in lock.targets:
        assert reach_wheels(lock, target).names == {item.name for item in lock.wheels_of(target)}


def test_a_missing_and_an_unfitting_wheel_are_named():
    lock = with_wheels(without_wheels(BASE, "joblib"), wheel("numpy", "1.0"))

    assert set(problems(lock)) == {
        "default on linux/amd64: pip.requirements: requires numpy>=2, which is numpy 1.0",
        "default on linux/amd64: scikit-learn 1.7.2: requires numpy>=1.22, which is numpy 1.0",
        "default on linux/amd64: scikit-learn 1.7.2: requires joblib>=1.2, which is not there",
    }


def test_extras_and_markers_are_followed_as_the_target_reads_them():
    requires = (
        'colorama; sys_platform == "win32"',
        'pyarrow; extra == "arrow"',
        'tomli; python_version < "3.11"',
    )
    lock = with_wheels(BASE, wheel("polars", requires=requires), asks=["polars[arrow]"])

    assert problems(lock) == ["default on linux/amd64: polars 1.0: requires pyarrow, which is not there"]


def test_relations_of_system_packages_are_compared_as_debian_orders_versions():
    needs = deb("curl", depends=("libc6 (>= 2.36-9+deb12u2)", "awk", "libssl3 | libc6 (<< 2)"))

    assert problems(with_debs(BASE, needs)) == [
        "default on linux/amd64: curl 1.0-1: depends on libssl3 | libc6 (<< 2), which is not there"
    ]


def test_two_additions_are_joined():
    ours = with_wheels(BASE, wheel("polars"), asks=["polars"])
    theirs = with_wheels(BASE, wheel("tqdm", requires=("joblib<2",)), asks=["tqdm"])

    joined = join_locks(BASE, ours, theirs)

    assert joined.conflicts == ()
    assert joined.lock is not None
    assert names(joined.lock) == names(BASE) | {"polars", "tqdm"}


def test_what_one_side_dropped_and_the_other_needs_now_is_kept():
    ours = without_wheels(BASE, "scikit-learn", "joblib", asked=["scikit-learn"])
    theirs = with_wheels(BASE, wheel("tqdm", requires=("joblib",)), asks=["tqdm"])

    joined = join_locks(BASE, ours, theirs)

    assert joined.conflicts == ()
    assert joined.lock is not None
    assert names(joined.lock) == {"numpy", "joblib", "tqdm"}


def test_what_each_side_kept_for_the_other_ones_sake_goes():
    base = with_wheels(
        BASE, wheel("a", requires=("shared",)), wheel("b", requires=("shared",)), wheel("shared"), asks="ab"
    )
    ours, theirs = without_wheels(base, "a", asked="a"), without_wheels(base, "b", asked="b")

    joined = join_locks(base, ours, theirs)

    assert joined.lock is not None
    assert names(joined.lock) == names(BASE)


def test_additions_that_contradict_each_other_are_refused():
    ours = with_wheels(
        BASE, wheel("numpy", "2.9"), wheel("polars", requires=("numpy>=2.9",)), asks=["polars"]
    )
    theirs = with_wheels(BASE, wheel("tqdm", requires=("numpy<2.5",)), asks=["tqdm"])

    joined = join_locks(BASE, ours, theirs)

    assert joined.lock is None
    assert [str(problem) for problem in joined.conflicts] == [
        "default on linux/amd64: tqdm 1.0: requires numpy<2.5, which is numpy 2.9"
    ]


def test_what_a_side_could_not_show_either_is_not_held_against_the_merge():
    base = with_debs(sample_lock(image_base()), deb("less", depends=("virtual-of-the-base",)))

    joined = join_locks(base, with_debs(base, deb("curl")), with_wheels(base, wheel("tqdm"), asks=["tqdm"]))

    assert joined.conflicts == ()


def test_what_conda_brings_satisfies_wheels():
    asking = with_wheels(conda_lock(), wheel("a", requires=("tqdm>=4",)), asks=["a"])
    wrong = with_wheels(conda_lock(), wheel("a", requires=("tqdm>=5",)), asks=["a"])

    assert problems(asking) == []
    assert problems(wrong) == ["default on linux/amd64: a 1.0: requires tqdm>=5, which is tqdm 4.67.1"]


def test_what_conda_brings_by_now_is_not_laid_down_as_a_wheel_too():
    base = conda_lock()
    rich = conda_package("rich", "14.0", noarch="python", distributions=("rich==14.0",))
    ours = with_conda(base, rich)
    theirs = with_wheels(
        base, wheel("a", requires=("rich>=13",)), wheel("rich", "13.9", requires=("mdurl",)), wheel("mdurl"),
        asks=["a"],
    )  # fmt: skip

    for joined in (join_locks(base, ours, theirs), join_locks(base, theirs, ours)):
        assert joined.conflicts == ()
        assert joined.lock is not None
        assert names(joined.lock) == {"a", "joblib"}
        assert problems(joined.lock) == []
        assert loads(dumps(joined.lock)) == joined.lock


def test_a_conda_package_that_the_other_sides_wheels_cannot_do_with_is_a_conflict():
    base = conda_lock()
    rich = conda_package("rich", "12.0", noarch="python", distributions=("rich==12.0",))
    theirs = with_wheels(base, wheel("a", requires=("rich>=13",)), wheel("rich", "13.9"), asks=["a"])

    joined = join_locks(base, with_conda(base, rich), theirs)

    assert [str(problem) for problem in joined.conflicts] == [
        "default on linux/amd64: a 1.0: requires rich>=13, which is rich 12.0"
    ]
