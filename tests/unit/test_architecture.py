"""The house rules that no linter holds; each is broken once on purpose, by a small package made for it.

docs/contributing/architecture.md says what they are for.
"""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from tests.rig.paths import CHECKOUT
from tests.rig.structure import (
    Package,
    comparisons,
    crowded,
    import_cycles,
    imports,
    read_package,
    shared_class_names,
)

# one process reads the files once
pytestmark = pytest.mark.xdist_group("architecture")

MOST_MODULES = 20
MOST_COMMAND_LINES = 150
MOST_CLI_LINES = 4700

SAME_CLASS_NAMES: dict[str, str] = {}
"""Names that several classes have because they are one idea, with the reason."""

ENGINES = ("envbuild.workflows.engines", "envbuild.image.docker", "envbuild.image.local")
"""Where an engine may be known by its name."""

BELOW_CLI = (
    "envbuild.workflows",
    "envbuild.errors",
    "envbuild.progress",
    "envbuild.version",
    "envbuild.visible",
)
"""What the command line may import."""

Write = Callable[[dict[str, str]], Package]


@pytest.fixture(scope="module")
def envbuild() -> Package:
    return read_package(CHECKOUT / "envbuild")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a package `house` from files, and reads it."""

    def write_package(files: dict[str, str]) -> Package:
        for name, text in {"__init__.py": "", **files}.items():
            path = tmp_path / "house" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        return read_package(tmp_path / "house")

    return write_package


def below(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def commands(package: Package) -> dict[str, int]:
    """Return the lines of each module of the command line, by the name it has there."""
    return {
        name.removeprefix("envbuild.cli."): module.lines
        for name, module in package.items()
        if below(name, "envbuild.cli")
    }


def test_there_is_no_import_cycle(envbuild: Package) -> None:
    assert import_cycles(envbuild) == set()


def test_an_import_cycle_is_found_by_lazy_imports_and_those_for_types_alone(write: Write) -> None:
    package = write(
        {
            "a.py": "from house import b",
            "b.py": "def f():\n    import house.room.c",
            "room/__init__.py": "from house.d import D",
            "room/c.py": """
                from typing import TYPE_CHECKING
                if TYPE_CHECKING:
                    from house.a import A
            """,
            "d.py": "from house.room.e import E",
            "room/e.py": "from house.room import D",
            "alone.py": "from house.room.c import C",
        }
    )

    assert import_cycles(package) == {
        ("house.a", "house.b", "house.room.c"),
        ("house.d", "house.room", "house.room.e"),
    }


def test_no_folder_is_crowded(envbuild: Package) -> None:
    assert crowded(envbuild, MOST_MODULES) <= {"envbuild.cli"}


def test_a_folder_is_crowded_by_its_own_modules(write: Write) -> None:
    package = write({"room/__init__.py": "", "room/a.py": "", "room/b.py": "", "room/inner/c.py": ""})

    assert crowded(package, 2) == set()
    assert crowded(package, 1) == {"house.room"}


def test_no_two_classes_have_one_name(envbuild: Package) -> None:
    assert shared_class_names(envbuild) == set(SAME_CLASS_NAMES)


def test_a_class_name_is_shared_whatever_its_underscores_and_place(write: Write) -> None:
    package = write({"a.py": "class _Wish: ...\nclass Own: ...", "b.py": "def f():\n    class Wish: ..."})

    assert shared_class_names(package) == {"Wish"}


def test_no_module_of_the_command_line_is_long(envbuild: Package) -> None:
    lines = commands(envbuild)

    assert {name for name, count in lines.items() if count > MOST_COMMAND_LINES} == set()
    assert sum(lines.values()) <= MOST_CLI_LINES


def test_lines_are_those_of_the_file(write: Write) -> None:
    package = write({"a.py": "one = 1\n\n# two\n"})

    assert package["house.a"].lines == 3


def test_engines_are_not_compared_by_name(envbuild: Package) -> None:
    found = {name for name in comparisons(envbuild, ("docker", "local")) if not below(name, *ENGINES)}

    assert found == set()


@pytest.mark.parametrize(
    "text",
    [
        'engine == "docker"',
        '"local" != engine',
        'engine in ("docker", "local")',
        'engine in {"podman", "local"}',
        'match engine:\n    case "docker": ...',
        'match engine:\n    case "podman" | "local": ...',
        '{"docker": 1}[engine]',
        "from house.names import DOCKER\nengine == DOCKER",
        "from house.names import LOCAL as OURS\nengine in [OURS]",
        "from house import names\nmatch engine:\n    case names.NAME: ...",
        'HERE = "local"\nengine == HERE',
    ],
)  # fmt: skip
def test_a_comparison_with_an_engines_name_is_found(write: Write, text: str) -> None:
    names = (
        'from typing import Final\nDOCKER, LOCAL = "docker", "local"\nNAME: Final = "docker"\nOTHER = "x"\n'
    )
    package = write({"names.py": names, "a.py": text})

    assert set(comparisons(package, ("docker", "local"))) == {"house.a"}


@pytest.mark.parametrize(
    "text",
    [
        'run(["docker", "version"])',
        'engine: Literal["docker", "local"] = "docker"',
        'match["local"]',
        "from house.names import OTHER\nengine == OTHER",
        # another module's constant
        'DOCKER = "x"\nengine == DOCKER',
    ],
)
def test_an_engines_name_may_be_said(write: Write, text: str) -> None:
    package = write({"names.py": 'DOCKER = "docker"\nOTHER = "x"\n', "a.py": text})

    assert comparisons(package, ("docker", "local")) == {}


def test_the_command_line_imports_workflows_alone(envbuild: Package) -> None:
    found = {
        name.removeprefix("envbuild.cli.")
        for name, imported in imports(envbuild).items()
        if below(name, "envbuild.cli")
        and any(other != "envbuild" and not below(other, "envbuild.cli", *BELOW_CLI) for other in imported)
    }

    assert found == set()


def test_every_room_has_its_row_in_the_contract(envbuild: Package) -> None:
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    rooms = [room for row in layers for room in row.split(" | ")]

    assert len(rooms) == len(set(rooms))
    assert set(rooms) == {name for name in envbuild if name.count(".") == 1} - {"envbuild.__main__"}


def test_helpers_of_tests_lie_in_the_rig() -> None:
    imported = re.compile(r"^ *(?:from|import) (tests\.\S+)", re.MULTILINE)
    found = {
        (name, other)
        for name, module in read_package(CHECKOUT / "tests").items()
        for other in imported.findall(module.text)
        # what a folder's fixtures are made of
        if not below(other, "tests.rig") and other != f"{name.rpartition('.')[0]}.conftest"
    }

    assert found == set()
