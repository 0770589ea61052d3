"""Blobs from one place on disk to another, verified on the way."""

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from envbuild.errors import IntegrityError
from envbuild.oci.blobs import read_verified
from envbuild.oci.manifest import Descriptor


def copy_blob(source: Path, blob: Descriptor, destination: Path, *, on_bytes: Callable[[int], None]) -> None:
    """Write ``blob`` to ``destination`` unless it lies there already; it appears whole or not at all.

    :raises IntegrityError: ``source`` does not hold it.
    """
    if _holds(destination, blob):
        on_bytes(blob.size)
        return
    destination.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".blob-", dir=destination.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in read_verified(source, blob):
                file.write(chunk)
                on_bytes(len(chunk))
        temporary.chmod(0o644)
        temporary.replace(destination)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _holds(path: Path, blob: Descriptor) -> bool:
    """Return whether a file is there and is ``blob``."""
    with contextlib.suppress(OSError, IntegrityError):
        for _ in read_verified(path, blob, forget=False):
            pass
        return True
    return False
