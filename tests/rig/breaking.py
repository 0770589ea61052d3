"""A wire to a server that breaks: a proxy on the loopback interface that hangs up after so many bytes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Wire:
    """What goes through to the server and when it breaks; change it while it runs."""

    host: str = ""
    breaks_at: list[int] = field(default_factory=list)
    """Bytes to the server, counted over all connections, at which each next break comes; sorted."""
    passed: int = 0
    broken: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, data: bytes) -> tuple[bytes, bool]:
        """Return what of `data` gets through, and whether the wire breaks after it."""
        with self._lock:
            if self.breaks_at and self.passed + len(data) >= self.breaks_at[0]:
                data = data[: max(0, self.breaks_at.pop(0) - self.passed)]
                self.broken += 1
                self.passed += len(data)
                return data, True
            self.passed += len(data)
            return data, False


@contextmanager
def breaking_wire(server: str) -> Iterator[Wire]:
    """Pass connections on to `server`, a `host:port`."""
    host, _, port = server.partition(":")
    wire = Wire()
    listener = socket.create_server(("127.0.0.1", 0))
    wire.host = f"127.0.0.1:{listener.getsockname()[1]}"

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            upstream = socket.create_connection((host, int(port)))
            threading.Thread(target=_forth, args=(client, upstream, wire), daemon=True).start()
            threading.Thread(target=_back, args=(upstream, client), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield wire
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def _forth(client: socket.socket, upstream: socket.socket, wire: Wire) -> None:
    with suppress(OSError):
        while data := client.recv(65536):
            through, breaks = wire.take(data)
            upstream.sendall(through)
            if breaks:
                break
    _close(client)
    _close(upstream)


def _back(upstream: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while data := upstream.recv(65536):
            client.sendall(data)
    _close(client)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
