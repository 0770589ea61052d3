"""Files appear whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path


def write_bytes(path: Path, data: bytes, *, mode: int = 0o644) -> bool:
    """Write ``data`` to ``path`` through a temporary file in the same folder and a rename.

    Returns whether anything was written: unchanged content is left alone, so its modification time
    keeps its meaning for make and editors.  The mode does not depend on the umask.
    """
    with contextlib.suppress(OSError):
        if path.read_bytes() == data:
            return False
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return True


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write ``data``, all of it.

    A disk that fills up takes a part first and says so without an error; only the next write has one.

    :raises OSError: what the system says.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def write_text(path: Path, text: str, *, mode: int = 0o644) -> bool:
    """Write ``text`` as UTF-8, line ends as they are; see :func:`write_bytes`."""
    return write_bytes(path, text.encode(), mode=mode)
