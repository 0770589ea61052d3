"""All files that [pip] names: requirements, other manifests, the project file, and locks of other tools."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envbuild.errors import Problem, SpecError
from envbuild.spec.foreign.pins import DecidedPins, decide
from envbuild.spec.foreign.read import read_foreign_lock
from envbuild.spec.foreign.target_markers import MarkerTarget, targets_of
from envbuild.spec.foreign.uv_lock import conflict_extras
from envbuild.spec.load import PROJECT_FILE, parse_toml
from envbuild.spec.manifests.content import AnyRequirement, ManifestContent, UnusableRequirement
from envbuild.spec.manifests.contradictions import contradictions_of
from envbuild.spec.manifests.poetry import read_poetry
from envbuild.spec.manifests.read import is_manifest, read_manifest, split_extras
from envbuild.spec.manifests.tool_tables import standard_tables
from envbuild.spec.manifests.uv_sources import SourceChoices
from envbuild.spec.manifests.workspace import placed_packages, read_members
from envbuild.spec.model import Spec
from envbuild.spec.problems import RefusedError
from envbuild.spec.pyproject import ProjectTables, at_address, refused_sources
from envbuild.spec.requirement_files import Collected, RequirementFiles
from envbuild.spec.requirements import normalized_constraint, normalized_requirement
from envbuild.spec.source_options import known_sources

ReadText = Callable[[Path, str], str]
Where = Callable[..., str]
"""Where a value of the spec is written: its path, and ``index`` of an item."""


class PipFiles:
    """What [pip] of one variant asks for, wherever it is written; what is wrong is in ``collected``."""

    def __init__(self, asked: Spec, folder: Path, read: ReadText, where: Where) -> None:
        self.collected = Collected(requirements=set(asked.pip.packages))
        self._asked, self._folder, self._read, self._where = asked, folder, read, where
        self._problems = self.collected.problems
        self._document: dict[str, Any] | None = None
        self._sources: list[tuple[str, set[str]]] = []
        """Files, and what each asks for that none before it does."""

    def collect(self) -> Collected:
        """Read all files, and return what they ask for."""
        self._requirements()
        if self._asked.pip.project or self._asked.pip.extras or self._asked.pip.groups:
            self._project()
        for found in contradictions_of(self._sources):
            self._problems.append(Problem(found.file, found.message, "only one can hold: change one of them"))
        for index, file in enumerate(self._asked.pip.locks):
            self._lock(file, self._where("pip", "locks", index=index))
        return self.collected

    # --- requirements -----------------------------------------------------------------------------

    def _requirements(self) -> None:
        pip = self._asked.pip
        known = known_sources(pip.indexes, pip.find_links, pip.build)
        files = RequirementFiles(self._folder, self._read, self.collected, known)
        for index, entry in enumerate(self._asked.pip.requirements):
            where = self._where("pip", "requirements", index=index)
            before = set(self.collected.requirements)
            if is_manifest(entry):
                self._manifest(entry, files, where)
            else:
                files.add(entry, constrains=False, where=where)
            self._sources.append((entry, self.collected.requirements - before))
        for index, entry in enumerate(self._asked.pip.constraints):
            files.add(entry, constrains=True, where=self._where("pip", "constraints", index=index))

    def _manifest(self, entry: str, files: RequirementFiles, where: str) -> None:
        file, extras = split_extras(entry)
        try:
            content = read_manifest(self._read(self._folder / file, file), file, self._asked.python)
        except RefusedError as error:
            self._problems.append(error.at(where))
            return
        self._problems.extend(content.problems)
        requirements, named = chosen_of(content, extras, self._problems, where)
        for item in requirements:
            self._take(item, content)
        for name in named:
            files.add(name, constrains=False, where=where)

    def _take(self, item: AnyRequirement, content: ManifestContent) -> None:
        if isinstance(item, UnusableRequirement):
            self._problems.append(item.error.at(item.where))
            return
        try:
            text = normalized_requirement(item)
        except RefusedError as error:
            self._problems.append(error.at(item.where))
            return
        name = Requirement(text).name
        if name in content.sources and name not in self._asked.pip.sources:
            self._problems.append(_unbound(name, content.sources[name][1], item.where))
            return
        self.collected.requirements.add(text)

    # --- pyproject.toml ---------------------------------------------------------------------------

    def _project(self) -> None:
        pip = self._asked.pip
        first = next(key for key in ("project", "extras", "groups") if getattr(pip, key))
        where = self._where("pip", first, index=None if first == "project" else 0)
        try:
            document = parse_toml(self._read(self._folder / PROJECT_FILE, PROJECT_FILE), PROJECT_FILE)
        except RefusedError as error:
            self._problems.append(error.at(where))
            return
        except SpecError as error:
            self._problems.extend(error.problems or [Problem(PROJECT_FILE, error.message)])
            return
        self._document = document
        listed = set(self._listed(document))
        self._sources.append((PROJECT_FILE, listed - self.collected.requirements))
        self.collected.requirements.update(listed)
        if pip.project:
            self.collected.constraints.update(self._constraints_of_uv(document))

    def _listed(self, document: dict[str, Any]) -> Iterator[str]:
        pip = self._asked.pip
        choices = SourceChoices(self._targets(), pip.extras, pip.groups)
        members = read_members(document, self._folder, self._read, self._problems.append)
        placed = placed_packages(document, members, choices)
        standard = standard_tables(document)
        refused = refused_sources(placed) | _bound_by_poetry(document)
        # what the spec binds itself has its index
        refused = {name: why for name, why in refused.items() if name not in pip.sources}
        project = ProjectTables(standard, self._problems.append, refused, placed.addresses, members)
        if pip.project:
            yield from project.dependencies(self._where("pip", "project"))
        for index, extra in enumerate(pip.extras):
            yield from project.optional(extra, self._where("pip", "extras", index=index))
        for index, group in enumerate(pip.groups):
            yield from project.group(group, self._where("pip", "groups", index=index))

    def _constraints_of_uv(self, document: dict[str, Any]) -> Iterator[str]:
        tool: Any = document.get("tool")
        for key in ("uv", "constraint-dependencies"):
            tool = tool.get(key) if isinstance(tool, dict) else None
        for index, text in enumerate(tool if isinstance(tool, list) else ()):
            try:
                yield normalized_constraint(str(text))
            except RefusedError as error:
                self._problems.append(error.at(f"{PROJECT_FILE}: tool.uv.constraint-dependencies[{index}]"))

    # --- locks ------------------------------------------------------------------------------------

    def _lock(self, file: str, where: str) -> None:
        try:
            text = self._read(self._folder / file, file)
        except RefusedError as error:
            self._problems.append(error.at(where))
            return
        decided = decide(read_foreign_lock(text, file), self._targets(), file)
        for name in self._asked.pip.unpinned:
            decided.constraints.pop(name, None)
            decided.addresses.pop(name, None)
        unpinned = tuple(f"`{name}` is there as " for name in self._asked.pip.unpinned)
        self._problems.extend(
            problem for problem in decided.problems if not (unpinned and problem.message.startswith(unpinned))
        )
        for name, address in decided.indexes.items():
            if name not in self._asked.pip.sources and name not in self._asked.pip.unpinned:
                self._problems.append(_unbound(name, address, file))
        self._pin(decided, file)

    def _pin(self, decided: DecidedPins, file: str) -> None:
        for texts in decided.constraints.values():
            for text in texts:
                try:
                    self.collected.constraints.add(normalized_constraint(text))
                except RefusedError as error:
                    self._problems.append(error.at(file))
        for text in sorted(self.collected.requirements):
            requirement = Requirement(text)
            if addresses := decided.addresses.get(canonicalize_name(requirement.name)):
                self.collected.requirements.discard(text)
                self.collected.requirements.update(self._at_addresses(requirement, addresses, file))

    def _at_addresses(
        self, requirement: Requirement, addresses: Iterable[tuple[str, str]], file: str
    ) -> Iterator[str]:
        for address, marker in addresses:
            try:
                yield at_address(requirement, address, marker)
            except RefusedError as error:
                self._problems.append(error.at(file))

    def _targets(self) -> tuple[MarkerTarget, ...]:
        pip = self._asked.pip
        name = self._asked.name
        project = self._document.get("project") if self._document else None
        if isinstance(project, dict) and isinstance(project.get("name"), str):
            name = canonicalize_name(project["name"])
        names = conflict_extras(name, list(pip.extras), list(pip.groups))
        return targets_of(self._asked.python, self._asked.platforms, names)


def chosen_of(
    content: ManifestContent, extras: Iterable[str], problems: list[Problem], where: str
) -> tuple[list[AnyRequirement], list[str]]:
    """Return the requirements of a file with these extras and groups, and the files it takes others from."""
    requirements, files = list(content.dependencies), list(content.files)
    for extra in extras:
        known = {canonicalize_name(name): name for name in (*content.extras, *content.groups)}
        name = known.get(canonicalize_name(extra))
        if name is None:
            there = f"it has {', '.join(sorted(known))}" if known else None
            problems.append(Problem(where, f"it has no extra `{extra}`", there))
            continue
        requirements += [*content.extras.get(name, ()), *content.groups.get(name, ())]
        files += content.extra_files.get(name, ())
    return requirements, files


def _bound_by_poetry(document: dict[str, Any]) -> dict[str, RefusedError]:
    tools = document.get("tool")
    poetry = tools.get("poetry") if isinstance(tools, dict) else None
    if not isinstance(poetry, dict):
        return {}
    return {
        name: _unbound_error(name, address)
        for name, (_, address) in read_poetry(poetry, PROJECT_FILE).sources.items()
    }


def _unbound(name: str, address: str, where: str) -> Problem:
    return _unbound_error(name, address).at(where)


def _unbound_error(name: str, address: str) -> RefusedError:
    shown = address or "https://…"
    return RefusedError(
        f"`{name}` is from an index of its own",
        hint=f'write in [pip]: indexes = {{ own = "{shown}" }}, sources = {{ {name} = "own" }}',
    )
