"""A first spec from what a folder holds: what each file is good for, and what of it cannot be taken.

Files that can be taken whole are named in the spec, so they stay the place where requirements are written.
Of a file with a line that no lock can hold, the other lines are written into the spec; the line is reported.

Priority: files are read in the order of :data:`READERS`.  Lists are joined; of single values that contradict
each other the first one's is taken, and both files are named.  Which Python: ``choose_python.py``.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from envbuild.discovery import python_evidence
from envbuild.discovery.agreement import drop_excluded, drop_stale, fold_own, origins_of
from envbuild.discovery.choose_python import PythonChoice, choose_python
from envbuild.discovery.combine import combine
from envbuild.discovery.container_files import leave_out_beside_binder, read_conda_file, read_container_files
from envbuild.discovery.content import FileContent, Taken
from envbuild.discovery.contradictions import settle_contradictions
from envbuild.discovery.locks import LockOfFolder
from envbuild.discovery.manifests import pinned, take_manifest
from envbuild.discovery.project_folder import ProjectFolder, Reader
from envbuild.discovery.pyproject import RequirementLists
from envbuild.discovery.python_project import (
    project_name,
    read_project_file,
    read_python_project,
    read_scripts,
    report_deeper,
)
from envbuild.discovery.readme import read_readme, read_readme_python
from envbuild.discovery.requirements import own_extras, take_requirements
from envbuild.errors import Problem, SpecError
from envbuild.spec.foreign.read import is_foreign_lock
from envbuild.spec.normalize import normalize
from envbuild.spec.request import PipRequest
from envbuild.spec.validation import validate

READERS: tuple[Reader, ...] = (
    # one line for each kind of file: `each` reads all that match, `first` the best one
    read_container_files,
)
"""Readers of files that know nothing of Python packaging, the first one first believed."""


LOOKED_FOR = (
    "requirements files, pyproject.toml, setup.py, setup.cfg, Pipfile, environment.yml, scripts with a "
    "`# /// script` block, apt.txt, and locks of other tools"
)
"""What a folder may hold, in words."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """A distribution with the version that was chosen for it."""

    name: str
    version: str
    index: str | None = None
    """Address of the index it is bound to; None: the client's own."""


HasWheels = Callable[[Sequence[Pinned], str], bool | None]
"""Whether all of these have wheels for a Python; None: nobody can tell."""


