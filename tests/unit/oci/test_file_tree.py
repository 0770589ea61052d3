"""Layers laid on each other."""

from collections.abc import Mapping, Sequence

import pytest

from envbuild.oci import file_tree
from envbuild.oci.file_tree import FileTree, merge_layers
from envbuild.oci.layer_listing import IMPLIED_FOLDER, LONGEST_PATH, FileRecord
from tests.rig.tar_layers import (
    Entry,
    emptying,
    file,
    folder,
    hard_link,
    link,
    listing,
    removal,
    sha256,
)

Layers = Sequence[Sequence[Entry]]

TWICE = "is there twice in one layer"
UNLISTED = "is a folder that no layer lists"
MADE_AGAIN = "is a folder that is removed and made again in one layer"
EMPTIED_ROOT = "is emptied: overlayfs keeps what lies below the root of a layer"
REMOVED_AFTER = "is removed by the layer that brings it"
NO_FOLDER = "is where something is removed, and is no folder"
OTHERWISE = "is another name of /a, with another mode or owner"

SUID_OF_OTHERS: Mapping[str, object] = {"mode": 0o4755, "owner": (1, 2)}
NOTED = {"SCHILY.xattr.user.note": "1"}


def merged(*layers: Sequence[Entry]) -> FileTree:
    return merge_layers([listing(*entries) for entries in layers])


def shown(tree: FileTree) -> dict[str, str]:
    """Return each path but the root: ``d``, the content of a file, ``-> target`` of a link."""
    texts = {sha256(letter): letter for letter in "0123456789"}
    found = {}
    for path, record in tree.records.items():
        if record.kind == "f":
            found[path] = texts[record.content or ""]
        elif record.kind == "l":
            found[path] = f"-> {record.content}"
        else:
            found[path] = record.kind
    del found["/"]
    return found


def odd(tree: FileTree) -> list[tuple[int, str, str]]:
    return [(oddity.layer, oddity.path, oddity.reason) for oddity in tree.oddities]


def test_no_layer_is_a_root_alone() -> None:
    assert merge_layers([]).records == {"/": IMPLIED_FOLDER}


BELOW = (
    folder("a"),
    file("a/one", "1"),
    file("a/two", "2"),
    folder("a/b"),
    file("a/b/three", "3"),
    link("a/link", "b"),
    file("file", "4"),
)
REST = {
    "/a": "d",
    "/a/one": "1",
    "/a/two": "2",
    "/a/b": "d",
    "/a/b/three": "3",
    "/a/link": "-> b",
    "/file": "4",
}


SOUND: Mapping[str, tuple[Sequence[Entry], Mapping[str, str | None]]] = {
    "nothing": ((), {}),
    "a new file": ((folder("a"), file("a/new", "5")), {"a/new": "5"}),
    "a changed file": ((file("a/one", "5"),), {"a/one": "5"}),
    "a removed file": ((removal("a/one"),), {"a/one": None}),
    "a removed link": ((removal("a/link"),), {"a/link": None}),
    "a removed folder": (
        (removal("a"),),
        dict.fromkeys(("a", "a/one", "a/two", "a/b", "a/b/three", "a/link")),
    ),
    "an emptied folder": (
        (emptying("a"),),
        dict.fromkeys(("a/one", "a/two", "a/b", "a/b/three", "a/link")),
    ),
    "an emptied folder with something new": (
        (folder("a"), emptying("a"), file("a/one", "5")),
        {"a/one": "5"} | dict.fromkeys(("a/two", "a/b", "a/b/three", "a/link")),
    ),
    "an emptied folder, said last": (
        (folder("a"), file("a/one", "5"), emptying("a")),
        {"a/one": "5"} | dict.fromkeys(("a/two", "a/b", "a/b/three", "a/link")),
    ),
    "removed and there again": ((removal("a/one"), file("a/one", "5")), {"a/one": "5"}),
    "a link removed and there again as a folder": (
        (removal("a/link"), folder("a/link"), file("a/link/new", "5")),
        {"a/link": "d", "a/link/new": "5"},
    ),
    "a folder removed and there again as a file": (
        (removal("a/b"), file("a/b", "5")),
        {"a/b": "5", "a/b/three": None},
    ),
    "a file in the place of a folder": ((file("a/b", "5"),), {"a/b": "5", "a/b/three": None}),
    "a folder in the place of a file": (
        (folder("file"), file("file/inner", "5")),
        {"file": "d", "file/inner": "5"},
    ),
    "a link in the place of a folder": ((link("a/b", "/etc"),), {"a/b": "-> /etc", "a/b/three": None}),
    "a folder in the place of a link": (
        (folder("a/link"), file("a/link/new", "5")),
        {"a/link": "d", "a/link/new": "5"},
    ),
    "a device in the place of a file": ((Entry(name="file", kind="c"),), {"file": "c"}),
    "a folder that is listed again": ((folder("a", mode=0o700),), {}),
    "another name of a file": ((file("x", "5"), hard_link("y", "x")), {"x": "5", "y": "5"}),
}


