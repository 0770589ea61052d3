"""Data that DVC keeps: its pointers, its cache, its own commands."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from envbuild import process
from envbuild.errors import EnvbuildError, IntegrityError, SpecError, ToolMissingError
from envbuild.workflows.data.entries import DataEntry, hashed_root, shown_root
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project

if TYPE_CHECKING:
    from envbuild.data.dvc import DvcOutput
    from envbuild.data.hashing import HashedData
    from envbuild.spec.request import DataRequest

SHOWN_LINES: Final = 20


def hash_output(
    project: Project, name: str, request: "DataRequest", machine: Machine
) -> tuple["HashedData", str]:
    """Return the digests of an output of DVC, and what DVC calls it: both agree.

    It is read in the workspace, or where that has none in DVC's cache.

    :raises DvcPointerError: the pointer is missing or not understood.
    :raises IntegrityError: the files are not what the pointer says.
    :raises EnvbuildError: the files are not here.
    """
    from envbuild.data.dvc import digest_of

    output = output_of(project, name, request.source or "", request.path)
    shown = shown_root(project, request.path)
    hashed = hashed_root(project.folder / request.path, shown, machine, with_md5=True)
    if hashed is None:
        hashed = _hash_cached(output, Path(request.path), machine)
    if hashed is None:
        raise EnvbuildError(
            f"data `{name}` is not here: neither {shown} nor all of it in DVC's cache",
            hint=f"run `dvc pull {output.target}` in {project.label}",
        )
    found = digest_of(hashed.md5, is_folder=output.is_folder)
    if found != output.md5:
        raise IntegrityError(
            f"{shown} is not what {request.source} says: md5 {output.md5} expected, got {found}",
            hint=f"run `dvc commit {output.target}` if it was changed on purpose, "
            f"else `dvc checkout {output.target}`",
        )
    return hashed, output.md5


def output_of(project: Project, name: str, source: str, path: str) -> "DvcOutput":
    """Return the output that a pointer names.

    :raises DvcPointerError: it is missing or not understood.
    :raises SpecError: it is of another path than the spec says.
    """
    from envbuild.data.dvc import read_output

    output = read_output(project.folder, source)
    if output.path != path:
        raise SpecError.at(
            f"data.{name}.path", f"{source} is of `{output.path}`", hint=f'write path = "{output.path}"'
        )
    return output


def pull(entry: DataEntry, machine: Machine, *, force: bool) -> None:
    """Have the user's own DVC bring an output into the workspace.

    :raises ToolMissingError: there is no DVC on the path.
    :raises EnvbuildError: DVC did not bring it.
    """
    locked, project = entry.locked, entry.project
    output = output_of(project, entry.name, locked.source or "", locked.path)
    if locked.md5 is not None and output.md5 != locked.md5:
        raise IntegrityError(
            f"{locked.source} no longer names what is locked: md5 {locked.md5} expected, got {output.md5}",
            hint=f"run `{project.command('data lock', entry.name)}`, or restore {locked.source}",
        )
    words = ["dvc", "checkout" if machine.offline else "pull", *(["--force"] if force else []), output.target]
    command = " ".join(words)
    found = shutil.which("dvc", path=machine.environment.get("PATH", os.defpath))
    if found is None:
        raise ToolMissingError(
            f"data `{entry.name}` is kept by DVC, which is not on the path",
            hint=f"install it, or run `{command}` in {project.label} where it is",
        )
    machine.progress.on_stage(f"{command}")
    result = process.run(
        [found, *words[1:]],
        environment={**machine.environment, "DVC_NO_ANALYTICS": "true"},
        folder=project.folder,
        output_limit=1 << 24,
    )
    if not result.succeeded:
        lines = (result.stderr.strip() or result.stdout.strip()).splitlines()
        raise EnvbuildError(
            f"`{command}` failed with exit status {result.exit_status}",
            detail="\n".join(lines[-SHOWN_LINES:]),
            hint=f"run it yourself in {project.label}",
        )


def _hash_cached(output: "DvcOutput", path: Path, machine: Machine) -> "HashedData | None":
    from envbuild.data.dvc import cached_files
    from envbuild.data.hashing import hash_found

    found = cached_files(output, path.name)
    if found is None:
        return None
    machine.progress.on_stage(f"hashing {path.name} in DVC's cache")
    return hash_found(output.file, found, with_md5=True, progress=machine.progress)
