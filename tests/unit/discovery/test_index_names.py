"""Names of indexes that files only have addresses of."""

import pytest

from envbuild.discovery.content import FileContent
from envbuild.discovery.index_names import bind_indexes, index_name_of


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://download.example.com/whl/cu126", "cu126"),
        ("https://pypi.corp.example/simple", "corp"),
        ("https://host/a_b/simple/", "a-b"),
        ("https://index.default/", "index"),
    ],
)
def test_the_telling_part_of_an_address_names_it(address: str, name: str) -> None:
    assert index_name_of(address) == name


def test_two_indexes_never_share_a_name() -> None:
    content = FileContent()
    indexes = {"a": "https://a.example.com/x", "b": "https://b.example.com/x", "c": "https://a.example.com/x"}

    assert bind_indexes(content, indexes, "uv.lock", {"x-2": "https://c.example.com/x"})
    assert content.tables["pip"] == {
        "indexes": {"x": "https://a.example.com/x", "x-3": "https://b.example.com/x"},
        "sources": {"a": "x", "b": "x-3", "c": "x"},
    }


def test_what_is_no_address_is_left() -> None:
    content = FileContent()

    assert not bind_indexes(content, {"a": "://"}, "uv.lock")
    assert [problem.where for problem in content.left] == ["uv.lock"]
