"""The files of several layers together."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rig.layer_items import (
    ELF,
    Image,
    Item,
    emptied,
    file,
    folder,
    hard_link,
    link,
    removed,
    texts,
)
from tests.rig.plain_union import lookup, union

# --- one rule at a time -------------------------------------------------------------------------


def test_upper_layer_wins() -> None:
    image = Image([file("etc/passwd", "old")], [file("etc/passwd", "new")])

    assert image.files.text("/etc/passwd") == "new"


def test_removed_file_is_gone_and_can_come_back() -> None:
    image = Image([file("etc/passwd", "old")], [removed("etc/passwd")], [file("etc/passwd", "new")])

    assert Image([file("etc/passwd", "old")], [removed("etc/passwd")]).files.text("/etc/passwd") is None
    assert image.files.text("/etc/passwd") == "new"


@pytest.mark.parametrize("gone", ["etc/apt/sources.list.d", "etc/apt", "etc"])
def test_removed_folder_takes_all_below_it(gone: str) -> None:
    image = Image([file("etc/apt/sources.list.d/a.list", "a")], [removed(gone)])

    assert image.files.text("/etc/apt/sources.list.d/a.list") is None
    assert image.files.names("/etc/apt/sources.list.d") == ()


@pytest.mark.parametrize("first", [True, False])
def test_emptied_folder_keeps_what_its_own_layer_puts_there(*, first: bool) -> None:
    new, empty = file("etc/apt/sources.list.d/b.list", "b"), emptied("etc/apt/sources.list.d")
    image = Image([file("etc/apt/sources.list.d/a.list", "a")], [empty, new] if first else [new, empty])

    assert image.files.names("/etc/apt/sources.list.d") == ("b.list",)


def test_emptied_root_leaves_nothing() -> None:
    image = Image([file("etc/passwd", "a"), link("bin", "usr/bin")], [emptied("")])

    assert image.files.text("/etc/passwd") is None


def test_link_to_a_wanted_file_is_followed() -> None:
    image = Image([file("usr/lib/os-release", "ID=x")], [link("etc/os-release", "../usr/lib/os-release")])

    assert texts(image, "/etc/os-release", "/usr/lib/os-release") == {
        "/etc/os-release": "ID=x",
        "/usr/lib/os-release": "ID=x",
    }


def test_links_of_a_merged_usr_are_followed_across_layers() -> None:
    image = Image(
        [link("bin", "usr/bin"), link("lib", "usr/lib"), folder("usr/bin")],
        [file("usr/bin/python3.11", ELF + b" 3.11.2\0"), link("usr/bin/python3", "python3.11")],
        [link("usr/local/bin/python", "/bin/python3")],
    )

    found = image.files.program("/usr/local/bin/python")

    assert found is not None
    assert found[0] == "/usr/bin/python3.11"
    assert found[1].versions == ("3.11.2",)


def test_link_out_of_the_root_stays_in_it() -> None:
    image = Image([file("etc/passwd", "x"), link("usr/lib/os-release", "../../../../../etc/passwd")])

    assert image.files.text("/etc/os-release") is None
    assert image.files.text("/usr/lib/os-release") == "x"


def test_links_in_a_circle_lead_nowhere() -> None:
    image = Image([link("etc/os-release", "passwd"), link("etc/passwd", "os-release"), link("a", "a/a")])

    assert texts(image, "/etc/os-release", "/a/etc/passwd") == {
        "/etc/os-release": None,
        "/a/etc/passwd": None,
    }
    assert image.files.names("/a") == ()


def test_folder_over_a_link_hides_what_is_behind_it() -> None:
    below = [link("bin", "usr/bin"), file("usr/bin/python3", ELF)]

    assert Image(below).files.exists("/bin/python3")
    assert not Image(below, [folder("bin")]).files.exists("/bin/python3")
    # a layer's implied folders count as well: overlayfs lays trees, not archives, on each other
    image = Image(below, [file("bin/other", "x")])
    assert not image.files.exists("/bin/python3")
    assert image.files.exists("/usr/bin/python3")


def test_link_of_the_same_layer_leads_its_entries() -> None:
    image = Image([link("bin", "usr/bin"), file("bin/python3", ELF)])

    assert image.files.program("/usr/bin/python3") == image.files.program("/bin/python3")
    assert image.files.program("/bin/python3") is not None


@pytest.mark.parametrize("over", [file("etc/apt", "x"), link("etc/apt", "/nowhere"), Item("o", "etc/apt")])
def test_anything_over_a_folder_hides_its_files(over: Item) -> None:
    image = Image([file("etc/apt/sources.list", "deb x")], [over])

    assert image.files.text("/etc/apt/sources.list") is None


def test_folder_over_a_file_hides_it() -> None:
    image = Image([file("etc/passwd", "x")], [folder("etc/passwd")])

    assert image.files.text("/etc/passwd") is None


def test_removal_concerns_lower_layers_only_wherever_it_stands() -> None:
    image = Image([file("etc/passwd", "old")], [file("etc/passwd", "new"), removed("etc/passwd")])

    assert image.files.text("/etc/passwd") == "new"


# --- files no scan foresaw ----------------------------------------------------------------------


def test_link_to_an_unforeseen_file_reads_its_layer_again_and_no_other() -> None:
    image = Image(
        [file("opt/distro/release", "ID=odd"), file("opt/distro/other", "x")],
        [link("etc/os-release", "/opt/distro/release")],
    )

    assert image.files.text("/etc/os-release") == "ID=odd"
    assert image.files.text("/etc/os-release") == "ID=odd"
    assert image.read_again == [(0, {"opt/distro/release"})]


def test_interpreter_of_an_odd_name_is_identified() -> None:
    image = Image([file("opt/py/run-me", ELF + b" 3.11.2\0"), link("usr/bin/python3", "/opt/py/run-me")])

    found = image.files.program("/usr/bin/python3")

    assert found is not None
    assert (found[0], found[1].is_elf, found[1].versions) == ("/opt/py/run-me", True, ("3.11.2",))


def test_hard_link_to_an_unforeseen_file_is_read() -> None:
    image = Image([file("opt/pkgs/release", "ID=odd"), hard_link("usr/lib/os-release", "opt/pkgs/release")])

    assert image.files.text("/usr/lib/os-release") == "ID=odd"


def test_hard_link_to_a_wanted_file_needs_no_second_reading() -> None:
    image = Image(
        [
            file("opt/conda/pkgs/bin/python3.11", ELF),
            hard_link("opt/conda/bin/python3.11", "opt/conda/pkgs/bin/python3.11"),
        ]
    )

    found = image.files.program("/opt/conda/bin/python3.11")

    assert found is not None
    assert found[0] == "/opt/conda/bin/python3.11"
    assert image.read_again == []


def test_folder_elsewhere_is_listed_through_a_link() -> None:
    image = Image(
        [file("opt/apt/a.list", "a"), file("opt/apt/b.list", "b"), file("opt/apt/below/c.list", "c")],
        [link("etc/apt/sources.list.d", "/opt/apt"), removed("opt/apt/b.list")],
    )

    assert image.files.names("/etc/apt/sources.list.d") == ("a.list",)
    assert image.files.text("/etc/apt/sources.list.d/a.list") == "a"


def test_what_is_not_there_reads_nothing_again() -> None:
    image = Image([folder("etc"), link("etc/os-release", "/nowhere/at/all"), link("x", "gone")])

    assert texts(image, "/etc/os-release", "/x", "/etc/passwd", "/a/b") == dict.fromkeys(
        ("/etc/os-release", "/x", "/etc/passwd", "/a/b")
    )
    assert image.read_again == []


# --- all rules together -------------------------------------------------------------------------

NAMES = ["etc", "usr", "bin", "lib", "os-release", "passwd", "python3.11"]
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)


targets = st.builds(str.format, st.sampled_from(["{}", "/{}", "../{}", "..", "/"]), paths)
files = st.builds(file, paths, st.integers(0, 9).map(str))
removals = st.builds(removed, paths) | st.builds(emptied, paths)
others = st.builds(hard_link, paths, paths) | st.builds(Item, st.just("o"), paths)
entries = st.one_of(st.builds(folder, paths), files, files, st.builds(link, paths, targets), removals, others)
# OCI layers must not name a path twice (image-spec, layer.md)
layers = st.lists(entries, max_size=7, unique_by=lambda item: item.path)


@pytest.mark.property
@given(st.lists(layers, min_size=1, max_size=4))
def test_merged_scans_equal_unpacking_one_layer_over_the_other(image: list[list[Item]]) -> None:
    expected = union(image)
    merged = Image(*image).files

    for depth in (1, 2, 3):
        for names in itertools.product(NAMES, repeat=depth):
            path = "/" + "/".join(names)
            if depth < 3 or names[-1] in {"os-release", "passwd", "python3.11"}:
                assert merged.content(path) == lookup(expected, path), path
