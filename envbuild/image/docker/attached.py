"""What a container of a command on this terminal is made with, in the words of Docker's SDK."""

import io
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from docker.types import Mount as DockerMount

from envbuild.image.accounts import GROUP, PASSWD, AccountFiles, outside
from envbuild.image.container_options import Account, ContainerOptions

DETACH_KEYS: Final = "ctrl-^,ctrl-^,ctrl-^,ctrl-^"
"""Nothing is left to detach from; the client's own Ctrl-P would keep that key from shells until the next."""

_MISSING = re.compile(r"exec: \"|executable file")

NOT_SEEN: Final = (
    "`--copy .` takes this folder's files to the engine, `--copy-out PATH` brings files back; "
    "`--no-mount` goes without"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUser:
    """Whom a command runs as, and who of this machine has to be made known to the container."""

    user: str | None
    """As the engine takes it; None: the image's own."""

    account: Account | None = None
    own_home: bool = False
    """Whether the account gets a home of its own even where the image knows its number."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """More options of the container."""


def container_user(options: ContainerOptions, user: str | None, security: "frozenset[str]") -> ContainerUser:
    """Return whom a command runs as on an engine with ``security`` (``/info``, SecurityOptions).

    New files in mounts belong to the caller: on an engine without root, root of its containers is the caller;
    on one that gives its containers other ids, this container goes without them.
    """
    if user is not None:
        return ContainerUser(user=user, account=options.account)
    if options.caller is None:
        return ContainerUser(user=None)
    caller = outside(options.caller)
    if "rootless" in security or (caller.uid == 0 and "userns" not in security):
        return ContainerUser(user="0:0")
    more: dict[str, Any] = (
        {"group_add": [str(number) for number, _ in caller.groups]} if caller.groups else {}
    )
    if "userns" in security:
        more["userns_mode"] = "host"
    return ContainerUser(
        user=f"{caller.uid}:{caller.gid}", account=caller if caller.uid else None, own_home=True, options=more
    )


def security_of(info: Mapping[str, Any]) -> "frozenset[str]":
    """Return the names of an engine's security options, such as ``rootless`` or ``selinux``."""
    found = info.get("SecurityOptions") or ()
    names = (part for option in found for part in str(option).split(",") if part.startswith("name="))
    return frozenset(name.removeprefix("name=") for name in names)


def container_options(options: ContainerOptions, security: "frozenset[str]") -> dict[str, Any]:
    """Return the options that a container is made with."""
    made: dict[str, Any] = {
        "mounts": [
            DockerMount(mount.target, str(mount.source), type="bind", read_only=mount.read_only)
            if mount.source is not None
            else DockerMount(mount.target, None, type="tmpfs", read_only=mount.read_only)
            for mount in options.mounts
        ],
        # with the network of the engine's machine each port is there as it is
        "ports": _ports(options) if options.network != "host" else None,
        "network_mode": options.network,
        "shm_size": options.shm_size,
        "mem_limit": options.memory,
        "nano_cpus": None if options.cpus is None else round(options.cpus * 1e9),
        "tty": options.tty or None,
    }
    if "selinux" in security and any(mount.source for mount in options.mounts):
        # or this user's own folders would have to get other labels
        made["security_opt"] = ["label=disable"]
    return {name: value for name, value in made.items() if value}


def _ports(options: ContainerOptions) -> dict[str, list[Any]]:
    ports: dict[str, list[Any]] = {}
    for port in options.ports:
        on_host = (port.address, port.host) if port.address is not None else port.host
        ports.setdefault(f"{port.container}/{port.protocol}", []).append(on_host)
    return ports


def accounts_archive(files: AccountFiles, account: Account, *, with_home: bool) -> bytes:
    """Return a tar that puts ``files`` into a container, and the home of ``account``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in ((PASSWD, files.passwd), (GROUP, files.group)):
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
        if with_home:
            archive.addfile(_folder(files.home, account))
    return buffer.getvalue()


def folder_archive(path: str, account: Account, *, mode: int) -> bytes:
    """Return a tar that gives a folder of a container to ``account``; its permissions are ``mode``."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(_folder(path, account, mode))
    return buffer.getvalue()


def is_at_or_below(path: str, targets: Iterable[str]) -> bool:
    """Return whether ``path`` is one of ``targets``, or in one of them."""
    return any(PurePosixPath(path).is_relative_to(target) for target in targets)


def _folder(path: str, account: Account, mode: int = 0o755) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path.strip("/"))
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    entry.uid, entry.gid = account.uid, account.gid
    return entry


def is_missing_command(told: str) -> bool:
    """Return whether an engine says of a container that its command is not there, or cannot be executed."""
    return _MISSING.search(told) is not None
