"""Match specs: one spelling each, and what it says survives being written and read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.spec.conda_rules import MatchSpec, match_spec, merge, parse_match_spec
from envbuild.spec.problems import RefusedError

pytestmark = pytest.mark.property

names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}[a-z0-9]", fullmatch=True)
numbers = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}", fullmatch=True)
conditions = st.builds(
    lambda operator, number: f"{operator}{number}",
    st.sampled_from([">=", "<=", ">", "<", "==", "!="]),
    numbers,
)
versions = st.lists(conditions, min_size=1, max_size=3).map(",".join)
builds = st.from_regex(r"[a-z][a-z0-9_]{0,6}\*?", fullmatch=True)


@given(names, st.none() | versions, st.none() | builds)
def test_a_spec_read_from_its_own_spelling_is_the_same(name, version, build):
    spec = MatchSpec(name, version or ("*" if build else None), build)
    assert parse_match_spec(str(spec)) == spec
    assert match_spec(match_spec(str(spec))) == match_spec(str(spec))


@given(names, versions, st.text(" ", max_size=2))
def test_spaces_change_nothing(name, version, space):
    loose = version.replace(",", f"{space},{space}")
    assert match_spec(f"{name} {loose}") == match_spec(f"{name} {version}")


@given(names, st.lists(versions, min_size=1, max_size=4))
def test_a_merged_spec_asks_for_all_that_each_asked(name, parts):
    merged = merge([MatchSpec(name, version) for version in parts])
    assert merged.version is not None
    assert set(merged.version.split(",")) == {item for version in parts for item in version.split(",")}


@given(st.text(max_size=30))
def test_whatever_is_written_is_understood_or_refused(text):
    try:
        spelled = match_spec(text)
    except RefusedError:
        return
    assert match_spec(spelled) == spelled
