"""This machine, looked at: engine, builder, apt, cache, index, registries, GPUs, all at the same time."""

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envbuild.errors import EngineError, EnvbuildError, ExitCode, SpecError
from envbuild.verify.doctor import Finding, document, exit_code_of, failed, gpu_findings, not_needed
from envbuild.workflows.engines import DEFAULT, ENGINES, EngineName, choose_engine, open_engine
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import SPEC_NAME, Project, open_project, read_lock

if TYPE_CHECKING:
    from envbuild.image.engine import Engine, EngineCheck
    from envbuild.verify.checks.gpu_facts import GpuFacts, Vendor

SMALL_PROJECT = "installer"
"""What the index is asked for: a project whose page is small, and which every lock needs."""

LEAST_FREE = 10_000_000_000
"""Bytes that one environment with CUDA takes, fetched and built."""

Look = Callable[[Machine], Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorResult:
    """What a machine has of all that envbuild needs."""

    findings: tuple[Finding, ...]
    gpu: "GpuFacts | None"
    """What the probe said of GPUs."""

    @property
    def exit_code(self) -> ExitCode:
        """What a command ends with that needs what is broken."""
        return exit_code_of(self.findings)

    def document(self) -> dict[str, Any]:
        """Return all of it as plain JSON values."""
        return document(self.findings, self.gpu)


def examine_machine(spec: Path | None = None, *, machine: Machine | None = None) -> DoctorResult:
    """Look at all that envbuild needs of this machine, in the order it is shown.

    ``spec`` is that of a project: its registries are tried, and what its engine does without is not needed.
    None: the project in the current folder, if there is one.

    :raises UsageError: ``ENVBUILD_ENGINE`` names no engine.
    """
    machine = machine or Machine()
    project = _project(spec)
    chosen = _engine_name(project, machine)
    with contextlib.ExitStack() as opened:
        engines = [opened.enter_context(closing(open_engine(name, machine))) for name in ENGINES]
        looks: list[Callable[[], Finding]] = [
            partial(_engine_finding, check, is_chosen=engine.name == chosen, chosen=chosen)
            for engine in engines
            for check in engine.checks()
        ]
        others: tuple[Look, ...] = (_apt, _cache, _index)
        looks += [partial(look, machine) for look in others]
        with ThreadPoolExecutor(max_workers=len(looks) + 2) as threads:
            gpus = threads.submit(_gpus, chosen, machine)
            registries = threads.submit(lambda: tuple(_registries(project, machine)))
            findings = [finding.result() for finding in [threads.submit(look) for look in looks]]
            about_gpus, facts = gpus.result()
    python = Finding(name="Python", state="ok", found=sys.version.split()[0])
    return DoctorResult(findings=(python, *findings, *registries.result(), *about_gpus), gpu=facts)


def _project(spec: Path | None) -> Project:
    """Return the project to look at; one without a spec and a lock where there is none that can be told."""
    try:
        return open_project(spec, frozen=True)
    except SpecError:
        return Project((spec or Path()) / SPEC_NAME)


def _engine_name(project: Project, machine: Machine) -> EngineName:
    try:
        return choose_engine(None, project, machine.environment)
    except SpecError:
        # what is wrong with a spec is no matter of the machine
        return DEFAULT


def _engine_finding(check: "EngineCheck", *, is_chosen: bool, chosen: str) -> Finding:
    try:
        return Finding(name=check.name, state="ok", found=check.look())
    except EnvbuildError as error:
        if is_chosen:
            return failed(check.name, error)
        return not_needed(check.name, error, by=f"the {chosen} engine")


def _apt(machine: Machine) -> Finding:
    from envbuild.workflows.sources.containers import describe_apt

    try:
        return Finding(name="apt", state="ok", found=describe_apt(machine))
    except EnvbuildError as error:
        # locks without system packages need none
        return failed("apt", error, state="missing")


def _cache(machine: Machine) -> Finding:
    from envbuild.files.sizes import readable_size

    folder = machine.cache
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


def _index(machine: Machine) -> Finding:
    from envbuild.remote.index.client import PythonIndex
    from envbuild.remote.index.configuration import read_client_configuration

    index = PythonIndex(read_client_configuration(machine.environment), retries=0)
    try:
        with closing(index):
            index.page(SMALL_PROJECT)
            return Finding(name="Python index", state="ok", found=f"{index.address().url} answers")
    except EnvbuildError as error:
        return failed("Python index", error)


def _registries(project: Project, machine: Machine) -> Iterator[Finding]:
    """Yield whether the registries of this project's bases and images let this machine in."""
    from envbuild.oci.reference import parse_reference
    from envbuild.remote.registry.client import RegistryClient

    try:
        lock = read_lock(project.lock)
    except EnvbuildError:
        found = "not tried: there is no lock here to say which"
        yield Finding(name="image registry", state="none", found=found)
        return
    wanted = {base.image.reference for base in lock.bases if base.image}
    wanted |= {lock.request.repository} if lock.request.repository else set()
    registries = {parse_reference(text).registry: parse_reference(text) for text in sorted(wanted)}
    client = RegistryClient(environment=machine.environment)
    for name, reference in sorted(registries.items()):
        try:
            client.ping(reference)
            yield Finding(name="image registry", state="ok", found=f"{name} lets this machine in")
        except EnvbuildError as error:
            yield failed("image registry", error)
    if not registries:
        yield Finding(name="image registry", state="none", found="this lock needs none")


def _gpus(engine: EngineName, machine: Machine) -> "tuple[tuple[Finding, ...], GpuFacts | None]":
    from envbuild.image.gpus import AUTO, GpuAccess
    from envbuild.verify.host import host_facts

    def open_giving(vendor: "Vendor") -> "Engine":
        return open_engine(engine, machine, gpus=GpuAccess(vendor=vendor, devices=AUTO))

    def withheld(vendor: "Vendor") -> str | None:
        try:
            with closing(open_giving(vendor)) as opened:
                return opened.withheld
        except EngineError as error:
            return error.message

    try:
        facts = host_facts(machine.environment).gpu
    except EnvbuildError as error:
        return (failed("GPUs", error, state="missing"),), None
    if facts is None:
        return (), None
    vendors: tuple[Vendor, ...] = ("nvidia", "amd")
    # without a GPU there is nothing to ask the engine for
    reasons = {vendor: withheld(vendor) if facts.devices else None for vendor in vendors}
    by_nature = "gpus" not in open_giving("nvidia").features
    return tuple(gpu_findings(facts, withheld=reasons, by_nature=by_nature)), facts
