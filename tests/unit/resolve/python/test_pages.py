from collections.abc import Iterator
from pathlib import Path

import pytest

from envbuild.errors import NetworkError, NoSolutionError
from envbuild.lock.model import Wheel
from envbuild.remote.index.configuration import ClientConfiguration
from envbuild.spec.request import BaseRequest, PipRequest, VariantRequest
from envbuild.store.locators import IndexLocator
from tests.rig.desk import THIS_PYTHON, Desk
from tests.rig.flat_page import LinkPage
from tests.rig.index import make_wheel

# each starts uv or pip-tools, the real ones
pytestmark = pytest.mark.slow


@pytest.fixture
def page(tmp_path: Path) -> Iterator[LinkPage]:
    folder = tmp_path / "linked"
    folder.mkdir()
    with LinkPage(folder) as page:
        yield page


def request_for(page: LinkPage, *requirements: str, resolver: str = "uv") -> VariantRequest:
    return VariantRequest(
        python="3.11",
        base=BaseRequest(image="base"),
        pip=PipRequest.model_validate(
            {
                "requirements": requirements,
                "resolver": resolver,
                "find_links": {"pyg": page.page_url},
                "sources": {"scatter": "pyg"},
            }
        ),
    )


def by_name(wheels: tuple[Wheel, ...]) -> dict[str, Wheel]:
    return {wheel.name: wheel for wheel in wheels}


@pytest.mark.parametrize("with_hashes", [True, False], ids=["sha256 in the links", "none"])
def test_what_is_bound_to_a_page_comes_from_it_alone(
    desk: Desk, page: LinkPage, *, with_hashes: bool
) -> None:
    page.with_hashes = with_hashes
    make_wheel(desk.folder, "app", "1.0", requires=["scatter"])
    make_wheel(desk.folder, "scatter", "9.0")
    make_wheel(desk.folder, "lib", "1.0")
    make_wheel(page.folder, "lib", "5.0")
    make_wheel(page.folder, "scatter", "2.1+pt21cu118", requires=["lib"])
    found = by_name(desk.resolve(request=request_for(page, "app")))
    scatter = found["scatter"]
    assert (scatter.version, scatter.index) == ("2.1+pt21cu118", "pyg")
    assert scatter.path == "files/scatter-2.1%2Bpt21cu118-py3-none-any.whl"
    assert scatter.hash_source == ("index" if with_hashes else "computed")
    assert found["lib"].version == "1.0"
    assert page.requested("page.html") <= 3


def test_a_build_finds_the_file_on_the_page(desk: Desk, page: LinkPage) -> None:
    make_wheel(page.folder, "scatter", "2.1+cpu")
    request = request_for(page, "scatter")
    (wheel,) = desk.resolve(request=request)
    locator = IndexLocator(lambda: desk.client().bound_to(request.pip.indexes, request.pip.find_links))
    (address,) = locator.locate(wheel)
    assert address.url == page.file_url("scatter-2.1+cpu-py3-none-any.whl")
    locator.close()


def test_a_package_that_the_page_lacks_has_no_solution(desk: Desk, page: LinkPage) -> None:
    make_wheel(page.folder, "other", "1.0")
    make_wheel(desk.folder, "scatter", "1.0")
    with pytest.raises(NoSolutionError):
        desk.resolve(request=request_for(page, "scatter"))


def test_a_page_that_is_none_is_named(desk: Desk, page: LinkPage) -> None:
    page.body = "<p>hello</p>"
    with pytest.raises(NetworkError) as caught:
        desk.resolve(request=request_for(page, "scatter"))
    assert caught.value.message == f"{page.page_url} is not a page that lists packages"


def test_a_missing_page_is_named(desk: Desk, page: LinkPage) -> None:
    request = request_for(page, "scatter")
    gone = request.model_copy(
        update={"pip": request.pip.model_copy(update={"find_links": {"pyg": f"{page.url}/gone.html"}})}
    )
    with pytest.raises(NetworkError) as caught:
        desk.resolve(request=gone)
    assert caught.value.message == f"{page.url}/gone.html does not exist (HTTP 404)"


def test_a_page_may_need_credentials(desk: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "secret"
    folder.mkdir()
    make_wheel(folder, "scatter", "2.0")
    with LinkPage(folder, auth=("user", "s3cret")) as page:
        desk.configuration = ClientConfiguration(
            default_url=desk.index.index_url,
            overrides={"ENVBUILD_INDEX_PYG_USERNAME": "user", "ENVBUILD_INDEX_PYG_PASSWORD": "s3cret"},
        )
        (wheel,) = desk.resolve(request=request_for(page, "scatter"))
    assert wheel.version == "2.0"


def test_pip_tools_takes_pages_too(desk: Desk, page: LinkPage) -> None:
    make_wheel(page.folder, "scatter", "2.1+cpu")
    request = request_for(page, "scatter", resolver="pip-tools")
    (wheel,) = desk.resolve(request=request, resolver="pip-tools", target=THIS_PYTHON)
    assert (wheel.version, wheel.index) == ("2.1+cpu", "pyg")
