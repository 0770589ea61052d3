"""Where the files of a lock are, as this machine's index and archive configuration says.

The clients are made when the first file turns out to be missing: they are slow to import, and a build of what
the store has asks nobody.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from envbuild.errors import NotFoundError
from envbuild.lock.conda import CondaPackage
from envbuild.lock.model import Deb, Wheel
from envbuild.remote.address import Address
from envbuild.runtime.names import CARRIED

if TYPE_CHECKING:
    from envbuild.remote.apt import AptSettings
    from envbuild.remote.channels import ChannelConfiguration
    from envbuild.remote.index.client import PythonIndex


@dataclass(slots=True)
class IndexLocator:
    """Finds wheels at their own addresses, or on the pages of the index each was locked from."""

    open_index: Callable[[], "PythonIndex"]
    """Called once, from a worker thread; bound to the named indexes of the spec."""

    _index: "PythonIndex | None" = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def locate(self, wheel: Wheel) -> Iterator[Address]:
        """Yield the one address of the file: the spec's own, else the one that the index has now.

        :raises NotFoundError: the index no longer has it, or never had: it is built from source.
        :raises NetworkError: the index cannot be reached.
        """
        if wheel.hash_source == "built":
            raise NotFoundError(
                f"`{wheel.file}` is built from source, and on no index",
                hint="`envbuild build` builds it, or takes it from a vendored folder",
            )
        if wheel.index == CARRIED:
            raise NotFoundError(
                f"`{wheel.file}` comes with envbuild, and this release has it not",
                hint="upgrade envbuild: the release that wrote the lock has it, and every later one",
            )
        with self._lock:
            index = self._index = self._index or self.open_index()
        url = wheel.url or index.locate(wheel.name, wheel.file, wheel.index).url
        yield index.file_address(url, wheel.index)

    def close(self) -> None:
        """Give back the client's threads and connections, if there is one."""
        if self._index is not None:
            self._index.close()


@dataclass(slots=True)
class ArchiveLocator:
    """Finds Debian packages at the mirrors of the archive each was locked from."""

    read_settings: Callable[[], "AptSettings"]
    day: date | None = None
    """Of the spec's snapshot: a dated archive is tried last."""

    _settings: "AptSettings | None" = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def locate(self, deb: Deb) -> Iterator[Address]:
        """Yield the file's address at each mirror of its archive, best first."""
        from envbuild.remote.apt import archive_addresses  # noqa: PLC0415

        with self._lock:
            settings = self._settings = self._settings or self.read_settings()
        for mirror in archive_addresses(deb.archive, settings=settings, day=self.day):
            yield Address.of(f"{mirror}/{deb.path}")


@dataclass(slots=True)
class ChannelLocator:
    """Finds conda packages in the channel each was locked from."""

    read_configuration: Callable[[], "ChannelConfiguration"]

    _configuration: "ChannelConfiguration | None" = field(default=None, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def locate(self, package: CondaPackage) -> Iterator[Address]:
        """Yield the file's address in its channel, as this machine's conda would find it."""
        with self._lock:
            configuration = self._configuration = self._configuration or self.read_configuration()
        yield configuration.address(package.channel).address(package.path)