@pytest.mark.parametrize(("above", "expected"), SOUND.values(), ids=SOUND)
def test_a_layer_changes_what_is_below(above: Sequence[Entry], expected: Mapping[str, str | None]) -> None:
    tree = merged(BELOW, above)
    replaced: dict[str, str | None] = {
        **REST,
        **{f"/{path.lstrip('/')}": text for path, text in expected.items()},
    }
    assert shown(tree) == {path: text for path, text in replaced.items() if text is not None}
    assert odd(tree) == []


def test_a_folder_listed_again_keeps_its_files_and_has_new_attributes() -> None:
    tree = merged(BELOW, [folder("a", mode=0o1777, owner=(1, 2))])
    assert tree.records["/a"] == FileRecord("d", 0o1777, 1, 2, 0, None)
    assert tree.records["/a/one"].content == sha256("1")


def test_a_folder_that_is_needed_and_not_listed_is_made() -> None:
    tree = merged([file("x/y/z", "1")])
    assert tree.records["/x"] == tree.records["/x/y"] == IMPLIED_FOLDER
    assert shown(tree) == {"/x": "d", "/x/y": "d", "/x/y/z": "1"}


REPLACED: Mapping[str, tuple[Sequence[Entry], Mapping[str, str | None], str, str]] = {
    "the root emptied": (
        (emptying(""), file("file", "5")),
        dict.fromkeys(REST, None) | {"/file": "5"},
        "/",
        EMPTIED_ROOT,
    ),
    "a folder removed and there again": (
        (removal("a/b"), folder("a/b"), file("a/b/new", "5")),
        {"/a/b/three": None, "/a/b/new": "5"},
        "/a/b",
        MADE_AGAIN,
    ),
    "a folder there again and removed": (
        (folder("a/b"), file("a/b/new", "5"), removal("a/b")),
        {"/a/b/three": None, "/a/b/new": "5"},
        "/a/b",
        MADE_AGAIN,
    ),
}


@pytest.mark.parametrize(("above", "expected", "path", "reason"), REPLACED.values(), ids=REPLACED)
def test_what_engines_dispute_is_laid_over_as_the_specification_says(
    above: Sequence[Entry], expected: Mapping[str, str | None], path: str, reason: str
) -> None:
    tree = merged(BELOW, above)
    assert shown(tree) == {name: text for name, text in {**REST, **expected}.items() if text is not None}
    assert (1, path, reason) in odd(tree)


def test_a_folder_of_below_is_listed() -> None:
    """What a lower layer lists, an upper one need not: it is there in every engine."""
    assert odd(merged([folder("x"), folder("x/y")], [file("x/y/z", "1")], [file("x/y/a/b", "1")])) == [
        (2, "/x/y/a", UNLISTED)
    ]


def test_a_folder_of_below_that_is_not_listed_again_stays_as_it_is() -> None:
    tree = merged([folder("x", mode=0o700, owner=(5, 5))], [file("x/y", "1")])
    assert tree.records["/x"] == FileRecord("d", 0o700, 5, 5, 0, None)


