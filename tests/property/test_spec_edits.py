"""An edit changes what it is to change, and no other byte of whatever layout."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from envbuild.spec.edits.line_files import with_requirement, with_word, without_lines, without_word, words_of
from envbuild.spec.edits.toml_lists import list_at, with_text, with_text_replaced, without_text
from envbuild.spec.requirement_files import requirement_lines

PATH = ("pip", "packages")
NEW = 'new>=1; python_version < "3.13"'

names = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)
spaces = st.sampled_from(["", " ", "  ", "\t"])
comments = st.sampled_from(["# why", '# [not, "a" \'list]', "#", '# ] }, """'])
breaks = st.sampled_from(["\n", "\n\n", "\n  "])
quotes = st.sampled_from(['"{}"', "'{}'", '"""{}"""', "'''{}'''"])


@st.composite
def gaps(draw: st.DrawFn) -> str:
    """What may stand between items of an array."""
    parts = draw(st.lists(st.one_of(spaces, breaks, st.builds("{}\n".format, comments)), max_size=3))
    return "".join(parts)


@st.composite
def arrays(draw: st.DrawFn) -> str:
    items = draw(st.lists(names, max_size=4))
    text = "[" + draw(gaps())
    for number, name in enumerate(items):
        text += draw(quotes).format(name) + draw(gaps())
        if number < len(items) - 1 or draw(st.booleans()):
            text += "," + draw(gaps())
    return text + "]"


@st.composite
def documents(draw: st.DrawFn) -> str:
    array = draw(arrays())
    before = draw(st.sampled_from(["", "# head\n\n", 'name = "t" # a\n', "x = [[1, 2], { a = ']' }]\n"]))
    after = draw(
        st.sampled_from(["", "\n", "\n# tail\n[system]\npackages = ['git']\n", "  # end\nother = 1\n"])
    )
    form = draw(
        st.sampled_from(["[pip]\nk = 1\npackages = {}", "pip.packages = {}", "[ 'pip' ]\n\"packages\"={}"])
    )
    text = before + form.format(array) + after
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


@st.composite
def inline_documents(draw: st.DrawFn) -> str:
    items = draw(st.lists(names, max_size=3))
    gap = draw(spaces)
    listed = f",{gap}".join(draw(quotes.filter(lambda q: len(q) == 4)).format(name) for name in items)
    return f"a = 1\npip = {{{gap}project = true, packages = [{gap}{listed}{gap}]{gap}}} # end\nb = 2\n"


texts = st.one_of(documents(), inline_documents())


def listed(text: str) -> list[str]:
    found = list_at(tomllib.loads(text), PATH)
    assert found is not None
    return found


@given(texts)
def test_what_is_added_and_removed_again_leaves_the_very_text(text: str) -> None:
    added = with_text(text, PATH, NEW)

    assert listed(added) == [*listed(text), NEW]
    assert without_text(added, PATH, len(listed(text))) == text


@given(texts, st.data())
def test_what_is_removed_takes_no_word_of_anything_else(text: str, data: st.DataObject) -> None:
    items = listed(text)
    if not items:
        return
    number = data.draw(st.integers(0, len(items) - 1))

    removed = without_text(text, PATH, number)

    assert listed(removed) == [*items[:number], *items[number + 1 :]]
    assert is_subsequence(removed, text)


@given(texts, st.data())
def test_what_is_replaced_changes_its_own_bytes_alone(text: str, data: st.DataObject) -> None:
    items = listed(text)
    if not items:
        return
    number = data.draw(st.integers(0, len(items) - 1))

    replaced = with_text_replaced(text, PATH, number, "other")

    assert listed(replaced) == [*items[:number], "other", *items[number + 1 :]]
    assert replaced.count("\n") == text.count("\n")
    assert [line for line in replaced.split("\n") if "#" in line and "other" not in line] == [
        line
        for line, new in zip(text.split("\n"), replaced.split("\n"), strict=True)
        if "#" in line and "other" not in new
    ]


@given(
    st.sampled_from(
        [
            "",
            'name = "t"',
            "# only\n",
            "[pip]\n\n# tail\n",
            "[pip]\n  project = true # c\n\n[system]\n",
            "[pip.sources]\na = 'b'\n",
            "pip.project = true\n[x]\n",
            "pip = { project = true }\n[x]\n",
            "[variants.a.pip]\npackages = []\n# end\n",
            "name = 't'\n\n[variants]\na = {}\n",
        ]
    ),
    st.booleans(),
)
def test_a_list_that_is_made_leaves_all_that_was_there(text: str, crlf: bool) -> None:
    text = text.replace("\n", "\r\n") if crlf else text

    added = with_text(text, PATH, NEW)

    assert listed(added) == [NEW]
    assert is_subsequence(text, added)
    assert not crlf or added.count("\n") == added.count("\r\n") or "\n" not in text


lines = st.lists(
    st.one_of(
        st.builds(
            "{}{}".format, names, st.sampled_from(["", "==1.0", ">=1  # why", " ; python_version < '3.12'"])
        ),
        st.sampled_from(
            ["", "   ", "# a comment", "-c bounds.txt", "-r other.txt", "git+https://x.example/a.git"]
        ),
        st.builds("{}==1 \\\n    # joined".format, names),
    ),
    max_size=6,
)


@given(lines, st.booleans(), st.booleans())
def test_a_line_added_and_removed_again_leaves_the_very_file(
    written: list[str],
    ends: bool,
    crlf: bool,
) -> None:
    text = "\n".join(written) + ("\n" if ends else "")
    text = text.replace("\n", "\r\n") if crlf else text

    added = with_requirement(text, "new>=1")
    (line,) = (line for line in requirement_lines(added) if line.requirement == "new>=1")

    assert is_subsequence(text, added)
    if text.strip():
        assert without_lines(added, line.place.first, line.place.last) == text


@given(st.lists(st.lists(names, min_size=1, max_size=3).map(" ".join), max_size=4), st.booleans())
def test_a_word_added_and_removed_again_leaves_the_very_list(written: list[str], ends: bool) -> None:
    text = "\n".join(written) + ("\n" if ends and written else "")

    added = with_word(text, "new-one")
    ((number, word),) = (item for item in words_of(added) if item[1] == "new-one")

    assert without_word(added, number, word) == text


def is_subsequence(part: str, whole: str) -> bool:
    characters = iter(whole)
    return all(character in characters for character in part)
