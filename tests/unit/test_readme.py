"""The documentation says what the program does: help, exit codes, variables, the example, links."""

import re

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from envbuild.cli.app import app
from envbuild.errors import ExitCode
from tests.rig.paths import CHECKOUT

README = CHECKOUT / "README.md"
CLI = CHECKOUT / "docs/reference/cli.md"
ENVIRONMENT = CHECKOUT / "docs/reference/environment.md"
PAGES = (
    README,
    CLI,
    ENVIRONMENT,
    CHECKOUT / "CONTRIBUTING.md",
    *sorted(set((CHECKOUT / "docs").rglob("*.md")) - {CLI, ENVIRONMENT}),
)

HELP = re.compile(
    r"^```text\n\$ envbuild(?P<words>[a-z -]*) --help\n(?P<text>.*?)\n```$", re.MULTILINE | re.DOTALL
)
CODE = re.compile(r"^\| (\d+) \| \S", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|sh|j2|toml))`")
VARIABLE = re.compile(r"ENVBUILD_[A-Z_]*[A-Z]")


def helps(page):
    return {tuple(found["words"].split()): found["text"] for found in HELP.finditer(page.read_text("utf-8"))}


def command_lines(command, words=()):
    """Yield the words of every command and group of the program."""
    yield words
    for name, child in getattr(command, "commands", {}).items():
        yield from command_lines(child, (*words, name))


@pytest.mark.parametrize(
    ("page", "words"),
    [
        pytest.param(page, words, id=f"{page.name}-{'-'.join(words)}")
        for page in (README, CLI)
        for words in helps(page)
    ],
)
def test_help_is_the_programs_own(page, words):
    shown = CliRunner().invoke(app, [*words, "--help"], prog_name="envbuild", terminal_width=98)

    assert shown.exit_code == 0
    assert helps(page)[words] == shown.output.rstrip("\n")


def test_readme_has_the_list_of_commands():
    assert () in helps(README)


def test_every_command_has_its_help_in_the_reference():
    assert sorted(helps(CLI)) == sorted(command_lines(get_command(app)))


@pytest.mark.parametrize("page", [README, CLI], ids=lambda page: page.name)
def test_exit_codes_are_all_there(page):
    assert [int(code) for code in CODE.findall(page.read_text("utf-8"))] == sorted(ExitCode)


def test_every_variable_of_the_code_is_documented():
    code = "".join(path.read_text("utf-8") for path in (CHECKOUT / "envbuild").rglob("*.py"))
    documented = VARIABLE.findall(ENVIRONMENT.read_text("utf-8"))

    assert VARIABLE.findall(code)
    assert set(VARIABLE.findall(code)) <= set(documented)


def test_the_spec_shown_is_the_examples():
    example = (CHECKOUT / "examples/sklearn/envbuild.toml").read_text("utf-8")

    assert f"```toml\n{example}```" in README.read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    targets = [link for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]

    assert [link for link in targets if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_of_the_code_are_where_they_are_said_to_be(page):
    roots = (CHECKOUT, CHECKOUT / "envbuild")
    ours = {path.name for root in roots for path in root.iterdir()}
    named = {file for file in FILE.findall(page.read_text("utf-8")) if file.partition("/")[0] in ours}

    assert sorted(file for file in named if not any((root / file).exists() for root in roots)) == []
