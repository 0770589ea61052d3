"""setup.py, setup.cfg, Pipfile, settings.ini and scripts: named in the spec, or what of them can be taken."""

import re
from collections.abc import Iterable, Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envbuild.discovery.content import FileContent, PythonEvidence, Taken
from envbuild.discovery.index_names import bind_indexes
from envbuild.discovery.project_folder import ProjectFolder
from envbuild.discovery.pyproject import RequirementLists
from envbuild.discovery.requirements import is_clean, take_requirements
from envbuild.errors import Problem
from envbuild.files.sizes import counted
from envbuild.spec.manifests.content import AnyRequirement, ManifestContent, UnusableRequirement
from envbuild.spec.manifests.read import read_manifest
from envbuild.spec.pip_files import chosen_of
from envbuild.spec.problems import RefusedError
from envbuild.spec.requirements import normalized_requirement

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def take_manifest(folder: ProjectFolder, file: str, wanted: RequirementLists) -> Iterator[FileContent]:
    """Yield what one such file gives, and the requirements files it reads."""
    text = folder.read(file)
    if text is None:
        return
    folder.taken.add(file)
    manifest = read_manifest(text, file, wanted.python)
    extras = _wanted(manifest, wanted)
    requirements, files = chosen_of(manifest, extras, [], file)
    content = _content(manifest)
    yield content
    if requirements:
        is_whole = not manifest.problems and all(is_clean(folder, named) for named in files)
        _take(content, file, requirements, extras, is_whole=is_whole)
        bind_indexes(content, {name: index for name, (_, index) in manifest.sources.items()}, file)
    if requirements and "requirements" in content.tables.get("pip", {}):
        folder.taken.update(files)
        return
    for named in files:
        if named not in folder.taken:
            yield take_requirements(folder, named)
    is_last = file != "setup.cfg" or not folder.has("setup.py")
    is_alone = folder.taken <= {file, "setup.cfg"}
    if is_last and is_alone and not (requirements or files or manifest.problems):
        if file.endswith("setup.py") or not file.endswith(".py"):
            content.leave(file, "names no dependencies", "write those that are needed to a requirements file")
        else:
            content.taken.append(Taken(file, "no dependencies"))


def _content(manifest: ManifestContent) -> FileContent:
    content = FileContent(names=[manifest.name] if manifest.name else [])
    content.pythons = [
        PythonEvidence(text, where, is_range=is_range) for text, is_range, where in manifest.pythons
    ]
    content.left = list(manifest.problems)
    return content


def _wanted(manifest: ManifestContent, wanted: RequirementLists) -> tuple[str, ...]:
    """Return the names of extras and groups to take, as the file spells them."""
    known = {canonicalize_name(name): name for name in (*manifest.extras, *manifest.groups)}
    asked = [canonicalize_name(name) for name in (*wanted.extras, *wanted.groups)]
    if wanted.all_extras:
        asked += map(canonicalize_name, manifest.extras)
    if wanted.all_groups:
        asked += map(canonicalize_name, manifest.groups)
    return tuple(dict.fromkeys(known[name] for name in asked if name in known and _NAME.fullmatch(name)))


def _take(
    content: FileContent,
    file: str,
    requirements: Iterable[AnyRequirement],
    extras: tuple[str, ...],
    *,
    is_whole: bool,
) -> None:
    usable, problems = usable_requirements(requirements)
    count = counted(len(usable), "requirement")
    with_extras = f", with {', '.join(extras)}" if extras else ""
    if is_whole and not problems:
        content.add("pip", "requirements", [f"{file}[{','.join(extras)}]" if extras else file])
        content.taken.append(Taken(file, count + with_extras))
        return
    content.left += problems
    if usable:
        content.add("pip", "packages", sorted(usable))
        why = "written into the spec because of what is left out below"
        content.taken.append(Taken(file, f"{count}{with_extras}, {why}"))


def usable_requirements(requirements: Iterable[AnyRequirement]) -> tuple[set[str], list[Problem]]:
    """Return what a lock can hold, normalised, and what is wrong with the rest."""
    usable: set[str] = set()
    problems = []
    for item in requirements:
        try:
            if isinstance(item, UnusableRequirement):
                raise item.error
            usable.add(normalized_requirement(item))
        except RefusedError as error:
            problems.append(error.at(item.where))
    return usable, problems


def others_of(folder: ProjectFolder, file: str, content: FileContent) -> FileContent:
    """Return the extras and groups of a taken file that were not taken, with what takes them."""
    found = FileContent()
    text = folder.read(file)
    if text is None:
        return found
    manifest = read_manifest(text, file)
    entries = [str(entry) for entry in content.tables.get("pip", {}).get("requirements", ())]
    taken = {
        canonicalize_name(part) for entry in entries for part in entry[len(file) + 1 : -1].split(",") if part
    }
    for kind, lists in (("extra", manifest.extras), ("group", manifest.groups)):
        if names := sorted(name for name in lists if canonicalize_name(name) not in taken):
            hint = f'--{kind} NAME takes one, or `requirements = ["{file}[NAME]"]` in [pip]'
            found.leave(file, f"not taken: {kind}s {', '.join(names)}", hint)
    return found


def pinned(requirements: Iterable[str]) -> dict[str, str]:
    """Return the versions that requirements ask for exactly, by name."""
    found: dict[str, str] = {}
    for text in requirements:
        requirement = Requirement(text)
        exact = [part.version for part in requirement.specifier if part.operator == "=="]
        if len(exact) == 1 and "*" not in exact[0]:
            found[canonicalize_name(requirement.name)] = exact[0]
    return found
