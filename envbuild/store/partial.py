"""A file on its way into the store: it grows, locked to one process, and becomes visible when whole."""

from pathlib import Path

from envbuild.files.received import ReceivedFile

MODE = 0o644
"""Of every stored file.  Not 0444: staged files are hard links, and share it."""

MODIFIED = 315_532_800
"""Modification time of every stored file: 1980-01-01, the oldest a zip knows.  It carries no meaning."""


class Partial(ReceivedFile):
    """An artifact that arrives."""

    def finish(self, target: Path) -> None:
        """Make the file visible as ``target``, on disk before its name is."""
        self.place(target, mode=MODE, modified=MODIFIED)

    def remove(self) -> None:
        """Remove the file; the lock is held until :meth:`close`."""
        self.path.unlink(missing_ok=True)
