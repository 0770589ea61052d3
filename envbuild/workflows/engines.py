"""Which engine a command means: the option, else the environment, else the spec; never a silent switch."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from envbuild.errors import UsageError

if TYPE_CHECKING:
    from envbuild.workflows.project import Project

EngineName = Literal["docker", "local"]

ENGINES: tuple[EngineName, ...] = get_args(EngineName)

VARIABLE = "ENVBUILD_ENGINE"
DEFAULT: EngineName = "docker"

EngineOption = Annotated[
    EngineName | None,
    typer.Option(
        "--engine",
        help="What builds and runs: docker, or local, which needs no daemon.",
        show_default="[build] engine of the spec, else docker",
    ),
]


def choose_engine(
    option: EngineName | None, project: "Project", environment: Mapping[str, str] = os.environ
) -> EngineName:
    """Return the engine of ``option``, else of ``ENVBUILD_ENGINE``, else of the spec, else docker.

    With ``--frozen`` there may be no spec; a spec with problems is somebody else's to report.

    :raises UsageError: ``ENVBUILD_ENGINE`` names none.
    """
    if option is not None:
        return option
    named = environment.get(VARIABLE)
    if named:
        if named not in ENGINES:
            raise UsageError(f"{VARIABLE} names no engine: {named}", hint=f"engines: {', '.join(ENGINES)}")
        return named
    if project.spec.is_file():
        from envbuild.spec.load import read_spec

        return read_spec(project.spec).spec.build.engine
    return DEFAULT
