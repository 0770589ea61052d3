"""Where a package's own code runs while an environment is locked: never on this machine itself.

A builder is an environment like any other, base and compilers, locked and built by either engine.  A sandbox
runs one program in a fresh container of it, without network, and gives back what it wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from envbuild.errors import EngineError
from envbuild.lock.model import Lock, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxLimits:
    """What one build may use."""

    seconds: float = 1800
    memory: int = 16 << 30
    """Bytes."""

    output: int = 1 << 30
    """Bytes of the result, and as many of what it prints."""

    processes: int = 4096


LIMITS: Final = SandboxLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOutcome:
    """How a program in a sandbox ended."""

    exit_status: int
    stdout: bytes
    stderr: bytes


class Sandbox(Protocol):
    """Runs programs in containers of builders."""

    def run(
        self,
        lock: Lock,
        target: Target,
        command: tuple[str, ...],
        *,
        files: Mapping[str, bytes],
        limits: SandboxLimits = LIMITS,
    ) -> SandboxOutcome:
        """Run ``command`` in a fresh container of the builder that ``target`` of ``lock`` is, and remove it.

        The builder's image is made first when the engine lacks it.  ``files`` are written into the container
        beforehand, by absolute path.  There is no network.

        :raises BuildFailedError: the program went beyond ``limits``.
        :raises EngineError: no engine of this machine can run it.
        """


class NoSandbox:
    """Stands in where nothing is to be built: on machines without an engine, and in merges of locks."""

    def run(
        self,
        lock: Lock,  # noqa: ARG002
        target: Target,  # noqa: ARG002
        command: tuple[str, ...],  # noqa: ARG002
        *,
        files: Mapping[str, bytes],  # noqa: ARG002
        limits: SandboxLimits = LIMITS,  # noqa: ARG002
    ) -> SandboxOutcome:
        """Refuse.  :raises EngineError: always."""
        raise EngineError("nothing can be built from source here", hint="run `envbuild lock`")
