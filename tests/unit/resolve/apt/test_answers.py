"""Real apt, an archive on the loopback interface: what is asked again, and what is not."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from envbuild.errors import NetworkError, NoSolutionError
from envbuild.parallel import DaemonPool
from envbuild.process import ProcessResult
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.client import Apt
from envbuild.resolve.apt.system import resolve_system
from envbuild.resolve.upgrade import Upgrade
from tests.rig.archive import DebianArchive, make_deb

pytestmark = pytest.mark.slow


class Watched(Apt):
    """Says which programs were started, and counts solutions."""

    def run(self, arguments: Sequence[str | Path], *, timeout: float) -> ProcessResult:
        self.started = [*getattr(self, "started", []), " ".join(map(str, arguments))]
        return super().run(arguments, timeout=timeout)

    @property
    def solved(self) -> int:
        return sum(" install " in line for line in self.started)

    @property
    def updated(self) -> int:
        return sum(" update " in line for line in self.started)


@pytest.fixture
def run(machine: dict[str, str], tmp_path: Path) -> Callable[[], Watched]:
    """Return what begins a run of envbuild."""
    return lambda: Watched(tmp_path / "cache", environment=machine, answers=tmp_path / "answers")


def ask(apt: Apt, archives: AptArchives, *packages: str, **options: object) -> list[str]:
    debs = resolve_system(apt, archives, packages, **{"installed": ""} | options)  # type: ignore[arg-type]
    return [deb.file for deb in debs]


def test_the_same_question_is_solved_once(
    run: Callable[[], Watched], rig: AptArchives, debian_archive: DebianArchive
) -> None:
    make_deb(debian_archive.folder, "tool", "1", depends="lib")
    make_deb(debian_archive.folder, "lib", "1")
    first, second = run(), run()

    debs = resolve_system(first, rig, ["tool"], installed="")
    again = resolve_system(second, rig, ["tool"], installed="")

    assert again == debs
    assert (first.solved, second.solved) == (1, 0)
    # the archive is asked each time whether it has something else now
    assert second.updated == 1


def test_any_other_question_is_solved(
    run: Callable[[], Watched], rig: AptArchives, debian_archive: DebianArchive
) -> None:
    folder = debian_archive.folder
    make_deb(folder, "tool", "1", depends="lib")
    make_deb(folder, "lib", "1")
    old = resolve_system(run(), rig, ["tool"], installed="")
    make_deb(folder, "lib", "2")

    assert ask(run(), rig, "tool") == ["lib_2_all.deb", "tool_1_all.deb"]
    assert ask(run(), rig, "tool", previous=old) == ["lib_1_all.deb", "tool_1_all.deb"]
    upgrade = Upgrade(packages=frozenset({"lib"}))
    assert ask(run(), rig, "tool", previous=old, upgrade=upgrade) == ["lib_2_all.deb", "tool_1_all.deb"]
    assert ask(run(), rig, "lib") == ["lib_2_all.deb"]
    assert ask(run(), rig, "tool", installed=old[:1]) == ["tool_1_all.deb"]
    last = run()
    assert ask(last, rig, "tool") == ["lib_2_all.deb", "tool_1_all.deb"]
    assert last.solved == 0


def test_another_configuration_of_apt_is_another_question(
    run: Callable[[], Watched],
    rig: AptArchives,
    debian_archive: DebianArchive,
    machine: dict[str, str],
) -> None:
    make_deb(debian_archive.folder, "tool", "1")
    ask(run(), rig, "tool")
    with Path(machine["APT_CONFIG"]).open("a") as file:
        file.write('Some::Setting "that a later apt may know";\n')

    changed = run()

    assert ask(changed, rig, "tool") == ["tool_1_all.deb"]
    assert changed.solved == 1


@pytest.mark.parametrize(
    "content", [b"", b"{", b'{"debs": [{"name": "tool"}]}'], ids=["empty", "cut", "other"]
)
def test_a_damaged_answer_is_none(
    run: Callable[[], Watched],
    rig: AptArchives,
    debian_archive: DebianArchive,
    tmp_path: Path,
    content: bytes,
) -> None:
    make_deb(debian_archive.folder, "tool", "1")
    ask(run(), rig, "tool")
    (note,) = (tmp_path / "answers").rglob("*.json")
    note.write_bytes(content)

    assert ask(run(), rig, "tool") == ["tool_1_all.deb"]


def test_a_failure_is_not_kept(
    run: Callable[[], Watched], rig: AptArchives, debian_archive: DebianArchive, tmp_path: Path
) -> None:
    make_deb(debian_archive.folder, "tool", "1", depends="lib")
    with pytest.raises(NoSolutionError):
        ask(run(), rig, "tool")

    assert not list((tmp_path / "answers").rglob("*.json"))


def test_an_archive_that_signs_nothing_is_told_by_its_lists(
    run: Callable[[], Watched], archives_of: Callable[..., AptArchives], tmp_path: Path
) -> None:
    folder = tmp_path / "flat"
    folder.mkdir()
    archives = archives_of(f"deb [trusted=yes] file:{folder} ./")

    def publish(version: str) -> None:
        (folder / "Packages").write_text(
            f"Package: tool\nVersion: {version}\nArchitecture: all\nMaintainer: Rig <rig@example.com>\n"
            f"Filename: ./tool.deb\nSize: 1\nSHA256: {'0' * 64}\nDescription: x\n"
        )

    publish("1")
    assert ask(run(), archives, "tool") == ["tool_1_all.deb"]
    # of another size: apt tells lists of one second apart by that
    publish("2.0")
    assert ask(run(), archives, "tool") == ["tool_2.0_all.deb"]


def test_lists_that_are_begun_with_are_updated_once(
    run: Callable[[], Watched], rig: AptArchives, debian_archive: DebianArchive
) -> None:
    make_deb(debian_archive.folder, "tool", "1")
    apt = run()
    with DaemonPool() as threads:
        apt.begin(rig, threads)
        apt.begin(rig, threads)
        assert ask(apt, rig, "tool") == ["tool_1_all.deb"]
        apt.begin(rig, threads)
        assert ask(apt, rig, "tool") == ["tool_1_all.deb"]

    assert apt.updated == 1


def test_a_failure_of_what_was_begun_is_that_of_who_asks(
    run: Callable[[], Watched], archives_of: Callable[..., AptArchives], tmp_path: Path
) -> None:
    archives = archives_of(f"deb [trusted=yes] file:{tmp_path}/missing ./")
    apt = run()
    with DaemonPool() as threads:
        apt.begin(archives, threads)
        with pytest.raises(NetworkError) as begun:
            ask(apt, archives, "tool")
    with pytest.raises(NetworkError) as asked:
        ask(run(), archives, "tool")

    assert begun.value.message == asked.value.message
    assert apt.updated == 1
