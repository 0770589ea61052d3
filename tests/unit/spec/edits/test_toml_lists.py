import tomllib
from textwrap import dedent

import pytest

from envbuild.spec.edits.toml_lists import list_at, with_text, with_text_replaced, without_text
from envbuild.spec.problems import RefusedError

PATH = ("pip", "packages")


def spec(array: str) -> str:
    return f"[pip]\npackages = {array}\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[]", '["new"]'),
        ("[ ]", '[ "new" ]'),
        ('["a"]', '["a", "new"]'),
        ("['a']", "['a', 'new']"),
        ('["a",]', '["a", "new",]'),
        ('[\n  "a",\n]', '[\n  "a",\n  "new",\n]'),
        ('[\n  "a"  # why\n]', '[\n  "a",  # why\n  "new"\n]'),
        ('[\n\t"a",  # why\n\t# tail\n]', '[\n\t"a",  # why\n\t"new",\n\t# tail\n]'),
        ("[\n]", '[\n    "new",\n]'),
        ("[\n  # none yet\n]", '[\n  # none yet\n  "new",\n]'),
        ('["a",\n "b"]', '["a",\n "b",\n "new"]'),
        ('["a # ]", "b"]', '["a # ]", "b", "new"]'),
    ],
)
def test_a_new_item_takes_the_layout_of_the_list(before: str, after: str):
    assert with_text(spec(before), PATH, "new") == spec(after)


@pytest.mark.parametrize(
    ("before", "number", "after"),
    [
        ('["a"]', 0, "[]"),
        ('["a", "b", "c"]', 0, '["b", "c"]'),
        ('["a", "b", "c"]', 1, '["a", "c"]'),
        ('["a", "b", "c"]', 2, '["a", "b"]'),
        ('[\n  "a",  # of a\n  "b",  # of b\n]', 0, '[\n  "b",  # of b\n]'),
        ('[\n  "a",\n  # above\n  "b"\n]', 1, '[\n  "a"\n  # above\n]'),
        ('[\n  "a", "b",  # both\n  "c",\n]', 1, '[\n  "a",  # both\n  "c",\n]'),
        ('[\n  "a"\n, "b"  # of b\n]', 1, '[\n  "a"  # of b\n]'),
    ],
)
def test_an_item_goes_with_its_own_comment_and_no_other(before: str, number: int, after: str):
    assert without_text(spec(before), PATH, number) == spec(after)


def test_an_item_is_replaced_in_its_own_quotes():
    assert with_text_replaced(spec("['a', \"b\"]"), PATH, 0, "a>=2") == spec("['a>=2', \"b\"]")
    assert with_text_replaced(spec('["a"]'), PATH, 0, 'a; extra == "x"') == spec("['a; extra == \"x\"']")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('name = "t"\n', 'name = "t"\n\n[pip]\npackages = ["new"]\n'),
        ('name = "t"', 'name = "t"\n\n[pip]\npackages = ["new"]\n'),
        ("[pip]\n", '[pip]\npackages = ["new"]\n'),
        (
            "[pip]\n  project = true  # ours\n\n# of the system\n[system]\n",
            '[pip]\n  project = true  # ours\n  packages = ["new"]\n\n# of the system\n[system]\n',
        ),
        ("pip = { project = true }\n", 'pip = { project = true, packages = ["new"] }\n'),
        ("pip.project = true\nname = 't'\n", "pip.project = true\npip.packages = [\"new\"]\nname = 't'\n"),
        (
            'name = "t"\n\n[variants.a.pip]\npackages = []\n',
            'name = "t"\n\n[pip]\npackages = ["new"]\n\n[variants.a.pip]\npackages = []\n',
        ),
        ("[pip.sources]\na = 'b'\n", "[pip.sources]\na = 'b'\n\n[pip]\npackages = [\"new\"]\n"),
        ("\ufeffname = 't'\r\n", "\ufeffname = 't'\r\n\r\n[pip]\r\npackages = [\"new\"]\r\n"),
    ],
)
def test_a_list_that_lacks_is_made_where_its_table_is(before: str, after: str):
    assert with_text(before, PATH, "new") == after


def test_a_table_of_a_project_file_stands_with_the_others_of_the_spec():
    text = dedent(
        """\
        [tool.envbuild]
        name = "t"

        [tool.envbuild.variants.gpu]

        [tool.ruff]
        """
    )
    root = ("tool", "envbuild")

    shared = with_text(text, (*root, "pip", "packages"), "new", root=root)
    of_variant = with_text(text, (*root, "variants", "gpu", "pip", "packages"), "new", root=root)

    block = '[tool.envbuild.pip]\npackages = ["new"]\n\n'
    assert shared == text.replace("[tool.envbuild.variants", f"{block}[tool.envbuild.variants")
    block = '[tool.envbuild.variants.gpu.pip]\npackages = ["new"]\n\n'
    assert of_variant == text.replace("[tool.ruff]", f"{block}[tool.ruff]")


@pytest.mark.parametrize("text", ["pip = false\n", "[[pip]]\npackages = []\n", "[pip]\npackages = 'a'\n"])
def test_what_is_no_list_of_one_table_is_refused(text: str):
    with pytest.raises(RefusedError, match="cannot be edited"):
        with_text(text, PATH, "new")


def test_keys_are_found_however_they_are_written():
    text = "['pip'] # a\n\"packages\"  =  ['a']\n[x.\"pip\"]\npackages = ['b']\n"

    assert list_at(tomllib.loads(with_text(text, PATH, "new")), PATH) == ["a", "new"]


def test_a_number_that_is_none_is_no_obstacle():
    text = f"x = [nan, inf, 1_0.5e1]\n{spec('[]')}"

    assert with_text(text, PATH, "new") == text.replace("[]", '["new"]')
