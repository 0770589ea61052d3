"""Text from elsewhere, made visible: any text at all."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.visible import LONGEST, visible, visible_json, visible_lines
from tests.rig.hostile import COMMANDS, HOSTILE, commands_in, harm_in, is_unseen

pytestmark = pytest.mark.property

# surrogates too, which `st.text()` leaves out
ANYTHING = st.characters(categories=("C", "L", "M", "N", "P", "S", "Z"))
PIECES = st.sampled_from(
    [*COMMANDS, HOSTILE, "#", "##", "[", "]", ":", "::", "vso", "teamcity", *"\\ \t…", "\\x1", "\r\n"]
)
TEXTS = st.lists(st.one_of(PIECES, ANYTHING), max_size=30).map("".join)
LIMITS = st.one_of(st.none(), st.integers(min_value=40, max_value=200))
ORDINARY = st.text(
    st.characters(categories=("L", "M", "N", "P", "S", "Zs"), exclude_characters="#:").filter(
        lambda sign: not is_unseen(sign)
    ),
    max_size=200,
)


@given(TEXTS, LIMITS)
def test_what_is_shown_is_harmless(text: str, limit: int | None) -> None:
    shown = visible(text, limit=limit)

    assert harm_in(shown) == []
    assert "\n" not in shown
    assert limit is None or len(shown) <= limit
    shown.encode()


@given(TEXTS, LIMITS)
def test_what_was_shown_once_stays(text: str, limit: int | None) -> None:
    shown = visible(text, limit=limit)

    assert visible(shown, limit=limit) == visible(shown, limit=None) == shown


@given(ORDINARY)
def test_ordinary_text_stays(text: str) -> None:
    assert visible(text) == text


@given(TEXTS)
def test_nothing_is_lost(text: str) -> None:
    shown = visible(text, limit=None)

    kept = [sign for sign in text if not is_unseen(sign) and sign not in "#:"]
    rest = iter(shown)
    assert all(sign in rest for sign in kept)


@given(TEXTS)
def test_lines_are_those_of_the_text(text: str) -> None:
    lines = visible_lines(text)

    assert harm_in("\n".join(lines)) == []
    assert "".join(lines).count("\n") == 0
    assert len(lines) <= 1 + text.count("\n") + text.count("\r")


@given(st.dictionaries(TEXTS, st.lists(TEXTS, max_size=3), max_size=3))
def test_json_is_harmless_and_exact(value: dict[str, list[str]]) -> None:
    shown = visible_json(value)

    assert shown.isascii()
    assert harm_in(shown) == []
    # two surrogates that make one character come back as that one
    assert json.loads(shown) == json.loads(json.dumps(value))


@pytest.mark.parametrize("text", COMMANDS)
def test_no_command_is_left(text: str) -> None:
    without = "".join(sign for sign in text if not is_unseen(sign))

    assert commands_in(without) or commands_in(text)
    assert commands_in(visible(text)) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("a\r\n\tb\x00\x7f\x85", r"a\r\n\tb\x00\x7f\x85"),
        ("\u202ea\u2066b\u200fc\u061c", r"\u202ea\u2066b\u200fc\u061c"),
        ("a\u200bb\u2028c\udc80\ufffe\U000e0041", r"a\u200bb\u2028c\udc80\ufffe\U000e0041"),
        ("::error::a", r"\x3a:error::a"),
        ("a ##vso[b]", r"a #\x23vso[b]"),
    ],
)
def test_escapes_are_those_of_python(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "numpy 2.1.0 → 2.1.1",
        "naïve ελληνικά עברית العربية हिन्दी ไทย 日本語 한국어 👩🏽",
        "C:\\Users\\x \\x1b std::string::size ## heading [1] #[x] ::1 and fe80::1",
        "::1",
        "a\u00a0b\u3000c",
    ],
)
def test_ordinary_text_in_any_language_stays(text: str) -> None:
    assert visible(text) == text


def test_a_long_text_says_how_long_it_was() -> None:
    shown = visible("a" * 10_000)

    assert len(shown) == LONGEST
    assert shown.endswith("a… (10000 characters)")
    assert visible("\x1b" * 100, limit=40) == r"\x1b\x1b\x1b\x1b\x1b" + "… (100 characters)"
    assert visible("a" * LONGEST) == "a" * LONGEST


def test_lines_are_separated_as_on_any_system() -> None:
    assert visible_lines("a\r\nb\rc\nd\x0be\u2028f\n") == ["a", "b", "c", r"d\x0be\u2028f"]
    assert visible_lines("") == []
    assert visible_lines("a\n\n\tb") == ["a", "", "        b"]


def test_what_has_a_shape_is_no_filler() -> None:
    assert not any(is_unseen(sign) for sign in "a\u0301é字\u0600 ")
    assert unicodedata.category("\u0600") == "Cf"
