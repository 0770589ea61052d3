"""The program's start: ``envbuild`` and ``python -m envbuild``."""

import gc
import os
import signal

PLUGINS_VARIABLE = "PYDANTIC_DISABLE_PLUGINS"


def main() -> None:
    """Run the program.

    Before anything is imported: a command makes many objects at its start, nearly all of which stay, so
    looking for rubbish that often is a fifth of a short command's time; and nobody's plugins have a say in
    what a lock means, nor need be looked for.
    """
    gc.set_threshold(100_000, 20, 100)
    os.environ[PLUGINS_VARIABLE] = "__all__"
    interrupted = signal.getsignal(signal.SIGINT)
    if interrupted is signal.default_int_handler:
        # Ctrl-C ends the program while there is nobody yet to say so in words
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from envbuild.cli.app import main as run  # noqa: PLC0415 - after what is above

    signal.signal(signal.SIGINT, interrupted)
    run()


if __name__ == "__main__":
    main()
