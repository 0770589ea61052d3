"""Requirements files of a folder, under any usual name: one is taken, the others are named."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from envbuild.discovery.content import FileContent, PythonEvidence, Taken
from envbuild.discovery.project_folder import ProjectFolder
from envbuild.errors import Problem
from envbuild.files.sizes import counted
from envbuild.spec import rules
from envbuild.spec.files import read_text
from envbuild.spec.foreign.requirement_export import python_of_header
from envbuild.spec.problems import RefusedError
from envbuild.spec.requirement_files import Collected, RequirementFiles, logical_lines
from envbuild.spec.source_options import PAGE_OPTIONS, binding_of, known_sources

_FOLDERS = (
    "requirements/",
    "reqs/",
    "requirement/",
    "deps/",
    "docker/",
    "binder/",
    ".binder/",
    "env/",
    "src/",
)
_OWN_FOLDERS = _FOLDERS[:4]
"""Folders that hold nothing but requirements files, whatever their names are."""

_NAMES = (
    "requirements.txt",
    "requirements.in",
    "requirements[-_.]base.txt",
    "requirements[-_.]main.txt",
    "requirements[-_.]prod*.txt",
    "requirements[-_.]core.txt",
    "requirements[-_.]common.txt",
    "reqs.txt",
    "requires.txt",
    "deps.txt",
    "dependencies.txt",
    "pip-requirements.txt",
    "pip_requirements.txt",
    "requirement.txt",
    "requi*ments.txt",
    "requirements.lock",
)
"""Names of the file that everybody needs, the best first."""

_NAMES_IN_FOLDER = tuple(
    f"{name}.{end}"
    for end in ("txt", "in")
    for name in (
        "base",
        "main",
        "prod",
        "production",
        "core",
        "default",
        "common",
        "runtime",
        "install",
        "app",
    )
)
_SOURCE = re.compile(r"(?P<option>-i|-f|--index-url|--extra-index-url|--find-links)[\s=]\s*(?P<value>\S+)")
_PYG = ("pyg-lib", "torch-cluster", "torch-scatter", "torch-sparse", "torch-spline-conv")
"""What PyTorch Geometric's pages have."""

_FOR_SOME = re.compile(
    r"(^|[-_.])(dev|devel|development|tests?|testing|docs?|lint|ci|build|examples?|optional|extras?|mypy|typing"
    r"|style|quality|notebooks?|benchmarks?|local|readthedocs|rtd|tools|release)([-_.]|$)"
)

_OWN_LINE = re.compile(r"(?:(?:-e|--editable)[\s=]\s*)?[\"']?\./?(?:\[(?P<extras>[^\]]*)\])?[\"']?")
"""A line that installs the project that the file lies beside."""

_OWN_PROBLEM = re.compile(r"`(?P<place>\./?(?:\[[^\]`]*\])?)` is (?:asked for as editable|not a requirement)")

_ALL = ("*requirement*.txt", "*requirement*.in", "reqs*.txt")


def requirement_files(folder: ProjectFolder) -> list[str]:
    """Return the requirements files of a folder, the one to take first."""
    main = [place + name for place in ("", *_FOLDERS) for name in _NAMES]
    main += [place + name for place in _OWN_FOLDERS for name in _NAMES_IN_FOLDER]
    others = [*_ALL, *(f"{place}*.{end}" for place in _OWN_FOLDERS for end in ("txt", "in"))]
    others += [place + pattern for place in _FOLDERS for pattern in _ALL]
    return sorted(folder.find(*main, *others), key=is_for_some)


def is_for_some(file: str) -> bool:
    """Return whether a requirements file, by its name, is for those who work on a project."""
    return bool(_FOR_SOME.search(file.rpartition("/")[2].lower()))


