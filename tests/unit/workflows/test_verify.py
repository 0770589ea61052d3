"""The result of a verification, for a program that imports envbuild."""

from pathlib import Path

import pytest

from envbuild.verify.checks.report import Report
from envbuild.workflows.verify import VerifyResult


def test_a_report_is_written_to_a_path_given_as_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    result = VerifyResult(subject="train:1", report=Report(target="train", profile="image", results=()))

    result.write_junit("v.xml")

    assert "<testsuite" in (tmp_path / "v.xml").read_text()
