from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from envbuild.errors import NotFoundError
from envbuild.lock.model import Wheel
from envbuild.remote.address import Address
from envbuild.remote.apt import AptSettings, read_settings
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.configuration import ClientConfiguration, IndexCredentials
from envbuild.store.artifact import Artifact
from envbuild.store.fetch import fetch_all
from envbuild.store.locators import ArchiveLocator, IndexLocator
from envbuild.store.store import Store
from tests.rig.artifacts import sha256_of
from tests.rig.index import PackageIndex, make_wheel
from tests.rig.locks import GIT, wheel


def locked(path: Path, index: str = "default") -> Wheel:
    content = path.read_bytes()
    return wheel("demo").model_copy(
        update={"file": path.name, "size": len(content), "sha256": sha256_of(content), "index": index}
    )


def opener(configuration: ClientConfiguration, **indexes: str) -> Callable[[], PythonIndex]:
    return lambda: PythonIndex(configuration, indexes=indexes)


def test_a_wheel_is_where_its_index_says_with_all_the_client_knows(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "demo", "1.0")
    with PackageIndex(tmp_path, auth=("me", "pä:ss")) as index:
        url = index.index_url.replace("http://", "http://me:p%C3%A4%3Ass@")
        certificate = tmp_path / "me.pem"
        certificate.touch()
        configuration = ClientConfiguration(
            default_url=url,
            trusted_hosts=("127.0.0.1",),
            ca_bundle="ca.pem",
            client_certificate=str(certificate),
        )
        locator = IndexLocator(opener(configuration))

        found = list(locator.locate(locked(path)))
        again = list(locator.locate(locked(path)))
        locator.close()

        assert found == again
        assert found == [
            Address(
                url=f"{index.url}/files/{path.name}",
                credentials=IndexCredentials(username="me", password="pä:ss"),
                ca_bundle="ca.pem",
                client_certificate=str(certificate),
                is_trusted=True,
            )
        ]
        assert index.requested("demo") == 1


def test_a_wheel_of_a_guarded_named_index_is_fetched(tmp_path: Path, store: Store) -> None:
    (tmp_path / "wheels").mkdir()
    path = make_wheel(tmp_path / "wheels", "demo", "1.0")
    with PackageIndex(tmp_path / "wheels", auth=("me", "secret")) as index:
        configuration = ClientConfiguration(
            overrides={"ENVBUILD_INDEX_OWN_USERNAME": "me", "ENVBUILD_INDEX_OWN_PASSWORD": "secret"}
        )
        locator = IndexLocator(opener(configuration, own=index.index_url))
        one = locked(path, "own")
        artifact = Artifact(
            kind="wheel",
            name="demo 1.0",
            filename=one.file,
            sha256=one.sha256,
            size=one.size,
            locate=lambda: locator.locate(one),
        )

        fetch_all([artifact], store=store)
        locator.close()

    assert store.verify(one.sha256)


def test_a_wheel_the_index_dropped(tmp_path: Path) -> None:
    make_wheel(tmp_path, "demo", "2.0")
    with PackageIndex(tmp_path) as index:
        locator = IndexLocator(opener(ClientConfiguration(default_url=index.index_url)))

        with pytest.raises(NotFoundError, match="is not on the index"):
            list(locator.locate(wheel("demo")))
        locator.close()


def test_nothing_is_opened_before_it_is_needed() -> None:
    IndexLocator(lambda: pytest.fail("opened")).close()
    ArchiveLocator(lambda: pytest.fail("read")).locate(GIT)


def test_a_deb_is_at_every_mirror_of_its_archive(tmp_path: Path) -> None:
    environment = {
        "ENVBUILD_APT_MIRROR": "http://me:secret@mirror.example.com/debian/",
        "ENVBUILD_APT_SNAPSHOT": "https://snapshot.example.com",
    }
    reads: list[int] = []

    def read() -> AptSettings:
        reads.append(1)
        return read_settings(environment, etc=tmp_path)

    locator = ArchiveLocator(read, day=date(2026, 11, 1))
    found = list(locator.locate(GIT))

    assert list(locator.locate(GIT)) == found
    assert reads == [1]
    assert found == [
        Address(
            url=f"http://mirror.example.com/debian/{GIT.path}",
            credentials=IndexCredentials(username="me", password="secret"),
        ),
        Address.of(f"https://snapshot.example.com/archive/debian/20261101T000000Z/{GIT.path}"),
    ]


def test_no_index_is_asked_for_what_an_envbuild_to_come_carries() -> None:
    def no_index() -> PythonIndex:
        raise AssertionError("an index is opened")

    wanted = wheel("envbuild-runtime", "99.0.0").model_copy(update={"index": "envbuild"})
    with pytest.raises(NotFoundError, match="this release has it not") as caught:
        list(IndexLocator(no_index).locate(wanted))
    assert (
        caught.value.hint == "upgrade envbuild: the release that wrote the lock has it, and every later one"
    )
