"""Real apt, an archive of real packages on the loopback interface."""

from collections.abc import Callable
from pathlib import Path

import pytest

from envbuild.errors import NoSolutionError, ToolMissingError
from envbuild.formats.apt_sources_list import parse_lines
from envbuild.lock.model import Deb
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.client import Apt
from envbuild.resolve.apt.no_solution import near_names
from envbuild.resolve.apt.system import preferences, resolve_system
from envbuild.resolve.upgrade import NO_UPGRADE, Upgrade
from tests.rig.archive import DebianArchive, make_deb
from tests.rig.progress import RecordedProgress

pytestmark = pytest.mark.slow

EMPTY = ""


def status(*packages: tuple[str, str], **fields: str) -> str:
    """Return a dpkg status with these (name, version) installed; `fields` go into each stanza."""
    more = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in fields.items())
    return "\n".join(
        f"Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: {version}\n{more}"
        "Maintainer: Rig <rig@example.com>\nDescription: x\n"
        for name, version in packages
    )


def files(debs: tuple[Deb, ...]) -> list[str]:
    return [deb.file for deb in debs]


def test_a_package_with_its_dependencies_and_without_recommends(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive
) -> None:
    folder = debian_archive.folder
    tool = make_deb(folder, "tool", "1:2.0-1", depends="lib (>= 1)", fields={"Recommends": "doc"})
    make_deb(folder, "lib", "1.5-1", architecture="amd64", fields={"Source": "libsrc", "Provides": "lib-abi"})
    make_deb(folder, "doc", "1")

    lib_deb, tool_deb = resolve_system(apt, rig, ["tool"], installed=EMPTY)

    assert (lib_deb.file, lib_deb.source, lib_deb.provides) == ("lib_1.5-1_amd64.deb", "libsrc", ("lib-abi",))
    assert tool_deb.file == "tool_1:2.0-1_all.deb"
    assert tool_deb.path == f"pool/{tool.name}"
    assert tool_deb.size == tool.stat().st_size
    assert tool_deb.depends == ("lib (>= 1)",)
    assert tool_deb.archive == "rig"


def test_order_and_repetition_of_requests_do_not_matter(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive
) -> None:
    for name in ("a-one", "b-two", "c-three"):
        make_deb(debian_archive.folder, name, "1", depends="any-of | other")
    make_deb(debian_archive.folder, "any-of", "1")
    make_deb(debian_archive.folder, "other", "1")

    first = resolve_system(apt, rig, ["a-one", "b-two", "c-three"], installed=EMPTY)
    second = resolve_system(apt, rig, ["c-three", "b-two", "a-one", "b-two"], installed=EMPTY)

    assert first == second
    assert files(first) == ["a-one_1_all.deb", "any-of_1_all.deb", "b-two_1_all.deb", "c-three_1_all.deb"]


def test_what_the_base_has_is_not_in_the_result_even_when_the_archive_has_a_newer_one(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive
) -> None:
    make_deb(debian_archive.folder, "lib", "2")
    make_deb(debian_archive.folder, "tool", "1", depends="lib (>= 1)")

    debs = resolve_system(apt, rig, ["lib", "tool"], installed=status(("lib", "1")))

    assert files(debs) == ["tool_1_all.deb"]


def test_apt_is_not_asked_when_the_base_has_everything(rig: AptArchives, tmp_path: Path) -> None:
    no_apt = Apt(tmp_path, environment={"PATH": "/nonexistent"})

    assert resolve_system(no_apt, rig, ["lib", "lib=1"], installed=status(("lib", "1"))) == ()


def test_without_apt_the_error_says_where_to_lock(rig: AptArchives, tmp_path: Path) -> None:
    no_apt = Apt(tmp_path, environment={"PATH": "/nonexistent"})

    with pytest.raises(ToolMissingError) as caught:
        resolve_system(no_apt, rig, ["tool"], installed=EMPTY)

    assert str(caught.value) == "apt is missing, and locking system packages needs it"
    assert caught.value.exit_code == 6
    assert caught.value.hint == (
        "run `envbuild lock` on Debian or Ubuntu, or in a container of one; "
        "`envbuild build` of an existing lock needs no apt"
    )


def test_a_needed_upgrade_of_the_base_is_in_the_result_and_told(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive
) -> None:
    make_deb(debian_archive.folder, "perl-base", "5.2")
    make_deb(debian_archive.folder, "perl", "5.2", depends="perl-base (= 5.2)")

    apt.progress = progress = RecordedProgress()
    base = status(("perl-base", "5.1"), ("unrelated", "1"))
    debs = resolve_system(apt, rig, ["perl"], installed=base)

    assert files(debs) == ["perl-base_5.2_all.deb", "perl_5.2_all.deb"]
    assert progress.notes == [
        "`perl-base` of the base is upgraded from 5.1 to 5.2: a package that was asked for needs it"
    ]


