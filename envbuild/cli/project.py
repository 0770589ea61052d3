"""The project a command is about."""

from pathlib import Path

from envbuild.workflows.project import Project, open_project


def project_of(spec: Path | None, *, frozen: bool = False) -> Project:
    """Return the project of ``spec``; messages name its files as the person who typed the command did.

    :raises SpecError: there is no spec.
    """
    return open_project(spec, frozen=frozen).as_named()
