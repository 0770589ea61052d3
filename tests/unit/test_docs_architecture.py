"""The map for contributors: its paths are there, every room has its line, the picture is the contract."""

import re
import tomllib

from tests.rig.paths import CHECKOUT

PAGE = (CHECKOUT / "docs/contributing/architecture.md").read_text(encoding="utf-8")
PACKAGE = CHECKOUT / "envbuild"

PICTURE = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"`((?:[\w.-]+/)*[\w.-]+(?:/|\.(?:py|j2|md|toml)))`")
FUNCTION = re.compile(r"`(\w+)`(?: and `(\w+)`)? in `([\w/]+\.py)`")
ROOM = re.compile(r"^\| `([\w/]+/)` \| \S", re.MULTILINE)


def test_every_path_is_there():
    named = set(PATH.findall(PAGE))

    assert len(named) > 100
    assert (
        sorted(path for path in named if not any((top / path).exists() for top in (PACKAGE, CHECKOUT))) == []
    )


def test_every_function_is_where_it_is_said_to_be():
    named = FUNCTION.findall(PAGE)

    assert len(named) > 15
    for *names, path in named:
        code = (PACKAGE / path).read_text(encoding="utf-8")
        assert [name for name in filter(None, names) if not re.search(rf"\b{name}\b", code)] == []


def test_every_room_has_its_line():
    rooms = {f"{path.parent.relative_to(PACKAGE)}/" for path in PACKAGE.rglob("__init__.py")} - {"./"}

    assert sorted(ROOM.findall(PAGE)) == sorted(rooms)


def test_the_picture_is_the_contract():
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    drawn = [line.partition("  ")[0] for line in PICTURE.findall(PAGE)[0].splitlines()]

    assert drawn == [row.replace("envbuild.", "") for row in layers]


def test_the_table_answers_many_questions():
    _, _, table = PAGE.partition("| to change | go to |\n|---|---|\n")
    rows = [line for line in table.splitlines() if line.startswith("| ")]

    assert len(rows) >= 40
    assert [row for row in rows if not PATH.search(row)] == []
