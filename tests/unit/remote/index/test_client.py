from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import requests

from envbuild.errors import EnvbuildError, NetworkError, NotFoundError
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import ClientConfiguration
from tests.rig.index import PackageIndex, make_wheel
from tests.rig.web import ALWAYS

WHEEL = "demo-1.0-py3-none-any.whl"


def client_of(url: str) -> PythonIndex:
    return PythonIndex(ClientConfiguration(default_url=url), retries=0)


@pytest.fixture
def client(package_index: PackageIndex) -> Iterator[PythonIndex]:
    make_wheel(package_index.folder, "demo", "1.0")
    client = client_of(package_index.index_url)
    yield client
    client.close()


def test_a_page_is_fetched_once_for_all_views(client: PythonIndex, package_index: PackageIndex) -> None:
    client.prefetch(("demo",))
    other = client.bound_to({"corp": "https://index.example.com/simple"})
    assert [file.filename for file in other.page("demo").files("1.0")] == [WHEEL]
    assert other.page("demo") is client.page("demo")
    assert package_index.requested("demo") == 1


def test_an_unknown_project_is_named_with_the_index(client: PythonIndex, package_index: PackageIndex) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.page("demmo")
    assert caught.value.message == f"`demmo` is not on the index {package_index.url}/simple"


def test_a_page_that_failed_is_asked_for_again(client: PythonIndex, package_index: PackageIndex) -> None:
    package_index.faults.unavailable["demo"] = 1
    with pytest.raises(NetworkError) as caught:
        client.page("demo")
    assert caught.value.message == f"{package_index.url}/simple/demo/ answered HTTP 503"
    assert client.page("demo").files("1.0")


def test_a_busy_server_is_asked_again(package_index: PackageIndex) -> None:
    make_wheel(package_index.folder, "demo", "1.0")
    package_index.faults.unavailable["demo"] = 1
    client = PythonIndex(ClientConfiguration(default_url=package_index.index_url))
    assert client.page("demo").files("1.0")
    assert package_index.requested("demo") == 2


def test_a_page_cut_short_is_asked_for_again_by_itself(
    client: PythonIndex, package_index: PackageIndex
) -> None:
    package_index.faults.drop["demo"] = 2
    assert client.page("demo").files("1.0")
    assert package_index.requested("demo") == 3


def test_a_page_that_is_always_cut_short_is_a_network_error(
    client: PythonIndex, package_index: PackageIndex
) -> None:
    package_index.faults.drop["demo"] = ALWAYS
    with pytest.raises(NetworkError) as caught:
        client.page("demo")
    assert caught.value.message == f"cannot reach {package_index.url}/simple/demo/"


def test_a_server_that_is_down_is_a_network_error(package_index: PackageIndex) -> None:
    with PackageIndex(package_index.folder) as stopped:
        url = stopped.index_url
    client = client_of(url)
    with pytest.raises(NetworkError) as caught:
        client.page("demo")
    assert caught.value.message == f"cannot reach {url}demo/"


def test_a_locked_file_is_located(client: PythonIndex, package_index: PackageIndex) -> None:
    file = client.locate("demo", WHEEL)
    assert file.url == f"{package_index.url}/files/{WHEEL}"
    assert file.sha256 == sha256((package_index.folder / WHEEL).read_bytes()).hexdigest()


def test_a_file_that_vanished_is_named(client: PythonIndex, package_index: PackageIndex) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.locate("demo", "demo-0.9-py3-none-any.whl")
    assert caught.value.message == (
        f"`demo-0.9-py3-none-any.whl` is not on the index {package_index.url}/simple any more"
    )


def test_a_named_index_is_asked_only_for_what_is_bound_to_it(client: PythonIndex, tmp_path: Path) -> None:
    folder = tmp_path / "corp"
    folder.mkdir()
    make_wheel(folder, "private", "1.0")
    with PackageIndex(folder) as corp:
        bound = client.bound_to({"corp": corp.index_url})
        assert bound.page("private", "corp").files("1.0")
        with pytest.raises(NotFoundError):
            bound.page("private")
        assert bound.address("corp").url == f"{corp.url}/simple"


