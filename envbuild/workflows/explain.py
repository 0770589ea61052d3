"""Why a lock is as it is."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, choose_target, fresh_lock

if TYPE_CHECKING:
    from envbuild.lock.gpu import TargetGpu
    from envbuild.resolve.gpu.report import ReportSection


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuExplanation:
    """What CUDA of one target was derived from, and why its base was chosen."""

    environment: str
    """Name of the environment."""

    variant: str
    platform: str
    sections: "tuple[ReportSection, ...]"
    gpu: "TargetGpu | None"
    """What is locked; None: the target has no GPU."""

    def __str__(self) -> str:
        from envbuild.resolve.gpu.report import text_of

        return text_of(self.sections)

    def document(self) -> dict[str, object]:
        """Return the explanation as plain JSON values."""
        return {
            "variant": self.variant,
            "platform": self.platform,
            "sections": [{"title": section.title, "lines": list(section.lines)} for section in self.sections],
            "gpu": self.gpu.model_dump(mode="json", by_alias=True) if self.gpu else None,
        }


def explain_gpu(
    project: Project,
    *,
    variant: str | None = None,
    platform: str | None = None,
    frozen: bool = False,
    machine: Machine | None = None,
) -> GpuExplanation:
    """Return why a target has the CUDA and the base it has, from the lock alone.

    :raises LockError: the lock is missing, stale or cannot be used.
    :raises UsageError: it has no such target.
    """
    from envbuild.catalog.active import catalog_in_force
    from envbuild.resolve.gpu.report import explain_gpu as explain

    machine = machine or Machine()
    lock = fresh_lock(project, frozen=frozen)
    target = choose_target(lock, variant=variant, platform=platform)
    return GpuExplanation(
        environment=lock.request.name,
        variant=target.variant,
        platform=target.platform,
        sections=explain(lock, target, catalog=catalog_in_force(machine.environment)),
        gpu=target.gpu,
    )
