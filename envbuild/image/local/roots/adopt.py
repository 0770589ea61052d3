"""What was made in a private root, as it will look when its layer is unpacked again.

A base is made of thousands of files in a private root, packed as a layer, and wanted as a folder at once: by
the steps that stand on it.  Instead of being removed and unpacked anew it is kept, when it can be shown to be
the same: read as a layer, it has the layer's digest.
"""

import io
import os
import stat
from pathlib import Path
from typing import Final

from envbuild.digest import OciDigest
from envbuild.formats.compression import Codec, Compressor
from envbuild.image.local.layers.changes import diff_layer
from envbuild.image.local.layers.writer import LayerWriter

_OVERLAY: Final = "user.overlay."
"""Attributes the kernel keeps its own notes in (Documentation/filesystems/overlayfs.rst, "userxattr")."""


def normalize_metadata(folder: Path, *, started: float, epoch: int) -> bool:
    """Give all in ``folder`` the times and attributes it has once packed and unpacked.

    ``folder`` has nothing below it.  What was written at ``started`` (seconds since 1970) or later gets the
    time ``epoch``.  Returns False when something is in it that would not come back.
    """
    pending = [os.fsencode(folder)]
    while pending:
        with os.scandir(pending.pop()) as found:
            entries = list(found)
        for entry in entries:
            state = entry.stat(follow_symlinks=False)
            if not (
                stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode) or stat.S_ISLNK(state.st_mode)
            ):
                return False
            if stat.S_ISDIR(state.st_mode):
                pending.append(entry.path)
            for name in os.listxattr(entry.path, follow_symlinks=False):
                if name.startswith(_OVERLAY):
                    os.removexattr(entry.path, name, follow_symlinks=False)
            time = epoch if int(state.st_mtime) >= int(started) else int(state.st_mtime)
            os.utime(entry.path, (time, time), follow_symlinks=False)
    return True


def diff_id_of(folder: Path) -> OciDigest:
    """Return the digest of the uncompressed layer that the files in ``folder``, normalised, make."""
    nowhere = io.BytesIO()
    with LayerWriter(nowhere, _Uncompressed("zstd", 0, "none"), comment="") as writer:
        diff_layer(folder, (), writer, started=float(1 << 62), epoch=0)
    return writer.layer.diff_id


class _Uncompressed(Codec):
    """Gives nothing: only what goes in is of interest."""

    def compressor(self) -> Compressor:
        """Return what takes everything."""
        return _DiscardingCompressor()


class _DiscardingCompressor:
    def compress(self, _data: bytes, /) -> bytes:
        return b""

    def flush(self) -> bytes:
        return b""
