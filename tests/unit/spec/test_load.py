from pathlib import Path

import pytest

from envbuild.errors import ExitCode, Problem, SpecError
from envbuild.spec.load import find_spec, read_spec
from tests.rig.specs import request_of

MINIMAL = 'name = "train"\npython = "3.11"\n'
IN_PROJECT = '[project]\nname = "p"\n[tool.envbuild]\nname = "train"\npython = "3.11"\n'


def test_a_name_and_a_python_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "envbuild.toml"
    path.write_text(MINIMAL)
    spec = read_spec(path).checked()
    assert (spec.name, spec.python, spec.platforms) == ("train", "3.11", ("linux/amd64",))
    assert spec.build.engine == "docker"


def test_a_byte_order_mark_and_crlf_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "envbuild.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())
    assert read_spec(path).checked().name == "train"


def test_the_own_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "envbuild.toml").write_text(MINIMAL)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "envbuild-user"\n')
    assert find_spec(tmp_path) == tmp_path / "envbuild.toml"


def test_the_project_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(IN_PROJECT)
    assert find_spec(tmp_path) == tmp_path / "pyproject.toml"
    assert read_spec(tmp_path / "pyproject.toml").checked().name == "train"


def test_a_broken_project_file_is_found_when_it_speaks_of_a_spec(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.envbuild.pip]\npackages = [\n")
    assert find_spec(tmp_path) == tmp_path / "pyproject.toml"


@pytest.mark.parametrize("text", ["[tool.ruff\n", "# envbuild\n[tool.ruff\n", '[tool]\nx = "envbuild"\n'])
def test_other_project_files_hold_no_spec(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(SpecError) as caught:
        find_spec(tmp_path)
    assert caught.value.message == (
        "there is no spec here: neither `envbuild.toml` nor [tool.envbuild] in `pyproject.toml`"
    )
    assert caught.value.exit_code == ExitCode.SPEC


def test_an_empty_folder_holds_no_spec(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        find_spec(tmp_path)
    hint = "run `envbuild init`, or write `envbuild.toml`: a name and a Python version will do"
    assert caught.value.hint == hint


def test_two_specs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "envbuild.toml").write_text(MINIMAL)
    (tmp_path / "pyproject.toml").write_text(IN_PROJECT)
    with pytest.raises(SpecError) as caught:
        find_spec(tmp_path)
    assert caught.value.hint == "keep one of them"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        find_spec(tmp_path / "nowhere")
    assert caught.value.message == f"`{tmp_path / 'nowhere'}` does not exist"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            'name = "a"\nname = "b"\n',
            Problem("envbuild.toml:2", "`name` is there twice", "keep one of them"),
            id="duplicate key",
        ),
        pytest.param(
            'name = "a"\nname = "b"',
            Problem("envbuild.toml:2", "`name` is there twice", "keep one of them"),
            id="duplicate key at the end",
        ),
        pytest.param(
            "[pip]\n\n[pip]\n",
            Problem("envbuild.toml:3", "`[pip]` is there twice", "keep one of them"),
            id="duplicate table",
        ),
        pytest.param(
            'x = { a = "s3cret", a = "s3cret" }\n',
            Problem("envbuild.toml:1", "`a` is there twice", "keep one of them"),
            id="duplicate inline key",
        ),
        pytest.param(
            "name = train\n",
            Problem("envbuild.toml:1", "invalid value", "text must be quoted"),
            id="unquoted text",
        ),
        pytest.param(
            '\nname: "train"\n',
            Problem(
                "envbuild.toml:2", "expected '=' after a key in a key/value pair", "TOML writes `key = value`"
            ),
            id="YAML",
        ),
        pytest.param("x = [1\n\n", Problem("envbuild.toml:1", "unclosed array"), id="end of file"),
        pytest.param("", Problem("name", "is missing", 'add `name = "train"` at the top'), id="empty"),
    ],
)
def test_syntax_errors_name_the_line(tmp_path: Path, text: str, problem: Problem) -> None:
    path = tmp_path / "envbuild.toml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_spec(path).checked()
    assert caught.value.problems[0] == problem


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b'name = "\xe9"\n', "`envbuild.toml` is not UTF-8 text: line 1", id="Latin-1"),
        pytest.param(b"x = " + b"1" * 5000, "`envbuild.toml` is not TOML anybody would write", id="number"),
        pytest.param(b"x = " + b"[" * 5000, "`envbuild.toml` is not TOML anybody would write", id="nesting"),
    ],
)
def test_odd_files_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "envbuild.toml"
    path.write_bytes(data)
    with pytest.raises(SpecError) as caught:
        read_spec(path).checked()
    assert caught.value.message == message