def test_packages_of_the_same_source_are_not_upgraded_without_need(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive
) -> None:
    for name in ("lib-a", "lib-b", "lib-dev"):
        make_deb(debian_archive.folder, name, "2", fields={"Source": "lib"})

    base = status(("lib-a", "1"), ("lib-b", "1"), Source="lib")
    debs = resolve_system(apt, rig, ["lib-dev"], installed=base)

    assert files(debs) == ["lib-dev_2_all.deb"]


def test_nothing_of_the_base_is_removed(apt: Apt, rig: AptArchives, debian_archive: DebianArchive) -> None:
    make_deb(debian_archive.folder, "new-init", "1", fields={"Conflicts": "old-init"})

    with pytest.raises(NoSolutionError) as caught:
        resolve_system(apt, rig, ["new-init"], installed=status(("old-init", "1")))

    assert str(caught.value) == "these packages need others of rig removed: `old-init`"
    assert caught.value.detail == "asked for: new-init"


def test_nothing_of_the_base_is_downgraded(apt: Apt, rig: AptArchives, debian_archive: DebianArchive) -> None:
    make_deb(debian_archive.folder, "lib", "1")

    with pytest.raises(NoSolutionError) as caught:
        resolve_system(apt, rig, ["lib=1"], installed=status(("lib", "2")))

    assert str(caught.value) == "these packages need older versions than rig has: `lib`"


def test_an_exact_version(apt: Apt, rig: AptArchives, debian_archive: DebianArchive) -> None:
    make_deb(debian_archive.folder, "tool", "1")
    make_deb(debian_archive.folder, "tool", "2")

    assert files(resolve_system(apt, rig, ["tool=1"], installed=EMPTY)) == ["tool_1_all.deb"]
    assert files(resolve_system(apt, rig, ["tool=2"], installed=status(("tool", "1")))) == ["tool_2_all.deb"]


def test_previous_versions_are_kept_while_they_are_there(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive, machine: dict[str, str], tmp_path: Path
) -> None:
    folder = debian_archive.folder
    make_deb(folder, "tool", "1", depends="lib")
    lib = make_deb(folder, "lib", "1")
    previous = resolve_system(apt, rig, ["tool"], installed=EMPTY)
    make_deb(folder, "tool", "2", depends="lib")
    make_deb(folder, "lib", "2")

    def again(*, previous: tuple[Deb, ...] = previous, upgrade: Upgrade = NO_UPGRADE) -> list[str]:
        fresh = Apt(tmp_path / "cache", environment=machine)
        return files(
            resolve_system(fresh, rig, ["tool"], installed=EMPTY, previous=previous, upgrade=upgrade)
        )

    assert again() == ["lib_1_all.deb", "tool_1_all.deb"]
    assert again(previous=()) == ["lib_2_all.deb", "tool_2_all.deb"]
    assert again(upgrade=Upgrade(everything=True)) == ["lib_2_all.deb", "tool_2_all.deb"]
    assert again(upgrade=Upgrade(packages=frozenset({"lib"}))) == ["lib_2_all.deb", "tool_1_all.deb"]
    lib.unlink()
    assert again() == ["lib_2_all.deb", "tool_1_all.deb"]


def test_a_version_that_holds_everything_up_is_given_up(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive, machine: dict[str, str], tmp_path: Path
) -> None:
    folder = debian_archive.folder
    make_deb(folder, "tool", "1", depends="lib (= 1)")
    lib = make_deb(folder, "lib", "1")
    previous = resolve_system(apt, rig, ["tool"], installed=EMPTY)
    lib.unlink()
    make_deb(folder, "lib", "2")
    make_deb(folder, "tool", "2", depends="lib (= 2)")

    fresh = Apt(tmp_path / "cache", environment=machine)
    debs = resolve_system(fresh, rig, ["tool"], installed=EMPTY, previous=previous)

    assert files(debs) == ["lib_2_all.deb", "tool_2_all.deb"]


def test_packages_of_a_bootstrapped_base_count_as_installed(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive
) -> None:
    make_deb(debian_archive.folder, "lib", "1", fields={"Conflicts": "rival"})
    make_deb(debian_archive.folder, "tool", "1", depends="lib")
    make_deb(debian_archive.folder, "rival", "1")
    base = resolve_system(apt, rig, ["lib"], installed=EMPTY)

    assert files(resolve_system(apt, rig, ["lib", "tool"], installed=base)) == ["tool_1_all.deb"]
    with pytest.raises(NoSolutionError, match="need others of rig removed: `lib`"):
        resolve_system(apt, rig, ["rival"], installed=base)


