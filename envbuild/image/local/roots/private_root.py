"""A private root: folders laid over each other as one file system, in which commands of an image run.

Overlay mounts and namespaces, made anew for each command by ``enter.py`` and gone with it: nothing is ever
mounted where another process sees it, so there is nothing to clean up after a crash but folders.
"""

import contextlib
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from envbuild import process
from envbuild.cache.folders import ROOTS
from envbuild.cache.prune import PrunableItem
from envbuild.digest import CHUNK
from envbuild.errors import CopyOutError, EngineError, EnvbuildError
from envbuild.files.temporary import sweep_folders, temporary_folder
from envbuild.image.container_options import ContainerOptions, CopyOut
from envbuild.image.copy_out import take_all, unpack_copy
from envbuild.image.engine import ContainerOutcome, RunLimits
from envbuild.image.limits import too_long, too_many_processes, too_much_memory, too_much_output

ENTER: Final = Path(__file__).with_name("enter.py")

MOST_LOWERS: Final = 499
"""The kernel takes 500 (OVL_MAX_STACK, fs/overlayfs/params.h); one is ours."""

INTERRUPT: Final = signal.SIGUSR1
"""Tells ``enter.py`` to interrupt the command: SIGINT itself is the terminal's, which tells both."""

_FAILED: Final = 125

_SETUP_SECONDS: Final = 30.0
"""What making a root may take besides the time of its command, which ``enter.py`` counts."""

_BEYOND: Final = {"seconds": too_long, "memory": too_much_memory, "processes": too_many_processes}
"""The error of each limit that ``enter.py`` names."""

_PREFIX: Final = "root-"
_MOUNT_POINTS: Final = ("dev", "proc", "sys", "tmp")


class EntryError(EnvbuildError):
    """The command could not be started in the root."""


class ProgramEntryError(EntryError):
    """The program is not in the root, or cannot be executed."""


