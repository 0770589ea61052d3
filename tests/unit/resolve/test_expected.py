from datetime import date

import pytest

from envbuild.lock.model import Libc
from envbuild.platforms import PLATFORMS
from envbuild.resolve.expected import ExpectedPythons
from envbuild.resolve.python.target import TargetPython
from envbuild.spec.request import BaseRequest, PipRequest
from tests.rig.locks import request

ASKED = request().variants["default"]
FOUND = TargetPython(PLATFORMS["linux/amd64"], Libc(family="glibc", version="2.36"), "3.11.2")


@pytest.fixture
def expected(tmp_path):
    return ExpectedPythons(tmp_path)


def test_nothing_is_expected_the_first_time(expected):
    assert expected.find(ASKED, "linux/amd64") is None


def test_what_was_found_is_expected(expected):
    expected.note(ASKED, "linux/amd64", FOUND)

    assert expected.find(ASKED, "linux/amd64") == FOUND


@pytest.mark.parametrize(
    ("fields", "is_same"),
    [
        ({"pip": PipRequest(requirements=("six",))}, True),
        ({"python": "3.12"}, False),
        ({"base": BaseRequest(image="example.com/base:1")}, False),
        ({"snapshot": date(2026, 1, 1)}, False),
    ],
    ids=["pip", "python", "base", "snapshot"],
)
def test_it_is_of_the_base_that_was_asked_for(expected, fields, is_same):
    expected.note(ASKED, "linux/amd64", FOUND)

    assert (expected.find(ASKED.model_copy(update=fields), "linux/amd64") == FOUND) is is_same
    assert expected.find(ASKED, "linux/arm64") is None


def test_the_last_one_counts(expected):
    expected.note(ASKED, "linux/amd64", FOUND)
    later = TargetPython(FOUND.platform, FOUND.libc, "3.11.9")
    expected.note(ASKED, "linux/amd64", later)

    assert expected.find(ASKED, "linux/amd64") == later


def test_a_damaged_note_is_none(expected, tmp_path):
    expected.note(ASKED, "linux/amd64", FOUND)
    (note,) = tmp_path.rglob("*.json")
    note.write_text("{}")

    assert expected.find(ASKED, "linux/amd64") is None
