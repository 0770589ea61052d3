from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from envbuild.formats.core_metadata import WheelMetadata
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import ClientConfiguration
from envbuild.remote.index.metadata import MetadataReader
from envbuild.resolve.python.backend import PlacedPin, Question
from envbuild.resolve.python.uv import UvResolver
from envbuild.resolve.sources.index import SourceIndex
from envbuild.resolve.sources.newer import may_be_older
from envbuild.resolve.sources.release import SourceRelease
from tests.rig.desk import TARGET
from tests.rig.flat_page import LinkPage
from tests.rig.index import PackageIndex, make_sdist, make_wheel

pytestmark = pytest.mark.slow

SCATTER, DEMO = canonicalize_name("scatter"), canonicalize_name("demo")


@pytest.fixture
def page(tmp_path: Path) -> Iterator[LinkPage]:
    folder = tmp_path / "linked"
    folder.mkdir()
    with LinkPage(folder) as page:
        yield page


def never(release: SourceRelease) -> WheelMetadata:
    raise AssertionError(f"{release} is built")


def test_pages_are_asked_when_sources_count_too(
    package_index: PackageIndex, page: LinkPage, tmp_path: Path
) -> None:
    make_wheel(package_index.folder, "scatter", "9.0")
    make_wheel(page.folder, "scatter", "2.0+cpu")
    configuration = ClientConfiguration(default_url=package_index.index_url)
    index = PythonIndex(configuration, retries=0).bound_to({}, {"pyg": page.page_url})
    question = Question(
        requirements=("scatter",),
        target=TARGET,
        default=index.address(),
        pages=(index.address("pyg"),),
        sources={SCATTER: "pyg"},
    )
    uv = UvResolver(configuration, environment={"PATH": "/usr/bin", "HOME": str(tmp_path)}, on_loopback=True)
    reader = MetadataReader(index, tmp_path / "metadata")
    with SourceIndex(question=question, index=index, wheels=reader, sources=never, keep={}) as served:
        asked = served.asked_here()
        assert (asked.pages, [address.name for address in asked.indexes]) == ((), ["pyg"])
        assert [(pin.name, pin.version) for pin in uv.resolve(asked)] == [("scatter", "2.0+cpu")]


def test_what_has_an_address_is_never_older(package_index: PackageIndex) -> None:
    make_sdist(package_index.folder, "demo", "9.0")
    index = PythonIndex(ClientConfiguration(default_url=package_index.index_url), retries=0)
    placed = PlacedPin(name=DEMO, version="1.0")
    question = Question(requirements=("demo",), target=TARGET, placed=(placed,))
    assert not may_be_older({DEMO}, (), question, index)
    assert may_be_older({DEMO}, (), Question(requirements=("demo",), target=TARGET), index)
    assert package_index.requested("demo") == 1