@dataclass(slots=True)
class Discovery:
    """A spec as TOML tables, and how it came about."""

    tables: dict[str, Any]
    taken: list[Taken] = field(default_factory=list)
    left: list[Problem] = field(default_factory=list)
    """What was not taken, with its place and what can be done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveryOptions:
    """What is known besides what the files say."""

    wanted: RequirementLists = field(default_factory=RequirementLists)
    name: str | None = None
    """Wins over what the files say."""

    python: str | None = None
    """Wins over what the files say."""

    file: str | None = None
    """The one file to take, a script or a lock; None: all that the folder holds."""

    has_wheels: HasWheels | None = None
    """Whether distributions with exact versions have wheels for a Python."""


def discover(path: Path, options: DiscoveryOptions) -> Discovery:
    """Return a spec for what the folder at ``path`` holds; nothing is taken if there is nothing."""
    folder = ProjectFolder(path)
    lock = LockOfFolder(folder, options.file) if _is_lock(options.file) else None
    if lock and lock.file is None and (options.file or "").endswith(".txt"):
        lock = None  # requirements that are not all pinned
    contents = list(_contents(folder, options) if lock is None else _beside(folder, options))
    # of one file only the lock that bears its name, as uv writes it beside a script
    lock = lock or LockOfFolder(folder, f"{options.file}.lock" if options.file else None)
    is_of_readme = not options.file and lock.file is None and not any(map(_asks_for_packages, contents))
    if is_of_readme:
        contents += read_readme(folder, _own_names(contents, path))
    found = combine((*contents, lock.content))
    discovery = _finished(found, folder, lock, options, origins_of(contents))
    is_sure = any(discovery.tables.get(table) for table in ("pip", "conda"))
    if not options.file and not (is_sure and not is_of_readme) and not _is_alone(contents):
        discovery.left += report_deeper(folder)
    return discovery


def _asks_for_packages(content: FileContent) -> bool:
    """Return whether a file names a package, or says itself that it needs none."""
    has_some = any(any(content.tables.get(table, {}).values()) for table in ("pip", "conda"))
    return has_some or _is_alone([content])


def _is_alone(contents: Iterable[FileContent]) -> bool:
    """Return whether a project file says itself that it needs nothing."""
    return any(
        taken.what.startswith("no dependencies") and taken.file == "pyproject.toml"
        for content in contents
        for taken in content.taken
    )


def _own_names(contents: Iterable[FileContent], path: Path) -> set[str]:
    return {path.resolve().name, *(name for content in contents for name in content.names)}


def from_content(found: FileContent, path: Path, options: DiscoveryOptions) -> Discovery:
    """Return a spec for what was found elsewhere, in an environment of the machine."""
    folder = ProjectFolder(path)
    return _finished(found, folder, LockOfFolder(folder, ""), options)


def _finished(
    found: FileContent,
    folder: ProjectFolder,
    lock: LockOfFolder,
    options: DiscoveryOptions,
    origins: Mapping[str, str] = MappingProxyType({}),
) -> Discovery:
    """Return the spec, with a name, a Python, and the lock of another tool that belongs to what was taken."""
    path = folder.path
    tables: dict[str, Any] = {"name": options.name or _name(found.names, path), "python": ""}
    choice = PythonChoice(options.python or "")
    if not options.python:
        choice = choose_python(found.pythons, _has_wheels(path, found, lock, options))
    tables["python"] = choice.version
    found = combine((found, *lock.finish({**found.tables, **tables}, choice.version)))
    found.left += folder.problems
    pip = found.tables.get("pip", {})
    if pip.get("locks"):
        drop_stale(found, _required(tables | {"pip": pip}, path), _kept(tables, pip, path))
    if origins:
        sources = _required(tables | {"pip": pip}, path)
        found.left += drop_excluded(pip, [*sources, *_kept(tables, pip, path)], origins, folder.line_of)
    tables |= {table: filled for table, keys in found.tables.items() if (filled := _filled(keys))}
    if "pip" in tables:
        found.left += settle_contradictions(tables["pip"], lambda pip: _requirements(tables, pip, path))
    if not found.taken:
        return Discovery({}, [], found.left)
    if not any(tables.get(table) for table in ("pip", "conda", "system", "base")):
        alone = Problem("", "nothing is asked for: the environment is Python alone", "name packages")
        found.left.append(alone)
    return Discovery(tables, found.taken + choice.taken, found.left + choice.left)


def _contents(folder: ProjectFolder, options: DiscoveryOptions) -> Iterator[FileContent]:
    if options.file and options.file.endswith((".yml", ".yaml")):
        yield read_conda_file(folder, options.file)
        return
    if options.file and options.file.endswith((".txt", ".in")):
        yield take_requirements(folder, options.file)
        return
    if options.file:
        yield from take_manifest(folder, options.file, options.wanted)
        return
    readers = (leave_out_beside_binder, *python_evidence.READERS, *READERS)
    others = [content for reader in readers for content in reader(folder)]
    others += read_readme_python(folder)
    fold_own(others, project_name(folder), folder.line_of)
    wanted = options.wanted.with_named(
        (*(extra for content in others for extra in content.extras), *own_extras(folder)),
        (group for content in others for group in content.groups),
    )
    project = [*_named_files(folder, others), *read_python_project(folder, wanted)]
    if not any(content.taken for content in (*project, *others)):
        project += read_scripts(folder, options.wanted)
    yield from project
    yield from others


def _beside(folder: ProjectFolder, options: DiscoveryOptions) -> Iterator[FileContent]:
    """Yield what the file gives that a lock was made from."""
    name = (options.file or "").rpartition("/")[2]
    if name == "Pipfile.lock":
        yield from take_manifest(folder, "Pipfile", options.wanted)
    elif not name.endswith((".txt", "requirements.lock")):
        yield from read_project_file(folder, options.wanted)


def _is_lock(file: str | None) -> bool:
    return file is not None and is_foreign_lock(file)


def _named_files(folder: ProjectFolder, contents: Iterable[FileContent]) -> Iterator[FileContent]:
    """Yield what the files give that other files install from."""
    for content in contents:
        for file in content.files:
            if file not in folder.taken and file.endswith((".txt", ".in")) and folder.has(file):
                yield take_requirements(folder, file)


def _has_wheels(
    path: Path, found: FileContent, lock: LockOfFolder, options: DiscoveryOptions
) -> Callable[[str], bool | None] | None:
    """Return whether what would be pinned with a Python has wheels for it."""
    ask = options.has_wheels
    if ask is None:
        return None

    def has_wheels(python: str) -> bool | None:
        tables = {"name": "draft", "python": python, **found.tables}
        content = combine((FileContent(tables=dict(found.tables)), *lock.finish(tables, python)))
        pip = _request({"name": "draft", "python": python, **content.tables}, path)
        if pip is None:
            return None
        pins = pinned((*pip.constraints, *pip.requirements))
        wanted = [
            Pinned(name, pins[name], pip.indexes.get(pip.sources.get(name, ""))) for name in sorted(pins)
        ]
        return ask(wanted, python) if wanted else None

    return has_wheels


def _request(tables: dict[str, Any], path: Path) -> PipRequest | None:
    """Return what a draft of the spec asks of indexes, or None if it has problems."""
    plain = {name: value for name, value in tables.items() if name in {"name", "python", "pip"}}
    validated = validate(plain)
    if validated.problems:
        return None
    try:
        return normalize(validated.spec, path).variants["default"].pip
    except SpecError:
        return None


def _kept(tables: dict[str, Any], pip: dict[str, Any], path: Path) -> list[tuple[str, Iterable[str]]]:
    """Return the versions that the lock of another tool gives."""
    if not pip.get("locks"):
        return []
    shared = {key: pip[key] for key in ("indexes", "sources", "find-links") if key in pip}
    request = _request({**tables, "pip": {"locks": pip["locks"], **shared}}, path)
    return [(pip["locks"][0], request.constraints if request else ())]


def _required(tables: dict[str, Any], path: Path) -> list[tuple[str, Iterable[str]]]:
    """Return the files of requirements that a spec names, and what each of them requires."""
    pip = tables.get("pip", {})
    sources: list[tuple[str, Iterable[str]]] = []
    for file in pip.get("requirements", ()):
        request = _request({**tables, "pip": {"requirements": [file]}}, path)
        sources.append((file, request.requirements if request else ()))
    keys = {key: pip[key] for key in ("project", "extras", "groups") if key in pip}
    if keys:
        shared = {key: pip[key] for key in ("indexes", "sources") if key in pip}
        request = _request({**tables, "pip": {**keys, **shared}}, path)
        sources.append(("pyproject.toml", request.requirements if request else ()))
    return sources


def _requirements(tables: dict[str, Any], pip: dict[str, Any], path: Path) -> Iterable[str]:
    request = _request({**tables, "pip": pip}, path)
    return request.requirements if request else ()


def _name(names: Iterable[str], path: Path) -> str:
    for name in (*names, path.resolve().name):
        usable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        if usable:
            return usable
    return "environment"


def _filled(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value not in ([], {})}
