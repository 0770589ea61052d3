import json
from datetime import UTC, datetime
from typing import Any

import pytest
from packaging.version import Version

from envbuild.errors import NetworkError
from envbuild.remote.index.page import IndexFile, parse_page, version_of_file

URL = "https://index.example.com/simple/demo/"
JSON = "application/vnd.pypi.simple.v1+json"
SHA = "a" * 64


def page_of(*files: dict[str, Any], version: str = "1.1") -> bytes:
    return json.dumps({"meta": {"api-version": version}, "name": "demo", "files": files}).encode()


def entry(filename: str, **more: Any) -> dict[str, Any]:
    return {"filename": filename, "url": f"../../files/{filename}", "hashes": {"sha256": SHA}, **more}


def test_json_gives_every_field() -> None:
    content = page_of(
        entry(
            "demo-1.0-py3-none-any.whl",
            size=12,
            yanked="broken",
            **{
                "requires-python": ">=3.8",
                "upload-time": "2026-01-02T03:04:05.5Z",
                "core-metadata": {"sha256": "b" * 64},
            },
        )
    )
    page = parse_page("demo", content=content, media_type=f"{JSON}; charset=utf-8", url=URL)
    assert page.files("1.0.0") == (
        IndexFile(
            filename="demo-1.0-py3-none-any.whl",
            url="https://index.example.com/files/demo-1.0-py3-none-any.whl",
            sha256=SHA,
            size=12,
            requires_python=">=3.8",
            yanked="broken",
            uploaded=datetime(2026, 1, 2, 3, 4, 5, 500000, tzinfo=UTC),
            has_metadata=True,
            metadata_sha256="b" * 64,
        ),
    )


def test_json_may_leave_out_all_but_names_and_hashes() -> None:
    bare = {"filename": "demo-1.0.tar.gz", "url": "https://files.example.com/demo-1.0.tar.gz", "hashes": {}}
    (file,) = parse_page("demo", content=page_of(bare), media_type=JSON, url=URL).files("1.0")
    assert file == IndexFile(filename="demo-1.0.tar.gz", url="https://files.example.com/demo-1.0.tar.gz")


@pytest.mark.parametrize(
    ("more", "has_metadata", "metadata_sha256"),
    [
        pytest.param({"core-metadata": True}, True, None, id="promised without a hash"),
        pytest.param({"core-metadata": False}, False, None, id="denied"),
        pytest.param({"dist-info-metadata": {"sha256": SHA}}, True, SHA, id="old name of the field"),
        pytest.param({"core-metadata": False, "dist-info-metadata": True}, False, None, id="new name wins"),
    ],
)
def test_metadata_promises(more: dict[str, Any], has_metadata: bool, metadata_sha256: str | None) -> None:
    content = page_of(entry("demo-1.0-py3-none-any.whl", **more))
    (file,) = parse_page("demo", content=content, media_type=JSON, url=URL).files("1.0")
    assert (file.has_metadata, file.metadata_sha256) == (has_metadata, metadata_sha256)


@pytest.mark.parametrize(("yanked", "reason"), [(True, ""), (False, None), ("", ""), ("bad", "bad")])
def test_yanked_is_a_reason_or_none(yanked: bool | str, reason: str | None) -> None:
    content = page_of(entry("demo-1.0-py3-none-any.whl", yanked=yanked))
    (file,) = parse_page("demo", content=content, media_type=JSON, url=URL).files("1.0")
    assert file.yanked == reason


