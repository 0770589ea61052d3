"""A Python for a base that has not the wanted one: the distribution's own, or a standalone build."""

import hashlib
import os
import tarfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import IO, Final

from envbuild.catalog.bases import DISTRIBUTIONS
from envbuild.catalog.cuda_images import python_of_distribution
from envbuild.digest import CHUNK
from envbuild.errors import IntegrityError, NoSolutionError, SpecError
from envbuild.lock.model import STANDALONE, Deb, Interpreter, OsRelease, PythonArchive
from envbuild.platforms import Platform
from envbuild.remote.python_builds import URL_VARIABLE, find_standalone, size_of, standalone_address
from envbuild.resolve.base.image import ImageBaseFacts
from envbuild.resolve.base.system_files import upstream_version
from envbuild.store.fetch import fetch_all
from envbuild.store.plan import python_artifact
from envbuild.store.store import Store

FOLDER: Final = "/opt/python"
"""Where a standalone build lies in an image."""

_TOP: Final = "python/"
"""Folder that everything in an archive is below (python-build-standalone, "Distribution archives")."""


def distribution_python(os: OsRelease) -> str | None:
    """Return ``major.minor`` of the Python a distribution ships, or None where that is not known."""
    return DISTRIBUTIONS.get(f"{os.id}:{os.codename}") or python_of_distribution(f"{os.id}{os.version_id}")


def distribution_brings(python: str, facts: ImageBaseFacts) -> bool:
    """Return whether an image's own distribution brings ``python``, as that of CUDA's images may."""
    return facts.can_install and distribution_python(facts.base.os) == python


def packaged_interpreter(python: str, debs: tuple[Deb, ...]) -> Interpreter:
    """Return the interpreter that ``debs`` bring.

    :raises NoSolutionError: they bring none.
    """
    name = f"python{python}-minimal"
    for deb in debs:
        version = upstream_version(deb.version)
        if deb.name == name and version:
            return Interpreter(version=version, path=f"/usr/bin/python{python}", provider=f"deb {name}")
    raise NoSolutionError(f"the packages of python{python} do not bring an interpreter")


def standalone_python(
    python: str,
    platform: Platform,
    *,
    image: str,
    snapshot: date | None,
    store: Store,
    vendor: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Interpreter:
    """Return the interpreter of the newest standalone build of ``python``, fetched into ``store``.

    It is fetched when it is locked because only then is its executable's sha256 known, which a container is
    verified against.

    :raises SpecError: there is no such build.
    :raises NetworkError: it cannot be had.
    :raises IntegrityError: it is not what the table of builds says, or is no archive of a Python.
    """
    build = find_standalone(python, platform.machine, snapshot=snapshot)
    if build is None:
        by = f" that was there on {snapshot}" if snapshot else ""
        raise SpecError(
            f"`{image}` has no Python {python}, and there is no standalone build of it{by}",
            hint="ask for another `python`, or name an image that has it in [base]",
        )
    vendored = vendor / build.file if vendor else None
    size = (
        vendored.stat().st_size
        if vendored and vendored.is_file()
        else _stored_size(store, build.sha256) or size_of(standalone_address(build.path, environment))
    )
    archive = PythonArchive(file=build.file, path=build.path, size=size, sha256=build.sha256)
    fetch_all([python_artifact(archive, environment)], store=store, vendor=vendor)
    minor = ".".join(build.version.split(".")[:2])
    with store.open_verified(archive.sha256) as stream:
        executable = executable_of(stream, f"bin/python{minor}", file=archive.file)
    return Interpreter(
        version=build.version,
        path=f"{FOLDER}/bin/python{minor}",
        provider=STANDALONE,
        sha256=executable,
        archive=archive,
    )


def executable_of(stream: IO[bytes], path: str, *, file: str) -> str:
    """Return the sha256 of a program in a standalone build's archive, all of which is looked at.

    :raises IntegrityError: it is no such archive, lacks the program, or has files outside its folder.
    """
    found = None
    try:
        with tarfile.open(fileobj=stream, mode="r|gz") as archive:
            for member in archive:
                if not member.name.startswith(_TOP) or ".." in member.name.split("/"):
                    raise IntegrityError(f"`{file}` has `{member.name}`, outside the folder it should have")
                content = archive.extractfile(member) if member.isfile() else None
                if content and member.name == f"{_TOP}{path}":
                    state = hashlib.sha256()
                    while chunk := content.read(CHUNK):
                        state.update(chunk)
                    found = state.hexdigest()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise IntegrityError(f"`{file}` is no archive of a standalone Python: {error}") from error
    if found is None:
        raise IntegrityError(f"`{file}` has no {path}; see {URL_VARIABLE}")
    return found


def _stored_size(store: Store, sha256: str) -> int | None:
    path = store.path_of(sha256)
    return path.stat().st_size if path else None
