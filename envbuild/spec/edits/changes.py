"""Which package lists of a spec change when packages are added to it or removed from it."""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from packaging.utils import canonicalize_name

from envbuild.errors import Problem
from envbuild.spec.edits.package_lists import (
    KINDS,
    Asked,
    Kind,
    PackageList,
    ReadFile,
    TomlPackageList,
    marker_of,
    name_of,
    standard_requirement,
)
from envbuild.spec.edits.scopes import Scope
from envbuild.spec.edits.toml_lists import with_text
from envbuild.spec.load import PROJECT_FILE
from envbuild.spec.problems import RefusedError, alternatives, near


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecChange:
    """One package that is asked for otherwise."""

    kind: Kind
    name: str
    """Normalised, as the lock has it."""

    old: str | None
    """As it was written; None: it was not there."""

    new: str | None
    """As it is written; None: it is not there any more."""

    where: str
    """Such as ``pip.packages`` or ``requirements.txt:3``."""

    file: str
    """Relative to the folder of the spec."""


@dataclass(slots=True)
class EditedTexts:
    """Texts of files, with what was changed in them."""

    original: ReadFile
    edited: dict[str, str] = field(default_factory=dict)

    def read(self, file: str) -> str:
        """Return the text of a file as it is after the edits so far."""
        return self.edited[file] if file in self.edited else self.original(file)

    def write(self, file: str, text: str) -> None:
        """Note the new text of a file."""
        self.edited[file] = text

    @property
    def changed(self) -> dict[str, str]:
        """The files that differ from what they were."""
        return {file: text for file, text in self.edited.items() if text != self.original(file)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecEdits:
    """Adds and removes packages in one part of a spec."""

    scope: Scope
    texts: EditedTexts

    # --- add ----------------------------------------------------------------------------------------

    def add(
        self, package: str, kind: Kind, *, group: str | None = None, to: str | None = None
    ) -> SpecChange | None:
        """Ask for ``package``, in place of what has its name; return None when it is there already.

        :raises RefusedError: it is no package, or its list cannot be chosen or edited.
        """
        if not package.isprintable():
            raise RefusedError("has a character that cannot be shown")
        package = package.strip()
        name = name_of(kind, package)
        if kind == "conda" and not self._has_conda():
            raise RefusedError(
                "the spec has no [conda]",
                hint='name the channels first: [conda] channels = ["conda-forge"]',
            )
        if group is None:
            package_lists: Sequence[PackageList] = [
                package_list
                for package_list in self._package_lists(kind, to)
                if package_list.group is None or to is not None
            ]
        else:
            package_lists = [self._group(group)]
        there = self._same(package_lists, name, marker_of(package) if kind == "pip" else None)
        if there is not None:
            package_list, asked = there
            package = _written(package_list, package)
            if asked.text == package:
                return None
            self._edit(
                package_list, package_list.replaced(self.texts.read(package_list.file), asked, package)
            )
            return SpecChange(
                kind=kind, name=name, old=asked.text, new=package, where=asked.where, file=package_list.file
            )
        package_list = package_lists[0] if group is not None else self._list_of_new(kind, to)
        package = _written(package_list, package)
        self._edit(package_list, package_list.added(self.texts.read(package_list.file), package))
        return SpecChange(
            kind=kind, name=name, old=None, new=package, where=package_list.label, file=package_list.file
        )

    def take_group(self, group: str) -> bool:
        """Have this part of the spec take a dependency group; return whether it did not already.

        :raises RefusedError: the spec cannot be edited.
        """
        shared = replace(self.scope, variant=None)
        if self.scope.takes_group(group) or shared.takes_group(group):
            return False
        path = (*self.scope.path, "pip", "groups")
        text = with_text(self.texts.read(self.scope.file), path, group, root=self.scope.root)
        self.texts.write(self.scope.file, text)
        return True

    def _group(self, name: str) -> PackageList:
        package_list = self.scope.group(name)
        if package_list is not None:
            return package_list
        try:
            self.texts.read(PROJECT_FILE)
        except RefusedError as error:
            raise RefusedError(
                f"there is no `{PROJECT_FILE}` beside the spec, which has the groups",
                hint="add it without --group, or to a variant with --variant",
            ) from error
        return self.scope.new_group(name)

    def _package_lists(self, kind: Kind, to: str | None) -> tuple[PackageList, ...]:
        package_lists = self.scope.package_lists(kind)
        if to is None:
            return package_lists
        chosen = tuple(
            package_list
            for package_list in package_lists
            if posixpath.normpath(package_list.file) == posixpath.normpath(to)
        )
        if not chosen:
            files = alternatives(sorted({package_list.file for package_list in package_lists}))
            raise RefusedError(
                f"the spec takes no such packages from `{to}`", hint=f"it takes them from {files}"
            )
        return chosen

    def _list_of_new(self, kind: Kind, to: str | None) -> PackageList:
        own = self.scope.own_list(kind)
        if to is not None:
            package_lists = self._package_lists(kind, to)
            return own if own in package_lists else package_lists[0]
        candidates = self.scope.candidates(kind)
        if self.scope.has_own_list(kind) or not candidates:
            return own
        if len(candidates) == 1:
            return candidates[0]
        files = [package_list.file for package_list in candidates]
        raise RefusedError(
            f"several files say what is needed: {alternatives(files)}",
            hint=f"choose with --to {files[0]}, or --to {own.file} for a list of the spec's own",
        )

    def _same(
        self, package_lists: Sequence[PackageList], name: str, marker: str | None
    ) -> tuple[PackageList, Asked] | None:
        """Return what is asked of the package already, under the same marker."""
        found = [
            (package_list, asked)
            for package_list in package_lists
            for asked in package_list.asked(self.texts.read)
            if asked.name == name and (marker is None or asked.marker == marker)
        ]
        plain = [item for item in found if item[1].marker == marker]
        if len(found) > 1:
            found = plain if len(plain) == 1 else found
        if len(found) > 1:
            wheres = ", ".join(f"`{asked.text}` in {asked.where}" for _, asked in found)
            raise RefusedError(
                f"`{name}` is asked for {len(found)} times: {wheres}",
                hint=f"run `envbuild remove {name}` first, or change the one you mean by hand",
            )
        return found[0] if found else None

    def _has_conda(self) -> bool:
        spec = self.scope.spec
        return spec.conda is not None or bool(self.scope.table("conda"))

    # --- remove -------------------------------------------------------------------------------------

    def find(
        self, name: str, kinds: Iterable[Kind] = KINDS, *, group: str | None = None
    ) -> list[tuple[PackageList, Asked]]:
        """Return everywhere that a package is asked for; ``name`` may be spelled in any way."""
        return [
            (package_list, asked)
            for kind in kinds
            for package_list in self.scope.package_lists(kind)
            if group is None
            or (package_list.group and canonicalize_name(package_list.group) == canonicalize_name(group))
            for asked in package_list.asked(self.texts.read)
            if asked.name == spelled(kind, name)
        ]

    def remove(self, name: str, kind: Kind, *, group: str | None = None) -> list[SpecChange]:
        """Ask for a package no more, wherever this part of the spec does.

        :raises RefusedError: it stands where nothing is edited.
        """
        changes: list[SpecChange] = []
        # as the files are on disk: what was removed before moves what is below it
        wheres = [asked.where for _, asked in self._unedited().find(name, (kind,), group=group)]
        while found := self.find(name, (kind,), group=group):
            package_list, asked = found[0]
            self._edit(package_list, package_list.removed(self.texts.read(package_list.file), asked))
            where = wheres[len(changes)]
            changes.append(
                SpecChange(
                    kind=kind, name=asked.name, old=asked.text, new=None, where=where, file=package_list.file
                )
            )
        return changes

    def _unedited(self) -> "SpecEdits":
        """Return the same part of the spec as it was before all edits."""
        read = self.texts.original
        return SpecEdits(scope=replace(self.scope, read=read), texts=EditedTexts(read))

    def names(self, kinds: Iterable[Kind] = KINDS) -> set[str]:
        """Return the names of all packages that this part of the spec asks for."""
        return {
            asked.name
            for kind in kinds
            for package_list in self.scope.package_lists(kind)
            for asked in package_list.asked(self.texts.read)
        }

    def _edit(self, package_list: PackageList, text: str) -> None:
        self.texts.write(package_list.file, text)


def _written(package_list: PackageList, package: str) -> str:
    """Return a package as a list may have it."""
    is_standard = isinstance(package_list, TomlPackageList) and package_list.is_standard
    return standard_requirement(package) if is_standard else package


def spelled(kind: Kind, name: str) -> str:
    """Return a name as the lock has it, however somebody wrote it."""
    if kind == "pip":
        return canonicalize_name(name)
    return name.lower() if kind == "conda" else name


def not_in_spec(
    name: str,
    edits: SpecEdits,
    kinds: Iterable[Kind],
    *,
    group: str | None,
    elsewhere: Sequence[str],
    why: str | None,
) -> Problem:
    """Return the problem of a name that this part of the spec does not ask for.

    ``elsewhere`` are commands that would find it, ``why`` says which locked packages need it.
    """
    what = f"group `{group}` does not ask for it" if group else "the spec does not ask for it"
    if edits.scope.variant is not None and group is None:
        what = f"variant `{edits.scope.variant}` does not ask for it"
    if elsewhere:
        return Problem(name, what, f"run `{elsewhere[0]}`")
    if why:
        return Problem(name, f"{what}: {why}")
    return Problem(name, what, near(canonicalize_name(name), edits.names(kinds)))
