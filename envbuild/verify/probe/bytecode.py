"""Bytecode against its source: compile again in this very interpreter and compare the code objects.

Bytes are not compared: how ``marshal`` writes a value depends on who else holds it (cpython issue 129724), so
the same source gives different files.  The objects must be equal in all but the file name they carry.
"""

import importlib.util
import marshal
import os
import struct
import sys
import types
import warnings
from collections.abc import Iterable
from pathlib import Path

from envbuild.verify.checks.facts import BytecodeFacts, BytecodeFinding, FileEntry
from envbuild.verify.probe.roots import place
from envbuild.verify.probe.workers import spread

_HEADER = 16
"""Magic number, flags, and either time and size or hash of the source (PEP 552)."""

_TIMESTAMP, _UNCHECKED, _CHECKED = 0b00, 0b01, 0b11
_KINDS = {_TIMESTAMP: "timestamp", _UNCHECKED: "unchecked-hash", _CHECKED: "checked-hash"}
# what == leaves out of code objects in some of the versions the probe runs on
_ALSO_COMPARED = tuple(
    name
    for name in ("co_qualname", "co_stacksize", "co_linetable", "co_exceptiontable")
    if hasattr(types.CodeType, name)
)

_FINE, _FOREIGN = "fine", "foreign"
Verdict = tuple[str, str]


def bytecode_facts(root: Path, files: Iterable[tuple[str, FileEntry]], *, prefix: str) -> BytecodeFacts:
    """Check every ``.pyc`` among ``files``; in ``prefix`` it must also be of the kind the build writes."""
    items = [(entry[2], path) for path, entry in files if path.endswith(".pyc") and entry[0] == "f"]

    def judge(path: str) -> Verdict:
        kind = "unchecked-hash" if path.startswith(f"{prefix}/") else None
        return judge_bytecode(root, path, kind=kind)

    judged = sorted(
        spread(items, judge, when_fatal=("unreadable", "reading it ends the interpreter")).items()
    )
    return BytecodeFacts(
        checked=sum(1 for _, (verdict, _) in judged if verdict != _FOREIGN),
        foreign=sum(1 for _, (verdict, _) in judged if verdict == _FOREIGN),
        findings=tuple(
            BytecodeFinding(path=path, problem=verdict, detail=detail)
            for path, (verdict, detail) in judged
            if verdict not in {_FINE, _FOREIGN}
        ),
    )


def judge_bytecode(root: Path, path: str, *, kind: str | None) -> Verdict:
    """Return a verdict on one ``.pyc`` and its detail: a problem of ``BytecodeFinding``, or fine, or foreign.

    ``kind`` is how it must be invalidated, or None when any way will do.
    """
    source_path, tag, optimize = split_cache_path(path)
    try:
        data = place(root, path).read_bytes()
    except OSError as error:
        return "unreadable", error.strerror or ""
    verdict = _judge_header(data, tag)
    if verdict is not None:
        return verdict
    try:
        with place(root, source_path).open("rb") as stream:
            time = int(os.fstat(stream.fileno()).st_mtime)
            source = stream.read()
    except OSError:
        return "orphan", f"{source_path} cannot be read"
    return (
        _judge_freshness(data, source, time)
        or _judge_code(data, source, path=source_path, optimize=optimize)
        or _judge_kind(data, source, kind)
        or (_FINE, "")
    )


def split_cache_path(path: str) -> tuple[str, str | None, int]:
    """Return source, interpreter tag and optimisation level a ``.pyc`` is for (PEP 3147, PEP 488).

    One outside ``__pycache__`` stands for the module itself: no tag.
    """
    folder, _, name = path.rpartition("/")
    if not folder.endswith("/__pycache__"):
        return path[:-1], None, 0
    stem, tag, optimize = name[: -len(".pyc")], "", 0
    stem, _, last = stem.rpartition(".")
    if last.startswith("opt-"):
        optimize = int(last[4:]) if last[4:] in {"1", "2"} else 0
        stem, _, last = stem.rpartition(".")
    tag = last
    return f"{folder.rpartition('/')[0]}/{stem}.py", tag, optimize


def same_code(one: types.CodeType, other: types.CodeType) -> bool:
    """Return whether two code objects are equal in all but file names, nested ones included."""
    if one != other:
        return False
    if any(getattr(one, name) != getattr(other, name) for name in _ALSO_COMPARED):
        return False
    return all(
        same_code(left, right)
        for left, right in zip(one.co_consts, other.co_consts, strict=True)
        if isinstance(left, types.CodeType)
    )


def _flags(data: bytes) -> int:
    return int.from_bytes(data[4:8], "little")


def _judge_header(data: bytes, tag: str | None) -> Verdict | None:
    if len(data) < _HEADER:
        return "unreadable", "shorter than a header"
    if data[:4] != importlib.util.MAGIC_NUMBER:
        if tag == sys.implementation.cache_tag:
            return "stale", "the magic number is another Python's, the name is this one's"
        return _FOREIGN, ""
    if _flags(data) not in _KINDS:
        return "unreadable", f"unknown flags {_flags(data):#x}"
    return None


def _judge_freshness(data: bytes, source: bytes, time: int) -> Verdict | None:
    """Judge what Python itself would: whether the header speaks of this source."""
    if _flags(data) == _TIMESTAMP:
        if data[8:_HEADER] != struct.pack("<II", time & 0xFFFFFFFF, len(source) & 0xFFFFFFFF):
            return "stale", "time or size of the source differ"
    elif _flags(data) == _CHECKED and data[8:_HEADER] != importlib.util.source_hash(source):
        return "stale", "the hash of the source differs"
    return None


def _judge_code(data: bytes, source: bytes, *, path: str, optimize: int) -> Verdict | None:
    try:
        kept = marshal.loads(memoryview(data)[_HEADER:])  # noqa: S302 - read, never run
    except (ValueError, EOFError, TypeError) as error:
        return "unreadable", str(error)
    if not isinstance(kept, types.CodeType):
        return "unreadable", f"holds {type(kept).__name__}, not code"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(source, path, "exec", dont_inherit=True, optimize=optimize)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return "mismatch", f"the source does not compile: {error}"
    return None if same_code(kept, code) else ("mismatch", "")


def _judge_kind(data: bytes, source: bytes, kind: str | None) -> Verdict | None:
    found = _KINDS[_flags(data)]
    if _flags(data) == _UNCHECKED and data[8:_HEADER] != importlib.util.source_hash(source):
        return "header", ""
    if kind is not None and found != kind:
        return "mode", f"{found}, the build writes {kind}"
    return None
