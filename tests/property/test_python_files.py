"""Which wheel of a release is chosen, for any release and any target."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from packaging.utils import parse_wheel_filename

from envbuild.lock.model import Libc
from envbuild.platforms import AMD64, ARM64
from envbuild.remote.index.page import IndexFile
from envbuild.resolve.python.files import choose_file, fits
from envbuild.resolve.python.shortage import what_there_is
from envbuild.resolve.python.target import TargetPython

pytestmark = pytest.mark.property

machines = st.sampled_from(["x86_64", "aarch64"])
glibc_platforms = st.builds("manylinux_2_{}_{}".format, st.integers(min_value=5, max_value=45), machines)
musl_platforms = st.builds("musllinux_1_{}_{}".format, st.integers(min_value=0, max_value=3), machines)
old_platforms = st.builds(
    "{}_{}".format, st.sampled_from(["manylinux1", "manylinux2010", "manylinux2014", "linux"]), machines
)
platforms = st.one_of(
    st.just("any"),
    glibc_platforms,
    musl_platforms,
    old_platforms,
    st.sampled_from(["win_amd64", "macosx_11_0_arm64"]),
)
pythons = st.sampled_from(
    [
        "py3-none",
        "py2.py3-none",
        "py311-none",
        "cp310-abi3",
        "cp312-abi3",
        "cp313-cp313t",
        "pp311-pypy311_pp73",
    ]
    + [f"cp3{minor}-cp3{minor}" for minor in range(10, 14)]
)
builds = st.sampled_from(["", "1-", "2-", "10-", "2a-"])


@st.composite
def files(draw: st.DrawFn) -> IndexFile:
    places = draw(st.lists(platforms, min_size=1, max_size=2, unique=True))
    name = f"demo-1.0-{draw(builds)}{draw(pythons)}-{'.'.join(places)}.whl"
    day = draw(st.none() | st.dates(date(2025, 1, 1), date(2026, 12, 31)))
    return IndexFile(
        filename=name,
        url=f"https://files.example.com/{name}",
        yanked=draw(st.sampled_from([None, None, None, "", "broken"])),
        requires_python=draw(st.sampled_from([None, ">=3.8", ">=3.12", "<3.12", "==3.11.*", "nonsense"])),
        uploaded=datetime(day.year, day.month, day.day, 12, tzinfo=UTC) if day else None,
    )


releases = st.lists(files(), max_size=12, unique_by=lambda file: file.filename)
libcs = st.one_of(
    st.builds(lambda minor: Libc(family="glibc", version=f"2.{minor}"), st.integers(5, 45)),
    st.builds(lambda minor: Libc(family="musl", version=f"1.{minor}"), st.integers(0, 3)),
)
targets = st.builds(
    TargetPython,
    st.sampled_from([AMD64, ARM64]),
    libcs,
    st.builds("3.{}.{}".format, st.integers(10, 13), st.integers(0, 9)),
)
snapshots = st.none() | st.dates(date(2025, 1, 1), date(2026, 12, 31))


@given(releases, targets, snapshots)
def test_the_chosen_file_has_a_tag_of_the_target(
    release: list[IndexFile], target: TargetPython, snapshot: date | None
) -> None:
    """A wheel is installable when one of its tags is among the installer's (platform compatibility tags)."""
    chosen = choose_file(release, target, snapshot=snapshot)
    if chosen is not None:
        assert parse_wheel_filename(chosen.filename)[3] & set(target.tags)
        assert chosen in release


@given(st.data(), releases, targets, snapshots)
def test_the_order_of_files_does_not_matter(
    data: st.DataObject, release: list[IndexFile], target: TargetPython, snapshot: date | None
) -> None:
    shuffled = data.draw(st.permutations(release))
    assert choose_file(release, target, snapshot=snapshot) == choose_file(shuffled, target, snapshot=snapshot)


@given(releases, targets, snapshots)
def test_something_is_chosen_whenever_something_fits(
    release: list[IndexFile], target: TargetPython, snapshot: date | None
) -> None:
    fitting = [file for file in release if fits(file, target, snapshot=snapshot)]
    chosen = choose_file(release, target, snapshot=snapshot)
    assert (chosen is None) == (not fitting)
    if chosen is None:
        assert what_there_is(release, target, snapshot=snapshot)


@given(releases, files(), targets)
def test_a_file_that_does_not_fit_changes_nothing(
    release: list[IndexFile], other: IndexFile, target: TargetPython
) -> None:
    assume(not fits(other, target))
    assert choose_file([*release, other], target) == choose_file(release, target)


@given(releases, targets)
def test_a_yanked_file_is_chosen_only_for_want_of_another(
    release: list[IndexFile], target: TargetPython
) -> None:
    chosen = choose_file(release, target)
    if chosen is not None and chosen.yanked is not None:
        assert all(file.yanked is not None for file in release if fits(file, target))


@given(releases, targets)
def test_what_is_locked_stays_while_it_fits(release: list[IndexFile], target: TargetPython) -> None:
    for locked in release:
        if fits(locked, target) and locked.yanked is None:
            assert choose_file(release, target, keep=locked.filename) == locked


@given(targets)
def test_tags_are_all_different_and_for_the_machine(target: TargetPython) -> None:
    assert len(set(target.tags)) == len(target.tags)
    assert all(
        tag.platform == "any" or tag.platform.endswith(f"_{target.platform.machine}") for tag in target.tags
    )


@given(targets, st.integers(1, 9))
def test_a_newer_libc_loses_no_tag(target: TargetPython, newer: int) -> None:
    major, _, minor = target.libc.version.partition(".")
    libc = Libc(family=target.libc.family, version=f"{major}.{int(minor) + newer}")
    assert set(target.tags) <= set(TargetPython(target.platform, libc, target.version).tags)
