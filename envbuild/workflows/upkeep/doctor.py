"""This machine, looked at: engine, builder, apt, cache, index, registries, GPUs, all at the same time."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.errors import EngineError, EnvbuildError, ExitCode
from envbuild.verify.doctor import Finding, failed, gpu_findings

if TYPE_CHECKING:
    from envbuild.verify.checks.gpu_facts import GpuFacts, Vendor

SMALL_PROJECT = "installer"
"""What the index is asked for: a project whose page is small, and which every lock needs."""

LEAST_FREE = 10_000_000_000
"""Bytes that one environment with CUDA takes, fetched and built."""

Look = Callable[[], Finding]


def examine(spec: Path | None) -> "tuple[tuple[Finding, ...], GpuFacts | None]":
    """Return what was found, in the order it is shown, and what the probe said of GPUs.

    ``spec`` is that of a project whose registries are tried; None: the one here, if there is one.
    """
    looks: tuple[Look, ...] = (_engine, _builder, _apt, _cache, _index)
    with ThreadPoolExecutor(max_workers=len(looks) + 2) as threads:
        gpus = threads.submit(_gpus)
        registries = threads.submit(lambda: tuple(_registries(spec)))
        findings = [finding.result() for finding in [threads.submit(look) for look in looks]]
        about_gpus, facts = gpus.result()
    python = Finding(name="Python", state="ok", found=sys.version.split()[0])
    return (python, *findings, *registries.result(), *about_gpus), facts


def _engine() -> Finding:
    from envbuild.image.docker.engine import DockerEngine

    try:
        return Finding(name="Docker Engine", state="ok", found=DockerEngine().describe())
    except EnvbuildError as error:
        return failed("Docker Engine", error)


def _builder() -> Finding:
    from envbuild.image.docker.engine import DockerEngine

    try:
        return Finding(name="buildx", state="ok", found=DockerEngine().describe_builder())
    except EnvbuildError as error:
        return failed("buildx", error)


def _apt() -> Finding:
    from envbuild.cache.location import cache_folder
    from envbuild.resolve.apt.client import Apt

    try:
        return Finding(name="apt", state="ok", found=Apt(cache_folder(), environment=os.environ).version())
    except EnvbuildError as error:
        # locks without system packages need none
        return failed("apt", error, state="missing")


def _cache() -> Finding:
    from envbuild.cache.location import cache_folder
    from envbuild.files.sizes import readable_size

    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(
            name="cache",
            state="broken",
            found=f"{folder}: {(error.strerror or str(error)).lower()}",
            hint="name another folder in ENVBUILD_CACHE_DIR",
            exit_code=ExitCode.FAILURE,
        )
    found = f"{folder}, {readable_size(free)} free"
    if free < LEAST_FREE:
        hint = "`envbuild cache prune` makes room; an environment with CUDA takes about 10 GB"
        return Finding(name="cache", state="missing", found=found, hint=hint)
    return Finding(name="cache", state="ok", found=found)


def _index() -> Finding:
    from envbuild.remote.index.client import PythonIndex
    from envbuild.remote.index.configuration import read_client_configuration

    index = PythonIndex(read_client_configuration(), retries=0)
    try:
        with contextlib.closing(index):
            index.page(SMALL_PROJECT)
            return Finding(name="Python index", state="ok", found=f"{index.address().url} answers")
    except EnvbuildError as error:
        return failed("Python index", error)


def _registries(spec: Path | None) -> Iterator[Finding]:
    """Yield whether the registries of this project's bases and images let this machine in."""
    from envbuild.oci.reference import parse_reference
    from envbuild.remote.registry.client import RegistryClient
    from envbuild.workflows.project import open_project, read_lock

    try:
        lock = read_lock(open_project(spec, frozen=True).lock)
    except EnvbuildError:
        found = "not tried: there is no lock here to say which"
        yield Finding(name="image registry", state="none", found=found)
        return
    wanted = {base.image.reference for base in lock.bases if base.image}
    wanted |= {lock.request.repository} if lock.request.repository else set()
    registries = {parse_reference(text).registry: parse_reference(text) for text in sorted(wanted)}
    client = RegistryClient()
    for name, reference in sorted(registries.items()):
        try:
            client.ping(reference)
            yield Finding(name="image registry", state="ok", found=f"{name} lets this machine in")
        except EnvbuildError as error:
            yield failed("image registry", error)
    if not registries:
        yield Finding(name="image registry", state="none", found="this lock needs none")


def _gpus() -> "tuple[tuple[Finding, ...], GpuFacts | None]":
    from envbuild.image.docker.engine import DockerEngine
    from envbuild.image.gpus import AUTO, GpuAccess
    from envbuild.verify.host import host_facts

    def withheld(vendor: "Vendor") -> str | None:
        try:
            return DockerEngine(gpus=GpuAccess(vendor=vendor, devices=AUTO)).withheld
        except EngineError as error:
            return error.message

    try:
        facts = host_facts().gpu
    except EnvbuildError as error:
        return (failed("GPUs", error, state="missing"),), None
    if facts is None:
        return (), None
    vendors: tuple[Vendor, ...] = ("nvidia", "amd")
    # without a GPU there is nothing to ask the engine for
    reasons = {vendor: withheld(vendor) if facts.devices else None for vendor in vendors}
    return tuple(gpu_findings(facts, withheld=reasons)), facts
