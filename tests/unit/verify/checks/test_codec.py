from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from envbuild.verify.checks.codec import CodecError, decode, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    file_name: str
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    kind: Literal["a", "b"]
    items: tuple[Inner, ...] = ()
    pair: tuple[str, int] = ("x", 1)
    by_name: dict[str, Inner] = field(default_factory=dict)


SOUND: dict[str, Any] = {
    "kind": "a",
    "items": [{"file-name": "x", "size": 3}],
    "pair": ["y", 2],
    "by-name": {"one_two": {"file-name": "z", "size": None}},
}


def test_documents_come_back_as_they_went() -> None:
    value = decode(Outer, SOUND)
    assert value == Outer(
        kind="a",
        items=(Inner(file_name="x", size=3),),
        pair=("y", 2),
        by_name={"one_two": Inner(file_name="z")},
    )
    assert encode(value) == SOUND


def test_unknown_keys_are_ignored() -> None:
    assert decode(Inner, {"file-name": "x", "later": 1}) == Inner(file_name="x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"kind": "c"}, "kind: 'c' is not one of 'a', 'b'", id="literal"),
        pytest.param({"items": [{}]}, "items[0].file-name: missing", id="missing"),
        pytest.param({"items": {}}, "items: dict instead of list", id="list"),
        pytest.param({"items": [{"file-name": 1}]}, "items[0].file-name: int instead of str", id="string"),
        pytest.param({"pair": ["x"]}, "pair: 1 items instead of 2", id="length"),
        pytest.param({"pair": ["x", True]}, "pair[1]: bool instead of int", id="bool"),
        pytest.param({"by-name": {"k": 1}}, "by-name.k: int instead of dict", id="dict"),
    ],
)
def test_errors_name_the_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CodecError) as caught:
        decode(Outer, SOUND | change)
    assert str(caught.value) == message


def test_another_document_is_refused() -> None:
    with pytest.raises(CodecError) as caught:
        decode(Outer, ["x"])
    assert str(caught.value) == "document: list instead of dict"
