"""Wheels that others built are taken by what they are, whatever is said of them."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from envbuild.cache.notes import write_note
from envbuild.digest import sha256_bytes
from envbuild.resolve.sources.wheel_content import read_wheel_content
from envbuild.workflows.sources.kept import VendoredWheels

KEY = "0f" * 32
FILE = "alpha-1.0-py3-none-any.whl"


def wheel(name: str = "alpha") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: six\n"
        archive.writestr(f"{name}-1.0.dist-info/METADATA", text)
    return buffer.getvalue()


def vendored(folder: Path, changes: Mapping[str, Any]) -> VendoredWheels:
    data = wheel()
    (folder / FILE).write_bytes(data)
    document = read_wheel_content(FILE, data, package="alpha 1.0").document()
    write_note(folder / f"{KEY}.json", {**document, **changes})
    return VendoredWheels(folder)


@pytest.mark.parametrize(
    "changes",
    [{}, {"headers": "Name: alpha\nVersion: 1.0\nRequires-Dist: evil\n"}, {"contents": []}, {"size": 1}],
    ids=["as it is", "headers", "contents", "size"],
)
def test_what_a_note_says_of_a_wheel_is_read_from_the_wheel(tmp_path: Path, changes: dict[str, Any]) -> None:
    found = vendored(tmp_path, changes).find(KEY)
    assert found is not None
    content, data = found
    assert content == read_wheel_content(FILE, data, package="alpha 1.0")
    assert content.metadata.requires == ("six",)


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": sha256_bytes(b"another")},
        {"file": "../alpha-1.0-py3-none-any.whl"},
        {"file": "missing-1.0-py3-none-any.whl"},
        {"file": ""},
        {"file": 1},
    ],
    ids=["digest", "path", "missing", "empty", "number"],
)
def test_a_note_of_another_wheel_is_none(tmp_path: Path, changes: dict[str, Any]) -> None:
    assert vendored(tmp_path, changes).find(KEY) is None


def test_a_wheel_under_the_name_of_another_project_is_of_none(tmp_path: Path) -> None:
    found = vendored(tmp_path, {}).find(KEY)
    assert found is not None
    assert found[0].is_of("Alpha 1.0")
    assert found[0].is_of("alpha")
    assert not found[0].is_of("alpha 2.0")
    assert not found[0].is_of("beta 1.0")
