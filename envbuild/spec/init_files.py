"""A first spec from what a folder holds: what each file is good for, and what of it cannot be taken.

Files that can be taken whole are named in the spec, so they stay the place where requirements are written.
Of a file with a line that no lock can hold, the other lines are written into the spec; the line is reported.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from envbuild.catalog.bases import IMAGES
from envbuild.errors import Problem
from envbuild.files.sizes import counted
from envbuild.spec import rules
from envbuild.spec.conda_files import CondaFileContent, read_conda_file
from envbuild.spec.files import read_text
from envbuild.spec.init_pyproject import RequirementLists, read_project
from envbuild.spec.problems import RefusedError
from envbuild.spec.requirement_files import Collected, RequirementFiles

USUAL_PYTHONS = ("3.12", "3.11", "3.13", "3.10", "3.14")
"""What is taken when several Pythons would do: the ones most packages have wheels for first."""

_REQUIREMENTS = ("requirements.txt", "requirements.in")
_CONDA = ("environment.yml", "environment.yaml", "conda-lock.yml")
_SYSTEM = ("apt.txt", "packages.txt")
_NOT_READ = {
    "Pipfile": "pipenv: `pipenv requirements > requirements.txt` writes what can be taken",
    "setup.py": "only running it would tell its dependencies; list them in a requirements file",
    "setup.cfg": "list its dependencies in a requirements file, or in pyproject.toml",
    "poetry.lock": "versions are locked anew; `poetry export` writes them as a requirements file",
    "uv.lock": "versions are locked anew; `uv export` writes them as a requirements file",
    "pdm.lock": "versions are locked anew; `pdm export` writes them as a requirements file",
    "Dockerfile": "its steps are not read: name its base in [base], its packages in [system]",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one file."""

    file: str
    what: str


@dataclass(slots=True)
class Discovery:
    """A spec as TOML tables, and how it came about."""

    tables: dict[str, Any]
    taken: list[Taken] = field(default_factory=list)
    left: list[Problem] = field(default_factory=list)
    """What was not taken, with its place and what can be done."""


@dataclass(slots=True)
class _Draft:
    folder: Path
    names: list[str] = field(default_factory=list)
    """What the environment may be called, the best first."""

    pythons: list[tuple[str, str]] = field(default_factory=list)
    """Versions of Python and who names them, the best witness first."""

    bounds: list[tuple[str, str]] = field(default_factory=list)
    """Ranges of Python versions and who gives them."""

    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    left: list[Problem] = field(default_factory=list)

    def add(self, table: str, key: str, items: Iterable[Any]) -> None:
        """Append to a list of the spec what is not in it yet."""
        found = self.tables.setdefault(table, {}).setdefault(key, [])
        found += [item for item in items if item not in found]

    def read(self, file: str) -> str | None:
        """Return the text of a file of the folder, or None when there is none that can be read."""
        try:
            return read_text(self.folder / file, shown=file) if (self.folder / file).is_file() else None
        except RefusedError as error:
            self.left.append(error.at(file))
            return None


def discover(
    folder: Path, wanted: RequirementLists, *, name: str | None = None, python: str | None = None
) -> Discovery:
    """Return a spec for what ``folder`` holds.  ``name`` and ``python`` win over what the files say."""
    draft = _Draft(folder)
    _python_version(draft)
    _conda(draft)
    _requirements(draft)
    _project(draft, wanted)
    _system(draft)
    for file, hint in _NOT_READ.items():
        if (folder / file).is_file() and not _is_known(file, draft):
            draft.left.append(Problem(file, "not read", hint))
    tables: dict[str, Any] = {
        "name": name or _name(draft),
        "python": python or _python(draft),
        **{table: filled for table, content in draft.tables.items() if (filled := _filled(content))},
    }
    return Discovery(tables, draft.taken, draft.left)


# --- files --------------------------------------------------------------------------------------


def _python_version(draft: _Draft) -> None:
    for file, pattern in (
        (".python-version", r"(?:cpython-)?([0-9.]+)"),
        ("runtime.txt", r"python-([0-9.]+)"),
    ):
        text = draft.read(file)
        if text is None:
            continue
        match = re.match(pattern, text.strip())
        if match:
            draft.pythons.append((match[1], file))
        else:
            draft.left.append(Problem(file, "names no version of CPython"))


