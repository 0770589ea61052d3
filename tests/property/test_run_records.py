"""Records of runs: no text brings anything but our errors, and no known secret stays in a command."""

import json
import re
import shlex
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.errors import RecordError
from envbuild.records.card import card
from envbuild.records.found import FoundRun
from envbuild.records.git import public_remote
from envbuild.records.model import RunRecord, read_record
from envbuild.records.redaction import redacted
from envbuild.visible import visible
from tests.rig.run_records import RECORD

pytestmark = pytest.mark.property

SECRETS = st.builds(
    "{}{}".format,
    st.sampled_from(["ghp_", "hf_", "sk-", "glpat-", "npm_", "xoxb-"]),
    st.text("abcdefghijABCDEFGHIJ0123456789", min_size=20, max_size=40),
)
AROUND = st.text(" \t'\"=:/,;|&()[]{}.-@#\n", max_size=4)
NAMES = st.sampled_from(["--token", "--api-key", "PASSWORD", "hub.secret", "--db_password", "authToken"])
VALUES = st.text("abcXYZ789", min_size=4, max_size=12).map("q{}q".format)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from([*RECORD.document(), "data", "again"])


@given(st.lists(st.text(max_size=12), max_size=3), SECRETS, AROUND, AROUND)
def test_a_secret_of_a_known_form_never_stays(words: list[str], secret: str, before: str, after: str) -> None:
    found, hidden = redacted([*words, f"{before}{secret}{after}"])
    assert secret not in "".join(found)
    assert hidden


FORMS = st.sampled_from(["{0}={1}", "{0}='{1}'", "a; {0}={1} b", '{{"{0}": "{1}"}}', "x,{0}: {1}"])
COMMANDS = st.lists(st.text(max_size=30).map(lambda text: text.replace("\0", "")), min_size=1, max_size=3)


@given(NAMES, VALUES, FORMS)
def test_a_value_whose_name_says_that_it_is_secret_never_stays(name: str, value: str, form: str) -> None:
    assert value not in "".join(redacted([form.format(name, value)])[0])


@given(st.lists(st.text(max_size=30), max_size=5))
def test_what_was_replaced_stays_as_it_is(words: list[str]) -> None:
    once, _ = redacted(words)
    assert len(once) == len(words)
    assert redacted(once) == (once, False)


@given(st.text() | st.binary())
def test_a_text_is_a_record_or_an_error(text: str | bytes) -> None:
    with suppress(RecordError):
        read_record(text, where="x")


@given(st.dictionaries(KEYS, JSON, max_size=4))
def test_a_record_with_any_fields_is_read_as_written_or_an_error(changes: dict[str, object]) -> None:
    with suppress(RecordError):
        record = read_record(json.dumps({**RECORD.document(), **changes}), where="x")
        assert read_record(record.text(), where="x").document() == record.document()


@given(COMMANDS, st.text())
def test_a_card_has_the_command_and_nothing_that_is_not_seen(words: list[str], name: str) -> None:
    try:
        record = RunRecord(command=tuple(words))
    except ValueError:
        # half of a pair of surrogates
        return
    text = card(FoundRun(source="wandb:x", record=record, place="x", name=name))
    assert all(visible(line, limit=None) == line for line in text.split("\n"))
    if re.fullmatch(r"[ -~]*", "".join(words)) and "##" not in text and "::" not in text:
        assert shlex.join(words) in text


@given(st.text(max_size=60), VALUES)
def test_no_password_of_a_remote_is_kept(text: str, password: str) -> None:
    forms = ("https://me:{}@host/{}", "ssh://me:{}@host/{}", "me:{}@host/{}", "{}:x@host/{}")
    for address in (form.format(password, text) for form in forms):
        assert password not in (public_remote(address) or "")
