"""Edits of a configuration file, whatever forms its tables have."""

import copy
import re
import tomllib
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.workflows.configuration.edits import NotEditableError, NotSetError, with_value, without_value

NEW = "https://new.example/"

APT = (
    "",
    "apt = {} # a\n",
    'apt = { mirror = "https://a" } # a\n',
    'apt = { mirrors = { sec = "https://a" } } # a\n',
    'apt = { mirrors.sec = "https://a" }\n',
    '# a\napt.mirror = "https://a" # b\n# c\n',
    'apt.mirrors.sec = "https://a" # a\n',
    'apt.mirrors = { sec = "https://a" }\n',
    "apt.mirrors = {}\n",
    'apt.mirror = "https://m"\n# a\napt.mirrors.sec = "https://a"\n',
    '# a\n[apt] # b\nmirror = "https://a" # c\n# d\n',
    "[apt]\n",
    '[apt]\n# a\n[apt.mirrors]\nsec = "https://a"\n',
    '[apt.mirrors] # a\nsec = "https://a"\n# b\n',
    '[apt]\nmirrors.sec = "https://a" # a\n',
    '[apt] # a\nmirrors = { sec = "https://a" }\n',
    '[apt.mirrors]\nsec = "https://a"\n# a\n[apt]\nmirror = "https://a"\n',
    '[apt]\nmirror = "https://a"\n# a\n[channels.z]\n# b\n[apt.mirrors]\nsec = "https://a"\n# c\n',
)

INDEXES = (
    "",
    'indexes = { corp = { url = "https://i" } }\n',
    'indexes = { corp.url = "https://i" } # i\n',
    'indexes.corp.url = "https://i" # i\n',
    'indexes.corp = { url = "https://i" }\n# i\n',
    '[indexes] # i\ncorp = { url = "https://i" } # j\n',
    '[indexes]\n# i\ncorp.url = "https://i"\n',
    '[indexes.corp]\nurl = "https://i" # i\n# j\n',
    '[indexes]\n[indexes.corp]\nurl = "https://i"\n',
    '[indexes.corp]\nurl = "https://i"\n\n# i\n[indexes."a.b"]\nurl = "https://i"\n',
)

OTHER = ("", 'engine = "local" # o\n', '# o\n\ninsecure-registries = [\n  "a:1",\n  "b", # p\n]\n\n')

KEYS = (
    ("engine",),
    ("apt", "mirror"),
    ("apt", "mirrors", "deb"),
    ("apt", "mirrors", "sec"),
    ("indexes", "new", "url"),
    ("indexes", "a.b", "url"),
    ("indexes", "corp", "url"),
    ("indexes", "corp", "username"),
)

