"""How apt's programs are started: on this machine, from an unpacked copy, or in a container.

apt decides the same in each way: it gets the same configuration, the same lists and the same question.
docs/adr/0054-lock-without-apt.md says which way is taken when.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, get_args

from envbuild import process
from envbuild.errors import EnvbuildError, NetworkError, Problem, ToolMissingError, UsageError
from envbuild.process import ProcessResult, ProgramMissingError, ProgramTimeoutError
from envbuild.resolve.apt.archives import AptArchives
from envbuild.resolve.apt.root import AptRoot

WayName = Literal["host", "root", "engine"]

WAYS: Final[tuple[WayName, ...]] = get_args(WayName)

VARIABLE: Final = "ENVBUILD_APT"
"""Names the one way to be taken; ``auto``, as without it, takes the first that can be taken."""

PROGRAMS: Final = ("apt-get", "apt-cache", "apt-config")

LARGEST_OUTPUT: Final = 1 << 28
"""Bytes of standard output, and as many of standard error; records of all packages of Debian have 50 MB."""


class RunProgram(Protocol):
    """Runs one of apt's programs to its end."""

    def __call__(self, arguments: Sequence[str | Path], *, timeout: float) -> ProcessResult:
        """Run a program; ``timeout`` is in seconds.

        :raises ToolMissingError: it is not there.
        :raises NetworkError: it did not end in time.
        """


@dataclass(frozen=True, slots=True)
class RunningApt:
    """apt's programs, ready to be run on one private root."""

    run: RunProgram
    is_trusted: bool = True
    """Whether they are from a signed archive; else their answers are compared with the signed lists."""


OpenLists = Callable[[AptArchives], AbstractContextManager[AptRoot]]
"""Opens a private root of other archives, with package lists that are up to date."""


class AptWay(Protocol):
    """One way of running apt that reads lists which envbuild fetched and checked."""

    @property
    def name(self) -> WayName:
        """What :data:`VARIABLE` calls it."""

    def prepare(self, archives: AptArchives) -> None:
        """Make sure that this way can be taken; nothing is fetched for it.

        :raises EnvbuildError: it cannot, and why.
        """

    def open(
        self, archives: AptArchives, root: AptRoot, open_lists: OpenLists
    ) -> AbstractContextManager[RunningApt]:
        """Make apt's programs ready to be run on ``root``.

        :raises EnvbuildError: they cannot be had.
        """

    def describe(self) -> str:
        """Return the way in words, for ``doctor``.  :raises EnvbuildError: it cannot be taken."""

    def close(self) -> None:
        """Let go of what was kept for further sessions."""


def chosen_way(environment: Mapping[str, str]) -> WayName | None:
    """Return the way that :data:`VARIABLE` names; None: the first that can be taken.

    :raises UsageError: it names none.
    """
    named = environment.get(VARIABLE, "")
    if named in {"", "auto"}:
        return None
    for way in WAYS:
        if way == named:
            return way
    raise UsageError(f"{VARIABLE} names no way to run apt: {named}", hint=f"ways: {', '.join(WAYS)}, auto")


def has_host_apt(environment: Mapping[str, str]) -> bool:
    """Return whether apt's programs are on this machine."""
    return all(shutil.which(program, path=environment.get("PATH", "")) for program in PROGRAMS)


def run_on_host(
    arguments: Sequence[str | Path], *, environment: Mapping[str, str], timeout: float
) -> ProcessResult:
    """Run a program of this machine.

    :raises ToolMissingError: it is not here.
    :raises NetworkError: it did not end in time.
    """
    try:
        return process.run(arguments, environment=environment, timeout=timeout)
    except ProgramMissingError as error:
        raise apt_missing(()) from error
    except ProgramTimeoutError as error:
        raise NetworkError(error.message, hint="check the mirror and the network, then try again") from error


def apt_missing(reasons: Sequence[tuple[WayName, EnvbuildError]]) -> ToolMissingError:
    """Return the error of a machine on which apt can be run in no way, with the reason of each."""
    hints = [error.hint for _, error in reasons if error.hint]
    hint = "; or ".join(dict.fromkeys(hints)) or (
        "run `envbuild lock` on Debian or Ubuntu, or in a container of one"
    )
    return ToolMissingError(
        "apt is missing, and locking system packages needs it",
        problems=[Problem(f"{VARIABLE}={name}", error.message) for name, error in reasons],
        hint=f"{hint}; `envbuild build` of an existing lock needs no apt",
    )
