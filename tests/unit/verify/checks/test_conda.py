from dataclasses import replace
from typing import Any

import pytest

from envbuild.digest import sha256_bytes
from envbuild.verify.checks import evaluate, plan_checks, read_target
from envbuild.verify.checks.facts import CondaFacts
from envbuild.verify.files.artifact_trees import conda_tree
from envbuild.verify.files.expected_files import ExpectedEntry
from tests.rig.conda import PLACEHOLDER, File, Package, text, write_package
from tests.rig.locks import TARGET_DIGEST

TQDM: dict[str, Any] = {
    "name": "tqdm",
    "version": "4.67.1",
    "build": "pyh_0",
    "build-number": 0,
    "channel": "conda-forge",
    "subdir": "noarch",
    "file": "tqdm-4.67.1-pyh_0.conda",
    "sha256": "7" * 64,
    "noarch": "python",
    "distributions": ["tqdm==4.67.1"],
    "link-scripts": [],
    "env": {},
}


@pytest.fixture
def conda_target(projection):
    return read_target(
        projection
        | {
            "prefix": "/opt/conda",
            "conda": {"installer": {}, "interpreter": "/usr/bin/python3", "packages": [TQDM]},
        },
        TARGET_DIGEST,
    )


RECORD = CondaFacts(
    name="tqdm",
    version="4.67.1",
    build="pyh_0",
    sha256="7" * 64,
    path="/opt/conda/conda-meta/tqdm-4.67.1-pyh_0.json",
)


def results(target, facts, *records):
    facts = replace(facts, conda=records)
    report = evaluate(target, plan_checks(target), facts)
    return {item.id: item for item in report.results}


def test_a_virtual_environment_is_not_asked_for(conda_target, facts):
    assert "venv" not in results(conda_target, facts, RECORD)


def test_a_package_as_locked_passes(conda_target, facts):
    found = results(conda_target, facts, RECORD)
    assert found["conda/tqdm"].outcome == "passed"
    assert found["conda"].outcome == "passed"


@pytest.mark.parametrize(
    ("record", "difference"),
    [
        (replace(RECORD, version="4.67.2"), "tqdm 4.67.1 pyh_0 → 4.67.2 pyh_0"),
        (replace(RECORD, build="pyh_1"), "tqdm 4.67.1 pyh_0 → 4.67.1 pyh_1"),
        (
            replace(RECORD, sha256="8" * 64),
            "tqdm 4.67.1 pyh_0 (sha256 777777777777) → 4.67.1 pyh_0 (sha256 888888888888)",
        ),
    ],
)
def test_another_version_build_or_file_is_named(conda_target, facts, record, difference):
    found = results(conda_target, facts, record)["conda/tqdm"]
    assert (found.outcome, found.difference) == ("failed", difference)


def test_a_missing_and_an_extra_package_are_named(conda_target, facts):
    found = results(conda_target, facts, replace(RECORD, name="other"))
    assert found["conda/tqdm"].difference == "tqdm 4.67.1 pyh_0 → missing"
    assert found["conda/other"].outcome == "failed"


def test_distributions_that_conda_packages_bring_are_not_extra(conda_target, facts):
    (first, *others) = facts.distributions
    brought = replace(first, name="tqdm", version="4.67.1")
    found = results(conda_target, replace(facts, distributions=(first, *others, brought)), RECORD)
    assert "wheel/tqdm" not in found
    other = replace(brought, version="4.67.0")
    found = results(conda_target, replace(facts, distributions=(first, *others, other)), RECORD)
    assert found["wheel/tqdm"].outcome == "failed"


def test_files_are_compared_as_they_are_once_the_prefix_is_theirs(tmp_path):
    path = write_package(
        Package(
            name="demo",
            files={
                "bin/demo": File(content=b"\x7fELF" + PLACEHOLDER.encode() + b"\0", executable=True,
                                 placeholder=PLACEHOLDER, binary=True),
                "etc/demo": text(f"{PLACEHOLDER}\n", placeholder=PLACEHOLDER),
                "etc/link": File(link="demo"),
            },
        ),
        tmp_path,
    )  # fmt: skip
    tree = conda_tree(path, file=path.name, python="3.11", site_packages=None, prefix="/opt/conda")
    assert tree["etc/demo"] == ExpectedEntry("f", 0o644, sha256_bytes(b"/opt/conda\n"))
    assert tree["etc/link"] == ExpectedEntry("l", 0o777, "demo")
    assert tree["bin/demo"].mode == 0o755
