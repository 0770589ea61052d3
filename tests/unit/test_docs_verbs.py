"""The table of other tools' verbs: ours exist, none of ours or theirs is missing, each gap has its reason."""

import re
import shutil
import subprocess
from typing import Any

import pytest
from typer.main import get_command
from uv import find_uv_bin

from envbuild.cli.app import app
from tests.rig.paths import CHECKOUT

PAGE = CHECKOUT / "docs/reference/verbs.md"
TOOLS = ("uv", "pixi", "cog", "docker")
ROW = re.compile(
    r"^\| `(?P<tool>[a-z]+) (?P<verb>[a-z-]+)` \| (?P<ours>[^|]+) \| (?P<why>[^|]*)\|$", re.MULTILINE
)
OURS = re.compile(r"`envbuild (--[a-z-]+|[a-z-]+)")


def commands() -> set[str]:
    """Return our commands and the options that stand before them."""
    root: Any = get_command(app)
    return {*root.commands, "--help", *(option for parameter in root.params for option in parameter.opts)}


def rows(tool: str) -> list[re.Match[str]]:
    return [row for row in ROW.finditer(PAGE.read_text("utf-8")) if row["tool"] == tool]


def test_every_row_is_understood():
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    ours = [line for line in lines if line.startswith("| `envbuild ")]

    assert len(lines) - len(ours) == sum(len(rows(tool)) for tool in TOOLS)
    assert len(ours) == 5


def test_each_of_our_verbs_exists():
    named = set(OURS.findall(PAGE.read_text("utf-8")))

    assert named <= commands()


def test_each_of_our_commands_is_named():
    named = set(OURS.findall(PAGE.read_text("utf-8")))

    assert {name for name in commands() if not name.startswith("-")} <= named


@pytest.mark.parametrize("tool", TOOLS)
def test_each_verb_is_there_once_and_each_gap_has_its_reason(tool: str):
    found = rows(tool)
    verbs = [row["verb"] for row in found]

    assert verbs == sorted(set(verbs))
    assert all(row["why"].strip() for row in found if row["ours"].strip() == "–")
    assert all(OURS.search(row["ours"]) for row in found if row["ours"].strip() != "–")


def verbs_of(*words: str) -> set[str]:
    said = subprocess.run(words, capture_output=True, encoding="utf-8", check=True).stdout
    return set(re.findall(r"^  ([a-z][a-z-]+)\*?  +[A-Z]", said, re.MULTILINE))


@pytest.mark.parametrize("tool", ["uv", pytest.param("docker", marks=pytest.mark.engine)])
def test_no_verb_of_the_tool_that_is_installed_is_missing(tool: str):
    """Of the release that the page names: another one may have others, which is no mistake of the page."""
    program = shutil.which(tool)
    if tool == "uv":
        program = find_uv_bin()
    assert program
    release = subprocess.run([program, "--version"], capture_output=True, encoding="utf-8", check=True).stdout
    words = [program, "help"] if tool == "uv" else [program, "--help"]
    documented = {row["verb"] for row in rows(tool)}

    found = verbs_of(*words) - {"compose"}
    assert {"run", "build"} <= found
    number = re.search(r"[0-9]+\.[0-9]+\.[0-9]+", release)
    if number and number[0] in PAGE.read_text("utf-8"):
        assert found <= documented
