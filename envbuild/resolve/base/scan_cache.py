"""Scans of layers kept in the user's cache folder, so that no layer is read twice.

A scan is found by the layer's digest; anything unreadable is as good as absent.
"""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from envbuild.cache.folders import SCANS
from envbuild.cache.notes import read_note, try_note
from envbuild.resolve.base.layer_scan import LayerScan, Program


class ScanCache:
    """A folder of scans; shared by any number of processes."""

    def __init__(self, cache: Path) -> None:
        self._folder = SCANS.path(cache)

    def get(self, digest: str) -> LayerScan | None:
        """Return the scan of a layer, if it is there and whole."""
        return read_note(self._path(digest), lambda fields: _from_dict(fields, digest))

    def put(self, scan: LayerScan) -> None:
        """Keep a scan; where nothing can be written, the layer is read again next time."""
        try_note(self._path(scan.digest), _to_dict(scan))

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest.removeprefix('sha256:')}.json"


def _to_dict(scan: LayerScan) -> dict[str, Any]:
    return {
        "newest": scan.newest,
        "whiteouts": [_text(path) for path in scan.whiteouts],
        "opaques": [_text(path) for path in scan.opaques],
        "journal": base64.b64encode(scan.journal).decode(),
        "contents": {_text(path): base64.b64encode(data).decode() for path, data in scan.contents.items()},
        "programs": {
            _text(path): [program.sha256, program.is_elf, list(program.versions)]
            for path, program in scan.programs.items()
        },
    }


def _from_dict(fields: Mapping[str, Any], digest: str) -> LayerScan:
    return LayerScan(
        digest=digest,
        newest=int(fields["newest"]),
        whiteouts=tuple(_path(text) for text in fields["whiteouts"]),
        opaques=tuple(_path(text) for text in fields["opaques"]),
        journal=base64.b64decode(fields["journal"], validate=True),
        contents={
            _path(text): base64.b64decode(data, validate=True) for text, data in fields["contents"].items()
        },
        programs={
            _path(text): Program(str(sha256), bool(is_elf), tuple(versions))
            for text, (sha256, is_elf, versions) in fields["programs"].items()
        },
    )


def _text(path: str) -> str:
    """Return a path as JSON can hold it: a name need not be UTF-8."""
    return path.encode(errors="surrogateescape").decode("latin-1")


def _path(text: str) -> str:
    return text.encode("latin-1").decode(errors="surrogateescape")
