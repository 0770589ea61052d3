"""Decision records have one form, and their list names each of them once, in order."""

import re
import tomllib

import pytest

from tests.rig.paths import CHECKOUT

RECORDS = tuple(sorted((CHECKOUT / "docs/adr").glob("0*.md")))

FORM = re.compile(r"^# (\d{4}): \S.*\n\nStatus: (accepted|superseded|rejected)\b")
DEPENDENCY = re.compile(r"^\| ((?:`[\w-]+`(?:, )?)+) \| \S", re.MULTILINE)
ROW = re.compile(r"^\| \[(\d{4})\]\((\S+)\) \| \S.* \|$", re.MULTILINE)


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_a_record_begins_with_its_number_and_status(record):
    found = FORM.match(record.read_text(encoding="utf-8"))
    assert found is not None
    assert found[1] == record.name[:4]


def test_the_list_names_every_record_in_order():
    rows = ROW.findall((CHECKOUT / "docs/adr/README.md").read_text(encoding="utf-8"))
    assert rows == [(record.name[:4], record.name) for record in RECORDS]


def test_every_dependency_has_its_reason():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    needed = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    record = (CHECKOUT / "docs/adr/0003-dependencies.md").read_text(encoding="utf-8")
    explained = re.findall(r"`([\w-]+)`", " ".join(DEPENDENCY.findall(record)))

    assert sorted(explained) == sorted(re.split(r"[<>=]", entry)[0] for entry in needed)
