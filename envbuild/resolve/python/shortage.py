"""Why a target can use no file of a release, in words."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from packaging.tags import Tag

from envbuild.remote.index.page import IndexFile
from envbuild.resolve.python.files import parse_wheel, python_allowed, too_new
from envbuild.resolve.python.target import TargetPython, libc_version

WHEEL_HINT = "only wheels are installed: allow another version, another Python, or a base with a newer libc"

_LIBC_TAG = re.compile(r"(manylinux|musllinux)_(\d+)_(\d+)_(\w+)")
_OLD_MANYLINUX = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_FAMILIES = {"manylinux": "glibc", "musllinux": "musl"}
_MOST_SHOWN = 6


def what_there_is(files: Iterable[IndexFile], target: TargetPython, *, snapshot: date | None = None) -> str:
    """Return what an index has of a release none of whose files fits, as the end of ``the index has …``."""
    files = tuple(files)
    if not files:
        return "no file of it"
    in_time = [file for file in files if not too_new(file, snapshot)]
    if not in_time:
        if any(file.uploaded for file in files):
            return f"no file of it from before the end of {snapshot}"
        return "no upload times, so a snapshot cannot be kept to"
    wheels = [file for file in in_time if parse_wheel(file.filename)]
    if not wheels:
        return "only a source archive of it"
    return f"only wheels of it {_whom_wheels_serve(wheels, target)}"


def _whom_wheels_serve(files: Sequence[IndexFile], target: TargetPython) -> str:
    allowed = [file for file in files if python_allowed(file.requires_python, target)]
    if not allowed:
        needed = " or ".join(sorted({file.requires_python or "" for file in files}))
        return f"for Python {needed}, not {target.version}"
    tags = {tag for file in allowed if (wheel := parse_wheel(file.filename)) for tag in wheel.tags}
    runnable = {tag for tag in tags if _runs_on(tag, target)}
    if not runnable:
        pythons = _listed({f"{tag.interpreter}-{tag.abi}" for tag in tags})
        return f"for {pythons}, not for CPython {target.minor[0]}.{target.minor[1]}"
    libc = target.libc
    needed_libc = min(_libc_needed(runnable, target), default=None)
    if needed_libc:
        return (
            f"that need {libc.family} {needed_libc[0]}.{needed_libc[1]} or newer; the base has {libc.version}"
        )
    platforms = _listed({tag.platform for tag in runnable})
    return f"for {platforms}, not for {target.platform.machine} with {libc.family} {libc.version}"


def _runs_on(tag: Tag, target: TargetPython) -> bool:
    """Return whether interpreter and ABI of ``tag`` fit, whatever the platform."""
    return (tag.interpreter, tag.abi) in {(known.interpreter, known.abi) for known in target.tags}


def _libc_needed(tags: Iterable[Tag], target: TargetPython) -> Iterator[tuple[int, int]]:
    """Yield the versions beyond the target's that tags for its machine and family of C library ask for."""
    for tag in tags:
        match = _LIBC_TAG.fullmatch(tag.platform)
        policy, _, machine = tag.platform.partition("_")
        if match:
            family, machine, needed = _FAMILIES[match[1]], match[4], (int(match[2]), int(match[3]))
        elif policy in _OLD_MANYLINUX:
            family, needed = "glibc", _OLD_MANYLINUX[policy]
        else:
            continue
        same = family == target.libc.family and machine == target.platform.machine
        if same and needed > libc_version(target.libc.version):
            yield needed


def _listed(names: set[str]) -> str:
    shown = sorted(names)
    more = f" and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
    return ", ".join(shown[:_MOST_SHOWN]) + more
