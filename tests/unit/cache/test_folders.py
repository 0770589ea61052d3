"""The table of what lies in the cache folder."""

import ast
import re
from fnmatch import fnmatchcase
from pathlib import Path

import envbuild
from envbuild.cache import folders
from envbuild.cache.folders import LAYOUT, CacheFolder
from tests.rig.paths import CHECKOUT

SOURCES = Path(envbuild.__file__).parent


def test_every_folder_is_in_the_table() -> None:
    assert {found for found in vars(folders).values() if isinstance(found, CacheFolder)} == set(LAYOUT)


def test_names_and_labels_are_unique() -> None:
    assert len({folder.name for folder in LAYOUT}) == len({folder.label for folder in LAYOUT}) == len(LAYOUT)
    for folder in LAYOUT:
        assert [other.name for other in LAYOUT if other.is_called(folder.name)] == [folder.name]


def test_former_places_are_no_present_ones() -> None:
    for pattern in (pattern for folder in LAYOUT for pattern in folder.former):
        top = pattern.partition("/")[0]
        assert "/" in pattern or not any(fnmatchcase(folder.name, top) for folder in LAYOUT)
        assert not Path(pattern).is_absolute()
        assert ".." not in pattern


def test_the_path_holds_the_format() -> None:
    plain = CacheFolder(name="a", label="A", pruned="files")
    numbered = CacheFolder(name="b", label="B", pruned="files", format=3, by_user_namespace=True)

    assert plain.path(Path("/cache")) == Path("/cache/a")
    assert numbered.path(Path("/cache"), namespace="01") == Path("/cache/b-01/3")
    assert numbered.is_called("b-01")
    assert not plain.is_called("a-01")


def test_the_reference_lists_every_kind() -> None:
    page = (CHECKOUT / "docs/reference/cli.md").read_text(encoding="utf-8")
    rows = page.partition("## `envbuild cache`")[2].partition("\n## ")[0]

    listed = re.findall(r"^\| ([^|]+?) \|", rows, re.MULTILINE)

    assert sorted(listed) == sorted(["kind", *(folder.label for folder in LAYOUT)])


def test_no_other_module_names_a_folder_of_the_cache() -> None:
    named = [
        f"{path.relative_to(SOURCES)}:{node.lineno}"
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Div)
        and re.fullmatch(r"(\w+\.)*_?cache(_folder\(\w*\))?", ast.unparse(node.left))
        and isinstance(node.right, ast.Constant | ast.JoinedStr)
    ]

    assert named == []
