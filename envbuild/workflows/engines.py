"""Which engine a command means, and how it is opened.  The only place that chooses an engine by its name."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from envbuild.errors import EnvbuildError, SpecError, UsageError
from envbuild.workflows.configuration.settings import DEFAULT_ENGINE_VARIABLE, ENGINES, EngineName
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import refuse_other

if TYPE_CHECKING:
    from collections.abc import Iterable

    from envbuild.image.engine import Engine
    from envbuild.image.gpus import GpuAccess
    from envbuild.workflows.project import Project

__all__ = [
    "DEFAULT",
    "ENGINES",
    "VARIABLE",
    "EngineChoice",
    "EngineName",
    "any_engine",
    "choose_engine",
    "engine_choice",
    "engine_of",
    "open_engine",
    "require_privileges_for",
]

VARIABLE = "ENVBUILD_ENGINE"
DEFAULT: EngineName = "docker"


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """An engine, and what named it."""

    name: EngineName
    by: Literal["option", "variable", "spec", "configuration", "default"]
    """``configuration`` is ``ENVBUILD_DEFAULT_ENGINE``, or the key that is its default."""


def choose_engine(
    option: EngineName | None, project: "Project | None", environment: Mapping[str, str]
) -> EngineName:
    """Return the engine that a command means; see :func:`engine_choice`."""
    return engine_choice(option, project, environment).name


def engine_choice(
    option: EngineName | None, project: "Project | None", environment: Mapping[str, str]
) -> EngineChoice:
    """Return which engine a command means, and why.

    That of ``option``, else of ``ENVBUILD_ENGINE``, else of the spec, else of ``ENVBUILD_DEFAULT_ENGINE``,
    which is the user's configuration, else docker.  What a team wrote into its spec counts for all who build
    it; what one user configured is for specs that name no engine.

    With ``--frozen`` there may be no spec, and for an image that is named no project.  A spec with problems
    is reported by who needs the spec.

    :raises UsageError: ``option`` or a variable names none.
    """
    refuse_other("engine", option, ENGINES)
    if option is not None:
        return EngineChoice(option, "option")
    named = _engine_in(environment, VARIABLE)
    if named is not None:
        return EngineChoice(named, "variable")
    if project is not None and project.spec.is_file():
        build = project.reading.spec.build
        if "engine" in build.model_fields_set:
            return EngineChoice(build.engine, "spec")
    named = _engine_in(environment, DEFAULT_ENGINE_VARIABLE)
    return EngineChoice(named, "configuration") if named is not None else EngineChoice(DEFAULT, "default")


def _engine_in(environment: Mapping[str, str], variable: str) -> EngineName | None:
    named = environment.get(variable)
    if not named:
        return None
    if named not in ENGINES:
        raise UsageError(f"{variable} names no engine: {named}", hint=f"engines: {', '.join(ENGINES)}")
    return named


def open_engine(name: EngineName, machine: Machine, *, gpus: "GpuAccess | None" = None) -> "Engine":
    """Return the engine called ``name``, whose containers get ``gpus``.  It is not spoken to yet.

    :raises UsageError: GPUs are demanded of an engine that has none to give.
    """
    return _OPENERS[name](machine, gpus)


def engine_of(
    project: "Project | None", option: EngineName | None, machine: Machine, *, gpus: "GpuAccess | None" = None
) -> "Engine":
    """Return the engine that a command on ``project`` means, opened.

    :raises UsageError: see :func:`choose_engine` and :func:`open_engine`.
    """
    return open_engine(choose_engine(option, project, machine.environment), machine, gpus=gpus)


def any_engine(machine: Machine) -> "Engine":
    """Return an engine of this machine, where it does not matter which: the first that can work."""
    variables = machine.environment
    named = variables.get(VARIABLE) or variables.get(DEFAULT_ENGINE_VARIABLE)
    for name in ENGINES:
        engine = open_engine(name, machine)
        if name == named or (not named and _can_work(engine)):
            return engine
        engine.close()
    return open_engine(DEFAULT, machine)


def _can_work(engine: "Engine") -> bool:
    try:
        for check in engine.checks():
            check.look()
    except EnvbuildError:
        return False
    return True


def require_privileges_for(
    projects: "Iterable[Project]", option: EngineName | None, machine: Machine
) -> None:
    """Return if the engines of several projects have the privileges they need; see the engine protocol.

    Once and beforehand: what is worked on in threads cannot be started again by one of them.

    :raises EngineError: this machine and user allow no such engine.
    """
    names: set[EngineName] = set()
    for project in projects:
        # a spec that cannot be read is the error of its project alone
        with suppress(SpecError):
            names.add(choose_engine(option, project, machine.environment))
    for name in sorted(names):
        open_engine(name, machine).require_privileges(machine.restart_as_root)


def _open_docker(machine: Machine, gpus: "GpuAccess | None") -> "Engine":
    from envbuild.image.docker.engine import DockerEngine

    return DockerEngine(machine.environment, gpus=gpus, progress=machine.progress)


def _open_local(machine: Machine, gpus: "GpuAccess | None") -> "Engine":
    from envbuild.image.local.engine import LocalEngine

    return LocalEngine(
        machine.cache,
        environment=machine.environment,
        offline=machine.offline,
        gpus=gpus,
        progress=machine.progress,
    )


_OPENERS: Mapping[EngineName, Callable[[Machine, "GpuAccess | None"], "Engine"]] = {
    "docker": _open_docker,
    "local": _open_local,
}
