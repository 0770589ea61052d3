"""What envbuild left for a run: the record in a variable, and what the image says of itself.

Both may be absent, and a variable may hold anything: sizes and depth are bounded before use.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from typing import Any, NamedTuple

from envbuild_runtime.guard import failed, without_credentials

RECORD_VARIABLE = "ENVBUILD_RUN"
LARGEST_RECORD = 128 * 1024
"""Characters; Linux passes no longer variable to a program."""

DEEPEST_RECORD = 12
"""Values within values; a record has five."""

LOCK_FILE = "/etc/envbuild/lock.json"
LARGEST_LOCK = 64 * 1024 * 1024
WHOLE_LOCK = "envbuild.lock"
"""Name of the lock of all targets, beside the spec."""

TAG_DIGITS = 12
"""Hexadecimal digits of the target digest that make the tag."""


class TargetLock(NamedTuple):
    """What the image says of itself."""

    content: bytes
    """The file as it is."""

    target: dict[str, Any]
    digest: str
    """``sha256:…``: the target digest."""

    @property
    def tag(self) -> str:
        """The image's tag."""
        return self.digest[len("sha256:") :][:TAG_DIGITS]


_locks: dict[str, TargetLock | None] = {}


def record() -> dict[str, Any] | None:
    """Return the record in the variable; None if there is none, or (with a warning) no valid one."""
    text = os.environ.get(RECORD_VARIABLE)
    if not text:
        return None
    try:
        return parse_record(text)
    except Exception as error:
        failed(f"{RECORD_VARIABLE} is left out", error)
        return None


def parse_record(text: str) -> dict[str, Any]:
    """Return a record.  :raises ValueError: when it is none, or too large, too deep, or no valid Unicode."""
    if len(text) > LARGEST_RECORD:
        raise ValueError(f"{len(text)} characters, at most {LARGEST_RECORD} are read")
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("values are nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - of a text, not of an argument
    if _too_deep(value, DEEPEST_RECORD):
        raise ValueError("values are nested too deeply")
    # lone surrogates, and bytes that were no UTF-8, could be written nowhere
    json.dumps(value, ensure_ascii=False).encode("utf-8")
    cleaned: dict[str, Any] = _without_credentials(value)
    return cleaned


def target_lock() -> TargetLock | None:
    """Return the target's part of the lock, which the image carries; None if it carries none; read once."""
    path = LOCK_FILE
    if path not in _locks:
        try:
            _locks[path] = _read_lock(path)
        except FileNotFoundError:
            _locks[path] = None
        except Exception as error:
            failed(f"{path} is left out", error)
            _locks[path] = None
    return _locks[path]


def whole_lock(found: dict[str, Any] | None) -> bytes | None:
    """Return the lock that a record names, where the run can see the file: the spec's folder is mounted.

    It is looked for here and in the folders above, and is the one whose sha256 the record has.
    """
    said = (found or {}).get("lock")
    wanted = said.get("sha256") if isinstance(said, dict) else None
    if not isinstance(wanted, str):
        return None
    folder = os.getcwd()
    while True:
        content = _readable(os.path.join(folder, WHOLE_LOCK))
        if content is not None and hashlib.sha256(content).hexdigest() == wanted:
            return content
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def _readable(path: str) -> bytes | None:
    try:
        state = os.stat(path)
        if not stat.S_ISREG(state.st_mode) or state.st_size > LARGEST_LOCK:
            return None
        with open(path, "rb") as stream:
            return stream.read(LARGEST_LOCK)
    except OSError:
        return None


def in_image() -> bool:
    """Return whether envbuild had to do with this process: nothing is read."""
    return RECORD_VARIABLE in os.environ or os.path.exists(LOCK_FILE)


def canonical_json(value: Any) -> bytes:
    """Return the one byte string that stands for a JSON value; its sha256 is the digest of a target."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def _read_lock(path: str) -> TargetLock:
    # looked at before it is opened: a pipe would wait for its writer
    state = os.stat(path)
    if not stat.S_ISREG(state.st_mode) or state.st_size > LARGEST_LOCK:
        raise ValueError("no file of a usable size")
    with open(path, "rb") as stream:
        content = stream.read(LARGEST_LOCK + 1)
    target = json.loads(content.decode("utf-8"), parse_constant=_refuse)
    if not isinstance(target, dict) or len(content) > LARGEST_LOCK:
        raise ValueError("no target of a lock")
    digest = "sha256:" + hashlib.sha256(canonical_json(target)).hexdigest()
    return TargetLock(content, target, digest)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _without_credentials(value: Any) -> Any:
    # envbuild writes none; whoever else sets the variable may
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, list):
        return [_without_credentials(part) for part in value]
    if isinstance(value, dict):
        return {name: _without_credentials(part) for name, part in value.items()}
    return value


def _too_deep(value: Any, left: int) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    if left == 0:
        return True
    return any(_too_deep(part, left - 1) for part in (value.values() if isinstance(value, dict) else value))
