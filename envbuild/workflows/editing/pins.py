"""Pins of a spec, which no upgrade moves, and the commands that let go of them."""

from collections.abc import Iterable, Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier, SpecifierSet

from envbuild.spec.conda_rules import MatchSpec, parse_match_spec
from envbuild.spec.edits.package_lists import Asked, Kind, PackageList
from envbuild.spec.problems import RefusedError
from envbuild.workflows.editing.edit import OpenEdit


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
    """Return the commands that move a pin, tried on the texts alone; else why there are none."""
    package = without_pin(package_list.kind, asked.text)
    flags = [f"--{package_list.kind}"] if package_list.kind != "pip" else []
    flags += ["--variant", variant] if variant else []
    refusal = "change it there by hand"
    group = package_list.group
    for to in (None, package_list.file) if group is None else (None,):
        try:
            change = OpenEdit(edit.project).edits(variant).add(package, package_list.kind, group=group, to=to)
        except RefusedError as error:
            refusal = error.message
            continue
        if change is not None and change.where == asked.where:
            flags += ["--group", group] if group else []
            flags += ["--to", to] if to else []
            add = edit.project.command("add", *flags, package)
            # a lock keeps a version that the spec allows
            return f"to move it: {add}, then {edit.project.command('upgrade', asked.name)}"
    return refusal
