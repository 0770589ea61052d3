"""A conda that only solves: what conda-lock calls as ``EXE create --dry-run --json …``.

Run as ``python -m envbuild.resolve.conda.solver``.  It answers on standard output with the packages to fetch,
as conda does; py-rattler reads the channels and solves.  Virtual packages are those of the environment's
``CONDA_OVERRIDE_*`` alone, platform and channels those it is told: nothing of this machine is asked.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from envbuild.version import __version__

if TYPE_CHECKING:
    from rattler import GenericVirtualPackage, RepoDataRecord

CACHE_VARIABLE = "ENVBUILD_CONDA_CACHE"
"""Folder in which repodata is kept between runs."""

NEWER_VARIABLE = "ENVBUILD_CONDA_EXCLUDE_NEWER"
"""Seconds since 1970 after which nothing is considered."""

LOCKED_VARIABLE = "ENVBUILD_CONDA_PREFER"
"""File of ``name version build`` lines to stay with where nothing speaks against them."""

CHANNELS_VARIABLE = "ENVBUILD_CONDA_CHANNELS"
"""JSON object of channels: name as the spec writes it → address on this machine."""

ANSWER_VARIABLE = "ENVBUILD_CONDA_ANSWER"
"""File that gets the whole answer, more than conda-lock asks for: complete records, or the error."""

_FAKE_CHANNEL = "conda-lock-fake-repodata-"
"""conda-lock hands its virtual packages over a second time, as a channel in a temporary folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one call; return the exit status."""
    options = _parser().parse_intermixed_args(arguments)
    try:
        work = _solve if options.command == "create" else _records
        records = asyncio.run(work(options, os.environ))
    except Exception as error:  # noqa: BLE001 - py-rattler's errors share no base; all of them are the answer
        failure = {"success": False, "error": type(error).__name__, "message": str(error)}
        _keep(failure)
        _say(failure)
        return 1
    fetch = sorted(
        (json.loads(record.to_json()) for record in records), key=lambda record: str(record["name"])
    )
    _keep({"success": True, "records": fetch})
    actions = [{"constrains": [], "md5": None, "sha256": None, "timestamp": 0} | record for record in fetch]
    _say({"success": True, "actions": {"FETCH": actions, "LINK": []}})
    return 0


def _say(answer: Mapping[str, Any]) -> None:
    json.dump(answer, sys.stdout)
    sys.stdout.write("\n")


def _keep(answer: Mapping[str, Any]) -> None:
    if file := os.environ.get(ANSWER_VARIABLE):
        Path(file).write_text(json.dumps(answer), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="envbuild-conda-solver", description="Solve conda specs, install nothing."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("command", choices=("create", "records"))
    parser.add_argument("--prefix")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--every-format", action="store_true")
    parser.add_argument("--override-channels", action="store_true")
    parser.add_argument("--channel", action="append", default=[])
    parser.add_argument("specs", nargs="*")
    return parser


async def _solve(options: argparse.Namespace, environment: Mapping[str, str]) -> "list[RepoDataRecord]":
    from rattler import Channel, ChannelPriority, solve  # noqa: PLC0415

    channels = [Channel(name) for name in options.channel if _FAKE_CHANNEL not in urlsplit(name).path]
    subdir = environment["CONDA_SUBDIR"]
    gateway = open_gateway(environment)
    preferred = await _preferred(_wanted(environment), gateway, channels, subdir)
    newer = environment.get(NEWER_VARIABLE)
    named = json.loads(environment.get(CHANNELS_VARIABLE) or "{}")
    return await solve(
        channels,
        [addressed(spec, named) for spec in options.specs],
        gateway=gateway,
        platforms=[subdir, "noarch"],  # type: ignore[list-item]  # a name of a subdir conda-lock was told
        virtual_packages=list(virtual_packages(environment)),
        channel_priority=ChannelPriority.Strict,
        locked_packages=preferred,
        exclude_newer=_moment(newer) if newer else None,
    )


async def _records(options: argparse.Namespace, environment: Mapping[str, str]) -> "list[RepoDataRecord]":
    """Return all records of the packages called as ``specs`` say."""
    from rattler import Channel  # noqa: PLC0415

    channels = [Channel(name) for name in options.channel]
    if options.every_format:
        return await _records_of_every_format(channels, options.specs, environment)
    found = await open_gateway(environment).query(
        channels, [environment["CONDA_SUBDIR"], "noarch"], options.specs, recursive=False
    )
    return [record for part in found for record in part]


async def _records_of_every_format(
    channels: Sequence[Any], names: Sequence[str], environment: Mapping[str, str]
) -> "list[RepoDataRecord]":
    """Return records of packages, of a ``.tar.bz2`` also where there is a ``.conda`` of it.

    py-rattler's gateway leaves the former out; whole repodata has them.
    """
    from rattler import Client, PackageFormatSelection, Subdir  # noqa: PLC0415
    from rattler.networking.fetch_repo_data import FetchRepoDataOptions, fetch_repo_data  # noqa: PLC0415

    parts = await fetch_repo_data(
        channels=list(channels),
        platforms=[Subdir(name) for name in (environment["CONDA_SUBDIR"], "noarch")],
        cache_path=Path(environment[CACHE_VARIABLE]) / "whole",
        callback=None,
        client=Client.authenticated_client(),
        fetch_options=FetchRepoDataOptions(bz2_enabled=False),
    )
    both = PackageFormatSelection.BOTH
    return [record for part in parts for name in names for record in part.load_records(name, both)]


def addressed(spec: str, channels: Mapping[str, str]) -> str:
    """Return a match spec with its channel's address on this machine in place of its name.

    py-rattler would look for the name below the address conda has built in.  conda-lock leaves of a channel
    that was written as an address no more than the end (its canonical name).
    """
    channel, separator, rest = spec.partition("::")
    if not separator:
        return spec
    ending = {address for address in channels.values() if address.endswith(f"/{channel}")}
    address = channels.get(channel) or (ending.pop() if len(ending) == 1 else channel)
    return f"{address}::{rest}"


def open_gateway(environment: Mapping[str, str]) -> Any:
    """Return py-rattler's reader of channels, with this client's credentials and a cache of our own."""
    from rattler import Client, Gateway  # noqa: PLC0415
    from rattler.repo_data import SourceConfig  # noqa: PLC0415

    cache = environment.get(CACHE_VARIABLE)
    return Gateway(
        cache_dir=Path(cache) if cache else None,
        client=Client.authenticated_client(),
        default_config=SourceConfig(bz2_enabled=False),
    )


def virtual_packages(environment: Mapping[str, str]) -> "Iterator[GenericVirtualPackage]":
    """Yield the virtual packages that ``CONDA_OVERRIDE_*`` name; an empty value means there is none."""
    from rattler import GenericVirtualPackage, PackageName, Version  # noqa: PLC0415
    from rattler.package import BuildString  # noqa: PLC0415

    def package(name: str, version: str, build: str = "0") -> GenericVirtualPackage:
        return GenericVirtualPackage(PackageName(name), Version(version), BuildString(build))

    yield package("__unix", "0")
    for name in ("linux", "glibc", "cuda"):
        if version := environment.get(f"CONDA_OVERRIDE_{name.upper()}"):
            yield package(f"__{name}", version)
    if microarchitecture := environment.get("CONDA_OVERRIDE_ARCHSPEC"):
        yield package("__archspec", "1", microarchitecture)


def _wanted(environment: Mapping[str, str]) -> set[tuple[str, ...]]:
    file = environment.get(LOCKED_VARIABLE)
    text = Path(file).read_text(encoding="utf-8") if file else ""
    return {tuple(line.split(" ")) for line in text.splitlines()}


async def _preferred(
    wanted: set[tuple[str, ...]], gateway: Any, channels: Sequence[Any], subdir: str
) -> "list[RepoDataRecord]":
    if not wanted:
        return []
    found = await gateway.query(
        channels, [subdir, "noarch"], sorted({entry[0] for entry in wanted}), recursive=False
    )
    return [
        record
        for part in found
        for record in part
        if (record.name.normalized, str(record.version), str(record.build)) in wanted
    ]


def _moment(seconds: str) -> Any:
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.fromtimestamp(int(seconds), UTC)


def run() -> NoReturn:
    """Answer one call and end this process at once.

    py-rattler's threads may still be at work when Python takes its modules apart, which now and then ended
    a process that had answered with a segmentation fault.
    """
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    run()
