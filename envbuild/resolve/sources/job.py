"""Jobs for a sandbox: what :mod:`envbuild.resolve.sources.backend` is given, and what it gives back."""

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from envbuild.errors import BuildFailedError
from envbuild.resolve.sources.sandbox import SandboxOutcome

EPOCH: Final = 1_577_836_800
"""SOURCE_DATE_EPOCH of every build, and the time of every file: 2020-01-01, in seconds since 1970."""

FORMAT: Final = 1
"""Goes up when the same source would be built otherwise: wheels built before are then not taken for it."""

_PROGRAM: Final = "/tmp/envbuild-backend.py"  # noqa: S108 - inside a container nobody else is in
_INPUT: Final = "/tmp/envbuild-input.tar"  # noqa: S108

LARGEST_METADATA: Final = 16 << 20
"""Bytes of METADATA that are believed."""

_NO_ANSWER: Final = (
    *(tarfile.TarError, EOFError, OSError, RecursionError, ArithmeticError),
    *(ValueError, LookupError, TypeError, AttributeError),
)
"""What answers that are none bring about."""

_LEGACY: Final = "setuptools.build_meta:__legacy__"

Action = Literal["requires", "metadata", "wheel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One thing to be done with a source archive."""

    action: Action
    """What its build needs besides what it declares, its metadata, or its wheel."""

    archive: Path
    wheels: Mapping[str, Path]
    """What it is built with, by file name."""

    backend: str | None
    backend_path: tuple[str, ...] = ()
    subdirectory: str = ""
    is_tree: bool = False
    """Whether the archive holds the files themselves, rather than one folder with all of them."""

    def command(self, interpreter: str) -> tuple[str, ...]:
        """Return what a container of the builder runs; ``interpreter`` is the path of its Python."""
        return interpreter, "-I", "-S", "-B", _PROGRAM, _INPUT

    def files(self) -> dict[str, bytes]:
        """Return the files the container needs, by path."""
        return {_PROGRAM: _program(), _INPUT: self._input()}

    def _input(self) -> bytes:
        described = {
            "action": self.action,
            "backend": self.backend or _LEGACY,
            "backend-path": list(self.backend_path),
            "epoch": EPOCH,
            "is-tree": self.is_tree,
            "subdirectory": self.subdirectory,
        }
        contents = {"job.json": json.dumps(described).encode(), "source": self.archive.read_bytes()}
        contents |= {f"wheels/{name}": path.read_bytes() for name, path in self.wheels.items()}
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, data in sorted(contents.items()):
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        return buffer.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResult:
    """What came of a job."""

    requires: tuple[str, ...] = ()
    metadata: bytes = b""
    wheel: str = ""
    """File name."""

    content: bytes = b""
    """Of the wheel."""


class JobRefusedError(BuildFailedError):
    """The program in the sandbox could not do the job; the detail is what it printed."""


def read_result(outcome: SandboxOutcome) -> JobResult:
    """Return the result of a job.

    :raises JobRefusedError: it failed, or the answer is none.
    """
    said = outcome.stderr.decode(errors="replace")
    try:
        files = _files(outcome.stdout)
        result: dict[str, Any] = json.loads(files["result.json"])
        if "error" in result:
            raise JobRefusedError(str(result["error"]), detail=said)
        name = str(result.get("wheel", ""))
        return JobResult(
            requires=tuple(str(item) for item in result.get("requires", ())),
            metadata=files.get("METADATA", b"")[:LARGEST_METADATA],
            wheel=name,
            content=files[name] if name else b"",
        )
    except _NO_ANSWER as error:
        raise JobRefusedError(f"exit status {outcome.exit_status}", detail=said) from error


def _files(data: bytes) -> dict[str, bytes]:
    """Return the files of the answer; the project's code had every chance to write it itself."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for entry in archive:
            # a sparse file is as large as it says, whatever was written
            is_plain = entry.isreg() and not entry.issparse()
            content = archive.extractfile(entry) if is_plain else None
            if content is not None:
                found[entry.name] = content.read()
    return found


@cache
def _program() -> bytes:
    return Path(__file__).with_name("backend.py").read_bytes()
