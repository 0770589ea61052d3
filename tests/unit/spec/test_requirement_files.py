import re
from pathlib import Path

import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from envbuild.errors import Problem
from envbuild.spec.direct_references import MOUNT_HINT
from envbuild.spec.problems import RefusedError
from envbuild.spec.requirement_files import Collected, RequirementFiles, logical_lines
from envbuild.spec.source_options import SpecSources

SHA = "ab" * 32
FOLDER_HINT = (
    "name the address of a page in [pip] find-links; files that are locked may also lie in the folder that "
    "ENVBUILD_VENDOR_DIR names"
)


def collect(
    files: dict[str, str],
    *,
    constrains: bool = False,
    file: str = "r.txt",
    sources: SpecSources = SpecSources(),  # noqa: B008 - frozen
) -> Collected:
    def read(path: Path, shown: str) -> str:
        try:
            return files[path.as_posix().removeprefix("/spec/")]
        except KeyError as error:
            raise RefusedError(f"`{shown}` does not exist") from error

    collected = Collected()
    RequirementFiles(Path("/spec"), read, collected, sources).add(
        file, constrains=constrains, where="pip.requirements[0]"
    )
    return collected


def test_comments_continuations_and_markers() -> None:
    collected = collect(
        {
            "r.txt": """
# first
Torch >= 2.6   # why
numpy>=1.26, \\
  <3 ; python_version >= "3.10"
pandas#not-a-comment-but-refused
  scipy
"""
        }
    )
    assert collected.requirements == {"torch>=2.6", 'numpy<3,>=1.26; python_version >= "3.10"', "scipy"}
    assert [problem.where for problem in collected.problems] == ["r.txt:6"]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("a\r\nb\rc\nd", [(1, "a"), (2, "b"), (3, "c"), (4, "d")], id="line ends"),
        pytest.param("a \\\n b \\\n c\nd", [(1, "a  b  c"), (4, "d")], id="continuation"),
        pytest.param("a\\\nb", [(1, "ab")], id="continuation inside a word"),
        pytest.param("a \\\n# c\nb", [(1, "a"), (3, "b")], id="a comment ends a continuation"),
        pytest.param("a\\\n# c", [(1, "a")], id="a comment after a word"),
        pytest.param("# a \\\nb", [(2, "b")], id="a comment does not continue"),
        pytest.param("a \\", [(1, "a")], id="nothing after a continuation"),
        pytest.param("\\\n\\\n\na", [(4, "a")], id="nothing in a continuation"),
        pytest.param("a#b #c", [(1, "a#b")], id="a comment needs a space"),
        pytest.param("", [], id="empty"),
    ],
)
def test_lines_join_as_in_pip(text: str, lines: list[tuple[int, str]]) -> None:
    assert list(logical_lines(text)) == lines


def test_includes_are_relative_to_the_including_file() -> None:
    collected = collect(
        {
            "r.txt": "-r sub/a.txt\n--requirement=sub/b.txt\n-csub/c.txt\n",
            "sub/a.txt": "-r ../top.txt\n-c c.txt\nscipy",
            "sub/b.txt": "--constraint 'c.txt'\nnumpy",
            "sub/c.txt": "protobuf<5",
            "top.txt": "torch",
        }
    )
    assert collected == Collected({"scipy", "numpy", "torch"}, {"protobuf<5"}, [])


def test_a_constraints_file_and_its_includes() -> None:
    files = {"r.txt": "-c more.txt\nnumpy<2\nfastapi[all]", "more.txt": "scipy<2"}
    collected = collect(files, constrains=True)
    assert (collected.requirements, collected.constraints) == (set(), {"numpy<2", "scipy<2"})
    assert [problem.where for problem in collected.problems] == ["r.txt:3"]


def test_a_cycle_is_shown() -> None:
    collected = collect({"r.txt": "\n-r a/b.txt\n", "a/b.txt": "x\n-r ../a/c.txt\n", "a/c.txt": "-r b.txt"})
    assert collected.requirements == {"x"}
    assert collected.problems == [Problem("a/c.txt:1", "includes itself: a/b.txt → a/c.txt → a/b.txt")]


def test_a_file_included_twice_is_no_cycle() -> None:
    collected = collect({"r.txt": "-r a\n-r b\n", "a": "-r c", "b": "-r c", "c": "x"})
    assert collected == Collected({"x"}, set(), [])


def test_a_missing_file_is_named_where_it_is_asked_for() -> None:
    assert collect({}).problems == [Problem("pip.requirements[0]", "`r.txt` does not exist")]
    assert collect({"r.txt": "x\n-r y.txt"}).problems == [Problem("r.txt:2", "`y.txt` does not exist")]