def test_an_index_without_sizes_is_asked_for_the_header(package_index: PackageIndex) -> None:
    make_wheel(package_index.folder, "demo", "1.0")
    package_index.faults.html_only = True
    client = client_of(package_index.index_url)
    file = client.locate("demo", WHEEL)
    assert file.size is None
    assert client.size(file) == (package_index.folder / WHEEL).stat().st_size
    assert package_index.requests[-1].method == "HEAD"


def test_a_known_size_costs_no_request(client: PythonIndex, package_index: PackageIndex) -> None:
    file = client.locate("demo", WHEEL)
    asked = len(package_index.requests)
    assert client.size(file) == file.size
    assert len(package_index.requests) == asked


def test_a_file_is_downloaded_and_hashed(client: PythonIndex, tmp_path: Path) -> None:
    file = client.locate("demo", WHEEL)
    digest, size = client.download(file, tmp_path / "wheel")
    assert (digest, size) == (file.sha256, file.size)
    assert sha256((tmp_path / "wheel").read_bytes()).hexdigest() == digest


def test_a_full_disk_is_not_blamed_on_the_network(client: PythonIndex) -> None:
    file = client.locate("demo", WHEEL)
    with pytest.raises(EnvbuildError) as caught:
        client.download(file, Path("/dev/full"))
    assert not isinstance(caught.value, NetworkError)
    assert caught.value.message == "cannot write /dev/full: No space left on device"


def test_a_folder_that_cannot_be_written_is_named(client: PythonIndex, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "wheel"
    with pytest.raises(EnvbuildError) as caught:
        client.download(client.locate("demo", WHEEL), path)
    assert caught.value.message == f"cannot write {path}: No such file or directory"


def test_credentials_go_to_the_index_and_into_no_message(package_index: PackageIndex) -> None:
    make_wheel(package_index.folder, "demo", "1.0")
    with PackageIndex(package_index.folder, auth=("réader", "pass:word")) as guarded:
        address = guarded.index_url.replace("://", "://r%C3%A9ader:{}@")
        allowed = client_of(address.format("pass%3Aword"))
        with allowed.open(allowed.locate("demo", WHEEL).url) as response:
            assert response.content == (package_index.folder / WHEEL).read_bytes()
        with pytest.raises(NetworkError) as caught:
            client_of(address.format("wrong")).page("demo")
    assert caught.value.message == f"{guarded.host} refused the credentials (HTTP 401)"


def test_a_download_address_opens_what_needs_credentials(package_index: PackageIndex) -> None:
    make_wheel(package_index.folder, "demo", "1.0")
    with PackageIndex(package_index.folder, auth=("reader", "pass:word")) as guarded:
        client = client_of(guarded.index_url.replace("://", "://reader:pass%3Aword@"))
        url = client.download_url(client.locate("demo", WHEEL))
        assert requests.get(url, timeout=10).content == (package_index.folder / WHEEL).read_bytes()


def test_credentials_stay_with_the_host_of_the_index(package_index: PackageIndex) -> None:
    url = package_index.index_url.replace("://", "://reader:secret@")
    client = client_of(url)
    assert client.credentials_for(f"{package_index.url}/files/{WHEEL}") is not None
    assert client.credentials_for(f"https://files.example.com/{WHEEL}") is None


def test_settings_that_are_not_used_are_told_once() -> None:
    client = PythonIndex(ClientConfiguration(ignored=("extra-index-url", "find-links")))
    (note,) = client.notes_once()
    assert note == (
        "extra-index-url, find-links of this machine's pip and uv settings not used, so that every machine "
        "locks the same; name further indexes in [pip] indexes"
    )
    assert client.bound_to({}).notes_once() == ()
    assert PythonIndex(ClientConfiguration()).notes_once() == ()