def take_requirements(folder: ProjectFolder, file: str) -> FileContent:
    """Take a requirements file: whole, or what of it a lock can hold."""
    content = FileContent()
    folder.taken.add(file)
    if python := python_of_header(folder.read(file) or ""):
        content.pythons.append(PythonEvidence(python, file))
    collected = _collect(folder, file, {}, {})
    if collected.problems and (sources := _sources(folder, file)):
        indexes = {name: url for name, (key, url, _) in sources.items() if key == "indexes"}
        pages = {name: url for name, (key, url, _) in sources.items() if key == "find-links"}
        collected = _collect(folder, file, indexes, pages)
        for name, (key, url, packages) in sources.items():
            pip = content.tables.setdefault("pip", {})
            pip.setdefault(key, {})[name] = url
            pip.setdefault("sources", {}).update(dict.fromkeys(packages, name))
    _take(content, file, collected)
    return content


def is_clean(folder: ProjectFolder, file: str) -> bool:
    """Return whether all of a requirements file can be taken as it is."""
    collected = Collected()
    RequirementFiles(
        folder.path, lambda path, shown: read_text(path, shown=shown, inside=folder.path), collected
    ).add(file, constrains=False, where=file)
    return not collected.problems


def _take(content: FileContent, file: str, collected: Collected) -> None:
    bound = sorted(content.tables.get("pip", {}).get("sources", ()))
    count = counted(len(collected.requirements), "requirement")
    count += f", {', '.join(bound)} from an index of their own" if bound else ""
    collected.problems[:] = [_without_own(problem) for problem in collected.problems]
    if not (collected.problems or collected.requirements or collected.constraints):
        content.leave(file, "names no requirements", "write those that are needed into it")
        return
    if not collected.problems:
        content.add("pip", "requirements", [file])
        content.taken.append(Taken(file, count))
        return
    content.add("pip", "packages", sorted(collected.requirements))
    if collected.requirements:
        why = "written into the spec because of what is left out below"
        content.taken.append(Taken(file, f"{count}, {why}"))
    content.left += collected.problems
    if collected.constraints:
        hint = "write them to a file of their own and name that in [pip] constraints"
        content.leave(file, "its constraints are not taken", hint)


def own_extras(folder: ProjectFolder) -> list[str]:
    """Return the extras with which the requirements file to take installs the project itself."""
    files = requirement_files(folder)[:1]
    lines = [line for file in files for _, line in logical_lines(folder.read(file) or "")]
    found = [match["extras"] or "" for line in lines if (match := _OWN_LINE.fullmatch(line))]
    return [extra.strip() for extras in found for extra in extras.split(",") if extra.strip()]


def _without_own(problem: Problem) -> Problem:
    """Say of a line that installs the project itself what is taken of it."""
    match = _OWN_PROBLEM.match(problem.message)
    if match is None:
        return problem
    message = f"`{match['place']}` is the project itself: only what it requires is taken"
    return Problem(problem.where, message, problem.hint or "mount the project when a container starts")


def _collect(
    folder: ProjectFolder, file: str, indexes: Mapping[str, str], pages: Mapping[str, str]
) -> Collected:
    collected = Collected()
    known = known_sources(indexes, pages, ())
    RequirementFiles(folder.path, read_noted(folder), collected, known).add(
        file, constrains=False, where=file
    )
    return collected


def _sources(folder: ProjectFolder, file: str) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """Return the indexes and pages a file names, by name, where it shows who comes from them."""
    lines = [line for _, line in logical_lines(folder.read(file) or "")]
    found: dict[str, tuple[str, str, tuple[str, ...]]] = {}
    bound: set[str] = set()
    for line in lines:
        match = _SOURCE.fullmatch(line)
        if match is None:
            continue
        is_page = match["option"] in PAGE_OPTIONS
        try:
            address = rules.page_url(match["value"]) if is_page else rules.index_url(match["value"])
        except RefusedError:
            continue
        label, packages = binding_of(address, lines)
        if "pyg" in address:
            asked = {re.split(r"[\s\[<>=!~;]", line)[0].lower().replace("_", "-") for line in lines}
            packages = tuple(name for name in _PYG if name in asked)
        free = tuple(name for name in packages if name not in bound)
        if free:
            bound.update(free)
            found[label] = ("find-links" if is_page else "indexes", address, free)
    return found


def read_noted(folder: ProjectFolder) -> Callable[[Path, str], str]:
    """Return a reader of the folder's files that notes which ones were read."""

    def read(path: Path, shown: str) -> str:
        folder.taken.add(shown)
        return read_text(path, shown=shown, inside=folder.path)

    return read
