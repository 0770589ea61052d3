"""A package says what it requires; where that lies, the spec alone says."""

import pytest

from envbuild.errors import NoSolutionError
from tests.rig.desk import Desk
from tests.rig.index import make_sdist, make_wheel
from tests.rig.source_builds import make_source, request_of, resolve_with_sources

# each starts uv, the real one
pytestmark = pytest.mark.slow

ADDRESS = "other @ git+https://git.example.com/other.git"


@pytest.mark.parametrize("make", [make_sdist, make_wheel])
def test_a_requirement_with_an_address_is_named(desk: Desk, make) -> None:
    make(desk.folder, "app", "1.0", requires=[ADDRESS])
    with pytest.raises(NoSolutionError) as caught:
        resolve_with_sources(desk, request_of("app", build=("app",)))
    assert "only the spec says where packages are" in caught.value.message
    assert caught.value.hint == f'add it to [pip] packages: "{ADDRESS}"'


def test_a_requirement_of_several_lines_is_one(desk: Desk) -> None:
    project = (
        '[build-system]\nrequires = []\n[project]\nname = "app"\nversion = "1.0"\n'
        'requires-python = ">=3\\nRequires-Dist: evil"\n'
    )
    make_source(desk.folder, "app", "1.0", files={"pyproject.toml": project})
    with pytest.raises(NoSolutionError) as caught:
        resolve_with_sources(desk, request_of("app", build=("app",)))
    assert "is not on the index" not in str(caught.value.problems)
