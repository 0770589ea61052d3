"""Options of a container as a person writes them, in the forms that docker knows."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final, cast

from envbuild.errors import UsageError
from envbuild.image.container_options import CopyOut, Mount, Protocol, PublishedPort

_SIZE = re.compile(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_UNITS: Final = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_LARGEST: Final = 1 << 60

_MOUNT_KEYS: Final = {
    **dict.fromkeys(("source", "src"), "source"),
    **dict.fromkeys(("target", "dst", "destination"), "target"),
    **dict.fromkeys(("readonly", "ro"), "readonly"),
    "type": "type",
}
_PORT = re.compile(
    r"(?:(?:(?P<address>[0-9.]+|\[[0-9a-fA-F:.]+\]):)?(?P<host>[0-9]{0,5}):)?(?P<container>[0-9]{1,5})(?:/(?P<protocol>tcp|udp))?"
)
_LARGEST_PORT: Final = 65_535
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_LARGEST_ENV_FILE: Final = 1 << 24


def parse_mount(text: str, folder: Path) -> Mount:
    """Read ``SOURCE:TARGET[:ro]``, or docker's ``type=bind,source=SOURCE,target=TARGET,readonly``.

    A relative source is one of ``folder``.

    :raises UsageError: it has another form, or there is no such source: none is ever made.
    """
    kind, source, target, read_only = (
        _long_mount(text) if "=" in text.partition(",")[0] else _short_mount(text)
    )
    problem = None
    if kind == "volume":
        problem = "volumes outlive their containers, which nothing of envbuild does: mount a folder"
    elif kind not in {"bind", "tmpfs"}:
        problem = "type is bind or tmpfs"
    elif not target.startswith("/") or ".." in PurePosixPath(target).parts:
        problem = f"the target must be an absolute path: {target!r}"
    elif _is_reserved(target):
        problem = f"nothing can be mounted at {_plain(target)}"
    elif (kind == "tmpfs") != (source is None):
        problem = "bind needs a source" if kind == "bind" else "tmpfs has no source"
    if problem is not None:
        raise _not_a_mount(text, problem)
    if source is None:
        return Mount(target=_plain(target), read_only=read_only)
    path = _local_path("--mount", source, folder)
    if not _exists(path):
        raise UsageError(
            f"--mount: there is no {source}", hint="make it first: a folder is never made unasked"
        )
    return Mount(target=_plain(target), source=path.resolve(), read_only=read_only)


def _plain(target: str) -> str:
    # two leading slashes are one
    return "/" + str(PurePosixPath(target)).lstrip("/")


def _is_reserved(target: str) -> bool:
    path = PurePosixPath(_plain(target))
    return str(path) in {"/", "/dev", "/sys"} or path.is_relative_to("/proc")


def _local_path(option: str, text: str, folder: Path) -> Path:
    """Return a path of this machine; a relative one is in ``folder``.

    :raises UsageError: it begins with the home of a user whom nobody knows.
    """
    try:
        return folder / Path(text).expanduser()
    except RuntimeError as error:
        name = text.partition("/")[0]
        raise UsageError(
            f"{option}: this machine knows no home for `{name}`", hint=f"a folder of that name is ./{name}"
        ) from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        # such as a name that is too long, or a folder that is closed to this user
        return False


def _short_mount(text: str) -> tuple[str, str | None, str, bool]:
    head, _, tail = text.rpartition(":")
    read_only = tail in {"ro", "rw"}
    source, _, target = head.rpartition(":") if read_only else (head, "", tail)
    if not source:
        raise _not_a_mount(text, "it names no source and target")
    return "bind", source, target, tail == "ro"


def _long_mount(text: str) -> tuple[str, str | None, str, bool]:
    found: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        name = _MOUNT_KEYS.get(key.strip())
        if name is None:
            raise _not_a_mount(text, f"`{key}` is not known")
        if name == "readonly" and value not in {"", "true", "false", "1", "0"}:
            raise _not_a_mount(text, f"`{key}` is true or false")
        if name != "readonly" and not value:
            raise _not_a_mount(text, f"`{key}` has no value")
        if name in found:
            raise _not_a_mount(text, f"`{key}` is there twice")
        found[name] = value if equals else "true"
    return (
        found.get("type", "bind"),
        found.get("source"),
        found.get("target", ""),
        found.get("readonly") in {"true", "1"},
    )


def _not_a_mount(text: str, problem: str) -> UsageError:
    return UsageError(
        f"--mount: `{text}` is not understood: {problem}",
        hint="SOURCE:TARGET, SOURCE:TARGET:ro, or type=bind,source=SOURCE,target=TARGET,readonly",
    )


def parse_port(text: str) -> PublishedPort:
    """Read ``8888``, ``8888:80``, ``127.0.0.1:8888:80``, each with ``/udp`` if it is not TCP.

    :raises UsageError: it has another form.
    """
    found = _PORT.fullmatch(text)
    numbers = [int(found[name]) for name in ("container", "host") if found[name]] if found else [0]
    address = (found["address"] or "").strip("[]") if found else ""
    if (
        found is None
        or not all(0 < number <= _LARGEST_PORT for number in numbers)
        or not _is_address(address)
    ):
        raise UsageError(
            f"--publish: `{text}` is not understood",
            hint="CONTAINER, HOST:CONTAINER or ADDRESS:HOST:CONTAINER",
        )
    return PublishedPort(
        container=int(found["container"]),
        host=int(found["host"]) if found["host"] else None,
        address=address or None,
        protocol=cast("Protocol", found["protocol"] or "tcp"),
    )


def _is_address(text: str) -> bool:
    import ipaddress

    try:
        return not text or bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def parse_size(option: str, text: str) -> int:
    """Read a number of bytes: ``512m``, ``2g``, ``1.5GiB``; units are powers of 1024, as docker's.

    :raises UsageError: it has another form, or is 0.
    """
    found = _SIZE.fullmatch(text.strip())
    size = int(float(found[1]) * (1 << _UNITS[found[2].lower()])) if found else 0
    if not 0 < size <= _LARGEST:
        raise UsageError(f"{option}: `{text}` is no size", hint="such as 512m, 2g or 16g")
    return size


def parse_cpus(text: str) -> float:
    """Read how many CPUs: ``2``, ``0.5``.

    :raises UsageError: it is no number above 0.
    """
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?|\.[0-9]{1,6}", text) and float(text) > 0:
        return float(text)
    raise UsageError(f"--cpus: `{text}` is no number of CPUs", hint="such as 2 or 0.5")


def parse_copy_out(text: str, *, workdir: str, folder: Path) -> CopyOut:
    """Read ``PATH`` or ``PATH:LOCAL``: what is copied from the container, and where to.

    A relative PATH is one of ``workdir``, a relative LOCAL one of ``folder``.  Into a LOCAL that is a
    folder it goes by its own name.

    :raises UsageError: it has another form.
    """
    path, colon, local = text.partition(":")
    name = PurePosixPath(path).name
    if not path or (colon and not local):
        raise UsageError(f"--copy-out: `{text}` is not understood", hint="PATH, or PATH:LOCAL")
    if name in {"", ".."} or ".." in PurePosixPath(path).parts:
        raise UsageError(f"--copy-out: `{path}` names no file or folder", hint="name one, such as outputs")
    destination = _local_path("--copy-out", local or ".", folder)
    if (_exists(destination) and destination.is_dir()) or local.endswith("/"):
        destination /= name
    return CopyOut(path=str(PurePosixPath(workdir, path)), destination=destination)


def parse_workdir(text: str) -> str:
    """Read an absolute path of the container.

    :raises UsageError: it is another.
    """
    if not text.startswith("/") or ".." in PurePosixPath(text).parts:
        raise UsageError(
            f"--workdir: `{text}` is no absolute path", hint="a path in the container, such as /data"
        )
    return _plain(text)


def variables_of(items: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of ``NAME=VALUE`` items; ``NAME`` alone passes the value of ``environment``.

    A name that ``environment`` lacks is left out, as docker does.

    :raises UsageError: one has no name.
    """
    return dict(pair for item in items for pair in _variable(item, environment))