def test_a_missing_spec_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"^`envbuild\.toml` does not exist$"):
        read_spec(tmp_path / "envbuild.toml").checked()
    with pytest.raises(SpecError, match=r"is a folder$"):
        read_spec(tmp_path).checked()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("[project]\n", "`pyproject.toml` has no [tool.envbuild]", id="absent"),
        pytest.param("tool = 3\n", "`pyproject.toml` has no [tool.envbuild]", id="no tools"),
        pytest.param("tool.envbuild = 3\n", "`pyproject.toml` has a problem", id="no table"),
    ],
)
def test_a_project_file_without_a_spec_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_spec(path).checked()
    assert caught.value.message == message


def test_field_paths_in_a_project_file_start_at_its_root(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(
        IN_PROJECT + 'pip.packages = ["torch=2"]\npip.sources.x = "y"\nsystem.files = ["missing"]\n'
    )
    with pytest.raises(SpecError) as caught:
        request_of(path)
    assert [problem.where for problem in caught.value.problems] == [
        "tool.envbuild.pip.packages[0]",
        "tool.envbuild.pip.sources.x",
        "tool.envbuild.system.files[0]",
    ]


def test_everything_wrong_in_tables_between_them_and_in_files_comes_at_once(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("-e .\n")
    path = tmp_path / "envbuild.toml"
    path.write_text(
        """
        nam = "train"
        python = 3.10
        [base]
        packages = "debian:trixie"
        [pip]
        requirements = ["requirements.txt", "gone.txt"]
        packages = ["numpy", "torch=2.0"]
        sources = { torch = "pytorch" }
        [variants.cpu]
        python = "3.12"
        """
    )
    with pytest.raises(SpecError) as caught:
        request_of(path)
    assert caught.value.message == "`envbuild.toml` has 7 problems"
    assert [str(problem) for problem in caught.value.problems] == [
        "name: is missing",
        "python: must be a string, not a number",
        "pip.packages[1]: `torch=2.0` is not a requirement",
        "nam: unknown key",
        "pip.sources.torch: there is no index `pytorch`",
        "requirements.txt:1: `.` is asked for as editable",
        "pip.requirements[1]: `gone.txt` does not exist",
    ]


def test_what_only_follows_from_another_problem_is_not_reported(tmp_path: Path) -> None:
    path = tmp_path / "envbuild.toml"
    path.write_text(
        MINIMAL
        + 'platforms = ["amd64"]\n[base]\nimage = "python"\n'
        + '[pip]\nindexes = { corp = "ftp://x" }\nsources = { a = "corp" }\n'
    )
    with pytest.raises(SpecError) as caught:
        read_spec(path).checked()
    assert [problem.where for problem in caught.value.problems] == [
        "platforms[0]",
        "base.image",
        "pip.indexes.corp",
    ]


PAGES = """
[pip]
find-links = { pyg = "https://h/whl/torch.html", idle = "https://h/", corp = "https://h/c" }
indexes = { corp = "https://index.example.com/simple" }
sources = { torch-scatter = "pyg", x = "corp", y = "pgy" }
"""


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        pytest.param(
            PAGES,
            [
                "pip.find-links.corp: `corp` is an index already",
                "pip.sources.y: there is no index `pgy`",
                "pip.find-links.idle: no package comes from this page",
            ],
            id="bound like indexes",
        ),
        pytest.param(
            '[pip]\nfind-links = { here = "./wheels" }\nsources = { x = "here" }\n',
            ["pip.find-links.here: is a folder, and no other machine has it"],
            id="a folder",
        ),
    ],
)
def test_pages_are_checked(tmp_path: Path, text: str, problems: list[str]) -> None:
    path = tmp_path / "envbuild.toml"
    path.write_text(MINIMAL + text)
    with pytest.raises(SpecError) as caught:
        request_of(path)
    assert sorted(str(problem) for problem in caught.value.problems) == sorted(problems)


def test_a_page_keeps_the_slash_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "envbuild.toml"
    path.write_text(MINIMAL + '[pip]\nfind-links = { p = "https://H/w/" }\nsources = { x = "p" }\n')
    assert request_of(path).variants["default"].pip.find_links == {"p": "https://h/w/"}
