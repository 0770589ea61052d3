"""Single requirements (PEP 508): one spelling for each, and a refusal by name for what cannot be locked."""

import re

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from envbuild.spec.problems import RefusedError

_USERINFO = re.compile(r"//[^/\s]*@")
_EGG = re.compile(r"#(?:.*&)?egg=([A-Za-z0-9][A-Za-z0-9._-]*)")
_DIRECT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*@\s*\S")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|file:", re.IGNORECASE)
_PATH = re.compile(r"[^\s<>=!~;\[(]*[/\\]|\.{1,2}$|~[/\\]")
_ARCHIVE = re.compile(r"\.(whl|zip|tar\.gz|tgz|tar\.bz2|tar\.xz)$", re.IGNORECASE)
_FILE_LIST = re.compile(r"\.(txt|in)$", re.IGNORECASE)
_LOOSE_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]*\])?)\s*(?:=|\s)\s*(?P<version>[0-9][\w.!+*-]*)"
)
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")

MOUNT_HINT = "mount your project into the container, or build on the image: `FROM` its tag"
INDEX_HINT = "publish it to an index, name that in [pip] indexes and bind the package to it in [pip] sources"


def without_credentials(text: str) -> str:
    """Return ``text`` without the user, password or query of any address in it."""
    return re.sub(r"(://[^\s?#]*)[?#]\S*", r"\1", _USERINFO.sub("//", text))


def normalized_requirement(text: str) -> str:
    """Return the one spelling of a requirement: name and extras normalised, specifiers sorted.

    :raises RefusedError: it is not valid, or names a place instead of a version.
    """
    return _spelled(_parsed(text))


def normalized_constraint(text: str) -> str:
    """Return the one spelling of a constraint.

    :raises RefusedError: it is not valid, names a place, or asks for extras.
    """
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
    for name in (requirement.name, *sorted(requirement.extras)):
        if not name[-1].isalnum():
            raise RefusedError(f"`{name}` is not a name", hint="names end with a letter or a digit")
    return requirement


def _refuse_places(text: str) -> None:
    """Refuse direct URLs, version control and local paths: none of them is held by an index's hash."""
    head = text.partition(";")[0].strip()
    if head.startswith("-"):
        raise RefusedError(
            f"`{head.split()[0]}` is an option, not a requirement",
            hint="options belong in a requirements file; name that file in [pip] requirements",
        )
    if _VARIABLE.search(text):
        raise RefusedError(
            "environment variables are not expanded",
            hint="what is asked must be the same on every machine; write the value itself",
        )
    if direct := _DIRECT.match(head):
        raise RefusedError(
            f"`{direct[1]}` is asked for by address", hint=_place_hint(head.partition("@")[2].strip())
        )
    if _SCHEME.match(head):
        raise RefusedError(f"`{_name_of_place(head)}` is asked for by address", hint=_place_hint(head))
    if _PATH.match(head) or _ARCHIVE.search(head):
        raise RefusedError(f"`{_name_of_place(head)}` is asked for by path", hint=_place_hint(head))
    if _FILE_LIST.search(head):
        raise RefusedError(
            f"`{head}` looks like a file, not a package",
            hint=f'name requirements files in [pip] requirements: requirements = ["{head}"]',
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
    local = place.lower().startswith("file:") or not _SCHEME.match(place.removeprefix("git+"))
    return MOUNT_HINT if local and not _ARCHIVE.search(place) else INDEX_HINT


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
