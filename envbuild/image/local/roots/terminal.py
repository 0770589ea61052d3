"""This terminal joined to one of a private root: keys and text go through, and the size of the window does.

The command has a terminal of its own, which its root knows by name; so job control works as on any terminal,
and the keys that send signals (Ctrl-C, Ctrl-Z) mean what the command makes of them.
"""

import contextlib
import fcntl
import os
import select
import signal
import socket
import termios
import threading
import tty
from collections.abc import Iterator
from types import FrameType

from envbuild.process import terminal_settings_kept

STANDARD_INPUT, STANDARD_OUTPUT = 0, 1

_PIECE_BYTES = 1 << 16
_READY = b"\1"


@contextlib.contextmanager
def joined_terminal() -> Iterator[int]:
    """Yield a socket that ``enter.py`` sends its terminal through; at the end all it said has been shown.

    For the main thread: only there signals tell of a new size.
    """
    own, other = socket.socketpair()
    joint = _Joint(own)
    relay = threading.Thread(target=joint.relay, daemon=True)
    before = signal.signal(signal.SIGWINCH, joint.resize)
    try:
        with terminal_settings_kept(), own, other:
            relay.start()
            try:
                yield other.fileno()
            finally:
                # the last one to hold it, if the command never came as far as to send a terminal
                other.close()
                relay.join()
    finally:
        signal.signal(signal.SIGWINCH, before)
        joint.close()


class _Joint:
    def __init__(self, sender: socket.socket) -> None:
        self._sender = sender
        self._master: int | None = None

    def close(self) -> None:
        master, self._master = self._master, None
        if master is not None:
            os.close(master)

    def resize(self, _number: int = signal.SIGWINCH, _frame: FrameType | None = None) -> None:
        """Give the command's terminal the size of this one; it tells the command."""
        if self._master is not None:
            with contextlib.suppress(OSError):
                size = fcntl.ioctl(STANDARD_OUTPUT, termios.TIOCGWINSZ, bytes(8))
                fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    def relay(self) -> None:
        """Pass on what is typed and shown, until the command's terminal is closed."""
        try:
            _, received, _, _ = socket.recv_fds(self._sender, 1, 1)
        except OSError:
            return
        if not received:
            return
        (self._master,) = received
        # what a person set on this terminal, such as the key that erases, holds on the other
        termios.tcsetattr(self._master, termios.TCSANOW, termios.tcgetattr(STANDARD_INPUT))
        tty.setraw(STANDARD_INPUT, termios.TCSANOW)
        self.resize()
        self._sender.sendall(_READY)
        self._pass_on(self._master)

    def _pass_on(self, master: int) -> None:
        # who pastes more than a program reads must not keep its output from being shown
        os.set_blocking(master, False)
        typed, open_input = b"", True
        while True:
            reads = [master] if typed or not open_input else [master, STANDARD_INPUT]
            ready, writable, _ = select.select(reads, [master] if typed else [], [])
            if master in ready:
                shown = _read(master)
                if not shown:
                    # so Linux tells that the last program on it has ended
                    return
                _write(STANDARD_OUTPUT, shown)
            if master in writable:
                with contextlib.suppress(BlockingIOError):
                    typed = typed[os.write(master, typed) :]
            if STANDARD_INPUT in ready:
                typed = _read(STANDARD_INPUT)
                open_input = bool(typed)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _PIECE_BYTES)
    except OSError:
        return b""


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    with contextlib.suppress(OSError):
        while view:
            view = view[os.write(descriptor, view) :]