def test_the_root_may_be_listed() -> None:
    tree = merged([folder(".", mode=0o700)], [file("a", "1")])
    assert tree.records["/"].mode == 0o700


def test_folders_come_before_what_is_in_them() -> None:
    paths = list(merged(BELOW, [file("x/y", "1")]).records)
    for path in paths:
        if path != "/":
            assert paths.index(path.rpartition("/")[0] or "/") < paths.index(path)


def test_a_hard_link_is_a_copy_of_the_attributes_too() -> None:
    entry = file("x", "1", mode=0o4755, owner=(1, 2), headers={"SCHILY.xattr.user.a": "1"})
    tree = merged([entry, hard_link("y", "x")])
    assert tree.records["/y"] == tree.records["/x"]
    assert tree.records["/y"].mode == 0o4755


def test_a_hard_link_keeps_the_file_that_is_replaced_afterwards() -> None:
    tree = merged([file("x", "1"), hard_link("y", "x"), file("x", "2")])
    assert shown(tree) == {"/x": "2", "/y": "1"}
    assert odd(tree) == [(0, "/x", TWICE)]


def test_a_hard_link_of_a_hard_link_is_the_file() -> None:
    assert shown(merged([file("x", "1"), hard_link("y", "x"), hard_link("z", "y")]))["/z"] == "1"


HARMLESS: Mapping[str, tuple[Layers, Mapping[str, str]]] = {
    "a path twice, the same": ([[file("a", "1"), file("a", "1")]], {"/a": "1"}),
    "a link twice, the same": ([[link("a", "b"), link("a", "b")]], {"/a": "-> b"}),
    "a folder twice, the same": ([[folder("a"), file("a/b", "1"), folder("a")]], {"/a": "d", "/a/b": "1"}),
    "a path again in another layer": ([[file("a", "1")], [file("a", "2", mode=0o755)]], {"/a": "2"}),
    "a removal of nothing": ([[removal("a")]], {}),
    "a removal in no folder": ([[removal("a/b/c")]], {}),
    "a removal twice": ([[file("a", "1")], [removal("a"), removal("a")]], {}),
    "a removal of nothing before what takes its place": ([[], [removal("a"), file("a", "1")]], {"/a": "1"}),
    "a removal before what takes its place": (
        [[file("a", "1")], [removal("a"), file("a", "2")]],
        {"/a": "2"},
    ),
    "a removal of a folder before a file": (
        [[folder("a"), file("a/b", "1")], [removal("a"), file("a", "2")]],
        {"/a": "2"},
    ),
    "a removal of a folder before a link": (
        [[folder("a"), file("a/b", "1")], [removal("a"), link("a", "c")]],
        {"/a": "-> c"},
    ),
    "a removal of a file before a folder": (
        [[file("a", "1")], [removal("a"), folder("a"), file("a/c", "2")]],
        {"/a": "d", "/a/c": "2"},
    ),
    "a removal of a folder in one layer, and another one in the next": (
        [[folder("a"), file("a/b", "1")], [removal("a")], [folder("a"), file("a/c", "2")]],
        {"/a": "d", "/a/c": "2"},
    ),
    "a removal of no folder before one": (
        [[], [removal("a"), folder("a"), file("a/c", "2")]],
        {"/a": "d", "/a/c": "2"},
    ),
    "a folder that is listed behind what is in it": (
        [[folder("a")], [file("a/b", "1"), folder("a")]],
        {"/a": "d", "/a/b": "1"},
    ),
    "a removal beside what was just brought": (
        [[folder("a"), file("a/b", "1")], [folder("a"), file("a/c", "2"), removal("a/b")]],
        {"/a": "d", "/a/c": "2"},
    ),
    "a folder emptied that is not there": ([[emptying("a")]], {}),
    "a folder emptied that only this layer has": (
        [[], [folder("a"), file("a/b", "1"), emptying("a")]],
        {"/a": "d", "/a/b": "1"},
    ),
    "a hard link that says the same as its file": (
        [[file("a", "1", **SUID_OF_OTHERS), hard_link("b", "a", **SUID_OF_OTHERS)]],
        {"/a": "1", "/b": "1"},
    ),
    "a hard link that says nothing of attributes": (
        [[file("a", "1", headers=NOTED), hard_link("b", "a")]],
        {"/a": "1", "/b": "1"},
    ),
    "a hard link with the attributes of its file": (
        [[file("a", "1", headers=NOTED), hard_link("b", "a", headers=NOTED)]],
        {"/a": "1", "/b": "1"},
    ),
    "a hard link with the attributes of a file in an odd form": (
        [[Entry(name="a", kind="7", content=b"1", headers=NOTED), hard_link("b", "a", headers=NOTED)]],
        {"/a": "1", "/b": "1"},
    ),
    "a hard link to a link, which has no mode": (
        [[link("a", "x"), hard_link("b", "a", mode=0o777)]],
        {"/a": "-> x", "/b": "-> x"},
    ),
}