keys = st.sampled_from(KEYS)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Return a configuration file of tables in all forms, with all line ends."""
    parts = draw(st.permutations([draw(st.sampled_from(APT)), draw(st.sampled_from(INDEXES))]))
    text = draw(st.sampled_from(OTHER)) + "".join(parts)
    if draw(st.booleans()):
        text = text.removesuffix("\n")
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return ("\ufeff" if draw(st.booleans()) else "") + text


def data(text: str) -> dict[str, Any]:
    return tomllib.loads(text.removeprefix("\ufeff"))


def changed(table: dict[str, Any], path: tuple[str, ...], value: str) -> dict[str, Any]:
    table = copy.deepcopy(table)
    inner = table
    for part in path[:-1]:
        inner = inner.setdefault(part, {})
    inner[path[-1]] = value
    return table


def values(table: dict[str, Any], place: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for key, value in table.items():
        found |= values(value, (*place, key)) if isinstance(value, dict) else {(*place, key): value}
    return found


def comments(text: str) -> Counter[str]:
    return Counter(re.findall(r"# [a-z]\b", text))


def line_ends(text: str) -> set[str]:
    return set(re.findall(r"\r?\n", text))


@given(text=texts(), path=keys)
def test_a_value_is_set_and_all_else_stays(text: str, path: tuple[str, ...]) -> None:
    got = with_value(text, path, NEW)

    assert data(got) == changed(data(text), path, NEW)
    assert comments(got) == comments(text)
    assert got.startswith("\ufeff") == text.startswith("\ufeff")
    assert not line_ends(text) or line_ends(got) == line_ends(text)
    # what was there already is there in the same lines
    gone = Counter(text.splitlines()) - Counter(got.splitlines())
    assert gone.total() <= 1


@given(text=texts(), path=keys)
def test_a_value_is_removed_and_all_else_stays(text: str, path: tuple[str, ...]) -> None:
    before = values(data(text))
    if path not in before:
        with pytest.raises(NotSetError):
            without_value(text, path)
        return
    got = without_value(text, path)

    del before[path]
    assert values(data(got)) == before
    # the comment behind a value goes with it
    assert (comments(text) - comments(got)).total() <= 1
    assert line_ends(got) <= line_ends(text)


@given(text=texts(), path=keys)
def test_what_was_set_is_removed_again(text: str, path: tuple[str, ...]) -> None:
    before = values(data(text))
    before.pop(path, None)

    assert values(data(without_value(with_value(text, path, NEW), path))) == before


@pytest.mark.parametrize(
    ("before", "path", "after"),
    [
        (
            'apt = { mirror = "https://a/b" } # c\n',
            ("apt", "mirrors", "debian"),
            f'apt = {{ mirror = "https://a/b", mirrors = {{debian = "{NEW}"}}}} # c\n',
        ),
        (
            'indexes = { corp = { url = "https://i" } }\n',
            ("indexes", "new", "url"),
            f'indexes = {{ corp = {{ url = "https://i" }}, new = {{url = "{NEW}"}}}}\n',
        ),
        (
            'apt.mirror = "https://a/b"\n',
            ("apt", "mirrors", "debian"),
            f'apt.mirror = "https://a/b"\n\n[apt.mirrors]\ndebian = "{NEW}"\n',
        ),
        (
            'apt.mirror = "https://a/b"\nengine = "local"\n',
            ("apt", "mirrors", "debian"),
            f'apt.mirror = "https://a/b"\napt.mirrors.debian = "{NEW}"\nengine = "local"\n',
        ),
        (
            'indexes.corp.url = "https://i"\n# next\napt = {}\n',
            ("indexes", "new", "url"),
            f'indexes.corp.url = "https://i"\nindexes.new.url = "{NEW}"\n# next\napt = {{}}\n',
        ),
        ('engine = "local"\r\n', ("python-url",), f'engine = "local"\r\npython-url = "{NEW}"\r\n'),
        ('engine = "a"\r\n# x\n', ("engine",), f'engine = "{NEW}"\n# x\n'),
        ('engine = "local"', ("python-url",), f'engine = "local"\npython-url = "{NEW}"\n'),
        (
            '[apt.mirrors] # a\nsec = "https://a"\n',
            ("apt", "mirror"),
            f'[apt.mirrors] # a\nsec = "https://a"\n\n[apt]\nmirror = "{NEW}"\n',
        ),
    ],
    ids=[
        "inline", "inline in inline", "dotted", "then others", "then a remark", "windows", "mixed", "no end",
        "header",
    ],
)  # fmt: skip
def test_the_form_that_is_there_is_kept(before: str, path: tuple[str, ...], after: str) -> None:
    assert with_value(before, path, NEW) == after


def test_a_table_with_a_comment_stays_when_its_last_value_goes() -> None:
    text = '[apt]\n# ours\nmirror = "https://a"\n\n# of the team\n[indexes.corp]\nurl = "https://i"\n'

    without = without_value(text, ("apt", "mirror"))
    assert without == text.replace('mirror = "https://a"\n', "")
    assert without_value(without, ("indexes", "corp", "url")) == "[apt]\n# ours\n\n# of the team\n"


def test_what_is_no_table_is_not_replaced() -> None:
    with pytest.raises(NotEditableError):
        with_value("apt = 1\n", ("apt", "mirror"), NEW)
    with pytest.raises(NotSetError):
        without_value("apt = 1\n", ("apt", "mirror"))
