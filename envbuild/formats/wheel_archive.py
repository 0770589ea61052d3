"""A wheel as a zip, of which whole files are read only as far as wheels have them.

What `.dist-info` says is read into memory; files to install are streamed.
"""

import zipfile
from typing import Final

LARGEST_DIST_INFO: Final = 64 << 20
"""Bytes of METADATA, RECORD or WHEEL that are read: RECORD has some 100 for each file of a wheel, and 64 MiB
are those of half a million files."""


class WheelArchive(zipfile.ZipFile):
    """A zip that gives no whole file above :data:`LARGEST_DIST_INFO`, whatever size its directory states."""

    def read(self, name: "str | zipfile.ZipInfo", pwd: bytes | None = None) -> bytes:
        """Return what a file holds.

        :raises ValueError: it is larger; also what :class:`zipfile.ZipFile` raises.
        """
        with self.open(name, pwd=pwd) as stream:
            data = stream.read(LARGEST_DIST_INFO + 1)
        if len(data) > LARGEST_DIST_INFO:
            shown = name if isinstance(name, str) else name.filename
            raise ValueError(f"{shown} has more than {LARGEST_DIST_INFO} bytes, an absurd amount")
        return data