def _requirements(draft: _Draft) -> None:
    present = [file for file in _REQUIREMENTS if (draft.folder / file).is_file()]
    if present:
        take_requirements(draft, present[0])
    for file in present[1:]:
        draft.left.append(Problem(file, f"not taken beside {present[0]}", "name the one you maintain"))
    others = {*draft.folder.glob("*requirements*.txt"), *draft.folder.glob("requirements/*.txt")}
    for path in sorted(others):
        file = path.relative_to(draft.folder).as_posix()
        named = draft.tables.get("pip", {}).get("requirements", ())
        if file not in {*present, *named}:
            hint = f'`requirements = ["{file}"]` in [pip], or in [variants.NAME.pip] for some'
            draft.left.append(Problem(file, "not taken: it may be for some only", hint))


def take_requirements(draft: _Draft, file: str) -> None:
    """Take a requirements file: whole, or what of it a lock can hold."""
    collected = Collected()
    RequirementFiles(draft.folder, _read, collected).add(file, constrains=False, where=file)
    count = counted(len(collected.requirements), "requirement")
    if not collected.problems:
        draft.add("pip", "requirements", [file])
        draft.taken.append(Taken(file, count))
        return
    draft.add("pip", "packages", sorted(collected.requirements))
    draft.taken.append(Taken(file, f"{count}, written into the spec because of what is left out below"))
    draft.left += collected.problems
    if collected.constraints:
        hint = "write them to a file of their own and name that in [pip] constraints"
        draft.left.append(Problem(file, "its constraints are not taken", hint))


def _project(draft: _Draft, wanted: RequirementLists) -> None:
    text = draft.read("pyproject.toml")
    if text is None:
        return
    project = read_project(text, wanted)
    draft.left += project.left
    if project.name:
        draft.names.insert(0, project.name)
    if project.requires_python:
        draft.bounds.append((project.requires_python, "pyproject.toml"))
    for key, items in project.pip.items():
        if isinstance(items, list):
            draft.add("pip", key, items)
        else:
            draft.tables.setdefault("pip", {})[key] = items
    for file in project.files:
        if file not in draft.tables.get("pip", {}).get("requirements", ()):
            take_requirements(draft, file)
    if project.taken:
        draft.taken.append(Taken("pyproject.toml", ", ".join(project.taken)))


def _conda(draft: _Draft) -> None:
    present = [file for file in _CONDA if (draft.folder / file).is_file()]
    for file in present[1:]:
        draft.left.append(Problem(file, f"not taken beside {present[0]}"))
    text = draft.read(present[0]) if present else None
    if text is None:
        return
    file = present[0]
    content = read_conda_file(text, file, subdirs=("linux-64",))
    name = re.search(r"^name:\s*['\"]?([^\s'\"#]+)", text, re.MULTILINE)
    if name and name[1] != "base":
        draft.names.append(name[1])
    _conda_python(draft, file, content)
    others = [package for package in content.packages if package.name not in {"python", "pip"}]
    counts = [counted(len(content.pins or others), "conda package"), counted(len(content.pip), "requirement")]
    if not content.problems and (others or content.pins):
        draft.add("conda", "files", [file])
        if not content.channels:
            draft.add("conda", "channels", ["conda-forge"])
            counts.append("conda-forge, as it names no channel")
        draft.taken.append(Taken(file, ", ".join(counts)))
        return
    draft.left += content.problems
    if content.pins:
        hint = "lock it again without what it names; or name in [conda] files what it was made from"
        draft.left.append(Problem(file, "not taken: a conda-lock.yml is taken whole or not at all", hint))
        return
    _conda_inline(draft, content, has_conda=bool(others))
    why = (
        "written into the spec because of what is left out below"
        if content.problems
        else "no conda is needed"
    )
    draft.taken.append(Taken(file, ", ".join([*counts, why])))


def _conda_inline(draft: _Draft, content: CondaFileContent, *, has_conda: bool) -> None:
    """Write what a file of conda asks for into the spec itself."""
    if has_conda:
        draft.add("conda", "channels", content.channels or ["conda-forge"])
        draft.add("conda", "packages", [str(package) for package in content.packages])
    if content.pip:
        draft.add("pip", "packages", content.pip)
    if content.variables:
        draft.tables.setdefault("image", {})["env"] = dict(content.variables)