@pytest.mark.parametrize(("layers", "expected"), HARMLESS.values(), ids=HARMLESS)
def test_what_every_engine_reads_the_same_way_is_no_oddity(
    layers: Layers, expected: Mapping[str, str]
) -> None:
    tree = merged(*layers)
    assert shown(tree) == expected
    assert odd(tree) == []


ODD: Mapping[str, tuple[Layers, list[tuple[int, str, str]]]] = {
    "a path twice": ([[file("a", "1"), file("a", "2")]], [(0, "/a", TWICE)]),
    "a path three times": ([[file("a", "1"), file("a", "2"), file("a", "3")]], [(0, "/a", TWICE)]),
    "a path twice, the first one again last": (
        [[file("a", "1"), file("a", "2"), file("a", "1")]],
        [(0, "/a", TWICE)],
    ),
    "a path twice, with another mode": ([[file("a", "1"), file("a", "1", mode=0o755)]], [(0, "/a", TWICE)]),
    "a path twice, with another owner": (
        [[file("a", "1"), file("a", "1", owner=(0, 5))]],
        [(0, "/a", TWICE)],
    ),
    "a path twice, with attributes": ([[file("a", "1"), file("a", "1", headers=NOTED)]], [(0, "/a", TWICE)]),
    "a folder twice, with another mode": ([[folder("a"), folder("a", mode=0o700)]], [(0, "/a", TWICE)]),
    "a folder and then a link": ([[folder("a"), link("a", "b")]], [(0, "/a", TWICE)]),
    "the root twice": ([[folder("."), folder("/", mode=0o700)]], [(0, "/", TWICE)]),
    "a removal of what is in the same layer": (
        [[], [file("a", "1"), removal("a")]],
        [(1, "/a", REMOVED_AFTER)],
    ),
    "a removal before and after": (
        [[], [removal("a"), file("a", "1"), removal("a")]],
        [(1, "/a", REMOVED_AFTER)],
    ),
    "a removal after what takes its place": (
        [[file("a", "1")], [file("a", "2"), removal("a")]],
        [(1, "/a", REMOVED_AFTER)],
    ),
    "a removal of a folder after something in it": (
        [[folder("a"), file("a/b", "1")], [folder("a"), file("a/b", "2"), removal("a")]],
        [(1, "/a", REMOVED_AFTER), (1, "/a", MADE_AGAIN)],
    ),
    "a removal of a folder after something in it, of which it is not listed": (
        [[folder("a"), file("a/b", "1")], [file("a/b", "2"), removal("a")]],
        [(1, "/a", REMOVED_AFTER), (1, "/a", UNLISTED)],
    ),
    "a removal of a folder before another one": (
        [[folder("a"), file("a/b", "1")], [removal("a"), folder("a"), file("a/c", "2")]],
        [(1, "/a", MADE_AGAIN)],
    ),
    "a removal of an empty folder before another one": (
        [[folder("a")], [removal("a"), folder("a")]],
        [(1, "/a", MADE_AGAIN)],
    ),
    "a removal of a folder before something in it": (
        [[folder("a"), file("a/b", "1")], [removal("a"), file("a/c", "2")]],
        [(1, "/a", UNLISTED)],
    ),
    "a removal of a folder in a folder": (
        [[folder("a"), folder("a/b"), file("a/b/c", "1")], [folder("a"), removal("a/b"), folder("a/b")]],
        [(1, "/a/b", MADE_AGAIN)],
    ),
    "the root emptied": ([[file("a", "1")], [emptying("")]], [(1, "/", EMPTIED_ROOT)]),
    "the root emptied in the lowest layer": ([[emptying(""), file("a", "1")]], [(0, "/", EMPTIED_ROOT)]),
    "a file in a folder that nobody lists": ([[file("a/b", "1")]], [(0, "/a", UNLISTED)]),
    "a folder in a folder that nobody lists": ([[folder("a/b")]], [(0, "/a", UNLISTED)]),
    "a link in a folder that nobody lists": ([[link("a/b", "c")]], [(0, "/a", UNLISTED)]),
    "a folder that is listed too late": (
        [[file("a/b", "1"), folder("a")]],
        [(0, "/a", UNLISTED)],
    ),
    "a folder in the place of a file, and not listed": (
        [[file("a", "1")], [removal("a"), file("a/b", "2")]],
        [(1, "/a", UNLISTED)],
    ),
    "a removal below a file": (
        [[file("a", "1")], [removal("a/b")]],
        [(1, "/a", NO_FOLDER)],
    ),
    "removals deep below a file": (
        [[file("a", "1")], [removal("a/b/c"), removal("a/d")]],
        [(1, "/a/b/c".rpartition("/")[0], NO_FOLDER), (1, "/a", NO_FOLDER)],
    ),
    "a removal through a link": (
        [[folder("a"), file("a/b", "1"), link("link", "a")], [removal("link/b")]],
        [(1, "/link", NO_FOLDER)],
    ),
    "a removal through a link that leads nowhere": (
        [[link("link", "nowhere")], [removal("link/b")]],
        [(1, "/link", NO_FOLDER)],
    ),
    "a removal through a link of the same layer": (
        [[folder("a"), file("a/b", "1")], [link("link", "a"), removal("link/b")]],
        [(1, "/link", NO_FOLDER)],
    ),
    "a removal from a folder that becomes a link": (
        [[folder("a"), file("a/b", "1")], [removal("a/b"), link("a", "c")]],
        [(1, "/a", NO_FOLDER)],
    ),
    "a removal below a file of the same layer": (
        [[], [file("a", "1"), removal("a/b")]],
        [(1, "/a", NO_FOLDER)],
    ),
    "a folder emptied that is a file": ([[file("a", "1")], [emptying("a")]], [(1, "/a", NO_FOLDER)]),
    "a folder emptied that is a link": (
        [[folder("a"), link("link", "a")], [emptying("link")]],
        [(1, "/link", NO_FOLDER)],
    ),
    "a folder emptied that is a file of the same layer": (
        [[], [file("a", "1"), emptying("a")]],
        [(1, "/a", NO_FOLDER)],
    ),
    "a hard link with another mode": (
        [[file("a", "1"), hard_link("b", "a", mode=0o4755)]],
        [(0, "/b", OTHERWISE)],
    ),
    "a hard link with another owner": (
        [[file("a", "1"), hard_link("b", "a", owner=(1, 0))]],
        [(0, "/b", OTHERWISE)],
    ),
    "a hard link with another group": (
        [[file("a", "1"), hard_link("b", "a", owner=(0, 1))]],
        [(0, "/b", OTHERWISE)],
    ),
    "a hard link with attributes that its file has not": (
        [[file("a", "1"), hard_link("b", "a", headers=NOTED)]],
        [(0, "/b", OTHERWISE)],
    ),
    "a hard link to a link, with another owner": (
        [[link("a", "x"), hard_link("b", "a", owner=(1, 0))]],
        [(0, "/b", OTHERWISE)],
    ),
    "the root is a file": ([[Entry(name=".", content=b"1")]], [(0, "/", "is no folder")]),
    "a hard link to nothing": (
        [[hard_link("a", "b")]],
        [(0, "/a", "is another name of /b, which the layer does not hold")],
    ),
    "a hard link to what comes later": (
        [[hard_link("a", "b"), file("b", "1")]],
        [(0, "/a", "is another name of /b, which the layer does not hold")],
    ),
    "a hard link to another layer": (
        [[file("b", "1")], [hard_link("a", "b")]],
        [(1, "/a", "is another name of /b, which the layer does not hold")],
    ),
    "a hard link to a folder": (
        [[folder("b"), hard_link("a", "b")]],
        [(0, "/a", "is another name of /b, which the layer does not hold")],
    ),
    "a hard link to itself": (
        [[hard_link("a", "a")]],
        [(0, "/a", "is another name of /a, which the layer does not hold")],
    ),
    "below a link of the same layer": (
        [[folder("a"), link("link", "a"), file("link/b", "1")]],
        [(0, "/link", "lies below /link, which is no folder")],
    ),
    "below a link of a layer below": (
        [[folder("a"), link("link", "a")], [file("link/b", "1")]],
        [(1, "/link", "lies below /link, which is no folder"), (1, "/link", UNLISTED)],
    ),
    "below a file": (
        [[file("a", "1")], [file("a/b", "1")]],
        [(1, "/a", "lies below /a, which is no folder"), (1, "/a", UNLISTED)],
    ),
}


