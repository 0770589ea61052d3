import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.formats import jsonc

HAND_WRITTEN = """\
// mine
{
  /* the image */
  "image": "old:1", // pinned
  "runArgs": ["--init"],
  "mounts": [
    "a", // first
    "b"  // second
  ],
  "features": {
    // none yet
  },
  "settings": {"x": 1,},
}
// end
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: a value is missing; there is the end"),
        ('{"a": 1', "line 1, column 8: `,` or `}` is missing; there is the end"),
        ('{\n  "a" 1}', "line 2, column 7: `:` is missing; there is `1`"),
        ("{a: 1}", "line 1, column 2: a key in double quotes is missing; there is `a`"),
        ("{'a': 1}", "line 1, column 2: a key in double quotes is missing; there is `'`"),
        ('{"a": 1, "a": 2}', "line 1, column 10: `a` is there twice"),
        ('{"a": "b\n"}', "line 1, column 7: text that does not end on its line"),
        ('{"a": "\\x"}', "line 1, column 7: an escape that JSON does not have"),
        ("[1,,2]", "line 1, column 4: a value is missing; there is `,`"),
        ("[01]", "line 1, column 3: `,` or `]` is missing; there is `1`"),
        ("{} /* open", "line 1, column 4: there is more after the end of the value"),
        ("[1 /* open", "line 1, column 4: `,` or `]` is missing; there is a comment that does not end"),
        ("{} {}", "line 1, column 4: there is more after the end of the value"),
        ("[" * 200, "line 1, column 102: nested too deeply"),
        ("[" + "1" * 5000 + "]", "line 1, column 2: a number with too many digits"),
        ("NaN", "line 1, column 1: a value is missing; there is `N`"),
    ],
)
def test_what_is_no_json_is_refused_with_its_place(text, message):
    with pytest.raises(jsonc.JsoncError) as raised:
        jsonc.parse(text)
    assert str(raised.value) == message


def test_comments_and_trailing_commas_are_read():
    assert jsonc.parse("\ufeff" + HAND_WRITTEN).value == {
        "image": "old:1",
        "runArgs": ["--init"],
        "mounts": ["a", "b"],
        "features": {},
        "settings": {"x": 1},
    }


def test_an_edit_touches_nothing_else():
    text = jsonc.set_value(HAND_WRITTEN, ("image",), "new:2")
    assert text == HAND_WRITTEN.replace("old:1", "new:2")


def test_a_new_member_goes_to_the_end_in_the_style_of_the_file():
    text = jsonc.set_value(HAND_WRITTEN, ("remoteUser",), "app")
    assert text == HAND_WRITTEN.replace("1,},\n", '1,},\n  "remoteUser": "app",\n')


def test_a_comment_after_the_last_member_stays_with_it():
    text = jsonc.append_item(HAND_WRITTEN, ("mounts",), "c")
    assert text == HAND_WRITTEN.replace('"b"  // second\n', '"b",  // second\n    "c"\n')


def test_a_comment_in_an_empty_object_stays():
    text = jsonc.set_value(HAND_WRITTEN, ("features", "one"), {})
    assert text == HAND_WRITTEN.replace("// none yet\n", '// none yet\n    "one": {}\n')


def test_objects_on_the_way_are_made():
    text = jsonc.set_value('{"a": {}}', ("a", "b", "c"), [1, 2])
    assert text == '{"a": {\n        "b": {\n            "c": [1, 2]\n        }\n    }}'


def test_removing_takes_the_line_and_the_comma():
    assert jsonc.remove(HAND_WRITTEN, ("runArgs",)) == HAND_WRITTEN.replace('  "runArgs": ["--init"],\n', "")
    text = jsonc.remove_item(HAND_WRITTEN, ("mounts",), "b")
    assert text == HAND_WRITTEN.replace('    "a", // first\n    "b"  // second\n', '    "a" // first\n')


def test_objects_left_empty_go_too():
    assert (
        jsonc.remove('{\n  "a": {\n    "b": {"c": 1}\n  },\n  "d": 2\n}', ("a", "b", "c")) == '{\n  "d": 2\n}'
    )


def test_line_ends_and_tabs_are_kept():
    text = '{\r\n\t"a": 1\r\n}\r\n'
    assert jsonc.set_value(text, ("b",), {"c": 2}) == (
        '{\r\n\t"a": 1,\r\n\t"b": {\r\n\t\t"c": 2\r\n\t}\r\n}\r\n'
    )


@pytest.mark.parametrize("path", [("image", "x"), ("runArgs", "x")])
def test_nothing_is_put_into_what_is_no_object(path):
    with pytest.raises(KeyError):
        jsonc.set_value(HAND_WRITTEN, path, 1)


KEYS = st.sampled_from(["a", "b", "c", 'd"\\', "// e"])
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("/* no */ // comment")
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
SPACES = st.sampled_from(["", " ", "\n", "\n  ", " /* c */ ", " // d\n", "\r\n"])


@st.composite
def written(draw, values=OBJECTS):
    """Write a value as somebody might: any spaces, comments and trailing commas."""

    def write(value):
        space = lambda: draw(SPACES)  # noqa: E731
        if isinstance(value, (dict, list)):
            opened, closed = "{}" if isinstance(value, dict) else "[]"
            parts = [
                f"{space()}{json.dumps(key)}{space()}:{space()}{write(item)}{space()}"
                for key, item in (value.items() if isinstance(value, dict) else ())
            ] or [f"{space()}{write(item)}{space()}" for item in value if isinstance(value, list)]
            trailing = f",{space()}" if parts and draw(st.booleans()) else space()
            return opened + ",".join(parts) + trailing + closed
        return json.dumps(value)

    value = draw(values)
    return value, draw(SPACES) + write(value) + draw(SPACES)


def comments(text):
    """Return the comments of a text, sorted, strings that look like some left out."""
    without_strings = re.sub(r'"(?:[^"\\]|\\.)*"', '""', text)
    return sorted(re.findall(r"//[^\r\n]*|/\*.*?\*/", without_strings))


@pytest.mark.property
@given(written())
def test_any_layout_is_read(pair):
    value, text = pair
    assert jsonc.parse(text).value == value


@pytest.mark.property
@given(VALUES)
def test_what_is_written_is_read_back(value):
    text = jsonc.dumps(value)
    assert json.loads(text) == jsonc.parse(text).value == value


@pytest.mark.property
@given(written(), KEYS, KEYS, VALUES)
def test_setting_changes_that_value_alone(pair, first, second, new):
    value, text = pair
    try:
        edited = jsonc.set_value(text, (first, second), new)
    except KeyError:
        assert not isinstance(value[first], dict)
        return
    value.setdefault(first, {})[second] = new
    assert jsonc.parse(edited).value == value


@pytest.mark.property
@given(written(), KEYS, VALUES)
def test_comments_outside_the_value_stay(pair, key, new):
    value, text = pair
    edited = jsonc.set_value(text, (key,), new)
    if key not in value:
        assert comments(edited) == comments(text)


@pytest.mark.property
@given(written(), KEYS)
def test_removing_changes_that_member_alone(pair, key):
    value, text = pair
    edited = jsonc.remove(text, (key,))
    value.pop(key, None)
    assert jsonc.parse(edited).value == value


@pytest.mark.property
@given(written(st.fixed_dictionaries({"a": st.lists(st.integers(), max_size=4)})), st.integers())
def test_items_come_and_go(pair, item):
    value, text = pair
    more = jsonc.append_item(text, ("a",), item)
    assert jsonc.parse(more).value == {"a": [*value["a"], item]}
    items = value["a"]
    if items:
        less = jsonc.parse(jsonc.remove_item(text, ("a",), items[0])).value
        assert less == ({"a": items[1:]} if items[1:] else less)
        assert less.get("a", []) == items[1:]