def test_a_bootstrapped_base_whose_packages_left_the_archive(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive, machine: dict[str, str], tmp_path: Path
) -> None:
    lib = make_deb(debian_archive.folder, "lib", "1", fields={"Provides": "lib-abi"})
    base = resolve_system(apt, rig, ["lib"], installed=EMPTY)
    lib.unlink()
    make_deb(debian_archive.folder, "tool", "1", depends="lib (>= 1), lib-abi")

    fresh = Apt(tmp_path / "cache", environment=machine)

    assert files(resolve_system(fresh, rig, ["tool"], installed=base)) == ["tool_1_all.deb"]


def test_all_names_that_are_wrong_are_reported_at_once(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive
) -> None:
    make_deb(debian_archive.folder, "git", "2")
    make_deb(debian_archive.folder, "postfix", "1", fields={"Provides": "mail-transport-agent"})
    make_deb(debian_archive.folder, "dma", "1", fields={"Provides": "mail-transport-agent"})
    make_deb(debian_archive.folder, "g++", "1")

    with pytest.raises(NoSolutionError) as caught:
        resolve_system(
            apt,
            rig,
            ["gti", "g+", "git=9", "mail-transport-agent"],
            installed=EMPTY,
            fields={"gti": "system.packages[0]"},
        )

    assert str(caught.value) == "the archives of rig do not have every package"
    assert [(problem.where, problem.message, problem.hint) for problem in caught.value.problems] == [
        ("system.packages", "`git` has no version 9", "the archives have `2`"),
        ("system.packages[0]", "there is no package `gti`", "there is `git`"),
        (
            "system.packages",
            "`mail-transport-agent` is a virtual package",
            "name one of those that provide it: `dma`, `postfix`",
        ),
        ("system.packages", "there is no package `g+`", "there is `g++`"),
    ]


def test_a_modifier_of_apt_is_not_understood(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive
) -> None:
    make_deb(debian_archive.folder, "git", "2")

    with pytest.raises(NoSolutionError) as caught:
        resolve_system(apt, rig, ["git+"], installed=EMPTY)

    assert [str(problem) for problem in caught.value.problems] == [
        "system.packages: there is no package `git+`"
    ]


def test_a_virtual_package_with_one_provider_is_resolved(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive
) -> None:
    make_deb(debian_archive.folder, "mawk", "1", fields={"Provides": "awk"})

    assert files(resolve_system(apt, rig, ["awk"], installed=EMPTY)) == ["mawk_1_all.deb"]


def test_what_cannot_be_fulfilled_is_told_in_apts_words(
    apt: Apt, rig: AptArchives, debian_archive: DebianArchive
) -> None:
    make_deb(debian_archive.folder, "tool", "1", depends="lib (>= 5)")
    make_deb(debian_archive.folder, "lib", "1")

    with pytest.raises(NoSolutionError) as caught:
        resolve_system(apt, rig, ["tool"], installed=EMPTY)

    assert str(caught.value) == "the system packages cannot be installed together on rig"
    assert caught.value.detail is not None
    assert caught.value.detail.startswith("tool : Depends: lib (>= 5)")


def test_a_foreign_architecture(apt: Apt, tmp_path: Path) -> None:
    folder = tmp_path / "foreign"
    folder.mkdir()
    make_deb(folder, "tool", "1", architecture="arm64", depends="data")
    make_deb(folder, "data", "1")
    with DebianArchive(folder, architecture="arm64") as archive:
        archives = AptArchives(name="rig", architecture="arm64", sources=parse_lines(archive.source))
        debs = resolve_system(apt, archives, ["tool"], installed=EMPTY)

    assert files(debs) == ["data_1_all.deb", "tool_1_arm64.deb"]


def test_sources_left_out_are_told(
    apt: Apt,
    debian_archive: DebianArchive,
    archives_of: Callable[..., AptArchives],
) -> None:
    make_deb(debian_archive.folder, "git", "2")
    apt.progress = progress = RecordedProgress()
    archives = archives_of(debian_archive.source, left_out=("https://cuda.example.com/repos",))

    with pytest.raises(NoSolutionError) as caught:
        resolve_system(apt, archives, ["cuda-toolkit"], installed=EMPTY)

    assert "https://cuda.example.com/repos" in str(caught.value.hint)
    assert progress.notes[0].startswith("packages of https://cuda.example.com/repos are not considered")


def test_pins_are_sorted() -> None:
    assert preferences({"b": "2", "a": "1:1"}) == (
        "Package: a\nPin: version 1:1\nPin-Priority: 990\n\nPackage: b\nPin: version 2\nPin-Priority: 990\n"
    )


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("gti", "git"),
        ("libgl", "libgl1"),
        ("ffmepg", "ffmpeg"),
        ("libssll3", "libssl3"),
        ("mysql-server", "default-mysql-server"),
        ("zzzzzzzzz", None),
    ],
)
def test_near_names(name: str, near: str | None) -> None:
    names = ["git", "gtk", "gitit", "libgl1", "libgmp10", "ffmpeg", "libssl3", "default-mysql-server"]

    found = near_names(name, names)

    assert found[:1] == ((near,) if near else ())
