"""For every spec: meaning decides, spelling does not, and no input escapes the typed errors."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pip._internal.req.req_file import preprocess

from envbuild.errors import SpecError
from envbuild.lock.freshness import stale_fields
from envbuild.spec.problems import RefusedError
from envbuild.spec.request import Request
from envbuild.spec.requirement_files import Collected, RequirementFiles, logical_lines
from envbuild.spec.requirements import normalized_requirement
from tests.rig.specs import request_of

pytestmark = pytest.mark.property

NAMES = ("numpy", "scikit-learn", "torch", "zope-interface", "x")
EXTRAS = ("all", "standard", "a-b")
SPECIFIERS = (">=1.0", "<3", "!=2.1.*", "~=1.4", "==2.0+cu126", ">=2rc1")
MARKERS = ('python_version >= "3.10"', 'sys_platform == "linux" and os_name == "posix"')

requirements = st.tuples(
    st.sampled_from(NAMES),
    st.frozensets(st.sampled_from(EXTRAS), max_size=2),
    st.frozensets(st.sampled_from(SPECIFIERS), max_size=3),
    st.none() | st.sampled_from(MARKERS),
)
wishes = st.fixed_dictionaries(
    {
        "packages": st.frozensets(requirements, max_size=5),
        "file": st.frozensets(requirements, max_size=5),
        "constraints": st.frozensets(
            requirements.map(lambda wish: (wish[0], frozenset(), wish[2], wish[3])), max_size=3
        ),
        "system": st.frozensets(st.sampled_from(("git", "g++", "libgl1", "curl=7.88.1-10")), max_size=4),
        "apt": st.frozensets(st.sampled_from(("ffmpeg", "git", "make")), max_size=3),
        "env": st.dictionaries(
            st.sampled_from(("A", "B", "HF_HOME")), st.sampled_from(("", "1", "x y", "#")), max_size=3
        ),
        "platforms": st.frozensets(st.sampled_from(("linux/amd64", "linux/arm64")), min_size=1),
    }
)


def respelled(draw: st.DrawFn, name: str) -> str:
    separators = iter(
        draw(st.lists(st.sampled_from("-_."), min_size=name.count("-"), max_size=name.count("-")))
    )
    letters = "".join(next(separators) if letter == "-" else letter for letter in name)
    return letters.upper() if draw(st.booleans()) else letters


def shuffled(draw: st.DrawFn, items: Any) -> list[Any]:
    return draw(st.permutations(sorted(items, key=repr)))


def written(draw: st.DrawFn, wish: tuple[str, frozenset[str], frozenset[str], str | None]) -> str:
    """Write one requirement in any of its spellings."""
    name, extras, specifiers, marker = wish
    space = draw(st.sampled_from(("", " ")))
    quotes = ('"', draw(st.sampled_from("'\"")))
    shown_extras = ",".join(respelled(draw, extra) + space for extra in shuffled(draw, extras))
    return (
        respelled(draw, name)
        + (f"{space}[{space}{shown_extras}]" if extras else "")
        + space
        + f"{space},{space}".join(shuffled(draw, specifiers))
        + ("" if marker is None else f" ; {marker.replace(*quotes)}")
    )


def twice(draw: st.DrawFn, items: list[str]) -> list[str]:
    return items + (items[:1] if draw(st.booleans()) else [])


@st.composite
def text_files(draw: st.DrawFn, wish: dict[str, Any]) -> dict[str, str]:
    """Write a wish as files, in any order, with any comments and line ends."""

    def lines(items: list[str], *, breaks: bool = False) -> str:
        noise = st.lists(st.sampled_from(("", "# a comment", "  ", "\t# numpy")), max_size=2)
        ends = draw(st.sampled_from(("\n", "\r\n")))
        folded = [
            item.replace(" ", f" \\{ends}  ", 1) if breaks and draw(st.booleans()) else item for item in items
        ]
        return ends.join(
            line
            for item in folded
            for line in [*draw(noise), item + draw(st.sampled_from(("", " ", "  # why", "\t#")))]
        ) + draw(st.sampled_from(("", ends)))

    def toml_list(items: list[str]) -> str:
        separator = draw(st.sampled_from((", ", ",\n    ", ", # why\n ")))
        return "[" + separator.join(json.dumps(item) for item in items) + "]"

    wanted = [written(draw, item) for item in shuffled(draw, wish["file"])]
    named = [written(draw, item) for item in shuffled(draw, wish["packages"])]
    bounds = [written(draw, item) for item in shuffled(draw, wish["constraints"])]
    split = draw(st.integers(min_value=0, max_value=len(wanted)))
    tables = {
        "pip": [
            f"packages = {toml_list(twice(draw, named))}",
            'requirements = ["r.txt"]',
            *draw(st.sampled_from(([], ['constraints = ["deps/c.txt"]']))),
        ],
        "system": [f"packages = {toml_list(shuffled(draw, wish['system']))}", 'files = ["apt.txt"]'],
        "image.env": [f"{key} = {json.dumps(value)}" for key, value in shuffled(draw, wish["env"].items())],
    }
    head = ['name = "x"', 'python = "3.11"', f"platforms = {toml_list(shuffled(draw, wish['platforms']))}"]
    spec = [
        *draw(st.permutations(head)),
        *(
            line
            for table, keys in draw(st.permutations(sorted(tables.items())))
            for line in [f"[{table}]", *draw(st.permutations(keys))]
        ),
    ]
    return {
        "envbuild.toml": lines(spec),
        "r.txt": lines([*wanted[:split], "-r deps/more.txt", "-c deps/c.txt"], breaks=True),
        "deps/more.txt": lines(twice(draw, wanted[split:]), breaks=True),
        "deps/c.txt": lines(bounds, breaks=True),
        "apt.txt": draw(st.sampled_from((" ", "\n", "\r\n"))).join(shuffled(draw, wish["apt"])),
    }


def asked_by(files: dict[str, str]) -> Request:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, newline="")
        return request_of(Path(folder, "envbuild.toml"))


@settings(deadline=None)
@given(st.data(), wishes)
def test_order_comments_spelling_and_line_ends_change_nothing(
    data: st.DataObject, wish: dict[str, Any]
) -> None:
    one, other = (asked_by(data.draw(text_files(wish))) for _ in range(2))
    assert one == other
    assert one.model_dump_json() == other.model_dump_json()
    assert stale_fields(one, other) == ()


@settings(deadline=None)
@given(st.data(), wishes, wishes)
def test_another_wish_is_another_request(
    data: st.DataObject, wish: dict[str, Any], other: dict[str, Any]
) -> None:
    """Two specs are fresh against each other exactly when the same was wanted."""

    def meaning(wanted: dict[str, Any]) -> tuple[object, ...]:
        merged = {
            **wanted,
            "pip": wanted["packages"] | wanted["file"],
            "apt": wanted["system"] | wanted["apt"],
        }
        return tuple(merged[key] for key in ("pip", "constraints", "apt", "env", "platforms"))

    stale = stale_fields(asked_by(data.draw(text_files(wish))), asked_by(data.draw(text_files(other))))
    assert (stale == ()) == (meaning(wish) == meaning(other))


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, str]:
    wish = draw(requirements)
    return written(draw, wish), written(draw, wish)


@given(spellings())
def test_a_requirement_has_one_spelling_and_it_is_a_fixed_point(texts: tuple[str, str]) -> None:
    spelled = normalized_requirement(texts[0])
    assert normalized_requirement(texts[1]) == spelled
    assert normalized_requirement(spelled) == spelled


KEYS = st.sampled_from(
    [
        "name",
        "python",
        "platforms",
        "snapshot",
        "default-variant",
        "base",
        "pip",
        "system",
        "image",
        "determinism",
        "build",
        "variants",
        "packages",
        "requirements",
        "indexes",
        "sources",
        "env",
        "command",
        "seed",
        "cpu",
        "x y",
        "",
    ]
)
LEAVES = (
    st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ("", "3.11", "x", "torch=2", "a@b", "https://u:p@h", "/", "debian:bookworm", "linux/amd64")
    )
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=5)
)
TREES = st.recursive(
    LEAVES, lambda tree: st.lists(tree, max_size=3) | st.dictionaries(KEYS, tree, max_size=4)
)


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


@settings(deadline=None)
@given(tree=st.dictionaries(KEYS, TREES, max_size=8), valid_head=st.booleans())
def test_any_toml_is_a_request_or_a_list_of_problems(tree: dict[str, Any], *, valid_head: bool) -> None:
    head = {"name": "x", "python": "3.11"} if valid_head else {}
    text = "\n".join(f"{json.dumps(key)} = {inline(value)}" for key, value in {**tree, **head}.items())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "envbuild.toml")
        path.write_text(text, encoding="utf-8")
        refused = None
        try:
            request_of(path)
        except SpecError as error:
            refused = error
    assert valid_head or refused is not None
    if refused is not None:
        assert refused.problems, refused.message
        for problem in refused.problems:
            assert problem.where
            assert "something else" not in problem.message
            assert "pydantic" not in f"{problem} {problem.hint}".lower()
            assert "Input should" not in problem.message


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_is_a_requirements_file_or_a_list_of_problems(text: str) -> None:
    collected = Collected()
    read = {"r": text}
    RequirementFiles(Path(), lambda path, _: read.get(path.name, ""), collected).add(
        "r", constrains=False, where="pip.requirements[0]"
    )
    for requirement in collected.requirements:
        assert normalized_requirement(requirement) == requirement
    assert all(problem.where.startswith("r:") for problem in collected.problems)


@given(st.text(st.sampled_from("ab# \\\t\n-"), max_size=40))
def test_lines_are_those_pip_sees(text: str) -> None:
    assert list(logical_lines(text)) == [
        (number, line.strip()) for number, line in preprocess(text) if line.strip()
    ]


@example("0_")
@given(st.text(max_size=30))
def test_any_text_is_a_requirement_or_refused(text: str) -> None:
    try:
        spelled = normalized_requirement(text)
    except RefusedError:
        return
    assert normalized_requirement(spelled) == spelled
