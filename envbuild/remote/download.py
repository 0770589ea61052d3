"""Downloads of files whose size and sha256 are known beforehand: resumed, retried, cut off, verified.

Where the bytes go is up to the caller's :class:`DownloadSink`; so is which address to try next.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
import urllib3
import urllib3.exceptions

from envbuild.errors import NetworkError
from envbuild.remote.address import Address
from envbuild.remote.attempt import (
    ExpectedFile,
    TransientError,
    is_transient,
    judge_answer,
    open_answer,
    wrong_digest,
    wrong_size,
)
from envbuild.remote.http import TIMEOUT_SECONDS, network_errors, open_session

DELAYS_SECONDS = (0.2, 0.8, 1.6, 3.2)
"""Waits before each further attempt at one address, unless the server says ``Retry-After``.  Without jitter:
one user's few connections are no stampede, and a fixed schedule can be tested."""

READ_SIZE = 1 << 18
"""Bytes asked of a connection at most; it gives what it has, so a slow one is not waited for."""

FRESH_START_BYTES = 1 << 20
"""An attempt that got this much further than any before it is no failure: the attempts count anew."""


class DownloadSink(Protocol):
    """A file that grows."""

    @property
    def position(self) -> int:
        """How many bytes there are."""

    @property
    def sha256(self) -> str:
        """The hexadecimal sha256 of the bytes there are."""

    def append(self, data: bytes) -> None:
        """Write at the end."""

    def restart(self) -> None:
        """Forget all bytes."""


class CancelledError(Exception):
    """The download was called off by :meth:`Downloader.cancel`; never shown to a user."""


