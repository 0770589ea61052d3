"""The sandbox that sources are built in: a container of a builder, on the engine of the project."""

import platform as host_platform
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from envbuild.errors import BuildFailedError, EngineError, LimitExceededError
from envbuild.workflows.engines import engine_of
from envbuild.workflows.image_requests import held_or_built, image_request
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project

if TYPE_CHECKING:
    from envbuild.image.engine import Engine
    from envbuild.lock.model import Lock, Target
    from envbuild.resolve.sources.sandbox import SandboxLimits, SandboxOutcome

_HANDLERS = Path("/proc/sys/fs/binfmt_misc")
"""Where the kernel shows which programs run those of other machines."""


_WITHOUT_ENGINE = (
    'start it, name it in DOCKER_HOST, or write engine = "local" in [build] of the spec, which needs none'
)


@dataclass(frozen=True, slots=True)
class EngineSandbox:
    """Runs programs in containers of an engine."""

    open_engine: "Callable[[], AbstractContextManager[Engine]]"
    """Opens the engine when something must be built."""

    machine: Machine

    @classmethod
    def of_project(cls, project: Project, machine: Machine) -> Self:
        """Return the sandbox of the engine that the images of ``project`` are built with."""
        return cls(lambda: closing(engine_of(project, None, machine)), machine)

    def run(
        self,
        lock: "Lock",
        target: "Target",
        command: tuple[str, ...],
        *,
        files: Mapping[str, bytes],
        limits: "SandboxLimits | None" = None,
    ) -> "SandboxOutcome":
        """Run ``command`` in a fresh container of a builder; see :class:`Sandbox`."""
        from envbuild.image.engine import RunLimits, RunRequest
        from envbuild.resolve.sources.sandbox import LIMITS, SandboxOutcome

        _require_platform(target.platform)
        bounds = limits or LIMITS
        with self.open_engine() as engine:
            request = image_request(lock, target, self.machine, any_engine=True)
            try:
                image = held_or_built(request, engine, self.machine)
            except EngineError as error:
                raise EngineError(
                    f"what has no wheel is built in a container, and {error.message}",
                    hint=_WITHOUT_ENGINE if "--engine local" in (error.hint or "") else error.hint,
                    detail=error.detail,
                ) from error
            try:
                outcome = engine.run(
                    RunRequest(
                        image=image.reference,
                        command=command,
                        files=files,
                        gpus=False,
                        limits=RunLimits(
                            seconds=bounds.seconds,
                            memory=bounds.memory,
                            output=bounds.output,
                            processes=bounds.processes,
                        ),
                    )
                )
            except LimitExceededError as error:
                raise BuildFailedError(
                    f"a build from source was ended: {error.message}", detail=error.detail
                ) from error
        return SandboxOutcome(exit_status=outcome.exit_status, stdout=outcome.stdout, stderr=outcome.stderr)


def _require_platform(platform: str) -> None:
    """Raise unless this machine runs programs of ``platform``, itself or by emulation.

    :raises EngineError: it does not.
    """
    from envbuild.platforms import PLATFORMS, host

    here = host()
    if here is not None and here.name == platform:
        return
    machine = next(known.machine for known in PLATFORMS.values() if known.name == platform)
    if (_HANDLERS / f"qemu-{machine}").exists():
        return
    raise EngineError(
        f"what is built from source for {platform} cannot be built on this machine "
        f"({here.name if here else host_platform.machine()})",
        hint=f"run `envbuild lock --platform {platform}` on such a machine, then `envbuild lock` here",
    )