def test_html_gives_what_html_can_say() -> None:
    content = f"""<!DOCTYPE html><html><body>
      <a href="../../files/demo-1.0%2Bcu1-py3-none-any.whl#sha256={SHA}" data-requires-python="&gt;=3.8"
         data-yanked="broken" data-core-metadata="sha256={"b" * 64}">demo-1.0+cu1-py3-none-any.whl</a>
      <a href="demo-1.0.tar.gz">demo-1.0.tar.gz</a>
    </body></html>""".encode()
    page = parse_page("demo", content=content, media_type="text/html; charset=UTF-8", url=URL)
    assert page.files("1.0+cu1") == (
        IndexFile(
            filename="demo-1.0+cu1-py3-none-any.whl",
            url="https://index.example.com/files/demo-1.0%2Bcu1-py3-none-any.whl",
            sha256=SHA,
            requires_python=">=3.8",
            yanked="broken",
            has_metadata=True,
            metadata_sha256="b" * 64,
        ),
    )
    assert page.files("1.0") == (IndexFile(filename="demo-1.0.tar.gz", url=f"{URL}demo-1.0.tar.gz"),)


def test_files_are_found_by_version_and_by_name() -> None:
    names = ("demo-1.0-py3-none-any.whl", "demo-1.0.0.tar.gz", "demo-1.10-py3-none-any.whl", "demo.exe")
    page = parse_page("demo", content=page_of(*map(entry, names)), media_type=JSON, url=URL)
    assert [file.filename for file in page.files("1.0")] == list(names[:2])
    assert page.files("2.0") == ()
    found = page.file("demo-1.10-py3-none-any.whl")
    assert found is not None
    assert found.filename == "demo-1.10-py3-none-any.whl"
    assert page.file("demo-3-py3-none-any.whl") is None
    assert {str(version): len(files) for version, files in page.by_version().items()} == {"1.0": 2, "1.10": 1}


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("demo-1.0-py3-none-any.whl", "1.0"),
        ("demo-1.0-1-py3-none-any.whl", "1.0"),
        ("demo-1.0.post1-py3-none-any.whl", "1.0.post1"),
        ("torch-2.6.0+cu126-cp311-cp311-linux_x86_64.whl", "2.6.0+cu126"),
        ("my-demo-1.0rc1.tar.gz", "1.0rc1"),
        ("demo-1.0.zip", "1.0"),
        ("demo-1.0.win32.exe", None),
        ("demo-oldest.tar.gz", None),
        ("demo.whl", None),
    ],
)
def test_the_version_a_file_name_states(filename: str, version: str | None) -> None:
    assert version_of_file(filename) == (Version(version) if version else None)


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("thop-0.1.1-2209072238.tar.gz", "0.1.1.post2209072238"),
        ("my-demo-1.0rc1.tar.gz", None),
        ("thop-1.0.zip", "1.0"),
        ("Thop-1.0.tar.gz", "1.0"),
        ("thop.tar.gz", None),
        ("thop-1.0-py3-none-any.whl", "1.0"),
    ],
)
def test_the_version_of_an_archive_is_what_follows_the_name(filename: str, version: str | None) -> None:
    assert version_of_file(filename, "thop") == (Version(version) if version else None)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        pytest.param(b"{}", JSON, id="other JSON"),
        pytest.param(b"not json", JSON, id="no JSON"),
        pytest.param(b"[]", JSON, id="a list"),
        pytest.param(b"GIF89a", "image/gif", id="another type"),
        pytest.param(
            b'<html><head><meta name="pypi:repository-version" content="2.0"></head></html>',
            "text/html",
            id="HTML of a future version",
        ),
    ],
)
def test_what_is_no_index_page_is_refused(content: bytes, media_type: str) -> None:
    with pytest.raises(NetworkError) as caught:
        parse_page("demo", content=content, media_type=media_type, url=f"{URL}?token=1").files("1.0")
    assert caught.value.message == f"{URL} is not a page of a Python package index (asked for `demo`)"


def test_a_future_version_of_the_api_is_refused() -> None:
    page = parse_page("demo", content=page_of(version="2.0"), media_type=JSON, url=URL)
    with pytest.raises(NetworkError) as caught:
        page.files("1.0")
    assert caught.value.message == f"{URL} speaks version 2 of the simple API; 1 is understood"
