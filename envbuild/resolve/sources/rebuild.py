"""Wheels of a lock made anew on a machine that has them from nowhere: the same bytes, or an error."""

from collections.abc import Mapping
from pathlib import Path

from envbuild.errors import IntegrityError
from envbuild.formats.source_archive import read_source_archive
from envbuild.lock.model import Lock, Wheel, WheelSource
from envbuild.resolve.sources.builder import build_key, locked_builder
from envbuild.resolve.sources.failure import build_failed
from envbuild.resolve.sources.job import Job, JobRefusedError, read_result
from envbuild.resolve.sources.sandbox import Sandbox
from envbuild.resolve.sources.wheel_content import difference_from_lock


def key_of_source(lock: Lock, source: WheelSource) -> str:
    """Return the key of a locked build: the same as when it was locked."""
    return build_key(
        locked_builder(lock, source),
        source=source.sha256,
        subdirectory=source.subdirectory or "",
        is_tree=source.commit is not None,
        requires=(wheel.sha256 for wheel in lock.build_wheels_of(source)),
    )


def rebuild_wheel(
    lock: Lock,
    source: WheelSource,
    wheel: Wheel,
    *,
    archive: Path,
    wheels: Mapping[str, Path],
    sandbox: Sandbox,
) -> bytes:
    """Return ``wheel``, built from its verified ``archive`` with ``wheels``, by file name.

    :raises IntegrityError: it comes out otherwise than it was locked; the files that differ are named.
    :raises BuildFailedError: it does not build.
    """
    builder, target = locked_builder(lock, source).environment()
    is_tree = source.commit is not None
    described = read_source_archive(archive, subdirectory=source.subdirectory or "", is_tree=is_tree)
    job = Job(
        action="wheel",
        archive=archive,
        wheels=wheels,
        backend=described.backend,
        backend_path=described.backend_path,
        subdirectory=source.subdirectory or "",
        is_tree=is_tree,
    )
    outcome = sandbox.run(builder, target, job.command(target.interpreter.path), files=job.files())
    package = f"{wheel.name} {wheel.version}"
    try:
        content = read_result(outcome).content
    except JobRefusedError as error:
        raise build_failed(package, error) from error
    differing = difference_from_lock(source, wheel.sha256, content)
    if differing:
        raise IntegrityError(
            f"`{package}` comes out otherwise than it was locked: {', '.join(differing)}",
            hint="its build depends on the machine; take a version that has a wheel, or lock again with "
            f"--upgrade-package {wheel.name}",
        )
    return content