def _conda_python(draft: _Draft, file: str, content: CondaFileContent) -> None:
    for pin in content.pins:
        name, release, _ = pin.rpartition("/")[2].rsplit("-", 2)
        if name == "python":
            # the patch release is the file's to say, and moves when it is locked again
            draft.pythons.append((".".join(release.split(".")[:2]), file))
    for package in content.packages:
        version = re.fullmatch(r"=*(3\.[0-9]+(?:\.[0-9]+)?)(?:\.\*)?", package.version or "")
        if package.name == "python" and version:
            draft.pythons.append((version[1], file))
        elif package.name == "python" and package.version:
            draft.bounds.append((package.version, file))


def _system(draft: _Draft) -> None:
    for file in _SYSTEM:
        text = draft.read(file)
        if text is None:
            continue
        packages, problems = [], []
        for number, line in enumerate(text.splitlines(), start=1):
            for word in line.partition("#")[0].split():
                try:
                    packages.append(rules.system_package(word))
                except RefusedError as error:
                    problems.append(error.at(f"{file}:{number}"))
        what = counted(len(packages), "Debian package")
        if problems:
            draft.add("system", "packages", packages)
            draft.left += problems
            what += ", written into the spec because of what is left out below"
        else:
            draft.add("system", "files", [file])
        draft.taken.append(Taken(file, what))


def _is_known(file: str, draft: _Draft) -> bool:
    """Return whether a file only repeats what another one said."""
    has_project = any(taken.file == "pyproject.toml" for taken in draft.taken)
    return file in {"setup.py", "setup.cfg"} and (has_project or bool(draft.tables.get("pip")))


# --- name and Python ----------------------------------------------------------------------------


def _name(draft: _Draft) -> str:
    for name in (*draft.names, draft.folder.resolve().name):
        usable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        if usable:
            return usable
    return "environment"


def _python(draft: _Draft) -> str:
    for version, file in draft.pythons:
        try:
            chosen = rules.python(version)
        except RefusedError as error:
            draft.left.append(error.at(file))
            continue
        draft.taken.append(Taken(file, f"Python {chosen}"))
        draft.left += [
            Problem(place, f"`{bound}` does not allow Python {chosen}, which {file} names")
            for bound, place in draft.bounds
            if not _allows(bound, chosen)
        ]
        return chosen
    usual = [python for python in USUAL_PYTHONS if python in IMAGES]
    bounds = []
    for bound, file in draft.bounds:
        left = [python for python in usual if _allows(bound, python)]
        if left:
            bounds.append((bound, file))
            usual = left
        else:
            others = "".join(f" and in `{other}` of {place}" for other, place in bounds)
            draft.left.append(Problem(file, f"no supported Python is in `{bound}`{others}"))
    if bounds:
        draft.taken += [Taken(file, f"Python {usual[0]}, which `{bound}` allows") for bound, file in bounds]
        return usual[0]
    draft.left.append(
        Problem("", f"no file says which Python: {USUAL_PYTHONS[0]} is taken", "or pass --python")
    )
    return USUAL_PYTHONS[0]


def _filled(table: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value not in ([], {})}


def _allows(bound: str, python: str) -> bool:
    """Return whether a bound, a project file's or conda's, allows a release; without a patch release, any."""
    # the bound may be of a patch release: `>=3.11.4`
    releases = [python] if python.count(".") > 1 else [f"{python}.{patch}" for patch in (0, 20)]
    try:
        choices = [SpecifierSet(",".join(map(_specifier, part.split(",")))) for part in bound.split("|")]
    except ValueError:
        return False
    return any(choice.contains(release) for choice in choices for release in releases)


def _specifier(text: str) -> str:
    """Return one condition as PEP 440 writes it; conda leaves `==` out before `3.11.*`."""
    plain = text.strip()
    return f"=={plain}" if plain[:1].isdigit() else plain


_read: Callable[[Path, str], str] = lambda path, shown: read_text(path, shown=shown)  # noqa: E731
