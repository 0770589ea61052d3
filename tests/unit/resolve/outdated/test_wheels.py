from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest

from envbuild.lock.model import Wheel
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import ClientConfiguration, read_client_configuration
from envbuild.resolve.outdated.model import PackageUpdate
from envbuild.resolve.outdated.wheels import wheel_updates
from tests.rig.desk import TARGET
from tests.rig.index import PackageIndex, make_sdist, make_wheel
from tests.rig.locks import wheel


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PackageIndex]:
    folder = tmp_path / "files"
    folder.mkdir()
    with PackageIndex(
        folder,
        yanked={"yanked-2.0-py3-none-any.whl": "broken"},
        uploaded={"late-2.0-py3-none-any.whl": "2026-06-01T00:00:00Z"},
    ) as served:
        yield served


def asked(
    index: PackageIndex, *wheels: Wheel, allowed: dict[str, str] | None = None, snapshot: date | None = None
) -> dict[str, PackageUpdate]:
    configuration: ClientConfiguration = read_client_configuration({"PIP_INDEX_URL": index.index_url})
    with closing(PythonIndex(configuration, retries=0)) as client:
        found = wheel_updates(wheels, allowed, index=client, target=TARGET, snapshot=snapshot)
    return {update.name: update for update in found}


def test_the_newest_is_what_the_target_can_have(index: PackageIndex) -> None:
    for name, version, tag, python in (
        ("plain", "1.0", "py3-none-any", ""),
        ("plain", "1.10", "py3-none-any", ""),
        ("plain", "1.9", "py3-none-any", ""),
        ("plain", "2.0rc1", "py3-none-any", ""),
        ("picky", "1.0", "py3-none-any", ""),
        ("picky", "2.0", "py3-none-any", ">=3.13"),
        ("windows", "1.0", "py3-none-any", ""),
        ("windows", "2.0", "py3-none-win_amd64", ""),
        ("yanked", "1.0", "py3-none-any", ""),
        ("yanked", "2.0", "py3-none-any", ""),
        ("pre", "1.0rc2", "py3-none-any", ""),
    ):
        make_wheel(index.folder, name, version, tag=tag, requires_python=python)

    names = ("plain", "picky", "windows", "yanked")
    found = asked(
        index,
        *map(wheel, names),
        wheel("pre", "1.0rc1"),
        allowed=dict.fromkeys(names, "1.0") | {"pre": "1.0rc2"},
    )

    assert {name: (one.newest, one.notes) for name, one in found.items()} == {
        "plain": ("1.10", ()),
        "picky": ("1.0", ("2.0 requires Python >=3.13",)),
        "windows": ("1.0", ("2.0 has no wheel for the target",)),
        "yanked": ("1.0", ()),
        "pre": ("1.0rc2", ()),
    }
    assert [name for name, one in found.items() if one.is_outdated] == ["plain", "pre"]


def test_sources_count_where_the_wheel_was_built_from_one(index: PackageIndex) -> None:
    make_sdist(index.folder, "own", "2.0")
    built = wheel("own").model_copy(update={"hash_source": "built"})

    assert asked(index, built)["own"].newest == "2.0"
    assert asked(index, wheel("own"))["own"].notes == ("2.0 has no wheel for the target",)


def test_nothing_counts_that_came_after_the_snapshot(index: PackageIndex) -> None:
    make_wheel(index.folder, "late", "1.0")
    make_wheel(index.folder, "late", "2.0")

    assert asked(index, wheel("late"), snapshot=date(2026, 5, 31))["late"].newest == "1.0"
    assert asked(index, wheel("late"), snapshot=date(2026, 6, 1))["late"].newest == "2.0"


def test_what_cannot_be_asked_is_not_known(index: PackageIndex) -> None:
    placed = wheel("placed").model_copy(update={"url": "https://example.com/placed-1.0-py3-none-any.whl"})
    found = asked(index, placed, wheel("gone"))

    assert (found["placed"].newest, found["gone"].newest) == (None, None)
    assert found["placed"].notes == ("the spec gives its address: no index is asked",)
    assert found["gone"].notes
    assert not any(one.is_outdated for one in found.values())