def test_hashes_and_what_always_holds_are_passed_over() -> None:
    collected = collect(
        {
            "r.txt": """
--require-hashes
--only-binary :all:
--only-binary=:all:
--prefer-binary
numpy==2.1.0 ; python_version > "3" \\
    --hash=sha256:00 \\
    --hash sha256:11
    # via scipy
"""
        }
    )
    assert collected == Collected({'numpy==2.1.0; python_version > "3"'}, set(), [])


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("-e .", "`.` is asked for as editable", MOUNT_HINT),
        (
            "--editable=git+https://t@h/x#egg=pkg",
            "the address of `pkg` contains credentials",
            "write it without them; each machine has them in ~/.netrc, or in git's credential helper",
        ),
        ("-e file:///src#egg=pkg", "`pkg` is asked for as editable", MOUNT_HINT),
        ("-e", "`-e` names no file", None),
        ("-r", "`-r` names no file", None),
        (
            "-r https://h/r.txt",
            "`-r` includes a file by address",
            "keep a copy beside the spec and include that",
        ),
        ("./pkg", "`./pkg` is asked for by path", MOUNT_HINT),
        (
            "pkg @ https://t@h/x.whl",
            "the address of `pkg` contains credentials",
            "write it without them; each machine has them in ~/.netrc, or in git's credential helper",
        ),
        (
            "--index-url https://u:s3cret@h",
            "`--index-url` is not taken from requirements files",
            "name the index in [pip] indexes and bind packages to it in [pip] sources",
        ),
        (
            "--extra-index-url=https://u:s3cret@h",
            "`--extra-index-url` is not taken from requirements files",
            "name the index in [pip] indexes and bind packages to it in [pip] sources",
        ),
        (
            "-f wheels",
            "`-f` names a folder, and no other machine has it",
            FOLDER_HINT,
        ),
        (
            "--pre",
            "`--pre` is not taken from requirements files",
            "ask for the pre-release where it is wanted: `name>=2.0rc1`",
        ),
        (
            "numpy --config-settings=--x=y",
            "`--config-settings` is not taken from requirements files",
            "envbuild installs wheels only; leave the option out",
        ),
        ("--frobnicate s3cret", "unknown option `--frobnicate`", None),
        ("numpy --frobnicate=s3cret", "unknown option `--frobnicate`", None),
        ("-", "unknown option `-`", None),
        ("torch=2", "`torch=2` is not a requirement", "write `torch==2`"),
    ],
)
def test_a_refused_line_is_named_and_the_rest_is_read(line: str, message: str, hint: str | None) -> None:
    collected = collect({"r.txt": f"numpy\n{line}\nscipy\n"})
    assert collected.problems == [Problem("r.txt:2", message, hint)]
    assert collected.requirements == {"numpy", "scipy"}


def test_addresses_are_requirements_and_their_hashes_are_kept() -> None:
    collected = collect(
        {
            "r.txt": f"""
-e git+https://h/team/x.git@v1#egg=Demo   # not edited here
--editable "git+ssh://git@h/y.git"
git+https://h/team/CLIP.git
https://h/w/a-1.0-py3-none-any.whl --hash=sha256:{SHA}
b @ https://h/b-2.tar.gz#subdirectory=py ; python_version > "3" \\
    --hash=sha256:{SHA}
"""
        }
    )
    assert collected.problems == []
    assert collected.requirements == {
        "demo @ git+https://h/team/x.git@v1",
        "y @ git+ssh://git@h/y.git",
        "clip @ git+https://h/team/CLIP.git",
        f"a @ https://h/w/a-1.0-py3-none-any.whl#sha256={SHA}",
        f'b @ https://h/b-2.tar.gz#sha256={SHA}&subdirectory=py ; python_version > "3"',
    }


def test_an_address_is_no_constraint() -> None:
    collected = collect({"r.txt": "x @ https://h/x.zip"}, constrains=True)
    assert [problem.message for problem in collected.problems] == [
        "a constraint cannot have an address: `x @ https://h/x.zip`"
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        pytest.param(
            "--extra-index-url https://H/whl/cu118\ntorch==2.1+cu118\ntorchvision == 0.16+cu118\nx==1+z",
            'write in [pip]: indexes = { cu118 = "https://h/whl/cu118" } and '
            'sources = { torch = "cu118", torchvision = "cu118" }; then the option can stay',
            id="local versions that the address names",
        ),
        pytest.param(
            "--extra-index-url https://h/whl/nightly\ntorch\nnumpy",
            'write in [pip]: indexes = { nightly = "https://h/whl/nightly" } and '
            'sources = { torch = "nightly" }; then the option can stay',
            id="the family of torch",
        ),
        pytest.param(
            "-i https://index.example.com/simple/\nnumpy",
            'write in [pip]: indexes = { example = "https://index.example.com/simple" } and '
            'sources = { PACKAGE = "example" }; then the option can stay; '
            "or make it this machine's own index",
            id="nothing says who comes from it",
        ),
        pytest.param(
            "-f https://h/whl/torch-2.1.0+cu118.html\ntorch==2.1+cu118\ntorch-scatter\nnumpy",
            'write in [pip]: find-links = { torch-2-1-0-cu118 = "https://h/whl/torch-2.1.0+cu118.html" } and '
            'sources = { torch-scatter = "torch-2-1-0-cu118" }; then the option can stay',
            id="a page",
        ),
        pytest.param("--no-binary :all:", 'write in [pip]: build = "all"', id="everything from source"),
        pytest.param("--no-binary=A_b,c", 'write in [pip]: build = ["a-b", "c"]', id="some from source"),
    ],
)
def test_an_option_about_sources_is_refused_with_the_lines_to_write(text: str, hint: str) -> None:
    collected = collect({"r.txt": text})
    (problem,) = collected.problems
    option = re.split(r"[ =]", text, maxsplit=1)[0]
    assert problem == Problem("r.txt:1", f"`{option}` is not taken from requirements files", hint)


def test_an_option_that_the_spec_answers_is_passed_over() -> None:
    sources = SpecSources(
        indexes=frozenset({"https://h/whl/cu118"}),
        pages=frozenset({"https://h/p/"}),
        build=frozenset({"a", "c"}),
    )
    text = """
--extra-index-url https://h/whl/cu118/
-f https://h/p/
--no-binary a,c
--no-binary :none:
x
"""
    assert collect({"r.txt": text}, sources=sources) == Collected({"x"}, set(), [])


def test_the_index_that_everybody_has_may_be_named() -> None:
    assert collect({"r.txt": f"--index-url {PYPI_SIMPLE_ENDPOINT}\nx"}) == Collected({"x"}, set(), [])
