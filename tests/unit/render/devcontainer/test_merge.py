import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.formats import jsonc
from envbuild.render.devcontainer.merge import apply, merge, record_of
from envbuild.render.devcontainer.update import Known, known_of, update

DOCUMENT = {
    "image": "train:1",
    "runArgs": ["--a", "--b"],
    "postCreateCommand": {"envbuild": ["probe"]},
    "features": {"x/y:1": {}, "x/z:1": {"version": "22"}},
    "customizations": {"vscode": {"extensions": ["p"], "settings": {"k": 1}}},
}


def merged(current, wanted, written=None, *, replace=False):
    """Return what a file with `current` holds after a merge, and what is in conflict."""
    result = merge(current, wanted, record_of(written) if written else {}, replace=replace)
    return jsonc.parse(apply(jsonc.dumps(current), result.edits)).value, [
        item.where for item in result.conflicts
    ]


def changed(document, **values):
    return copy.deepcopy(document) | values


def test_everything_comes_into_an_empty_file():
    assert merged({}, DOCUMENT) == (DOCUMENT, [])


def test_what_nobody_touched_follows():
    wanted = changed(DOCUMENT, image="train:2", runArgs=["--b", "--c"], features={"x/y:1": {"o": True}})
    assert merged(DOCUMENT, wanted, DOCUMENT) == (wanted, [])


def test_items_of_others_stay_in_lists_that_are_shared():
    current = changed(DOCUMENT, runArgs=["--mine", "--a"])
    wanted = changed(DOCUMENT, runArgs=["--b", "--c"])
    # --b was taken out by somebody, --a is no longer wanted
    assert merged(current, wanted, DOCUMENT) == (changed(current, runArgs=["--mine", "--c"]), [])


@pytest.mark.parametrize("command", ["pip install -e .", ["make", "all"]])
def test_a_command_alone_gets_a_name_beside_ours(command):
    result, conflicts = merged({"postCreateCommand": command}, DOCUMENT)
    assert result["postCreateCommand"] == {"own": command, "envbuild": ["probe"]}
    assert conflicts == []


def test_an_edit_stays_until_the_value_has_to_change():
    current = changed(DOCUMENT, image="mine")
    assert merged(current, DOCUMENT, DOCUMENT) == (current, [])
    wanted = changed(DOCUMENT, image="train:2")
    assert merged(current, wanted, DOCUMENT) == (current, ["image"])
    assert merged(current, wanted, DOCUMENT, replace=True) == (wanted, [])


def test_an_edit_to_what_is_wanted_is_no_conflict():
    wanted = changed(DOCUMENT, image="train:2")
    assert merged(wanted, wanted, DOCUMENT) == (wanted, [])


def test_another_start_is_a_conflict_unless_ours_was_taken_out():
    compose = changed(DOCUMENT, dockerComposeFile="compose.yaml")
    assert merged(compose, DOCUMENT, DOCUMENT) == (compose, ["dockerComposeFile"])
    assert merged(compose, DOCUMENT, DOCUMENT, replace=True) == (DOCUMENT, [])
    del compose["image"]
    assert merged(compose, DOCUMENT, DOCUMENT) == (compose, [])


def test_options_of_a_feature_go_and_those_of_others_stay():
    plain = changed(DOCUMENT, features={"x/z:1": {}})
    assert merged(DOCUMENT, plain, DOCUMENT) == (plain, [])
    current = changed(DOCUMENT, features={"x/z:1": {"version": "22", "mine": True}})
    result, conflicts = merged(current, plain, changed(DOCUMENT, features={"x/z:1": {"version": "22"}}))
    assert (result["features"], conflicts) == ({"x/z:1": {"mine": True}}, [])


def test_keys_with_slashes_are_found_again():
    wanted = changed(DOCUMENT, features={"x/y:1": {}})
    assert merged(DOCUMENT, wanted, DOCUMENT) == (wanted, [])


VALUES = st.sampled_from(["1", "2", 3, True, None, [1], ["a", "b"]])
KEYS = st.sampled_from(["name", "remoteUser", "x~/y"])
DOCUMENTS = st.builds(
    lambda plain, nested, arguments: {
        "image": "i",
        **plain,
        **({"features": nested} if nested else {}),
        **({"runArgs": arguments} if arguments else {}),
    },
    st.dictionaries(KEYS, VALUES),
    st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES)),
    st.lists(st.sampled_from(["--a", "--b", "--c"]), unique=True),
)
HANDS = st.dictionaries(KEYS | st.sampled_from(["runArgs", "features", "customizations"]), VALUES | DOCUMENTS)


@pytest.mark.property
@given(DOCUMENTS, DOCUMENTS, HANDS)
def test_a_second_update_changes_nothing(first, second, hand):
    text = jsonc.dumps({**first, **hand})
    know = Known(variant="v", platform="p", target="t", image="i")
    once = update(text, second, know, known=Known(wrote=record_of(first)), replace=False)
    if once.conflicts:
        assert once.text == text
        return
    twice = update(once.text, second, know, known=known_of(once.value), replace=False)
    assert (twice.text, twice.conflicts) == (once.text, ())


@pytest.mark.property
@given(DOCUMENTS, DOCUMENTS)
def test_an_untouched_file_becomes_what_is_wanted(first, second):
    know = Known(target="t")
    one = update(None, first, know, known=Known(), replace=False)
    two = update(one.text, second, know, known=known_of(one.value), replace=False)
    assert two.conflicts == ()
    found = dict(two.value)
    del found["customizations"]
    assert sorted(found.pop("runArgs", [])) == sorted(second.pop("runArgs", []))
    assert found == second


@pytest.mark.property
@given(DOCUMENTS, HANDS)
def test_replacing_leaves_no_conflict_and_everything_that_is_wanted(wanted, hand):
    done = update(jsonc.dumps(hand), wanted, Known(), known=Known(), replace=True)
    if done.conflicts:  # the place of the record itself
        assert [item.path for item in done.conflicts] == [("customizations",)]
        return
    for key, value in wanted.items():
        if key == "runArgs" and isinstance(hand.get(key), list):
            assert set(value) <= {item for item in done.value[key] if isinstance(item, str)}
        elif not isinstance(value, dict):
            assert done.value[key] == value
