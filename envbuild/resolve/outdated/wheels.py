"""Wheels of a lock that have newer versions on their indexes."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import TYPE_CHECKING

from packaging.version import Version

from envbuild.errors import EnvbuildError
from envbuild.lock.model import Wheel
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.page import IndexFile, ProjectPage, version_of_file
from envbuild.resolve.outdated.model import PackageUpdate
from envbuild.resolve.python.files import fits, python_allowed, too_new
from envbuild.resolve.python.target import TargetPython

if TYPE_CHECKING:
    from concurrent.futures import Future


def wheel_updates(
    wheels: Iterable[Wheel],
    allowed: Mapping[str, str] | None,
    *,
    index: PythonIndex,
    target: TargetPython,
    snapshot: date | None,
) -> tuple[PackageUpdate, ...]:
    """Return what the indexes have of ``wheels``, their pages fetched in parallel.

    ``allowed`` are the versions that resolving again gives, by name; None: that is not known.  Pre-releases
    count where one is locked, sources where the wheel was built from one, and yanked files never.
    """
    locked = tuple(wheels)
    # started in the background, all of them before the first is waited for
    pages = [None if wheel.url else _start(index, wheel) for wheel in locked]
    return tuple(
        _update(wheel, page, allowed, target, snapshot) for wheel, page in zip(locked, pages, strict=True)
    )


def _start(index: PythonIndex, wheel: Wheel) -> "Future[ProjectPage] | EnvbuildError":
    try:
        return index.start(wheel.name, wheel.index)
    except EnvbuildError as error:
        return error


def _update(
    wheel: Wheel,
    page: "Future[ProjectPage] | EnvbuildError | None",
    allowed: Mapping[str, str] | None,
    target: TargetPython,
    snapshot: date | None,
) -> PackageUpdate:
    newest, notes = None, list[str]()
    if page is None:
        notes.append("the spec gives its address: no index is asked")
    else:
        try:
            if isinstance(page, EnvbuildError):
                raise page
            releases = dict(_releases(wheel, page.result(), target, snapshot))
            newest = max((version for version, note in releases.items() if note is None), default=None)
            beyond = max(releases, default=None)
            if beyond is not None and (newest is None or beyond > newest) and (note := releases[beyond]):
                notes.append(f"{beyond} {note}")
        except EnvbuildError as error:
            notes.append(error.message)
    here = Version(wheel.version)
    return PackageUpdate(
        kind="wheel",
        name=wheel.name,
        locked=wheel.version,
        allowed=allowed.get(wheel.name) if allowed is not None else None,
        newest=str(max(newest, here)) if newest is not None else None,
        notes=tuple(notes),
    )


def _releases(
    wheel: Wheel, page: ProjectPage, target: TargetPython, snapshot: date | None
) -> Iterator[tuple[Version, str | None]]:
    """Yield every newer release, and why the target cannot have it; None: it can."""
    here = Version(wheel.version)
    wanted = {
        version
        for version in page.versions()
        if version >= here and (not version.is_prerelease or here.is_prerelease)
    }
    for version, files in page.by_version(lambda name: version_of_file(name, wheel.name) in wanted).items():
        usable = [file for file in files if file.yanked is None and not too_new(file, snapshot)]
        if usable:
            yield version, _refusal(wheel, usable, target, snapshot)


def _refusal(wheel: Wheel, files: list[IndexFile], target: TargetPython, snapshot: date | None) -> str | None:
    is_built = wheel.hash_source == "built"
    sources = [file for file in files if not file.filename.endswith(".whl")]
    if any(fits(file, target, snapshot=snapshot) for file in files):
        return None
    if is_built and any(python_allowed(file.requires_python, target) for file in sources):
        return None
    if not any(python_allowed(file.requires_python, target) for file in files):
        wanted = sorted({file.requires_python for file in files if file.requires_python})
        return f"requires Python {' or '.join(wanted)}"
    return "has no wheel for the target"
