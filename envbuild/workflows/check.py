"""`envbuild build --check`: the same image again, in other circumstances, compared to the last bit."""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from envbuild.cache.location import cache_folder

if TYPE_CHECKING:
    from envbuild.cli.output import Activity
    from envbuild.formats.compression import Compression
    from envbuild.image.docker.build import BuildOutcome
    from envbuild.lock.model import Lock, Target
    from envbuild.oci.compare import Difference
    from envbuild.workflows.engines import EngineName

AGAIN: Final = "envbuild.workflows.again"
REFERENCE: Final = "again"

LIBRARIES: Final = ("faketime/libfaketimeMT.so.1", "faketime/libfaketime.so.1")
"""Where the Debian package `faketime` has what tells a program another time, below its library folders."""

LATER: Final = "+400d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A build that came out the same twice."""

    varied: tuple[str, ...]
    """What was different the second time."""

    notes: tuple[str, ...]
    """What this does not prove."""


def check_build(
    lock: "Lock",
    target: "Target",
    outcome: "BuildOutcome",
    *,
    engine: "EngineName",
    offline: bool,
    activity: "Activity",
    compression: "Compression",
) -> Checked:
    """Build the image of ``outcome`` again and return what was varied.

    :raises VerificationError: it came out otherwise; every difference is named by layer, file and field.
    """
    if engine == "docker":
        from envbuild.workflows.check_docker import check_docker

        return check_docker(lock, target, outcome, offline=offline, activity=activity)
    return _check_local(lock, target, outcome, offline=offline, activity=activity, compression=compression)


def differing(outcome: "BuildOutcome", differences: "Iterable[Difference]") -> Exception:
    """Return the error for an image that came out otherwise."""
    from envbuild.errors import Problem, VerificationError

    return VerificationError(
        f"{outcome.reference} came out otherwise the second time",
        problems=[
            Problem(
                ": ".join(part for part in (item.layer, item.path) if part),
                f"{item.field}: {item.one} the first time, {item.other} the second",
            )
            for item in differences
        ],
        hint="if another release of envbuild built it, build with --no-cache first; else it is a fault of "
        "envbuild, or of a package whose scripts write something else each time: report it",
    )


def _check_local(
    lock: "Lock",
    target: "Target",
    outcome: "BuildOutcome",
    *,
    offline: bool,
    activity: "Activity",
    compression: "Compression",
) -> Checked:
    from envbuild.image.local.images import ImageStore
    from envbuild.oci.blobs import read_verified
    from envbuild.oci.compare import compare_images
    from envbuild.oci.layer import layer_path
    from envbuild.store.stage import workspace
    from envbuild.store.store import Store
    from envbuild.workflows.local import blobs_of, image_of

    first = image_of(outcome.reference)
    with workspace(Store(cache_folder())) as folder:
        varied, notes = _build_again(
            lock, target, folder, offline=offline, activity=activity, compression=compression
        )
        second = ImageStore(folder).get(REFERENCE)
        assert second is not None  # noqa: S101 - the other process has succeeded
        here = blobs_of(first, offline=offline)
        differences = compare_images(
            first,
            second,
            read_one=lambda at: read_verified(here.path(first.layers[at]), first.layers[at]),
            read_other=lambda at: read_verified(
                layer_path(folder, second.layers[at].digest), second.layers[at]
            ),
        )
    if differences:
        raise differing(outcome, differences)
    return Checked(varied=varied, notes=notes)


def _build_again(
    lock: "Lock",
    target: "Target",
    folder: Path,
    *,
    offline: bool,
    activity: "Activity",
    compression: "Compression",
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Build in a process of its own, under ``folder``; return what was varied and what could not be."""
    from envbuild import process
    from envbuild.errors import BuildFailedError
    from envbuild.lock.codec import dumps

    workers = 1 if len(os.sched_getaffinity(0)) > 1 else 2
    order = {
        "lock": dumps(lock),
        "variant": target.variant,
        "platform": target.platform,
        "folder": str(folder),
        "workers": workers,
        "offline": offline,
        "compression": compression,
    }
    environment = {
        **os.environ,
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "LANG": "tr_TR.UTF-8",
        "PYTHONHASHSEED": "4294967295",
        "TMPDIR": str(folder),
    }
    library = find_faketime()
    varied = ["cache folder", "order of wheels", "number of workers", "umask", "time zone", "locale"]
    notes: list[str] = []
    if library:
        environment |= {
            "LD_PRELOAD": str(library),
            "FAKETIME": LATER,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # times of files are the file system's
            "NO_FAKE_STAT": "1",
        }
        varied.append(f"clock ({LATER})")
    else:
        notes.append("the clock was not varied: libfaketime is not installed (Debian package `faketime`)")
    activity.on_stage("building again, without cache")
    result = process.run(
        # -P: modules in the current folder are not the program's
        (sys.executable, "-P", "-m", AGAIN),
        environment=environment,
        standard_input=json.dumps(order).encode(),
        on_stderr_line=activity.on_item,
    )
    if not result.succeeded:
        raise BuildFailedError(
            "building again failed, where it succeeded the first time",
            detail="\n".join(result.stderr.splitlines()[-20:]),
        )
    return tuple(varied), tuple(notes)


def find_faketime(folders: Iterable[Path] = (Path("/usr/lib"), Path("/usr/local/lib"))) -> Path | None:
    """Return the library that tells a program another time, if it is installed."""
    for name in LIBRARIES:
        for folder in folders:
            for found in (folder / name, *sorted(folder.glob(f"*/{name}"))):
                if found.is_file():
                    return found
    return None
