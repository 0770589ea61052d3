"""The second build of `envbuild build --check`: the same image under other conditions, to the last bit."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from envbuild import process
from envbuild.errors import BuildFailedError
from envbuild.image.engine import BuildRequest, BuiltImage, Rebuild
from envbuild.image.local.images import ImageStore
from envbuild.image.local.layers.store import layer_path
from envbuild.image.local.workers import order_of
from envbuild.image.reproducibility import rebuild_differs
from envbuild.oci.blobs import Blobs, read_verified
from envbuild.oci.compare import compare_images
from envbuild.oci.image import OciImage
from envbuild.store.stage import workspace

WORKER: Final = "envbuild.image.local.check_worker"
REFERENCE: Final = "again"

LIBRARIES: Final = ("faketime/libfaketimeMT.so.1", "faketime/libfaketime.so.1")
"""Where the Debian package `faketime` has what tells a program another time, below its library folders."""

LATER: Final = "+400d"


def check_local(
    request: BuildRequest,
    first: BuiltImage,
    content: OciImage,
    *,
    blobs: Blobs,
    environment: Mapping[str, str],
) -> Rebuild:
    """Build the image of ``first`` again and return what was varied.

    :raises VerificationError: the images differ; every difference is named by layer, file and field.
    :raises BuildFailedError: the second build failed.
    """
    with workspace(request.artifacts.store) as folder:
        rebuild = _build_again(request, folder, environment)
        second = ImageStore(folder).get(REFERENCE)
        assert second is not None  # noqa: S101 - the other process has succeeded
        differences = compare_images(
            content,
            second,
            read_one=lambda at: read_verified(blobs.path(content.layers[at]), content.layers[at]),
            read_other=lambda at: read_verified(
                layer_path(folder, second.layers[at].digest), second.layers[at]
            ),
        )
    if differences:
        raise rebuild_differs(first.reference, differences)
    return rebuild


def _build_again(request: BuildRequest, folder: Path, environment: Mapping[str, str]) -> Rebuild:
    """Build in a process of its own, under ``folder``; return what was varied and what could not be."""
    progress = request.artifacts.progress
    order = {
        **order_of(request),
        "folder": str(folder),
        "workers": 1 if len(os.sched_getaffinity(0)) > 1 else 2,
    }
    varying = {
        **environment,
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
        varying |= {
            "LD_PRELOAD": str(library),
            "FAKETIME": LATER,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # times of files are the file system's
            "NO_FAKE_STAT": "1",
        }
        varied.append(f"clock ({LATER})")
    else:
        notes.append("the clock was not varied: libfaketime is not installed (Debian package `faketime`)")
    progress.on_stage("building again, without cache")
    result = process.run(
        # -P: modules in the current folder are not the program's
        (sys.executable, "-P", "-m", WORKER),
        environment=varying,
        standard_input=json.dumps(order).encode(),
        on_stderr_line=progress.on_item,
    )
    if not result.succeeded:
        raise BuildFailedError(
            "building again failed, where it succeeded the first time",
            detail="\n".join(result.stderr.splitlines()[-20:]),
        )
    return Rebuild(varied=tuple(varied), notes=tuple(notes))


def find_faketime(folders: Iterable[Path] = (Path("/usr/lib"), Path("/usr/local/lib"))) -> Path | None:
    """Return the library that tells a program another time, if it is installed."""
    for name in LIBRARIES:
        for folder in folders:
            for found in (folder / name, *sorted(folder.glob(f"*/{name}"))):
                if found.is_file():
                    return found
    return None
