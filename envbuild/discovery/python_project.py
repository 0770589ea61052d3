"""What the files of a Python project give together: requirements files, the project file and its like."""

import re
from collections.abc import Iterable, Iterator

from packaging.utils import canonicalize_name

from envbuild.discovery.content import FileContent
from envbuild.discovery.manifests import others_of, take_manifest
from envbuild.discovery.project_folder import ProjectFolder
from envbuild.discovery.pyproject import RequirementLists, has_dynamic_dependencies, read_project
from envbuild.discovery.requirements import (
    is_for_some,
    read_noted,
    requirement_files,
    take_requirements,
)
from envbuild.errors import Problem, SpecError
from envbuild.spec.load import parse_toml
from envbuild.spec.manifests.read import read_manifest
from envbuild.spec.manifests.script import has_script_block
from envbuild.spec.manifests.workspace import WorkspaceMember, read_members

_PROJECT = "pyproject.toml"
_SETUP = ("setup.cfg", "setup.py")
_SCRIPTS = ("*.py", "scripts/*.py", "tools/*.py", "bin/*.py", "src/*.py", "examples/*.py")
_MOST_SCRIPTS = 64
_MOST_SHOWN = 20
_DECLARING = (
    "requirements*.txt",
    "*requirements.txt",
    "pyproject.toml",
    "setup.py",
    "pipfile",
    "environment*.y*ml",
    "cog.yaml",
    "*.lock",
)
"""Names of files that say what is needed, for those that lie in folders nobody looks into."""


def read_python_project(folder: ProjectFolder, wanted: RequirementLists) -> Iterator[FileContent]:
    """Yield what the files of a Python project give, the most exact one first."""
    files = requirement_files(folder)
    main = [] if folder.taken.intersection(files) or not files or files[0].endswith(".lock") else files[:1]
    for_some = bool(main and is_for_some(main[0]))
    if main and not for_some:
        yield take_requirements(folder, main[0])
    project = list(read_project_file(folder, wanted))
    yield from project
    if for_some and not any(content.tables for content in project):
        yield take_requirements(folder, main[0])
    for file in ("Pipfile", "settings.ini"):
        if folder.has(file) and (file == "Pipfile" or not _has_requirements(folder)):
            yield from _with_others(folder, file, wanted)
    yield _others(folder, files)


def read_scripts(folder: ProjectFolder, wanted: RequirementLists) -> Iterator[FileContent]:
    """Yield what the one script of a folder gives that says what it needs."""
    found = [
        file for file in folder.find(*_SCRIPTS)[:_MOST_SCRIPTS] if has_script_block(folder.read(file) or "")
    ]
    for file in found[:1]:
        yield from take_manifest(folder, file, wanted)
    content = FileContent()
    for file in found[1:]:
        content.leave(file, f"not taken beside {found[0]}", f"`envbuild init {file}` in a folder of its own")
    yield content


def read_project_file(folder: ProjectFolder, wanted: RequirementLists) -> Iterator[FileContent]:
    """Yield what pyproject.toml gives, or setup.cfg and setup.py where it leaves that to them."""
    text = folder.read(_PROJECT)
    has_setup = [file for file in _SETUP if folder.has(file) and not _is_nbdev(folder)]
    if text is not None:
        folder.taken.add(_PROJECT)
        project = read_project(text, wanted, _members(folder, text))
        dynamic = has_dynamic_dependencies(text)
        if has_setup and dynamic and not project.files:
            # setup.py tells what the project file leaves to it
            project.left = [item for item in project.left if "dynamic:" not in item.message]
        yield project
        for file in project.files:
            if file not in folder.taken:
                yield take_requirements(folder, file)
        if not dynamic or project.files:
            folder.taken.update(has_setup)
            return
    for file in has_setup:
        yield from _with_others(folder, file, wanted)


def _members(folder: ProjectFolder, text: str) -> dict[str, WorkspaceMember]:
    try:
        document = parse_toml(text, _PROJECT)
    except SpecError:
        return {}
    return read_members(document, folder.path, read_noted(folder), folder.problems.append)


def _with_others(folder: ProjectFolder, file: str, wanted: RequirementLists) -> Iterator[FileContent]:
    contents = list(take_manifest(folder, file, wanted))
    yield from contents
    if contents:
        yield others_of(folder, file, contents[0])


def _is_nbdev(folder: ProjectFolder) -> bool:
    """Return whether setup.py takes everything from settings.ini."""
    settings = folder.read("settings.ini")
    says_some = settings is not None and re.search(r"^(?:pip_)?requirements\s*=\s*\S", settings, re.MULTILINE)
    return bool(says_some) and "settings.ini" in (folder.read("setup.py") or "")


def _has_requirements(folder: ProjectFolder) -> bool:
    return any(file.endswith(".txt") or file in {_PROJECT, "Pipfile"} for file in folder.taken)


def _others(folder: ProjectFolder, files: Iterable[str]) -> FileContent:
    """Return the requirements files that are not taken, each with the line that would."""
    content = FileContent()
    for file in files:
        if file not in folder.taken and not file.endswith(".lock"):
            hint = f'`requirements = ["{file}"]` in [pip], or in [variants.NAME.pip] for some'
            content.leave(file, "not taken: it may be for some only", hint)
    return content


def report_deeper(folder: ProjectFolder) -> list[Problem]:
    """Return the files of folders below that say what is needed there, with the line that takes one."""
    files = [
        file
        for file in folder.deeper(*_DECLARING, "*.y*ml")
        if not file.endswith((".yml", ".yaml")) or _is_environment(file)
    ]
    problems = [
        Problem(file, "not taken: it is in a folder of its own", _hint_of(file))
        for file in files[:_MOST_SHOWN]
    ]
    if len(files) > _MOST_SHOWN:
        problems.append(Problem(".", f"{len(files) - _MOST_SHOWN} more files lie deeper", "name a folder"))
    return problems


def _is_environment(file: str) -> bool:
    """Return whether a YAML file is one of conda, by its name and place, or one of Cog."""
    folder, _, name = file.rpartition("/")
    return name.startswith(("environment", "cog.y")) or folder.rpartition("/")[2] in {"env", "envs", "conda"}


def _hint_of(file: str) -> str:
    folder, _, name = file.rpartition("/")
    is_named = name.endswith((".yml", ".yaml")) and not name.startswith(("environment.y", "cog.y"))
    return f"`envbuild init {file if is_named else folder}` writes a spec there"


def project_name(folder: ProjectFolder) -> str | None:
    """Return the normalised name of the project of a folder, as its project file or setup.py says it."""
    text = folder.read(_PROJECT)
    if text is not None and (name := read_project(text, RequirementLists()).names[:1]):
        return canonicalize_name(name[0])
    for file in _SETUP:
        setup = folder.read(file)
        if setup is not None and (known := read_manifest(setup, file).name):
            return canonicalize_name(known)
    return None