def unset_variables(items: Iterable[str], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names among ``items`` that ``environment`` lacks, so that they pass nothing."""
    return tuple(item for item in items if "=" not in item and item not in environment)


def _variable(item: str, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    name, separator, value = item.partition("=")
    if not name:
        raise UsageError("--env: a variable has no name", hint="write NAME=VALUE, or NAME alone")
    if separator:
        yield name, value
    elif name in environment:
        yield name, environment[name]


def read_env_file(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a file in docker's format: ``NAME=VALUE`` or ``NAME`` on a line, ``#`` remarks.

    Values are taken as they are: quotes are part of them, and nothing is expanded.

    :raises UsageError: it cannot be read, or a line is not of that format; values are never shown.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_ENV_FILE + 1)
    except OSError as error:
        raise UsageError(f"--env-file: {path}: {(error.strerror or str(error)).lower()}") from error
    except ValueError as error:
        raise UsageError(f"--env-file: {str(path)!r} is no path") from error
    if len(content) > _LARGEST_ENV_FILE:
        raise UsageError(f"--env-file: {path} has more than {_LARGEST_ENV_FILE >> 20} MiB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"--env-file: {path} is not UTF-8 text") from error
    items = []
    for number, line in enumerate(text.split("\n"), 1):
        item = line.rstrip("\r").lstrip()
        if not item or item.startswith("#"):
            continue
        name, equals, _ = item.partition("=")
        if not _NAME.fullmatch(name if equals else name.rstrip()) or "\0" in item:
            # the line may be a secret
            raise UsageError(
                f"--env-file: {path}, line {number}: it does not begin with the name of a variable",
                hint="write NAME=VALUE, or NAME alone to pass this shell's value",
            )
        items.append(item if equals else name.rstrip())
    return variables_of(items, environment)
