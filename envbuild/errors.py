"""Every error envbuild raises on purpose, with the exit code it ends in.

They live in one file so that codes are unique and mean one thing.  Errors are data: they neither print
nor exit; ``cli/app.py`` is the only catcher.  A message states the fact; the hint says what to do next.
"""

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Self


class ExitCode(IntEnum):
    """What the process' exit code means; stable across releases."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    SPEC = 3
    LOCK = 4
    NO_SOLUTION = 5
    ENGINE = 6
    BUILD = 7
    VERIFICATION = 8
    NETWORK = 9
    INTEGRITY = 10
    RUN = 125
    BUG = 70
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong at one place of a file."""

    where: str
    """Field path as the user wrote it, such as ``pip.packages[2]``; empty for the file as a whole."""

    message: str
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class EnvbuildError(Exception):
    """Base of all deliberate errors.

    ``detail`` is text of another program (already shortened), shown indented below the message.
    ``problems`` lists everything wrong at once, each with its field path.
    """

    exit_code: ExitCode = ExitCode.FAILURE

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        problems: Iterable[Problem] = (),
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.problems = tuple(problems)
        self.detail = detail


class CatalogError(EnvbuildError):
    """The catalogue, or an update of it, cannot be used; ``problems`` names the rows."""


class UsageError(EnvbuildError):
    """The command line asks for something contradictory."""

    exit_code = ExitCode.USAGE


class ConfigurationError(UsageError):
    """The user's configuration file cannot be used; ``problems`` names the lines."""


class SpecError(EnvbuildError):
    """The spec cannot be read, or asks for something that cannot be."""

    exit_code = ExitCode.SPEC

    @classmethod
    def at(cls, where: str, message: str, hint: str | None = None) -> Self:
        """Return the error of one field of the spec."""
        return cls.of([Problem(where, message, hint)])

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> Self:
        """Return the error of some fields of the spec."""
        return cls("the spec is not valid", problems=problems)


class ImageError(SpecError):
    """The reference names something that cannot be a base: no image, or not one for this platform."""


class LockError(EnvbuildError):
    """The lock cannot be used."""

    exit_code = ExitCode.LOCK


class LockMissingError(LockError):
    """There is no lock where one is needed."""


class LockStaleError(LockError):
    """The lock no longer answers the spec; ``problems`` names the fields."""


class LockInvalidError(LockError):
    """The lock is not well formed, or contradicts itself."""


class LockVersionError(LockError):
    """The lock was written in a format this release does not know."""


class NoSolutionError(EnvbuildError):
    """Nothing satisfies what was asked."""

    exit_code = ExitCode.NO_SOLUTION


class SourcesNeededError(NoSolutionError):
    """Wheels alone give older versions than sources would, or none; nobody said which are wanted."""

    def __init__(
        self,
        message: str,
        *,
        packages: tuple[str, ...],
        problems: Iterable[Problem] = (),
        hint: str | None = None,
    ) -> None:
        """Take ``packages``, sorted: all that must be built from source."""
        super().__init__(message, problems=problems, hint=hint)
        self.packages = packages


class EngineError(EnvbuildError):
    """The container engine is missing, too old, or refused."""

    exit_code = ExitCode.ENGINE


class LimitExceededError(EngineError):
    """A command in a container wanted more time, memory, output or processes than it may have."""


class ToolMissingError(EnvbuildError):
    """A program that the work needs is not on this machine."""

    exit_code = ExitCode.ENGINE


class BuildFailedError(EnvbuildError):
    """The engine ran the build and a step of it failed."""

    exit_code = ExitCode.BUILD


class VerificationError(EnvbuildError):
    """A container differs from its lock."""

    exit_code = ExitCode.VERIFICATION


class NetworkError(EnvbuildError):
    """An index, archive or registry cannot be reached, or refused the credentials."""

    exit_code = ExitCode.NETWORK


class NotFoundError(NetworkError):
    """The index, archive or registry answered that there is no such thing."""


class IntegrityError(EnvbuildError):
    """Bytes do not match the lock."""

    exit_code = ExitCode.INTEGRITY


class RecordError(EnvbuildError):
    """The record of a run cannot be used, or there is none where one was looked for."""


class RunError(EnvbuildError):
    """`envbuild run` failed before the command's own code was known."""

    exit_code = ExitCode.RUN


class CopyOutError(RunError):
    """The command of `envbuild run` has ended, and something could not be copied from its container."""

    exit_status: int = 0
    """The command's own."""


class CommandMissingError(RunError):
    """The command of `envbuild run` is not in the image, or cannot be executed there."""


def from_os_error(error: OSError) -> EnvbuildError:
    """Return what the system refused as an error in our form."""
    where = f"{error.filename}: " if error.filename else ""
    hint = None
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        hint = "free some space, or name other folders in ENVBUILD_CACHE_DIR and TMPDIR"
    return EnvbuildError(f"{where}{(error.strerror or str(error)).lower()}", hint=hint)
