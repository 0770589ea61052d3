"""A run never fails because of this package: one warning a process, and bounded waits."""

from __future__ import annotations

import functools
import re
from typing import Any, Callable, TypeVar

T = TypeVar("T")

LONGEST_MESSAGE = 400
"""Characters of another program's error that are shown."""

_CREDENTIALS = re.compile(r"(?<=https://)[^/\s]+(?=@)|(?<=http://)[^/\s]+(?=@)|(?<=://)[^/\s:]*:[^/\s]+(?=@)")
"""User and password of an address; the user alone where it may be a token."""

_warned: list[str] = []


class EnvbuildRuntimeWarning(RuntimeWarning):
    """Something of the environment could not be recorded; the run goes on."""


def warn(message: str) -> None:
    """Warn once a process; never raise, whatever filters are set.

    Later calls do nothing: one cause (a full disk, no server) has many effects.
    """
    if _warned:
        return
    _warned.append(message)
    text = f"envbuild-runtime: {shown(message)}; the run goes on"
    try:
        import warnings

        try:
            warnings.warn(text, EnvbuildRuntimeWarning, stacklevel=3)
        except EnvbuildRuntimeWarning:
            # warnings are errors here
            import logging

            logging.getLogger("envbuild_runtime").warning("%s", text)
    except Exception:
        # no stream to write to, or a hook of somebody else's
        return


def shown(message: object) -> str:
    """Return a message as one bounded line, without the user and password of an address."""
    try:
        line = " ".join(str(message).split())
    except Exception:
        line = type(message).__name__
    line = "".join(character if character.isprintable() else "?" for character in line)
    line = without_credentials(line)
    return line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]}…"


def without_credentials(text: str) -> str:
    """Return a text with ``***`` for the user and password of each address in it."""
    return _CREDENTIALS.sub("***", text)


def failed(what: str, error: BaseException) -> None:
    """Warn that ``what`` did not succeed."""
    warn(f"{what}: {type(error).__name__}: {shown(error)}")


def guarded(what: str) -> Callable[[Callable[..., bool]], Callable[..., bool]]:
    """Make a hook return False and warn, where it would raise."""

    def decorate(hook: Callable[..., bool]) -> Callable[..., bool]:
        @functools.wraps(hook)
        def call(*arguments: Any, **options: Any) -> bool:
            try:
                return hook(*arguments, **options)
            except Exception as error:
                failed(what, error)
                return False

        return call

    return decorate


def attempt(function: Callable[[], T]) -> T | None:
    """Return what ``function`` returns, or None where it raises: a fact that is not to be had."""
    try:
        return function()
    except Exception:
        return None


def within(seconds: float, function: Callable[[], T]) -> T:
    """Return what ``function`` returns; it runs in a thread that is left behind if it takes longer.

    :raises TimeoutError: when it does.
    :raises Exception: what it raises.
    """
    import threading

    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:  # handed to the caller
            errors.append(error)

    thread = threading.Thread(target=run, name="envbuild-runtime", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return results[0]
