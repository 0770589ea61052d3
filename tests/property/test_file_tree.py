"""Layers laid on each other, held to code that was written without it."""

import io
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from envbuild.oci.file_tree import merge_layers
from tests.rig.filesystem import Tree, tree_of_layers
from tests.rig.tar_layers import Entry, emptying, file, hard_link, layer, link, listing, removal


def independent_tree(layers: Sequence[Sequence[Entry]]) -> Tree:
    return tree_of_layers(io.BytesIO(layer(*entries)) for entries in layers)


def are_nested(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def folders_above(*paths: str) -> set[str]:
    parts = [path.split("/") for path in paths]
    return {"/".join(names[:end]) for names in parts for end in range(1, len(names))}


NAMES = st.sampled_from("abc")
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
THINGS = st.sampled_from(["f", "f", "d", "l", "p", "h"])


@st.composite
def plain_layers(draw: st.DrawFn) -> list[list[Entry]]:
    """Return layers as engines write them: folders first, each path once, removals of what is there."""
    layers: list[list[Entry]] = []
    for number in range(draw(st.integers(1, 4))):
        tree = independent_tree(layers)
        below, folders = sorted(tree), sorted(path for path, record in tree.items() if record[0] == "dir")
        removed: list[str] = []
        for path in draw(st.lists(st.sampled_from(below), max_size=2, unique=True)) if below else []:
            if not any(are_nested(path, one) for one in removed):
                removed.append(path)
        emptied = [
            path
            for path in (draw(st.lists(st.sampled_from(folders), max_size=1)) if folders else [])
            if not any(are_nested(path, one) for one in removed)
        ]
        things = draw(st.dictionaries(PATHS, THINGS, max_size=5))
        # an emptied folder is listed, as engines do; what something is removed from is a folder
        things |= dict.fromkeys((*folders_above(*things, *emptied), *emptied), "d")
        things |= dict.fromkeys(folders_above(*removed) & things.keys(), "d")
        entries: list[Entry] = []
        for path, kind in sorted(things.items()):
            mode = draw(st.sampled_from([0o644, 0o755, 0o4755]))
            owner = (number, draw(st.integers(0, 2)))
            files = [entry for entry in entries if entry.kind == "f"]
            if kind == "h" and files:
                same = draw(st.sampled_from(files))
                entries.append(hard_link(path, same.name, mode=same.mode, owner=same.owner))
            elif kind == "l":
                entries.append(link(path, draw(NAMES), owner=owner))
            elif kind in {"f", "h"}:
                entries.append(file(path, draw(st.sampled_from("123")), mode=mode, owner=owner))
            else:
                entries.append(Entry(name=path, kind=kind, mode=mode, owner=owner))
        # a folder that is removed and made again in one layer is none to every engine
        removed = [path for path in removed if path not in folders or things.get(path) != "d"]
        layers.append([*map(removal, removed), *map(emptying, emptied), *entries])
    return layers


RIG_KINDS = {"f": "file", "d": "dir", "l": "link", "p": "other"}


@given(plain_layers())
def test_plain_layers_are_what_the_independent_code_says(layers: list[list[Entry]]) -> None:
    found = merge_layers([listing(*entries) for entries in layers])
    assert found.oddities == ()
    assert {
        path.lstrip("/"): (
            RIG_KINDS[record.kind],
            record.mode,
            record.uid,
            record.gid,
            record.content or "",
            "",
        )
        for path, record in found.records.items()
        if path != "/"
    } == independent_tree(layers)
