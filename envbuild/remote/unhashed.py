"""Downloads of files whose sha256 nobody knows yet: whole, of the size that was promised, or not at all.

:mod:`envbuild.remote.download` is for all others.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import requests
import urllib3.exceptions

from envbuild.errors import IntegrityError, NetworkError
from envbuild.remote.address import Address
from envbuild.remote.attempt import is_transient, open_answer
from envbuild.remote.download import READ_SIZE, DownloadSink
from envbuild.remote.http import TIMEOUT_SECONDS, network_errors, open_session, require_success

ATTEMPTS: Final = 4
_PARTIAL_CONTENT: Final = 206


def download_unhashed(
    address: Address,
    sink: DownloadSink,
    *,
    size: int | None = None,
    largest: int,
    on_position: Callable[[int], None] = lambda _: None,
) -> None:
    """Fill ``sink`` from ``address`` with whatever is there, of ``size`` bytes where that is known.

    What breaks off goes on where it stopped if the server says by a strong ``ETag`` that it is still the same
    file (RFC 9110, 13.1.5); else it begins anew.  ``largest`` is how many bytes are taken at most.

    :raises IntegrityError: the file is of another size, or larger than may be.
    :raises NetworkError: the address does not serve it.
    :raises OSError: ``sink`` refused bytes.
    """
    sink.restart()
    with open_session() as session:
        session.headers["Accept-Encoding"] = "identity"
        reception = _Reception(session, address, sink, largest if size is None else min(size, largest))
        for left in reversed(range(ATTEMPTS)):
            try:
                reception.go_on(on_position)
                break
            except _BrokenOffError as failure:
                if not left:
                    raise failure.error from failure
    if size is not None and sink.position != size:
        raise reception.wrong_size(str(sink.position))


class _BrokenOffError(Exception):
    """An answer ended too early; carries what to raise when attempts run out."""

    def __init__(self, error: NetworkError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(slots=True)
class _Reception:
    session: requests.Session
    address: Address
    sink: DownloadSink
    most: int
    """Bytes that may come."""

    tag: str = ""
    """A strong validator of the bytes there are."""

    def go_on(self, on_position: Callable[[int], None]) -> None:
        """Receive all that is still to come."""
        start = self.sink.position if self.tag else 0
        self.session.headers.pop("If-Range", None)
        if start:
            self.session.headers["If-Range"] = self.tag
        with network_errors(self.address.url):
            response = open_answer(self.session, self.address, start=start, timeout=TIMEOUT_SECONDS)
        with contextlib.closing(response):
            require_success(response)
            if not start or response.status_code != _PARTIAL_CONTENT:
                self.sink.restart()
            tag = response.headers.get("ETag", "")
            self.tag = tag if tag.startswith('"') else ""
            length = response.headers.get("Content-Length", "")
            whole = self.sink.position + int(length) if length.isdecimal() else None
            if whole is not None and whole > self.most:
                raise self.wrong_size(str(whole))
            while chunk := self._chunk(response):
                if self.sink.position + len(chunk) > self.most:
                    raise self.wrong_size("more")
                self.sink.append(chunk)
                on_position(self.sink.position)
        if whole is not None and self.sink.position < whole:
            raise _BrokenOffError(
                NetworkError(f"{self.address} ended after {self.sink.position} of {whole} bytes")
            )

    def _chunk(self, response: requests.Response) -> bytes:
        try:
            with network_errors(self.address.url):
                try:
                    chunk: bytes = response.raw.read1(READ_SIZE, decode_content=False)
                except urllib3.exceptions.HTTPError as error:
                    raise requests.exceptions.ConnectionError(error) from error
        except NetworkError as error:
            if is_transient(error):
                raise _BrokenOffError(error) from error
            raise
        return chunk

    def wrong_size(self, got: str) -> IntegrityError:
        """Return the error of a file that is larger or smaller than it should be."""
        return IntegrityError(f"{self.address} has another size: {self.most} bytes expected, got {got}")
