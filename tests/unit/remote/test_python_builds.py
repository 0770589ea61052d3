from datetime import date

import pytest

from envbuild.errors import NetworkError, NotFoundError
from envbuild.remote import http
from envbuild.remote.address import Address
from envbuild.remote.python_builds import URL_VARIABLE, find_standalone, size_of, standalone_address
from tests.rig.web import Answer, LoopbackServer


def test_the_newest_build_of_a_minor_is_found_for_both_machines() -> None:
    for machine in ("x86_64", "aarch64"):
        build = find_standalone("3.12", machine)
        assert build is not None
        assert build.version.startswith("3.12.")
        assert build.file.startswith(f"cpython-{build.version}+")
        assert f"-{machine}-unknown-linux-gnu-install_only" in build.file
        assert len(build.sha256) == 64
        assert "://" not in build.path
        assert build.path == f"{build.released:%Y%m%d}/{build.file.replace('+', '%2B')}"


def test_a_patch_release_is_that_one() -> None:
    build = find_standalone("3.12.9", "x86_64")
    assert build is not None
    assert (build.version, build.released) == ("3.12.9", date(2025, 3, 17))
    assert find_standalone("3.12.9", "x86_64", snapshot=date(2025, 3, 16)) is None


def test_a_snapshot_leaves_out_what_came_later() -> None:
    build = find_standalone("3.12", "x86_64", snapshot=date(2025, 3, 20))
    assert build is not None
    assert build.version == "3.12.9"


@pytest.mark.parametrize("python", ["3.9.99", "3.10.0", "3.99"])
def test_what_there_is_no_build_of_with_a_hash_is_not_found(python: str) -> None:
    assert find_standalone(python, "x86_64") is None


def test_the_address_is_the_tables_unless_a_mirror_is_named() -> None:
    assert standalone_address("d/f.tar.gz", {}).url.startswith("https://")
    assert standalone_address("d/f.tar.gz", {}).url.endswith("/download/d/f.tar.gz")
    mirrored = standalone_address(
        "d/f.tar.gz", {URL_VARIABLE: "https://user:word@mirror.example.com/python/"}
    )
    assert mirrored.url == "https://mirror.example.com/python/d/f.tar.gz"
    assert mirrored.credentials is not None


@pytest.mark.slow
def test_the_size_is_what_the_server_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BACKOFF_SECONDS", 0)

    def answer(request: object) -> Answer | None:
        return Answer(content=b"x" * 77) if getattr(request, "path", "") == "/a" else None

    with LoopbackServer(answer) as server:
        assert size_of(Address.of(f"{server.url}/a")) == 77
        with pytest.raises(NotFoundError):
            size_of(Address.of(f"{server.url}/b"))
    with pytest.raises(NetworkError):
        size_of(Address.of(f"{server.url}/a"))
