"""Single requirements (PEP 508): one spelling for each, and a refusal by name for what cannot be locked."""

import re

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from envbuild.runtime.names import PROJECT
from envbuild.spec.direct_references import (
    INDEX_HINT,
    MOUNT_HINT,
    is_direct,
    parse_direct,
    without_credentials,
)
from envbuild.spec.problems import RefusedError

_EGG = re.compile(r"#(?:.*&)?egg=([A-Za-z0-9][A-Za-z0-9._-]*)")
_PATH = re.compile(r"[^\s<>=!~;\[(]*[/\\]|\.{1,2}$|~[/\\]")
_ARCHIVE = re.compile(r"\.(whl|zip|tar\.gz|tgz|tar\.bz2|tar\.xz)$", re.IGNORECASE)
_FILE_LIST = re.compile(r"\.(txt|in)$", re.IGNORECASE)
_LOOSE_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]*\])?)\s*(?:=|\s)\s*(?P<version>[0-9][\w.!+*-]*)"
)
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")


def normalized_requirement(text: str) -> str:
    """Return the one spelling of a requirement: name and extras normalised, specifiers sorted.

    One with an address has the spelling of :class:`~envbuild.spec.direct_references.DirectReference`.

    :raises RefusedError: it is not valid, or names a place on this machine.
    """
    if is_direct(text):
        _refuse_variables(text)
        return str(parse_direct(text))
    return _spelled(_parsed(text))


def normalized_constraint(text: str) -> str:
    """Return the one spelling of a constraint.

    :raises RefusedError: it is not valid, names a place, or asks for extras.
    """
    if is_direct(text):
        raise RefusedError(
            f"a constraint cannot have an address: `{without_credentials(text.strip())}`",
            hint="a constraint only bounds versions; write the address where the package is required",
        )
    parsed = _parsed(text)
    if parsed.extras:
        raise RefusedError(
            f"a constraint cannot ask for extras: `{parsed}`",
            hint="a constraint only bounds versions; ask for the extras where the package is required",
        )
    return _spelled(parsed)


def _parsed(text: str) -> Requirement:
    text = text.strip()
    if not text:
        raise RefusedError("is empty")
    _refuse_places(text)
    try:
        return _named(Requirement(text))
    except InvalidRequirement as error:
        message = f"`{text}` is not a requirement"
        if loose := _LOOSE_PIN.match(text):
            raise RefusedError(message, hint=f"write `{loose['name']}=={loose['version']}`") from error
        reason = str(error).partition("\n")[0]
        raise RefusedError(f"{message}: {reason[:1].lower()}{reason[1:]}") from error


def _named(requirement: Requirement) -> Requirement:
    """Refuse names that end with a mark, which `packaging` lets pass (PEP 508, "Names")."""
    if requirement.marker and not str(requirement.marker).isprintable():
        raise RefusedError(f"the marker of `{requirement.name}` has a control character in it")
    if canonicalize_name(requirement.name) == PROJECT:
        raise RefusedError(
            f"`{PROJECT}` comes with envbuild, and no index is asked for it",
            hint="give the spec a table [experiments]; it is installed then",
        )
    for name in (requirement.name, *sorted(requirement.extras)):
        if not name[-1].isalnum():
            raise RefusedError(f"`{name}` is not a name", hint="names end with a letter or a digit")
    return requirement


def _refuse_places(text: str) -> None:
    """Refuse local paths, options and names of files: no other machine has what they name."""
    head = text.partition(";")[0].strip()
    if head.startswith("-"):
        raise RefusedError(
            f"`{head.split()[0]}` is an option, not a requirement",
            hint="options belong in a requirements file; name that file in [pip] requirements",
        )
    _refuse_variables(text)
    if _PATH.match(head) or _ARCHIVE.search(head):
        raise RefusedError(f"`{_name_of_place(head)}` is asked for by path", hint=_place_hint(head))
    if _FILE_LIST.search(head):
        raise RefusedError(
            f"`{head}` looks like a file, not a package",
            hint=f'name requirements files in [pip] requirements: requirements = ["{head}"]',
        )


def _refuse_variables(text: str) -> None:
    if _VARIABLE.search(text):
        raise RefusedError(
            "environment variables are not expanded",
            hint="what is asked must be the same on every machine; write the value itself",
        )


def refuse_editable(place: str) -> RefusedError:
    """Return the refusal of ``-e place``."""
    return RefusedError(f"`{_name_of_place(place)}` is asked for as editable", hint=MOUNT_HINT)


def _name_of_place(place: str) -> str:
    if egg := _EGG.search(place):
        return egg[1]
    shown = without_credentials(place)
    try:
        return parse_wheel_filename(re.split(r"[/\\]", shown)[-1])[0]
    except InvalidWheelFilename:
        return shown


def _place_hint(place: str) -> str:
    return INDEX_HINT if _ARCHIVE.search(place) else MOUNT_HINT


def _spelled(requirement: Requirement) -> str:
    extras = ",".join(sorted({canonicalize_name(extra) for extra in requirement.extras}))
    return "".join(
        (
            canonicalize_name(requirement.name),
            f"[{extras}]" if extras else "",
            spelled_specifiers(requirement.specifier),
            f"; {requirement.marker}" if requirement.marker else "",
        )
    )


def spelled_specifiers(specifiers: SpecifierSet) -> str:
    """Return a specifier set with versions normalised (PEP 440), sorted, each once."""
    return ",".join(sorted({_spelled_specifier(specifier) for specifier in specifiers}))


def _spelled_specifier(specifier: Specifier) -> str:
    if specifier.operator == "===":  # compares text, so the text is the meaning
        return str(specifier)
    version, wildcard, _ = specifier.version.partition(".*")
    try:
        return f"{specifier.operator}{Version(version)}{wildcard}"
    except InvalidVersion:  # pragma: no cover  (the parser admits no other version here)
        return str(specifier)
