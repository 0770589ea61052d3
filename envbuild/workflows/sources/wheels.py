"""Wheels that a lock has built from source, brought into the store before an image is built or verified."""

from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from envbuild.errors import EnvbuildError, NetworkError
from envbuild.workflows.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from envbuild.image.engine import Engine
    from envbuild.lock.model import Lock, Target, Wheel, WheelSource
    from envbuild.remote.address import Address
    from envbuild.remote.index.client import PythonIndex
    from envbuild.store.artifact import Artifact
    from envbuild.store.target_artifacts import TargetArtifacts


def target_artifacts(lock: "Lock", target: "Target", machine: Machine) -> "TargetArtifacts":
    """Return the artifacts of a target; wheels that are missing are built from source."""
    return replace(
        machine.artifacts(lock, target),
        build_wheels=lambda: provide_built_wheels(lock, target, None, machine),
    )


def provide_built_wheels(lock: "Lock", target: "Target", engine: "Engine | None", machine: Machine) -> None:
    """Bring every wheel of ``target`` that is built from source into the store.

    From the vendored folder, else from the image's registry, else built anew by ``engine`` (None: whichever
    this machine has): then it must be, byte for byte, what was locked.

    :raises IntegrityError: it comes out otherwise.
    :raises BuildFailedError: it does not build.
    :raises NetworkError: its source, or what it is built with, cannot be had.
    """
    wheels = {wheel.file: wheel for wheel in lock.wheels}
    store = machine.store
    lacking = [
        source
        for source in lock.sources_of(target)
        if not store.holds(wheels[source.wheel].sha256, wheels[source.wheel].size)
    ]
    artifacts = machine.artifacts(lock, target).by_sha256 if lacking else {}
    lacking = [
        source for source in lacking if not _from_vendor(artifacts[wheels[source.wheel].sha256], machine)
    ]
    if not lacking:
        return
    lacking = [
        source for source in lacking if not _from_registry(lock, source, wheels[source.wheel], machine)
    ]
    if lacking:
        _build(lock, target, lacking, engine, machine)


def _from_vendor(artifact: "Artifact", machine: Machine) -> bool:
    from envbuild.store.fetch import fetch_all

    if machine.vendor is None:
        return False
    try:
        fetch_all([artifact], store=machine.store, vendor=machine.vendor, offline=True)
    except NetworkError:
        return False
    return True


def _from_registry(lock: "Lock", source: "WheelSource", wheel: "Wheel", machine: Machine) -> bool:
    """Take a wheel from where images of the lock are pushed to; return whether it was there."""
    from envbuild.resolve.sources.rebuild import key_of_source
    from envbuild.workflows.sources.kept import RegistryWheels

    if lock.request.repository is None or machine.offline:
        return False
    kept = RegistryWheels(lock.request.repository, machine)
    found = kept.find(key_of_source(lock, source))
    if found is None or found[0].sha256 != wheel.sha256:
        return False
    machine.store.add_bytes(found[1], sha256=wheel.sha256)
    return True


def _build(
    lock: "Lock",
    target: "Target",
    sources: "Sequence[WheelSource]",
    engine: "Engine | None",
    machine: Machine,
) -> None:
    from envbuild.remote.index.client import PythonIndex
    from envbuild.resolve.sources.archives import fetch_build_wheels
    from envbuild.resolve.sources.rebuild import rebuild_wheel
    from envbuild.workflows.sources.sandbox import EngineSandbox

    if machine.offline:
        raise NetworkError(
            f"{len(sources)} wheels are built from source, and --offline forbids fetching what that needs",
            hint="run once without --offline, or put the wheels into a vendored folder",
        )
    wheels = {wheel.file: wheel for wheel in lock.wheels}
    pip = lock.request.variants[target.variant].pip
    with closing(PythonIndex.of_this_machine(machine.environment)) as opened:
        index = opened.bound_to(pip.indexes, pip.find_links)
        for source in sources:
            wheel = wheels[source.wheel]
            data = rebuild_wheel(
                lock,
                source,
                wheel,
                archive=_archive(source, wheel, index, machine),
                wheels=fetch_build_wheels(
                    lock.build_wheels_of(source),
                    index=index,
                    store=machine.store,
                    vendor=machine.vendor,
                    progress=machine.progress,
                ),
                sandbox=EngineSandbox(lambda: _opened(engine, machine), machine),
            )
            machine.store.add_bytes(data, sha256=wheel.sha256)


def _opened(engine: "Engine | None", machine: Machine) -> "AbstractContextManager[Engine]":
    """Return an engine to build with: either makes the same wheel."""
    from envbuild.workflows.engines import any_engine

    return nullcontext(engine) if engine is not None else closing(any_engine(machine))


def _archive(source: "WheelSource", wheel: "Wheel", index: "PythonIndex", machine: Machine) -> Path:
    """Return the verified source archive of a wheel."""
    from envbuild.store.artifact import Artifact
    from envbuild.store.fetch import fetch_all

    if source.commit is not None:
        _fetch_commit(source, wheel, index, machine)

    def locate() -> "Iterable[Address]":
        if source.url is not None:
            return (index.file_address(source.url),)
        file = index.locate(wheel.name, source.file, source.index)
        return (index.file_address(file.url, source.index),)

    artifact = Artifact(
        kind="source",
        name=f"{wheel.name} {wheel.version}",
        filename=source.file,
        sha256=source.sha256,
        size=source.size,
        locate=locate,
    )
    fetch_all([artifact], store=machine.store, vendor=machine.vendor, progress=machine.progress)
    machine.store.open_verified(source.sha256).close()
    return machine.store.place_of(source.sha256)


def _fetch_commit(source: "WheelSource", wheel: "Wheel", index: "PythonIndex", machine: Machine) -> None:
    """Bring the content of a commit into the store.  :raises IntegrityError: it is not the locked one."""
    from envbuild.remote.git.client import GitClient
    from envbuild.resolve.python.direct import fetch_direct
    from envbuild.resolve.python.direct_requirements import known_sources
    from envbuild.spec.direct_references import DirectReference

    configuration = index.configuration
    (known,) = known_sources((), (source,)).values()
    fetch_direct(
        DirectReference(
            name=canonicalize_name(wheel.name),
            kind="git",
            url=known.url,
            reference=known.reference,
            subdirectory=known.subdirectory,
        ),
        index=index,
        store=machine.store,
        git=GitClient(machine.environment, proxy=configuration.proxy, bundle=configuration.ca_bundle),
        known=known,
        progress=machine.progress,
    )


def push_built_wheels(lock: "Lock", target: "Target", machine: Machine) -> None:
    """Keep the wheels of ``target`` that are built beside its image, for others to take instead of building.

    :raises NetworkError: the registry refuses.
    """
    from envbuild.resolve.sources.rebuild import key_of_source
    from envbuild.workflows.sources.kept import RegistryWheels

    if lock.request.repository is None:
        return
    kept = RegistryWheels(lock.request.repository, machine)
    wheels = {wheel.file: wheel for wheel in lock.wheels}
    for source in lock.sources_of(target):
        wheel = wheels[source.wheel]
        path = machine.store.path_of(wheel.sha256)
        if path is None:
            continue
        try:
            kept.keep(key_of_source(lock, source), wheel.file, path)
        except EnvbuildError as error:
            # the image is there, and whoever lacks the wheel builds it
            machine.progress.on_note(f"{wheel.file} was not kept beside the image: {error.message}")
