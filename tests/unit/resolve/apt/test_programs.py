"""Which way apt is run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from envbuild.errors import EngineError, ToolMissingError, UsageError
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.client import Apt
from envbuild.resolve.apt.programs import (
    OpenLists,
    RunningApt,
    WayName,
    chosen_way,
    has_host_apt,
    run_on_host,
)
from envbuild.resolve.apt.root import AptRoot
from envbuild.resolve.apt.system import resolve_system
from tests.rig.archive import DebianArchive, make_deb

NOWHERE = {"PATH": "/nonexistent"}


class Way:
    """Runs this machine's apt, as if it came from elsewhere."""

    def __init__(self, name: WayName, *, missing: str = "") -> None:
        self.name = name
        self.missing = missing
        self.opened = 0
        self.closed = False

    def prepare(self, archives: AptArchives) -> None:
        self.describe()

    @contextmanager
    def open(
        self,
        archives: AptArchives,
        root: AptRoot,
        open_lists: OpenLists,
    ) -> Iterator[RunningApt]:
        self.opened += 1
        environment = root.environment()
        yield RunningApt(lambda words, timeout: run_on_host(words, environment=environment, timeout=timeout))

    def describe(self) -> str:
        if self.missing:
            raise EngineError(self.missing, hint=f"do {self.missing}")
        return f"by {self.name}"

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("value", ["", "auto"])
def test_without_a_choice_the_first_way_is_taken(value: str) -> None:
    assert chosen_way({"ENVBUILD_APT": value}) is None


def test_a_choice() -> None:
    assert chosen_way({"ENVBUILD_APT": "engine"}) == "engine"
    with pytest.raises(UsageError, match="ENVBUILD_APT names no way to run apt: podman"):
        chosen_way({"ENVBUILD_APT": "podman"})


def test_a_machine_has_apt_when_it_has_all_its_programs(tmp_path: Path) -> None:
    (tmp_path / "apt-get").touch(mode=0o755)

    assert not has_host_apt({"PATH": str(tmp_path)})


def test_ways_are_tried_in_turn(tmp_path: Path) -> None:
    first, second = Way("root", missing="the first"), Way("engine")
    apt = Apt(tmp_path, environment=NOWHERE, ways=(first, second))

    assert apt.describe() == "by engine"
    assert apt.versions() is None
    apt.close()
    assert first.closed
    assert second.closed


def test_only_the_way_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    environment = NOWHERE | {"ENVBUILD_APT": "root"}
    apt = Apt(tmp_path, environment=environment, ways=(Way("root", missing="the first"), Way("engine")))

    with pytest.raises(ToolMissingError):
        apt.describe()


def test_where_no_way_can_be_taken_each_says_why(tmp_path: Path) -> None:
    ways = (Way("root", missing="no packages"), Way("engine", missing="no engine"))

    with pytest.raises(ToolMissingError) as caught:
        Apt(tmp_path, environment=NOWHERE, ways=ways).describe()

    error = caught.value
    assert error.exit_code == 6
    assert [(problem.where, problem.message) for problem in error.problems] == [
        ("ENVBUILD_APT=root", "no packages"),
        ("ENVBUILD_APT=engine", "no engine"),
    ]
    assert error.hint == (
        "do no packages; or do no engine; `envbuild build` of an existing lock needs no apt"
    )


@pytest.mark.slow
def test_lists_fetched_here_give_the_packages_that_apt_gives(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive, machine: dict[str, str], tmp_path: Path
) -> None:
    make_deb(debian_archive.folder, "tool", "1", depends="lib (>= 1)")
    make_deb(debian_archive.folder, "lib", "2")
    way = Way("root")
    other = Apt(tmp_path / "other", environment=machine | {"ENVBUILD_APT": "root"}, ways=(way,))

    assert resolve_system(other, rig, ["tool"], installed="") == resolve_system(
        apt, rig, ["tool"], installed=""
    )
    assert way.opened
    assert other.version() == apt.version()


@pytest.mark.slow
def test_names_of_lists_are_those_of_apt(
    apt: Apt,
    archives_of: Callable[..., AptArchives],
    debian_archive: DebianArchive,
    machine: dict[str, str],
    tmp_path: Path,
) -> None:
    make_deb(debian_archive.folder, "tool", "1")
    archives = archives_of(debian_archive.source)
    names = []
    for one, environment in ((apt, machine), (None, machine | {"ENVBUILD_APT": "root"})):
        cache = tmp_path / f"names-{one is None}"
        chosen = Apt(cache, environment=environment, ways=(Way("root"),) if one is None else ())
        with chosen.session(archives):
            (kept,) = cache.iterdir()
            names.append(sorted(path.name for path in (kept / "lists").iterdir() if path.is_file()))
    # apt keeps a lock there
    assert [name for name in names[0] if name != "lock"] == names[1]
