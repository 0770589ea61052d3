"""Data at an address: one file."""

from envbuild.data.partial import DataPartial
from envbuild.data.sources import LARGEST_FILE, OnPosition, RemoteFile, SourceListing
from envbuild.parallel import StoppedError
from envbuild.remote.address import Address
from envbuild.remote.attempt import ExpectedFile
from envbuild.remote.download import CancelledError, Downloader
from envbuild.remote.unhashed import download_unhashed


class HttpReceiver:
    """Receives files over HTTP, from several threads, until it is cancelled."""

    def __init__(self) -> None:
        self._downloader = Downloader()

    def receive(
        self, address: Address, file: RemoteFile, partial: DataPartial, on_position: OnPosition
    ) -> None:
        """Receive a file: see :class:`envbuild.data.sources.DataSource`."""
        if file.sha256 is None or file.size is None:
            download_unhashed(address, partial, size=file.size, largest=LARGEST_FILE, on_position=on_position)
            return
        wanted = ExpectedFile(name=file.path, size=file.size, sha256=file.sha256)
        try:
            self._downloader.download(address, partial, wanted, on_position=on_position)
        except CancelledError as error:
            raise StoppedError from error

    def cancel(self) -> None:
        """End all downloads."""
        self._downloader.cancel()

    def close(self) -> None:
        """Give up connections."""
        self._downloader.__exit__(None, None, None)


class UrlSource:
    """One file at an address."""

    def __init__(self, url: str, *, name: str, size: int | None = None, sha256: str | None = None) -> None:
        """Take what is known of the file; ``name`` is what it is called here."""
        self._address = Address.of(url)
        self._file = RemoteFile(path=name, key=url, size=size, sha256=sha256)
        self._receiver = HttpReceiver()

    def list_files(self) -> SourceListing:
        """Return the file; nobody is asked."""
        return SourceListing(files=(self._file,))

    def receive(self, file: RemoteFile, partial: DataPartial, on_position: OnPosition) -> None:
        """Receive the file."""
        self._receiver.receive(self._address, file, partial, on_position)

    def cancel(self) -> None:
        """End the download."""
        self._receiver.cancel()

    def close(self) -> None:
        """Give up connections."""
        self._receiver.close()
