"""Everything a command prints, with text that orders terminals and CI systems about."""

import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import typer
from markdown_it import MarkdownIt
from markdown_it.token import Token
from typer.testing import CliRunner

from envbuild.cli.boundary import Boundary
from envbuild.cli.live import LiveProgress
from envbuild.cli.live_line import shortened
from envbuild.cli.many import tell_results
from envbuild.cli.output import Output
from envbuild.cli.text.diff import as_markdown
from envbuild.errors import EnvbuildError, Problem
from envbuild.lock.diff import FactChange, LockDiff, PackageChange, PackageVersion, TargetDiff
from envbuild.resolve.gpu.report import ReportSection, text_of
from envbuild.verify.checks.report import CheckResult, Report
from envbuild.workflows import diff, verify
from envbuild.workflows.diff import DiffResult
from envbuild.workflows.many import ProjectResult
from envbuild.workflows.project import Project
from envbuild.workflows.verify import VerifyResult
from tests.rig.hostile import COMMANDS, HOSTILE, harm_in
from tests.rig.program import Program

PROBLEM = Problem(HOSTILE, HOSTILE, hint=HOSTILE)
ERROR = EnvbuildError(HOSTILE, hint=HOSTILE, problems=[PROBLEM], detail=HOSTILE)


def _activity(output: Output) -> None:
    with output.activity() as progress:
        progress.on_stage(HOSTILE)
        progress.on_note(HOSTILE)


PRINTED: dict[str, Callable[[Output], None]] = {
    "activity": _activity,
    "columns": lambda output: output.columns([(HOSTILE, HOSTILE)], header=(HOSTILE, "b")),
    "data": lambda output: output.data(HOSTILE),
    "aside": lambda output: output.aside(HOSTILE),
    "detail": lambda output: output.detail(HOSTILE),
    "document": lambda output: output.document({HOSTILE: [HOSTILE]}),
    "error": lambda output: output.error(ERROR),
    "lines": lambda output: output.lines().on_stage(HOSTILE),
    "note": lambda output: output.note(HOSTILE),
    "page": lambda output: output.page(HOSTILE),
    "report": lambda output: output.report([HOSTILE, *COMMANDS]),
    "say": lambda output: output.say(HOSTILE),
    "table": lambda output: output.table([(HOSTILE, HOSTILE)], header=(HOSTILE, "b")),
}
"""All that an output prints."""

AS_IT_IS = {"raw": "what another program takes", "styled": "returns it", "talk": "is the stream"}


def test_every_way_to_print_is_tried_here():
    ways = {name for name, _ in inspect.getmembers(Output) if not name.startswith("_")}

    assert ways - {"quiet", "verbose", "as_json"} == PRINTED.keys() | AS_IT_IS.keys()


@pytest.mark.parametrize("way", PRINTED)
def test_what_is_printed_is_harmless(way: str, capsys: pytest.CaptureFixture[str]):
    PRINTED[way](Output(verbose=True))

    said = "".join(capsys.readouterr())
    assert "red" in said
    assert harm_in(said) == []


@pytest.mark.parametrize("way", ["aside", "data", "detail", "note", "say"])
def test_one_line_stays_one_line(way: str, capsys: pytest.CaptureFixture[str]):
    PRINTED[way](Output(verbose=True))

    assert "".join(capsys.readouterr()).count("\n") == 1


def test_cells_together_are_no_command(capsys: pytest.CaptureFixture[str]):
    Output().table([("::error", "a::b")])

    assert capsys.readouterr().err == "\\x3a:error  a::b\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_first_cell_of_a_row_is_no_command(command: str, capsys: pytest.CaptureFixture[str]):
    Output().columns([(command, command)])

    assert harm_in(capsys.readouterr().out) == []


def test_raw_data_is_as_it_is(capsys: pytest.CaptureFixture[str]):
    Output().raw("RUN a\tb \x1b \\\n ##[c]")

    assert capsys.readouterr().out == "RUN a\tb \x1b \\\n ##[c]\n"


def test_an_error_keeps_the_lines_of_its_detail(capsys: pytest.CaptureFixture[str]):
    detail = "one\n::error::two\r\n  three\x1b[1m"
    Output().error(EnvbuildError("a\nb", detail=detail, problems=[PROBLEM], hint="c\nd"))

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == r"error: a\nb"
    assert lines[3:] == ["  | one", r"  | \x3a:error::two", r"  |   three\x1b[1m", "", r"hint: c\nd"]


@pytest.mark.parametrize(
    ("raised", "code", "lines"),
    [
        pytest.param(ERROR, 1, None, id="ours"),
        pytest.param(FileNotFoundError(2, HOSTILE, HOSTILE), 1, 1, id="system"),
        pytest.param(ZeroDivisionError(HOSTILE), 70, None, id="bug"),
        pytest.param(KeyboardInterrupt(HOSTILE), 130, 2, id="interrupted"),
    ],
)
def test_the_error_boundary_lets_nothing_through(raised: BaseException, code: int, lines: int | None):
    app = typer.Typer(cls=Boundary, pretty_exceptions_enable=False)

    @app.callback()
    def root() -> None:
        pass

    @app.command()
    def fail() -> None:
        raise raised

    answer = CliRunner().invoke(app, ["fail"])

    assert answer.exit_code == code
    assert harm_in(answer.stderr) == []
    assert lines is None or answer.stderr.count("\n") == lines


def test_results_of_several_projects_are_harmless(capsys: pytest.CaptureFixture[str]):
    project = Project(Path(HOSTILE.replace("/", "")) / "envbuild.toml")
    results = [ProjectResult(project, error=ERROR), ProjectResult(project, value=HOSTILE)]

    for as_json in (False, True):
        tell_results(Output(as_json=as_json), results, summary=str, document=lambda value: {"a": value})

    assert harm_in("".join(capsys.readouterr())) == []


