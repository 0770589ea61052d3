"""Put the facts together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from envbuild.verify.checks.facts import FACTS_FORMAT, EnvironmentFacts, Facts
from envbuild.verify.checks.gpu_facts import GpuFacts
from envbuild.verify.probe.conda import conda_facts
from envbuild.verify.probe.environment import environment_facts, interpreter_facts
from envbuild.verify.probe.framework import import_facts
from envbuild.verify.probe.gpu import gpu_facts
from envbuild.verify.probe.packages import deb_facts, outside_distributions, prefix_distributions
from envbuild.verify.probe.system import libc_facts, machine_facts, os_facts, process_facts, variable_facts


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuQuestions:
    """What is asked about GPUs besides drivers and devices."""

    libraries: Mapping[str, str | None] = field(default_factory=dict)
    """Libraries to look for: ``libcudart.so.13`` → the path where it should be, None: anywhere."""

    frameworks: tuple[str, ...] = ()
    """Frameworks to import, and to let compute."""


def gather_facts(
    *,
    prefix: str,
    variables: Iterable[str],
    root: Path = Path("/"),
    gpu: GpuQuestions | None = None,
) -> Facts:
    """Return all facts about this container.

    ``variables`` are those whose values may be told.  ``root`` is where / of the image lies.  Nothing about
    GPUs is looked at without ``gpu``.
    """
    environment = environment_facts(prefix, root)
    return Facts(
        format=FACTS_FORMAT,
        os=os_facts(root),
        libc=libc_facts(),
        machine=machine_facts(),
        interpreter=interpreter_facts(),
        environment=environment,
        process=process_facts(root),
        variables=variable_facts(variables),
        debs=deb_facts(root),
        distributions=prefix_distributions(prefix, root),
        conda=conda_facts(prefix, root),
        outside_distributions=outside_distributions(environment.sys_path, prefix, root),
        gpu=_gpu_facts(gpu, environment, root) if gpu else None,
    )


def _gpu_facts(questions: GpuQuestions, environment: EnvironmentFacts, root: Path) -> GpuFacts:
    python = f"{environment.prefix}/bin/python"
    return gpu_facts(
        questions.libraries,
        folders=[entry for entry in environment.sys_path or () if entry.endswith("-packages")],
        imports=tuple(import_facts(python, questions.frameworks)) if root == Path("/") else (),
        root=root,
    )
