"""The project a command is about."""

from pathlib import Path

from envbuild.workflows.project import Project, find_project, open_project


def project_if_any(spec: Path | None) -> Project | None:
    """Return the project of ``spec``; without one, that which is found from the current folder, if any is.

    :raises SpecError: ``spec`` names none, or what is found cannot be taken: see :func:`find_project`.
    """
    if spec is not None:
        return project_of(spec)
    found = find_project()
    return found.as_named() if found else None


def project_of(spec: Path | None, *, frozen: bool = False) -> Project:
    """Return the project of ``spec``; messages name its files as the person who typed the command did.

    :raises SpecError: there is no spec.
    """
    return open_project(spec, frozen=frozen).as_named()