class PrivateRoot:
    """Folders as one root; a context manager that removes what was written when it is left.

    Safe to share between threads only when nothing can be written: overlays must not share an upper folder.
    """

    def __init__(self, lowers: Sequence[Path], *, scratch: Path, writable: bool = True) -> None:
        """Lay ``lowers`` over each other, bottom first.

        ``scratch`` is a folder on a disk file system, created when missing; what killed processes left
        there is removed.  With ``writable`` what commands change is in :attr:`upper`, which may be filled
        beforehand; without it they can write to ``/tmp`` and nowhere else.

        :raises EngineError: there are more folders than the kernel can lay over each other.
        """
        if len(lowers) > MOST_LOWERS:
            raise EngineError(
                f"an image of {len(lowers)} layers cannot be run",
                hint=f"the kernel lays at most {MOST_LOWERS} over each other",
            )
        self._lowers = tuple(lowers)
        self._scratch = scratch
        self._writable = writable
        self._cleanup = contextlib.ExitStack()
        self._folder = Path()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as cleanup:
            self._folder = cleanup.enter_context(root_folder(self._scratch))
            (self._folder / "upper").mkdir(mode=0o755)
            # mkdir's mode is cut by the umask, and this is the mode of / in the root
            (self._folder / "upper").chmod(0o755)
            (self._folder / "shown").mkdir()
            for name in _MOUNT_POINTS:
                (self._folder / "points" / name).mkdir(parents=True)
            # links, because all options of a mount share one page of memory
            for number, lower in enumerate(self._lowers):
                (self._folder / f"{number:x}").symlink_to(lower.absolute())
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    @property
    def upper(self) -> Path:
        """What has been changed: new files, and removals in the form the kernel gives them."""
        return self._folder / "upper"

    @property
    def folder(self) -> Path:
        """A folder of this root alone, for what is to be shown in it; removed with it, or after a crash."""
        return self._folder / "shown"

    @property
    def lowers(self) -> tuple[Path, ...]:
        """The folders below, bottom first."""
        return self._lowers

    def run(
        self,
        command: Sequence[str],
        *,
        stdin: bytes = b"",
        binds: Mapping[str, Path] | None = None,
        env: Mapping[str, str] | None = None,
        user: str = "0",
        workdir: str = "/",
        network: bool = False,
        on_line: Callable[[str], None] | None = None,
        limits: RunLimits | None = None,
    ) -> ContainerOutcome:
        """Run ``command`` and return what it said and how it ended.

        ``binds`` are shown read-only at absolute paths; below ``/dev/envbuild`` they leave no trace in
        :attr:`upper`.  ``env`` is the whole environment but HOME, which is the user's unless given.
        ``on_line`` sees each line of standard output as it comes.

        :raises LimitExceededError: it went beyond ``limits``.
        :raises EntryError: the command, its folder or its user are not in the root.
        :raises EngineError: this machine does not let a private root be made.
        """
        with (
            self._plan(
                command, binds, env, user=user, workdir=workdir, network=network, limits=limits
            ) as plan,
            _in_words(limits),
        ):
            result = process.run(
                _enter(plan),
                environment=_outside(),
                standard_input=stdin,
                on_stdout_line=on_line,
                timeout=None if limits is None else limits.seconds + _SETUP_SECONDS,
                output_limit=None if limits is None else limits.output,
            )
            _raise_failure(plan, result.exit_status, limits)
        return ContainerOutcome(
            exit_status=result.exit_status, stdout=result.stdout_bytes, stderr=result.stderr_bytes
        )

    def run_attached(
        self,
        command: Sequence[str],
        *,
        binds: Mapping[str, Path] | None = None,
        env: Mapping[str, str] | None = None,
        user: str = "0",
        workdir: str = "/",
        feed: Path | None = None,
        stdin: bool = True,
        options: ContainerOptions | None = None,
    ) -> int:
        """Run ``command`` on this terminal's own streams and return its exit status; see :meth:`run`.

        It has a network unless ``options`` say ``none``; ports are none of its business, for it is this
        machine's own.  ``feed`` is a tar that is unpacked in ``workdir`` first, which is made when it is
        missing.  Without ``stdin`` there is nothing to read.

        :raises CopyOutError: the command has ended, and what was to be copied is not there or cannot be
            written.
        """
        options = options or ContainerOptions()
        with contextlib.ExitStack() as joined:
            terminal = None
            if options.tty:
                # few commands have a terminal
                from envbuild.image.local.roots.terminal import joined_terminal  # noqa: PLC0415

                terminal = joined.enter_context(joined_terminal())
            plan = joined.enter_context(
                self._plan(
                    command,
                    binds,
                    env,
                    user=user,
                    workdir=workdir,
                    network=options.network != "none",
                    feed=feed,
                    stdin=stdin or options.tty,
                    attached=options,
                    terminal=terminal,
                )
            )
            kept = () if terminal is None else (terminal,)
            status = process.run_attached(
                _enter(plan), environment=_outside(), kept=kept, interrupt=INTERRUPT
            )
            _raise_failure(plan, status)
            archives = dict(_archives(plan, options.copy_out))
            take_all(archives, lambda wanted: _take_back(wanted, archives[wanted]), exit_status=status)
            return status

    @contextlib.contextmanager
    def _plan(
        self,
        command: Sequence[str],
        binds: Mapping[str, Path] | None,
        env: Mapping[str, str] | None,
        *,
        user: str,
        workdir: str,
        network: bool,
        feed: Path | None = None,
        stdin: bool = True,
        limits: RunLimits | None = None,
        attached: ContainerOptions | None = None,
        terminal: int | None = None,
    ) -> Iterator[Path]:
        """Yield a file with the plan of one command; its folder is the command's alone."""
        with tempfile.TemporaryDirectory(prefix="run-", dir=self._folder) as name:
            folder = Path(name)
            (folder / "root").mkdir()
            for number in range(len(self._lowers)):
                (folder / f"{number:x}").symlink_to(f"../{number:x}")
            (folder / "points").symlink_to("../points")
            names = [f"{number:x}" for number in reversed(range(len(self._lowers)))]
            if self._writable:
                (folder / "upper").symlink_to("../upper")
                (folder / "work").mkdir()
            else:
                # with no upper folder the kernel wants two below
                (folder / "top").mkdir()
                names.insert(0, "top")
            options = attached or ContainerOptions()
            collected = _archives(folder / "plan", options.copy_out)
            plan = {
                "parent": os.getpid(),
                "folder": str(folder),
                "lowers": [*names, "points"],
                "upper": self._writable,
                "binds": {target: str(source.absolute()) for target, source in (binds or {}).items()},
                "environment": dict(env or {}),
                "command": list(command),
                "user": user,
                "workdir": workdir,
                "network": network,
                "feed": None if feed is None else str(feed.absolute()),
                "stdin": stdin,
                "limits": None if limits is None else asdict(limits),
                "attached": attached is not None,
                "terminal": terminal,
                # a folder before what is mounted in it
                "mounts": [
                    (mount.target, None if mount.source is None else str(mount.source), mount.read_only)
                    for mount in sorted(options.mounts, key=lambda mount: mount.target.rstrip("/").split("/"))
                ],
                "shared": options.shm_size,
                "account": None if options.account is None else asdict(options.account),
                "keep_groups": options.caller is not None,
                "collected": [(wanted.path, str(archive)) for wanted, archive in collected],
            }
            (folder / "plan").write_text(json.dumps(plan), encoding="utf-8")
            yield folder / "plan"


