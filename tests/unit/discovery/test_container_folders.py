"""Folders in the shapes of real repositories: the whole spec of each, and each line that is reported.

A file of `folders/` holds the files of one, each after a line `=== NAME`, then the spec and the reports.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from envbuild.discovery.folder import DiscoveryOptions, discover
from envbuild.errors import SpecError
from envbuild.spec.normalize import normalize
from envbuild.spec.validation import validate

SHAPES = sorted((Path(__file__).parent / "folders").glob("*.txt"))


@pytest.mark.parametrize("shape", SHAPES, ids=[path.stem for path in SHAPES])
def test_the_whole_spec_of_a_folder(tmp_path: Path, shape: Path):
    _, *parts = re.split(r"^=== (.*)\n", shape.read_text(), flags=re.MULTILINE)
    files = dict(zip(parts[::2], parts[1::2], strict=True))
    expected, reported = tomllib.loads(files.pop("spec")), files.pop("reported").splitlines()
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    found = discover(tmp_path, DiscoveryOptions(name="x"))

    assert found.tables == expected
    assert [str(problem) for problem in found.left] == reported
    assert problems_of(found.tables, tmp_path) == []


def problems_of(tables: dict[str, Any], folder: Path) -> list[str]:
    """Return what keeps a spec from being locked, as far as that shows without asking an index."""
    validated = validate(tables)
    if validated.problems:
        return [str(problem) for problem in validated.problems]
    try:
        normalize(validated.spec, folder)
    except SpecError as error:
        return [str(problem) for problem in error.problems]
    return []
