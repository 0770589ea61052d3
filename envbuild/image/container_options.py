"""What a command on this terminal gets besides its image: mounts, ports, a user, memory.  Values only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Protocol = Literal["tcp", "udp"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A file or folder of this machine, or memory, at a path of the container."""

    target: str
    """Absolute path in the container."""

    source: Path | None = None
    """Absolute path on this machine; None: an empty folder in memory (tmpfs)."""

    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """A port of the container that this machine's network reaches."""

    container: int
    host: int | None = None
    """None: any free port."""

    address: str | None = None
    """Of this machine; None: all of them."""

    protocol: Protocol = "tcp"

    def __str__(self) -> str:
        address = f"[{self.address}]" if self.address and ":" in self.address else self.address
        parts = [address, None if self.host is None else str(self.host), str(self.container)]
        # an address without a port keeps its colon
        shown = (
            f"{address}::{self.container}" if address and self.host is None else ":".join(filter(None, parts))
        )
        return shown + (f"/{self.protocol}" if self.protocol != "tcp" else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user, as the files of a system describe one."""

    uid: int
    gid: int
    name: str
    groups: tuple[tuple[int, str], ...] = ()
    """Further groups: number and name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOut:
    """A file or folder that is copied from the container when its command has ended."""

    path: str
    """Absolute path in the container."""

    destination: Path
    """Where it is on this machine afterwards, under this name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerOptions:
    """Options of one container.

    An engine that cannot keep one refuses the command: see ``run_attached`` of the engine protocol.
    """

    mounts: tuple[Mount, ...] = ()

    caller: Account | None = None
    """The user of this machine whom new files in mounts are to belong to; None: the request's user runs."""

    account: Account | None = None
    """A user by number, who gets an account and a home where the image has none for that number."""

    tty: bool = False
    """Whether the command gets a terminal of its own, joined to this one."""

    network: str | None = None
    """``none``, ``host``, or a name that the engine knows; None: the engine's default."""

    ports: tuple[PublishedPort, ...] = ()

    shm_size: int | None = None
    """Bytes of shared memory in /dev/shm; None: the engine's default."""

    memory: int | None = None
    """Bytes that all processes together may use; None: no bound."""

    cpus: float | None = None
    """How many CPUs' time all processes together may use; None: no bound."""

    copy_out: tuple[CopyOut, ...] = ()