def _archives(plan: Path, wanted: Sequence[CopyOut]) -> list[tuple[CopyOut, Path]]:
    """Return each of ``wanted`` with the archive that ``enter.py`` packs it in."""
    return [(copy, plan.with_name(f"copy-{number}.tar")) for number, copy in enumerate(wanted)]


def _take_back(wanted: CopyOut, archive: Path) -> None:
    if not archive.exists() or archive.stat().st_size == 0:
        raise CopyOutError(f"the command left no {wanted.path}", hint="check the path of --copy-out")
    with archive.open("rb") as file:
        unpack_copy(iter(partial(file.read, CHUNK), b""), wanted)


def _enter(plan: Path) -> tuple[str | Path, ...]:
    return (sys.executable, "-I", "-S", "-B", ENTER, plan)


def _outside() -> dict[str, str]:
    """Return the environment of ``enter.py``; the command's own is in the plan."""
    kept = ("LD_LIBRARY_PATH", "PYTHONHOME")
    return {name: os.environ[name] for name in kept if name in os.environ}


@contextlib.contextmanager
def _in_words(limits: RunLimits | None) -> Iterator[None]:
    """Say what a command exceeded before this process' eyes.

    :raises LimitExceededError: it did.
    """
    try:
        yield
    except process.ProgramTimeoutError as error:
        if limits is None:
            raise
        raise too_long(limits) from error
    except process.ProgramOutputError as error:
        if limits is None:
            raise
        raise too_much_output(limits, error.stream) from error


def _raise_failure(plan: Path, status: int, limits: RunLimits | None = None) -> None:
    failure = plan.with_name("failure")
    if status != _FAILED or not failure.exists():
        return
    kind, _, message = failure.read_text(encoding="utf-8", errors="replace").partition("\n")
    if not kind:
        # the command's own status
        return
    if kind == "program":
        raise ProgramEntryError(message)
    if kind == "command":
        raise EntryError(message)
    if kind == "limit" and limits is not None:
        raise _BEYOND[message](limits)
    raise EngineError(
        "no private root can be made on this machine",
        hint="the local engine needs Linux 5.11 that lets it make namespaces and overlay mounts, and a cache "
        "folder on a disk's own file system (ENVBUILD_CACHE_DIR); or use `--engine docker`",
        detail=message,
    )


class RootFolders:
    """The private roots of one cache folder, for pruning: there are none to keep."""

    def __init__(self, cache: Path) -> None:
        self._scratch = ROOTS.path(cache)

    def items(self) -> Iterator[PrunableItem]:
        """Yield nothing: a root goes with the process that made it."""
        return iter(())

    def sweep(self) -> None:
        """Remove what killed processes left: their locks are free."""
        sweep_folders(self._scratch, prefix=_PREFIX)


@contextlib.contextmanager
def root_folder(scratch: Path) -> Iterator[Path]:
    """Yield a folder below ``scratch`` that is removed at the end, or by the next one after a crash."""
    make_private(scratch)
    sweep_folders(scratch, prefix=_PREFIX)
    with temporary_folder(scratch, prefix=_PREFIX) as folder:
        yield folder


def make_private(folder: Path) -> None:
    """Make a folder nobody else may enter.

    What is below it are files of images: a program in them that is set-user-ID must be out of others' reach.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # one that was made for several users stays what its owner made it
    with contextlib.suppress(PermissionError):
        folder.chmod(0o700)
