"""Scans in the cache folder."""

import json
from pathlib import Path

import pytest

from envbuild.resolve.base.scan_cache import ScanCache
from tests.rig.layer_items import ELF, emptied, file, layer_of, link, removed, scan_of

SCAN = scan_of(
    layer_of(
        file("etc/passwd", b"\xff\x00root"),
        file("caf\udce9", "x"),
        link("caf\udce8", "x"),
        removed("w\udcffx"),
        emptied("\udcff"),
        file("usr/bin/python3.11", ELF + b" 3.11.2\0"),
    )
)


def test_scan_comes_back_as_it_was(tmp_path: Path) -> None:
    ScanCache(tmp_path).put(SCAN)

    assert ScanCache(tmp_path).get(SCAN.digest) == SCAN
    assert ScanCache(tmp_path).get("sha256:" + "0" * 64) is None


def test_file_is_named_by_digest_and_format(tmp_path: Path) -> None:
    ScanCache(tmp_path).put(SCAN)

    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json")] == [
        f"layers/{SCAN.digest.removeprefix('sha256:')}.1.json"
    ]


@pytest.mark.parametrize("damage", ["cut", "empty", "list", "journal", "content", "key"])
def test_damaged_scan_is_as_good_as_absent(tmp_path: Path, damage: str) -> None:
    cache = ScanCache(tmp_path)
    cache.put(SCAN)
    (path,) = tmp_path.rglob("*.json")
    document = json.loads(path.read_text())
    if damage == "journal":
        document["journal"][1] = document["journal"][1][::-1]
    elif damage == "content":
        document["contents"]["etc/passwd"][1] = "AAAA"
    elif damage == "key":
        del document["programs"]
    text = {"cut": path.read_text()[:-1], "empty": "", "list": "[]"}.get(damage, json.dumps(document))
    path.write_text(text)

    assert cache.get(SCAN.digest) is None


def test_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "layers").write_text("in the way")
    cache = ScanCache(tmp_path)

    cache.put(SCAN)

    assert cache.get(SCAN.digest) is None