def test_an_explanation_keeps_its_lines():
    said = text_of([ReportSection(title=HOSTILE, lines=(HOSTILE, HOSTILE))])

    assert harm_in(said) == []
    assert said.count("\n") == 2


def test_only_the_output_writes():
    printing = re.compile(r"\bprint\(|\becho\(|\.write\(")
    folder = Path(inspect.getfile(Output)).parent

    found = {path.stem for path in folder.rglob("*.py") if printing.search(path.read_text(encoding="utf-8"))}

    # the live line draws with rich
    assert found == {"live", "output"}


def test_the_live_line_is_harmless(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "1000")
    with LiveProgress() as live:
        live.on_stage("building")
        live.on_note(HOSTILE)

    said = capsys.readouterr().err
    assert r"\x1b[31mred\x1b[0m\x07\x9b2J\r\n::error::a" in said
    assert not set("\x07\x9b\u202e\u200b\ufeff\x7f\udc80") & set(said)
    assert harm_in(shortened(HOSTILE, 1000)) == []


def hostile_report(text: str) -> Report:
    failed = CheckResult(
        id=text, group=text, title=text, outcome="failed", expected=text, found=text, reason=text
    )
    skipped = CheckResult(id=text, group=text, title=text, outcome="skipped", reason=text)
    return Report(target=text, profile="image", results=(failed, skipped))


@pytest.mark.parametrize("text", [HOSTILE, *COMMANDS])
@pytest.mark.parametrize("options", [(), ("-v",), ("-q",), ("--json",), ("--junit", "report.xml")])
def test_a_report_is_harmless(
    locked: Program, monkeypatch: pytest.MonkeyPatch, text: str, options: tuple[str, ...]
):
    found = VerifyResult(subject=text, report=hostile_report(text))
    monkeypatch.setattr(verify, "verify_image", lambda *_, **__: found)

    answer = locked("verify", *options)

    assert answer.code == 8
    assert harm_in(answer.stdout + answer.stderr) == []
    if "--json" in options:
        assert json.loads(answer.stdout)["results"][0]["found"] == text
    if "--junit" in options:
        written = (locked.folder / "report.xml").read_text(encoding="utf-8")
        assert harm_in(written) == []
        assert ET.fromstring(written).find(".//failure") is not None  # noqa: S314 - our own


def hostile_diff(text: str) -> DiffResult:
    version = PackageVersion(version=text, sha256="0" * 64, size=1)
    target = TargetDiff(
        variant=text,
        platform=text,
        old_tag=text,
        new_tag="b",
        facts=(FactChange(name=text, old=text, new=text), FactChange(name=text, old="", new=" ")),
        packages=tuple(
            PackageChange(kind=kind, name=text, old=version, new=None) for kind in ("wheel", "deb", "conda")
        ),
        architectures_gained=(text,),
        architectures_lost=(text,),
        old_size=1,
        new_size=2,
    )
    changes = LockDiff(targets=(target,), added=((text, text),), removed=((text, text),))
    return DiffResult(old=text, new=text, changes=changes)


@pytest.mark.parametrize("text", [HOSTILE, *COMMANDS])
@pytest.mark.parametrize("options", [(), ("--markdown",), ("--json",)])
def test_a_comparison_is_harmless(
    program: Program, monkeypatch: pytest.MonkeyPatch, text: str, options: tuple[str, ...]
):
    monkeypatch.setattr(diff, "diff_locks", lambda *_, **__: hostile_diff(text))

    answer = program("diff", "a", "b", *options)

    assert answer.code == 0
    assert harm_in(answer.stdout + answer.stderr) == []
    # no text adds a line of its own
    monkeypatch.setattr(diff, "diff_locks", lambda *_, **__: hostile_diff("plain"))
    assert answer.stdout.count("\n") == program("diff", "a", "b", *options).stdout.count("\n")


MARKDOWN = (
    HOSTILE,
    "@team",
    "a|b\\|c\\\\|d",
    "![a](http://b)",
    "<img src=x onerror=y>",
    "www.example.org",
    "`", "``a`", "\\`a", "a\\",
    "# a", "1. a", "- a", "***", "_a_", "~~a~~", "&lt;", "[a]: http://b", "</details>", "```", "#1", "   ",
)  # fmt: skip


@pytest.mark.parametrize("text", MARKDOWN)
def test_markdown_has_the_text_as_code_alone(text: str):
    made = MarkdownIt("commonmark").enable("table").parse(as_markdown(hostile_diff(text)))
    plain = MarkdownIt("commonmark").enable("table").parse(as_markdown(hostile_diff("plain")))

    # the same blocks, whatever the text
    assert [token.type for token in made] == [token.type for token in plain]
    inner = [inline for token in made for inline in token.children or ()]
    strong = {"strong_open", "strong_close"}
    assert {inline.type for inline in inner} <= {"text", "code_inline", "softbreak", *strong}
    said = " ".join(inline.content for inline in inner if inline.type == "text")
    assert set(re.findall(r"[^\w\s]", said)) <= set("→:,.-+~")
    assert "team" not in said
    assert "www" not in said
    assert _code_of(made).count(text.replace("|", r"\x7c")) >= 8 or text == HOSTILE or not text.strip()


def _code_of(tokens: list[Token]) -> list[str]:
    return [
        inline.content.replace("|", r"\x7c")
        for token in tokens
        for inline in token.children or ()
        if inline.type == "code_inline"
    ]