@pytest.mark.parametrize(("layers", "expected"), ODD.values(), ids=ODD)
def test_what_engines_read_in_different_ways_is_named(
    layers: Layers, expected: list[tuple[int, str, str]]
) -> None:
    assert odd(merged(*layers)) == expected


def test_below_a_link_of_the_same_layer_is_where_it_leads() -> None:
    """As tar does, which unpacks the layer into a folder of its own."""
    tree = merged([folder("a"), link("link", "a"), file("link/b", "1")])
    assert shown(tree) == {"/a": "d", "/a/b": "1", "/link": "-> a"}


def test_below_a_link_of_another_layer_is_a_folder_in_its_place() -> None:
    """A layer does not see what is below it."""
    tree = merged([folder("a"), link("link", "a")], [file("link/b", "1")])
    assert shown(tree) == {"/a": "d", "/link": "d", "/link/b": "1"}


@pytest.mark.parametrize("target", ["../../a", "/a", "/../a", "x/../a", "./a"])
def test_links_do_not_leave_the_layer(target: str) -> None:
    tree = merged([folder("a"), folder("x"), link("link", target), file("link/b", "1")])
    assert shown(tree)["/a/b"] == "1"


def test_a_circle_of_links_ends() -> None:
    tree = merged([link("one", "two"), link("two", "one"), file("one/file", "1")])
    assert tree.oddities
    assert "1" in shown(tree).values()


def test_oddities_of_one_layer_are_counted_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """One layer of them must not keep those of the next from being seen."""
    monkeypatch.setattr(file_tree, "MOST_ODDITIES", 2)
    tree = merged([hard_link(name, "x") for name in "abcd"], [hard_link("e", "x")])
    absent = "is another name of /x, which the layer does not hold"
    assert odd(tree) == [(0, "/a", absent), (0, "/b", absent), (1, "/e", absent)]


def test_an_oddity_is_told_once_a_layer() -> None:
    """Many removals below one file are one oddity, and leave room for others."""
    removals = [removal(f"a/{number}") for number in range(2 * file_tree.MOST_ODDITIES)]
    tree = merged([file("a", "1"), file("b", "2")], [*removals, removal("b/c")], [removal("a/x")])
    assert odd(tree) == [(1, "/a", NO_FOLDER), (1, "/b", NO_FOLDER), (2, "/a", NO_FOLDER)]


def test_a_deep_path_needs_no_deep_stack() -> None:
    path = "/".join("d" * (LONGEST_PATH // 2))
    assert f"/{path}" in merged([file(path, "1")]).records