class Downloader:
    """Downloads over one session, from several threads, until it is cancelled."""

    def __init__(
        self,
        *,
        delays: tuple[float, ...] = DELAYS_SECONDS,
        timeout: tuple[float, float] = TIMEOUT_SECONDS,
    ) -> None:
        # urllib3's own retries sleep where nothing can wake them, and know nothing of resuming
        self._session = open_session(retries=0)
        # a compressed transfer would be other bytes than those the lock has the hash of
        self._session.headers["Accept-Encoding"] = "identity"
        self._delays = delays
        self._timeout = timeout
        self._cancelled = threading.Event()
        self._active: set[urllib3.HTTPResponse] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def cancel(self) -> None:
        """End all downloads of other threads now; what they received stays in their sinks."""
        self._cancelled.set()
        with self._lock:
            for response in self._active:
                # it may have ended by itself
                with contextlib.suppress(OSError, RuntimeError, ValueError):
                    response.shutdown()

    def download(
        self,
        address: Address,
        sink: DownloadSink,
        wanted: ExpectedFile,
        *,
        on_position: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Fill ``sink`` from ``address`` with what is wanted.

        Bytes that ``sink`` already holds are not asked for again: content is named by its hash, so it does
        not matter which address they came from, and no validator (``If-Range``) is needed.  If the whole
        turns out wrong after resuming, it is fetched from its start, once.  ``on_position`` hears how many
        bytes there are.

        :raises IntegrityError: the address serves something else.
        :raises NetworkError: the address does not serve it; ``sink`` keeps what came.
        :raises CancelledError: :meth:`cancel` was called.
        :raises OSError: ``sink`` refused bytes.
        """
        if sink.position > wanted.size:
            sink.restart()
        is_pieced = sink.position > 0
        on_position(sink.position)
        is_pieced |= self._receive(address, sink, wanted, on_position)
        if sink.sha256 != wanted.sha256 and is_pieced:
            sink.restart()
            on_position(0)
            self._receive(address, sink, wanted, on_position)
        got = sink.sha256
        if got != wanted.sha256:
            sink.restart()
            raise wrong_digest(wanted, address, got)

    def _receive(
        self, address: Address, sink: DownloadSink, wanted: ExpectedFile, on_position: Callable[[int], None]
    ) -> bool:
        """Fill ``sink`` to the size wanted; return whether it is pieced together from several answers."""
        failures = 0
        furthest = sink.position
        is_pieced = False
        while sink.position < wanted.size:
            try:
                self._attempt(address, sink, wanted, on_position)
            except TransientError as failure:
                if sink.position - furthest >= FRESH_START_BYTES:
                    failures = 0
                furthest = max(furthest, sink.position)
                if failures == len(self._delays):
                    raise failure.error from failure
                wait = self._delays[failures] if failure.wait_seconds is None else failure.wait_seconds
                failures += 1
                is_pieced |= sink.position > 0
                if self._cancelled.wait(wait):
                    raise CancelledError from failure
        return is_pieced

    def _attempt(
        self, address: Address, sink: DownloadSink, wanted: ExpectedFile, on_position: Callable[[int], None]
    ) -> None:
        is_file = urlsplit(address.url).scheme == "file"
        with (self._file if is_file else self._answer)(address, sink, wanted) as chunks:
            for chunk in chunks:
                self._require_wanted()
                if sink.position + len(chunk) > wanted.size:
                    sink.restart()
                    raise wrong_size(wanted, address, "more")
                sink.append(chunk)
                on_position(sink.position)
        self._require_wanted()
        if sink.position < wanted.size:
            raise TransientError(
                NetworkError(
                    f"{address} ended after {sink.position} of {wanted.size} bytes",
                    hint="try again: what was received is kept",
                )
            )

    @contextlib.contextmanager
    def _answer(
        self, address: Address, sink: DownloadSink, wanted: ExpectedFile
    ) -> Iterator[Iterator[bytes]]:
        """Yield the bytes that follow those in ``sink``, which is restarted if they begin at 0."""
        self._require_wanted()
        with self._transient_errors(address):
            response = open_answer(self._session, address, start=sink.position, timeout=self._timeout)
        with contextlib.closing(response), self._cancellable(response.raw):
            try:
                begin = judge_answer(response, address, wanted, start=sink.position)
            except TransientError as failure:
                if failure.from_start:
                    sink.restart()
                raise
            if begin < sink.position:
                sink.restart()
            yield self._chunks(address, response.raw)

    def _chunks(self, address: Address, raw: urllib3.HTTPResponse) -> Iterator[bytes]:
        while True:
            with self._transient_errors(address):
                chunk = raw.read1(READ_SIZE, decode_content=False)
            if not chunk:
                return
            yield chunk

    @contextlib.contextmanager
    def _file(self, address: Address, sink: DownloadSink, wanted: ExpectedFile) -> Iterator[Iterator[bytes]]:
        parts = urlsplit(address.url)
        if parts.netloc not in {"", "localhost"}:
            raise NetworkError(f"{address} names a file of another machine")
        path = Path(url2pathname(parts.path))
        with network_errors(address.url):
            size = path.stat().st_size
            stream = path.open("rb")
        with stream:
            if size != wanted.size:
                raise wrong_size(wanted, address, str(size))
            stream.seek(sink.position)
            yield self._file_chunks(address, stream)

    def _file_chunks(self, address: Address, stream: BinaryIO) -> Iterator[bytes]:
        while True:
            with network_errors(address.url):
                chunk = stream.read(READ_SIZE)
            if not chunk:
                return
            yield chunk

    @contextlib.contextmanager
    def _cancellable(self, raw: urllib3.HTTPResponse) -> Iterator[None]:
        with self._lock:
            self._active.add(raw)
        try:
            # a cancel that came just before could not see it
            self._require_wanted()
            yield
        finally:
            with self._lock:
                self._active.discard(raw)

    def _require_wanted(self) -> None:
        if self._cancelled.is_set():
            raise CancelledError

    @contextlib.contextmanager
    def _transient_errors(self, address: Address) -> Iterator[None]:
        try:
            with network_errors(address.url):
                try:
                    yield
                except urllib3.exceptions.HTTPError as error:
                    # requests wraps these only where it reads the body itself
                    raise requests.exceptions.ConnectionError(error) from error
        except NetworkError as error:
            self._require_wanted()
            if is_transient(error):
                raise TransientError(error) from error
            raise
