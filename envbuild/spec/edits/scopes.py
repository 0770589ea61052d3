"""All package lists of one part of a spec: what all variants share, or what one variant adds."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from envbuild.spec.edits.package_lists import (
    ForeignPackageList,
    Kind,
    PackageList,
    ReadFile,
    RequirementsPackageList,
    TomlPackageList,
    WordsPackageList,
    conda_file_packages,
    manifest_packages,
    standard_packages,
)
from envbuild.spec.edits.toml_layout import TomlPath
from envbuild.spec.edits.toml_lists import list_at
from envbuild.spec.load import PROJECT_FILE, parse_toml
from envbuild.spec.manifests.read import is_manifest, split_extras
from envbuild.spec.model import Spec
from envbuild.spec.problems import RefusedError
from envbuild.spec.requirement_files import included_files
from envbuild.spec.requirements import normalized_requirement

_DEPENDENCIES = ("project", "dependencies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A part of a spec: its own tables, or those of one variant."""

    spec: Spec
    file: str
    """The spec's file."""

    read: ReadFile
    variant: str | None = None
    """None: what all variants share."""

    @property
    def root(self) -> TomlPath:
        """Where the tables of the spec are in its file."""
        return ("tool", "envbuild") if self.file == PROJECT_FILE else ()

    @property
    def path(self) -> TomlPath:
        """Where the tables of this part are in the spec's file."""
        return self.root if self.variant is None else (*self.root, "variants", self.variant)

    def table(self, name: str) -> Any:
        """Return a table of this part as the spec has it; an empty one when it is not there."""
        table: Any = parse_toml(self.read(self.file), self.file)
        for key in (*self.path, name):
            table = table.get(key) if isinstance(table, dict) else None
        return table if isinstance(table, dict) else {}

    def own_list(self, kind: Kind) -> TomlPackageList:
        """Return the list of the spec for packages of ``kind``; it need not be there."""
        table = {"pip": "pip", "apt": "system", "conda": "conda"}[kind]
        path = (*self.path, table, "packages")
        return TomlPackageList(kind=kind, file=self.file, path=path, root=self.root)

    def package_lists(self, kind: Kind) -> tuple[PackageList, ...]:
        """Return all lists of packages of ``kind``, the spec's own list first."""
        found: list[PackageList] = [self.own_list(kind)]
        match kind:
            case "pip":
                found += self._requirements()
                found += self._project()
                found += (
                    ForeignPackageList(
                        kind="pip",
                        file=file,
                        packages=conda_file_packages("pip"),
                        line="- NAME",
                        under="its `pip:`",
                    )
                    for file in _texts(self.table("conda"), "files")
                )
            case "apt":
                found += (WordsPackageList(file=file) for file in _texts(self.table("system"), "files"))
            case "conda":
                found += (
                    ForeignPackageList(
                        kind="conda",
                        file=file,
                        packages=conda_file_packages("conda"),
                        line="- NAME",
                        under="`dependencies:`",
                    )
                    for file in _texts(self.table("conda"), "files")
                )
        return tuple(found)

    def candidates(self, kind: Kind) -> tuple[PackageList, ...]:
        """Return where a new package of ``kind`` could go, besides the spec's own list.

        A file that another one includes, an extra, a group, and what conda's files have for pip are none.
        """
        if kind != "pip":
            return self.package_lists(kind)[1:]
        entries = _texts(self.table("pip"), "requirements")
        named = {
            split_extras(entry)[0] if is_manifest(entry) else posixpath.normpath(entry) for entry in entries
        }
        found = [package_list for package_list in self._requirements() if package_list.file in named]
        if self.table("pip").get("project") is True:
            found.append(self._dependencies())
        return tuple(found)

    def has_own_list(self, kind: Kind) -> bool:
        """Return whether the list of the spec is there."""
        package_list = self.own_list(kind)
        return list_at(parse_toml(self.read(self.file), self.file), package_list.path) is not None

    def takes_group(self, name: str) -> bool:
        """Return whether this part of the spec takes a group, itself or by one that includes it."""
        wanted = canonicalize_name(name)
        return any(
            package_list.group is not None and canonicalize_name(package_list.group) == wanted
            for package_list in self.package_lists("pip")
        )

    def group(self, name: str) -> PackageList | None:
        """Return the list of a dependency group; None when the project file has none of that name."""
        document = self._document()
        key = _key(document.get("dependency-groups"), name)
        if key is not None:
            return self._listed(("dependency-groups", key), group=key)
        pdm = _at(document, "tool", "pdm", "dev-dependencies")
        if (key := _key(pdm, name)) is not None:
            return self._listed(("tool", "pdm", "dev-dependencies", key), group=key)
        if canonicalize_name(name) == "dev" and list_at(document, uv := ("tool", "uv", "dev-dependencies")):
            return self._listed(uv, group="dev")
        from envbuild.spec.manifests.tool_tables import standard_tables  # noqa: PLC0415

        key = _key(standard_tables(document).get("dependency-groups"), name)
        if key is None:
            return None
        return ForeignPackageList(
            kind="pip", file=PROJECT_FILE, packages=standard_packages("dependency-groups", key), group=key
        )

    def new_group(self, name: str) -> TomlPackageList:
        """Return where the list of a group is made."""
        return self._listed(("dependency-groups", name), group=name)

    # --- [pip] --------------------------------------------------------------------------------------

    def _requirements(self) -> Iterator[PackageList]:
        seen: set[str] = set()
        for entry in _texts(self.table("pip"), "requirements"):
            if is_manifest(entry):
                file, extras = split_extras(entry)
                packages = manifest_packages(file, extras, self.spec.python)
                yield ForeignPackageList(kind="pip", file=file, packages=packages)
            else:
                yield from self._with_included(posixpath.normpath(entry), seen)

    def _with_included(self, file: str, seen: set[str]) -> Iterator[PackageList]:
        if file in seen:
            return
        seen.add(file)
        yield RequirementsPackageList(file=file)
        try:
            included = tuple(included_files(self.read(file), file))
        except RefusedError:
            return
        for name in included:
            yield from self._with_included(name, seen)

    def _project(self) -> Iterator[PackageList]:
        pip = self.table("pip")
        seen: set[str] = set()
        if pip.get("project") is True:
            yield from self._with_own_extras(self._dependencies(), "project", seen)
        for extra in _texts(pip, "extras"):
            yield from self._extra(extra, seen)
        for name in _texts(pip, "groups"):
            yield from self._groups(name, seen)

    def _extra(self, name: str, seen: set[str]) -> Iterator[PackageList]:
        key = _key(_at(self._document(), "project", "optional-dependencies"), name)
        path = ("project", "optional-dependencies", key or name)
        package_list: PackageList = (
            self._listed(path)
            if key is not None
            else ForeignPackageList(kind="pip", file=PROJECT_FILE, packages=standard_packages(*path))
        )
        yield from self._with_own_extras(package_list, f"extra {canonicalize_name(name)}", seen)

    def _with_own_extras(self, package_list: PackageList, mark: str, seen: set[str]) -> Iterator[PackageList]:
        """Yield a list and those that it takes over by naming the project: `all = ["train[fit]"]`."""
        if mark in seen:
            return
        seen.add(mark)
        yield package_list
        project = self._project_name()
        try:
            items = package_list.asked(self.read)
        except RefusedError:
            # whoever reads the list itself tells what is wrong with it
            return
        for asked in items:
            if asked.name == project:
                yield from self._with_own_extras(self._dependencies(), "project", seen)
                for extra in sorted(Requirement(normalized_requirement(asked.text)).extras):
                    yield from self._extra(extra, seen)

    def _project_name(self) -> str | None:
        from envbuild.spec.manifests.tool_tables import standard_tables  # noqa: PLC0415

        name = _at(standard_tables(self._document()), "project", "name")
        return canonicalize_name(name) if isinstance(name, str) else None

    def _dependencies(self) -> PackageList:
        document = self._document()
        project = document.get("project")
        dynamic = project.get("dynamic", ()) if isinstance(project, dict) else ()
        if (
            isinstance(project, dict)
            and "dependencies" not in dynamic
            and not _at(document, "tool", "poetry")
        ):
            return self._listed(_DEPENDENCIES)
        if list_at(document, _DEPENDENCIES) is not None:
            return self._listed(_DEPENDENCIES)
        return ForeignPackageList(kind="pip", file=PROJECT_FILE, packages=standard_packages(*_DEPENDENCIES))

    def _groups(self, name: str, seen: set[str]) -> Iterator[PackageList]:
        mark = f"group {canonicalize_name(name)}"
        package_list = self.group(name)
        if package_list is None or mark in seen:
            return
        yield from self._with_own_extras(package_list, mark, seen)
        if isinstance(package_list, TomlPackageList):
            for item in list_at(self._document(), package_list.path) or ():
                included = item.get("include-group") if isinstance(item, dict) else None
                if isinstance(included, str):
                    yield from self._groups(included, seen)

    def _listed(self, path: TomlPath, *, group: str | None = None) -> TomlPackageList:
        prefix = "" if self.file == PROJECT_FILE else f"{PROJECT_FILE}: "
        return TomlPackageList(
            kind="pip",
            file=PROJECT_FILE,
            path=path,
            root=self.root,
            group=group,
            prefix=prefix,
            is_standard=True,
        )

    def _document(self) -> dict[str, Any]:
        try:
            return parse_toml(self.read(PROJECT_FILE), PROJECT_FILE)
        except RefusedError:
            return {}


def _texts(table: Any, key: str) -> tuple[str, ...]:
    found = table.get(key) if isinstance(table, dict) else None
    return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list) else ()


def _key(table: Any, name: str) -> str | None:
    """Return the key of ``table`` that ``name`` means; names compare normalised."""
    keys = table if isinstance(table, dict) else ()
    return next((key for key in keys if canonicalize_name(key) == canonicalize_name(name)), None)


def _at(table: Any, *path: str) -> Any:
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    return table
