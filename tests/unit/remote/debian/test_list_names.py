import pytest

from envbuild.remote.debian.list_names import list_name, release_address


@pytest.mark.parametrize(
    ("uri", "suite", "address"),
    [
        ("http://m.example/debian", "rig", "http://m.example/debian/dists/rig/"),
        ("http://m.example/debian/", "rig/updates", "http://m.example/debian/dists/rig/updates/"),
        ("file:/srv/flat", "./", "file:/srv/flat/./"),
        ("http://m.example/flat", "/", "http://m.example/flat/"),
    ],
)
def test_where_a_release_file_is(uri: str, suite: str, address: str) -> None:
    assert release_address(uri, suite) == address


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("http://m.example/debian/dists/rig/InRelease", "m.example_debian_dists_rig_InRelease"),
        ("https://user:word@m.example:8080/x/InRelease", "m.example:8080_x_InRelease"),
        ("file:/srv/flat/./Packages", "_srv_flat_._Packages"),
        ("file:///srv/a_b~c/Packages", "_srv_a%5fb%7ec_Packages"),
    ],
)
def test_what_apt_calls_a_file(address: str, name: str) -> None:
    assert list_name(address) == name
