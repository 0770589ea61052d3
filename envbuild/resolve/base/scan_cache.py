"""Scans of layers kept in the user's cache folder, so that no layer is read twice.

A scan is found by the layer's digest and the scan format; anything unreadable is as good as absent.
"""

import base64
import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from envbuild.digest import canonical_json, sha256_bytes
from envbuild.files.atomic import write_bytes
from envbuild.resolve.base.layer_scan import LayerScan, Program

SCAN_FORMAT: Final = 1
"""Raised when a scan comes to hold more, or something else."""

FOLDER: Final = "layers"


class ScanCache:
    """A folder of scans; shared by any number of processes."""

    def __init__(self, cache: Path) -> None:
        self._folder = cache / FOLDER

    def get(self, digest: str) -> LayerScan | None:
        """Return the scan of a layer, if it is there and whole."""
        try:
            return _from_dict(json.loads(self._path(digest).read_bytes()), digest)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def put(self, scan: LayerScan) -> None:
        """Keep a scan; where nothing can be written, the layer is read again next time."""
        with contextlib.suppress(OSError):
            write_bytes(self._path(scan.digest), canonical_json(_to_dict(scan)))

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest.removeprefix('sha256:')}.{SCAN_FORMAT}.json"


def _to_dict(scan: LayerScan) -> dict[str, Any]:
    return {
        "newest": scan.newest,
        "whiteouts": [_text(path) for path in scan.whiteouts],
        "opaques": [_text(path) for path in scan.opaques],
        "journal": _packed(scan.journal),
        "contents": {_text(path): _packed(data) for path, data in scan.contents.items()},
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
        journal=_unpacked(fields["journal"]),
        contents={_path(text): _unpacked(data) for text, data in fields["contents"].items()},
        programs={
            _path(text): Program(str(sha256), bool(is_elf), tuple(versions))
            for text, (sha256, is_elf, versions) in fields["programs"].items()
        },
    )


def _packed(data: bytes) -> list[str]:
    return [sha256_bytes(data), base64.b64encode(data).decode()]


def _unpacked(pair: object) -> bytes:
    """Return the bytes of a pair, if they are still those that were packed."""
    if not isinstance(pair, list):
        raise TypeError("not a pair")
    sha256, text = pair
    data = base64.b64decode(text, validate=True)
    if sha256_bytes(data) != sha256:
        raise ValueError("damaged")
    return data


def _text(path: str) -> str:
    """Return a path as JSON can hold it: a name need not be UTF-8."""
    return path.encode(errors="surrogateescape").decode("latin-1")


def _path(text: str) -> str:
    return text.encode("latin-1").decode(errors="surrogateescape")
