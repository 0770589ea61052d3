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
        f"scans/1/{SCAN.digest.removeprefix('sha256:')}.json"
    ]


@pytest.mark.parametrize("damage", ["cut", "empty", "list", "content", "key", "alphabet"])
def test_damaged_scan_is_as_good_as_absent(tmp_path: Path, damage: str) -> None:
    cache = ScanCache(tmp_path)
    cache.put(SCAN)
    (path,) = tmp_path.rglob("*.json")
    text = path.read_text()
    document = json.loads(text.partition("\n")[2])
    if damage == "key":
        del document["programs"]
    elif damage == "alphabet":
        document["journal"] = "\N{SNOWMAN}"
    content = document["contents"]["etc/passwd"]
    changed = {"cut": text[:-1], "empty": "", "list": "[]", "content": text.replace(content, content[::-1])}
    path.write_text(changed.get(damage, json.dumps(document)))

    assert cache.get(SCAN.digest) is None


def test_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "scans").write_text("in the way")
    cache = ScanCache(tmp_path)

    cache.put(SCAN)

    assert cache.get(SCAN.digest) is None
