"""A lock in the words of other tools: docker buildx bake, conda-lock, conda."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, choose_target, fresh_lock


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeResult:
    """A folder that ``docker buildx bake`` builds images from."""

    folder: Path
    file: str
    """Name of the bake file in ``folder``."""

    variables: Mapping[str, str]
    """Addresses of the index and the mirrors, by the variable of the bake file, as this machine has them."""

    targets: Mapping[str, str]
    """Name of the image by target of the bake file."""

    @property
    def command(self) -> tuple[str, ...]:
        """What builds all images, run in ``folder`` with ``variables`` in the environment."""
        return ("docker", "buildx", "bake", "--file", self.file)

    @property
    def command_line(self) -> str:
        """The command with its variables, for a shell."""
        given = [f"{name}={shlex.quote(value)}" for name, value in sorted(self.variables.items())]
        return " ".join([*given, shlex.join(self.command)])

    def document(self) -> dict[str, object]:
        """Return the result as plain JSON values."""
        return {
            "folder": str(self.folder),
            "file": self.file,
            "variables": dict(self.variables),
            "targets": dict(self.targets),
            "command": list(self.command),
        }


def export_bake(
    projects: Sequence[Project], folder: Path, *, frozen: bool = False, machine: Machine | None = None
) -> BakeResult:
    """Write a bake file that builds all variants and platforms of ``projects``, and what it builds them from.

    :raises LockError: a lock is missing, stale or cannot be used.
    :raises SpecError: several images would have one name.
    :raises NetworkError: a package of a seed cannot be had.
    """
    from envbuild.files import atomic
    from envbuild.render.bake import FILE, BakeTarget, render_bake, target_names
    from envbuild.workflows.render import write_target_folder

    machine = machine or Machine()
    planned = {}
    for project in projects:
        lock = fresh_lock(project, frozen=frozen)
        for target in lock.targets:
            planned[f"{target.variant} on {target.platform} of {project.label}"] = lock, target
    names = target_names(
        {
            what: (lock.request.name, target.variant, target.platform.partition("/")[2])
            for what, (lock, target) in planned.items()
        }
    )
    targets: list[BakeTarget] = []
    variables: dict[str, str] = {}
    for what, (lock, target) in planned.items():
        name = names[what]
        written = write_target_folder(lock, target, folder / name, machine=machine)
        recipe = written.recipe
        variables |= {
            argument: value
            for argument, _, value in (word.partition("=") for word in written.command)
            if argument in recipe.arguments
        }
        targets.append(
            BakeTarget(
                name=name,
                folder=name,
                reference=written.reference,
                platform=target.platform,
                epoch=recipe.epoch,
                arguments=recipe.arguments,
            )
        )
    atomic.write_text(folder / FILE, render_bake(targets))
    return BakeResult(
        folder=folder,
        file=FILE,
        variables=variables,
        targets={target.name: target.reference for target in targets},
    )


def export_conda_lock(
    project: Project,
    *,
    variant: str | None = None,
    frozen: bool = False,
    output: Path | None = None,
    machine: Machine | None = None,
) -> str:
    """Return a variant, all platforms, as a ``conda-lock.yml``; it is written to ``output`` if that is given.

    Addresses are those of this machine's configuration, without credentials.

    :raises LockError: the lock is missing, stale or cannot be used.
    :raises NetworkError: the index does not say where a wheel is.
    """
    from envbuild.render.conda_files import render_conda_lock
    from envbuild.store.target_artifacts import channel_addresses, wheel_addresses

    machine = machine or Machine()
    lock = fresh_lock(project, frozen=frozen)
    name = variant or lock.request.default_variant
    choose_target(lock, variant=name, platform=lock.request.platforms[0])
    with wheel_addresses(lock, name, machine.environment) as wheel_address_of:
        text = render_conda_lock(
            lock,
            name,
            address_of=channel_addresses(machine.environment),
            wheel_address_of=wheel_address_of,
        )
    return _written(text, output)


def export_explicit(
    project: Project,
    *,
    variant: str | None = None,
    platform: str | None = None,
    frozen: bool = False,
    output: Path | None = None,
    machine: Machine | None = None,
) -> str:
    """Return the conda packages of one target as ``conda create --file`` takes them.

    They are written to ``output`` if that is given.  Python packages of [pip] are not among them.

    :raises LockError: the lock is missing, stale or cannot be used, or has no conda packages for the target.
    :raises UsageError: the lock has no such target.
    """
    from envbuild.render.conda_files import no_conda, render_explicit, subdir_of
    from envbuild.store.target_artifacts import channel_addresses

    machine = machine or Machine()
    lock = fresh_lock(project, frozen=frozen)
    target = choose_target(lock, variant=variant, platform=platform)
    if not target.conda:
        raise no_conda(target.variant)
    addresses = channel_addresses(machine.environment)
    return _written(render_explicit(lock.conda_of(target), subdir_of(target), address_of=addresses), output)


def _written(text: str, file: Path | None) -> str:
    from envbuild.files import atomic

    if file is not None:
        atomic.write_text(file, text)
    return text
