"""What becomes of a command that is told to end: by a supervisor, a CI service, a terminal that is closed."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Final, NoReturn

SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """Have these signals end the block like an error: what is temporary goes, and programs it started end.

    The exit status is 128 and the signal's number, as shells count.  A second signal ends everything at once;
    one that whoever started this program had it ignore (nohup) stays ignored.
    """
    caught = [number for number in SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in caught:
        signal.signal(number, _end)
    try:
        yield
    finally:
        # imported by whoever has started a program, and by nobody else
        process = sys.modules.get("envbuild.process")
        if process is not None:
            process.end_all()
        for number in caught:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    sys.exit(128 + number)
