"""Pins of a spec, which no upgrade moves, and the commands that change them."""

import re
from collections.abc import Iterable, Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier, SpecifierSet

from envbuild.errors import Problem
from envbuild.spec.conda_rules import MatchSpec, parse_match_spec
from envbuild.spec.direct_references import is_direct
from envbuild.spec.edits.package_lists import KINDS, Asked, Kind, PackageList, name_of
from envbuild.spec.problems import RefusedError
from envbuild.workflows.editing.edit import OpenEdit

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
"""Of a package of any kind."""


class _ElsewhereError(RefusedError):
    """A requirement would be written elsewhere than where its package is asked for."""


def notes_of_pins(edit: OpenEdit, wanted: Iterable[str]) -> Iterator[str]:
    """Yield what the spec says of the packages named: a pin, and how to move it."""
    variants = (None, *sorted(edit.spec.variants))
    said: set[str] = set()
    for name in wanted:
        for variant in variants:
            try:
                found = edit.edits(variant).find(name)
            except RefusedError:
                continue
            for package_list, asked in found:
                if asked.where not in said and is_pin(package_list.kind, asked.text):
                    said.add(asked.where)
                    way = _way_to_move(edit, variant, package_list, asked)
                    yield f"`{asked.text}` in {asked.where} holds {asked.name}; {way}"


def is_pin(kind: Kind, text: str) -> bool:
    """Return whether a package is asked for in one version."""
    return without_pin(kind, text) != text


def without_pin(kind: Kind, text: str) -> str:
    """Return what asks for a package in any version, all else alike; ``text`` itself when it is no pin."""
    if kind == "apt":
        return text.partition("=")[0]
    if kind == "conda":
        asked = parse_match_spec(text)
        version = asked.version
        is_one = version is not None and version.startswith("==") and "," not in version
        # a build belongs to its version
        return str(MatchSpec(asked.name, channel=asked.channel)) if is_one else text
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return text
    kept = [item for item in requirement.specifier if not _is_one_version(item)]
    if len(kept) == len(requirement.specifier):
        return text
    requirement.specifier = SpecifierSet(",".join(sorted(map(str, kept))))
    return str(requirement)


def _is_one_version(item: Specifier) -> bool:
    return item.operator == "===" or (item.operator == "==" and not item.version.endswith(".*"))


def _way_to_move(edit: OpenEdit, variant: str | None, package_list: PackageList, asked: Asked) -> str:
    """Return the commands that move a pin; else why there are none."""
    package = without_pin(package_list.kind, asked.text)
    try:
        add = _command_of(edit, variant, package_list, asked, package)
    except RefusedError as error:
        return error.message
    # a lock keeps a version that the spec allows
    return f"to move it: {add}, then {edit.project.command('upgrade', asked.name)}"


def problems_of_requirements(edit: OpenEdit, wanted: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for each text that asks for a package, and is no name."""
    for text in wanted:
        kind = None if _NAME.fullmatch(text) else _kind_of(edit, text)
        if kind is None:
            continue
        message = "is a requirement, and `upgrade` takes names"
        try:
            yield Problem(text, message, _hint_of_requirement(edit, kind, text))
        except RefusedError as error:
            yield Problem(text, f"{message}; {error.message}")


def _kind_of(edit: OpenEdit, text: str) -> Kind | None:
    """Return whose package ``text`` asks for; None when it asks for none."""
    for kind in KINDS if edit.spec.conda is not None else KINDS[:2]:
        try:
            name_of(kind, text)
        except RefusedError:
            continue
        return kind
    return None


def _hint_of_requirement(edit: OpenEdit, kind: Kind, package: str) -> str:
    """Return what to type in place of `upgrade` with ``package``.

    :raises RefusedError: it stands where nothing is edited.
    """
    name = name_of(kind, package)
    upgrade = f"run `{edit.project.command('upgrade', name)}`"
    if kind == "pip" and not is_direct(package) and not Requirement(package).specifier:
        return upgrade
    refusal: RefusedError | None = None
    command = edit.project.command("add", *_flags_of(kind), package)
    for variant in (None, *sorted(edit.spec.variants)):
        for package_list, asked in edit.edits(variant).find(name, (kind,)):
            if asked.text == package:
                return upgrade
            try:
                command = _command_of(edit, variant, package_list, asked, package)
            except RefusedError as error:
                refusal = refusal or error
            else:
                return f"`{command}` writes it into the spec"
    if refusal is None or isinstance(refusal, _ElsewhereError):
        OpenEdit(edit.project).edits(None).add(package, kind)
        return f"`{command}` writes it into the spec"
    raise refusal


def _command_of(
    edit: OpenEdit, variant: str | None, package_list: PackageList, asked: Asked, package: str
) -> str:
    """Return the command that writes ``package`` in place of ``asked``, which was tried on the texts alone.

    :raises RefusedError: there is none.
    """
    group = package_list.group
    refusal: RefusedError = _ElsewhereError("it would be written elsewhere, as another requirement")
    for to in (None, package_list.file) if group is None else (None,):
        try:
            change = OpenEdit(edit.project).edits(variant).add(package, package_list.kind, group=group, to=to)
        except RefusedError as error:
            refusal = error
            continue
        if change is not None and change.where == asked.where:
            flags = _flags_of(package_list.kind)
            for flag, value in (("--variant", variant), ("--group", group), ("--to", to)):
                flags += [flag, value] if value else []
            return edit.project.command("add", *flags, package)
    raise refusal


def _flags_of(kind: Kind) -> list[str]:
    return [] if kind == "pip" else [f"--{kind}"]
