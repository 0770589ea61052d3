"""Requirements by address (PEP 508 and pip's older forms): wheels, source archives and git repositories.

Each has one spelling, ``name[extra] @ address#key=value ; marker``.  Nothing is fetched here.
"""

import contextlib
import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    NormalizedName,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from envbuild.digest import SHA256_HEX
from envbuild.spec.problems import RefusedError

DirectKind = Literal["wheel", "archive", "git"]

MOUNT_HINT = "mount your project into the container, or build on the image: `FROM` its tag"
INDEX_HINT = "publish it to an index, name that in [pip] indexes and bind the package to it in [pip] sources"

ARCHIVE_SUFFIXES = (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz")
"""Of source archives that pip and uv take by address."""

_USERINFO = re.compile(r"//[^/\s]*@")
_NAMED = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[(?P<extras>[^\]]*)\])?\s*@\s*(?P<place>\S+)"
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|file:", re.IGNORECASE)
_MARKER = re.compile(r"\s*;\s+|\s+;\s*")
_EGG = re.compile(r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[(?P<extras>[^\]]*)\])?")
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")
_SECRET = re.compile(r"(?i)(^|[?&])[^=&]*(token|key|sig|secret|pass|auth|cred|expires)[^=&]*=")
_FORGE_ARCHIVE = re.compile(r"/(?P<repository>[^/]+)/(?:-/)?archive/")
_OTHER_HASHES = ("md5", "sha1", "sha224", "sha384", "sha512")
_BUILT_BY_CONDA = re.compile(r"/(croot|conda-bld|feedstock_root|home/conda|tmp/build|opt/concourse)/")
_GIT_SCHEMES = ("http", "https", "ssh")


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectReference:
    """A requirement that says where its distribution is."""

    name: NormalizedName
    extras: tuple[str, ...] = ()
    """Normalised, sorted."""

    kind: DirectKind

    url: str
    """Without credentials and fragment; of a repository also without ``git+`` and its revision."""

    reference: str | None = None
    """Branch, tag or commit of a repository; None: its default branch."""

    subdirectory: str | None = None
    """Where the project lies in the archive or repository."""

    sha256: str | None = None
    """Of the file, where the requirement states it."""

    marker: str | None = None

    @property
    def address(self) -> str:
        """The address with all that belongs to it, as requirements have it."""
        revision = f"@{self.reference}" if self.reference else ""
        parts = {"sha256": self.sha256, "subdirectory": self.subdirectory and quote(self.subdirectory)}
        fragment = "&".join(f"{key}={value}" for key, value in parts.items() if value)
        prefix = "git+" if self.kind == "git" else ""
        return f"{prefix}{self.url}{revision}{f'#{fragment}' if fragment else ''}"

    @property
    def filename(self) -> str:
        """The name of the file at the address."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])

    @property
    def plain(self) -> str:
        """The requirement without its address: name, extras and marker."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.name}{extras}{f'; {self.marker}' if self.marker else ''}"

    def __str__(self) -> str:
        """Return the one spelling of the requirement."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.name}{extras} @ {self.address}{f' ; {self.marker}' if self.marker else ''}"


def is_direct(text: str) -> bool:
    """Return whether a requirement has an address, perhaps one that is refused."""
    head = text.strip()
    return bool(_NAMED.match(head) or _SCHEME.match(head))


def parse_direct(text: str) -> DirectReference:
    """Return what a requirement with an address says.

    A name that is not there is taken from ``#egg=``, from the file's name or from the repository's; whether
    it is right shows when the metadata is read.

    :raises RefusedError: it is not valid, is of this machine alone, or has credentials in it.
    """
    head, *rest = _MARKER.split(text.strip(), maxsplit=1)
    named = _NAMED.fullmatch(head)
    place = named["place"] if named else head
    _refuse_no_address(head, place, named["name"] if named else None)
    egg = _EGG.fullmatch(_fragment_of(place).get("egg", ""))
    if named and egg and canonicalize_name(named["name"]) != canonicalize_name(egg["name"]):
        raise RefusedError(f"`{named['name']}` and `#egg={egg['name']}` are two names", hint="keep one")
    said = named or egg
    parsed = _parsed_place(said["name"] if said else None, place)
    extras = _extras((said["extras"] if said else None) or "")
    return replace(parsed, extras=extras, marker=_marker(rest[0]) if rest else None)


def with_hashes(reference: DirectReference, hashes: Iterable[str]) -> DirectReference:
    """Return ``reference`` with the hash that ``--hash`` options beside it state, each ``algorithm:digest``.

    :raises RefusedError: they cannot be checked, or contradict each other or the address.
    """
    stated = {reference.sha256} if reference.sha256 else set()
    for text in hashes:
        algorithm, _, digest = text.partition(":")
        stated.add(_sha256(reference.name, reference.kind, algorithm, digest))
    if len(stated) > 1:
        raise RefusedError(
            f"`{reference.name}` has {len(stated)} hashes, and one file", hint="keep the hash of that file"
        )
    return replace(reference, sha256=next(iter(stated), None))


def without_credentials(text: str) -> str:
    """Return ``text`` without the user, password or query of any address in it."""
    return re.sub(r"(://[^\s?#]*)[?#]\S*", r"\1", _USERINFO.sub("//", text))


def refuse_local(name: str, place: str) -> RefusedError:
    """Return the refusal of a file or folder of this machine."""
    if _BUILT_BY_CONDA.search(place):
        return RefusedError(
            f"`{name}` is asked for by address",
            hint=f"`pip freeze` writes this of what conda built: write `{name}`, with the version you had",
        )
    is_file = place.lower().endswith((".whl", *ARCHIVE_SUFFIXES))
    return RefusedError(f"`{name}` is asked for by address", hint=INDEX_HINT if is_file else MOUNT_HINT)


def _up_to_space(text: str) -> str:
    """Return what of a broken address may be shown: after a space or a `?` there may be a secret."""
    first = re.match(r"(?:[\w.\[\],-]+\s*@\s*)?[^\s?#]*", text)
    return without_credentials(first[0]) if first else ""


def _refuse_no_address(head: str, place: str, said: str | None) -> None:
    if place.lower().startswith("file:"):
        raise refuse_local(said or _up_to_space(place), place)
    if "://" not in place:
        begun = _NAMED.match(head)
        raise RefusedError(
            f"`{begun['name'] if begun else '@'}` has no address after the `@`",
            hint="write one with https:// or http://, or git+https:// of a repository",
        )
    if "\\" in place or not place.isascii() or not place.isprintable() or " " in place:
        raise RefusedError(
            f"`{_up_to_space(head)}` is not an address",
            hint="an address has no spaces; other characters are percent-encoded",
        )


def _parsed_place(name: str | None, place: str) -> DirectReference:
    shown = name or without_credentials(place)
    system, plus, rest = place.partition("+")
    is_git = system.lower() == "git" and bool(plus) and "://" in rest
    if not is_git and plus and re.fullmatch(r"[a-z]+", system, re.IGNORECASE) and "://" in rest:
        raise RefusedError(f"`{shown}` is in a repository of `{system}`", hint="only git is understood")
    parts = _split(shown, rest if is_git else place)
    _refuse_scheme(shown, parts, is_git=is_git)
    _refuse_credentials(shown, parts)
    return (_repository if is_git else _file)(name, parts, _fragment_of(place))


def _repository(name: str | None, parts: SplitResult, fragment: dict[str, str]) -> DirectReference:
    whole = parts.path.rstrip("/")
    before, at, after = whole.rpartition("@")
    path, revision = (before, unquote(after)) if at else (whole, "")
    url = _joined(parts, path)
    called = name or path.rpartition("/")[2].removesuffix(".git")
    canonical = _canonical(called, url, "git+")
    if at and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise RefusedError(f"`{canonical}` asks for `{revision}`, which is no branch, tag or commit")
    return DirectReference(
        name=canonical,
        kind="git",
        url=url,
        reference=revision or None,
        subdirectory=_subdirectory(canonical, fragment),
        sha256=_stated(canonical, "git", fragment),
    )


def _file(name: str | None, parts: SplitResult, fragment: dict[str, str]) -> DirectReference:
    url = _joined(parts, parts.path, query=parts.query)
    filename = unquote(parts.path.rpartition("/")[2])
    kind: DirectKind = "wheel" if filename.lower().endswith(".whl") else "archive"
    if kind == "archive" and not filename.lower().endswith(ARCHIVE_SUFFIXES):
        raise RefusedError(
            f"`{without_credentials(url)}` is neither a wheel nor a source archive",
            hint=f"of a repository write `{name or 'name'} @ git+{without_credentials(url)}`",
        )
    try:
        of_file = (
            _archive_name(parts.path, filename) if kind == "archive" else parse_wheel_filename(filename)[0]
        )
    except InvalidWheelFilename as error:
        raise RefusedError(f"`{filename}` is not the name of a wheel") from error
    canonical = _canonical(name or of_file or "", url, "")
    if kind == "wheel" and of_file != canonical:
        raise RefusedError(f"`{canonical}` is asked for, and `{filename}` is a wheel of `{of_file}`")
    return DirectReference(
        name=canonical,
        kind=kind,
        url=url,
        subdirectory=_subdirectory(canonical, fragment),
        sha256=_stated(canonical, kind, fragment),
    )


def _split(shown: str, address: str) -> SplitResult:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        raise RefusedError(
            f"the address of `{shown}` cannot be read",
            hint="of a host by ssh write `git+ssh://git@host/folder/name.git`, with a slash after the host",
        ) from error
    if port == 0:
        raise RefusedError(f"the address of `{shown}` names no port")
    return parts


def _refuse_scheme(shown: str, parts: SplitResult, *, is_git: bool) -> None:
    scheme = parts.scheme.lower()
    if is_git and scheme == "file":
        raise refuse_local(shown, "file:")
    if scheme not in (_GIT_SCHEMES if is_git else ("http", "https")):
        wanted = "git+https://, git+ssh:// or git+http://" if is_git else "https:// or http://"
        raise RefusedError(f"`{shown}` is asked for by `{scheme}`", hint=f"write an address with {wanted}")
    if not parts.hostname:
        raise RefusedError(f"the address of `{shown}` names no host")


def _refuse_credentials(shown: str, parts: SplitResult) -> None:
    has_user = parts.username is not None and parts.scheme.lower() != "ssh"
    if has_user or parts.password is not None:
        raise RefusedError(
            f"the address of `{without_credentials(shown)}` contains credentials",
            hint="write it without them; each machine has them in ~/.netrc, or in git's credential helper",
        )
    if _SECRET.search(parts.query):
        raise RefusedError(
            f"the address of `{without_credentials(shown)}` contains a secret in its query",
            hint="write an address that lasts; each machine has its credentials in ~/.netrc",
        )


def _joined(parts: SplitResult, path: str, *, query: str = "") -> str:
    userinfo, at, host = parts.netloc.rpartition("@")
    return urlunsplit((parts.scheme.lower(), f"{userinfo}{at}{host.lower()}", path, query, ""))


def _canonical(name: str, url: str, prefix: str) -> NormalizedName:
    if not _NAME.fullmatch(name):
        shown = f"{prefix}{without_credentials(url)}"
        raise RefusedError(f"`{shown}` does not say which package it is", hint=f"write `name @ {shown}`")
    return canonicalize_name(name)


def _archive_name(path: str, filename: str) -> str | None:
    if forge := _FORGE_ARCHIVE.search(path):
        return forge["repository"]
    for suffix in ARCHIVE_SUFFIXES:
        if filename.lower().endswith(suffix):
            # the function knows two of the suffixes
            with contextlib.suppress(InvalidSdistFilename):
                return parse_sdist_filename(f"{filename[: -len(suffix)]}.tar.gz")[0]
    return None


def _fragment_of(place: str) -> dict[str, str]:
    _, _, fragment = place.partition("#")
    pairs = (part.partition("=") for part in fragment.split("&") if part)
    return {key: unquote(value) for key, _, value in pairs}


def _extras(text: str) -> tuple[str, ...]:
    extras = {extra.strip() for extra in text.split(",") if extra.strip()}
    for extra in sorted(extras):
        if not _NAME.fullmatch(extra):
            raise RefusedError(f"`{extra}` is not a name", hint="names end with a letter or a digit")
    return tuple(sorted({canonicalize_name(extra) for extra in extras}))


def _marker(text: str) -> str | None:
    try:
        return str(Requirement(f"x; {text}").marker)
    except InvalidRequirement as error:
        reason = str(error).partition("\n")[0]
        raise RefusedError(f"`{text}` is not a marker: {reason[:1].lower()}{reason[1:]}") from error


def _subdirectory(name: str, fragment: dict[str, str]) -> str | None:
    given = fragment.pop("subdirectory", "")
    path = posixpath.normpath(given) if given else "."
    if path.startswith(("/", "../")) or path == "..":
        raise RefusedError(f"`{name}` has its project in `{given}`, which is not inside")
    return None if path == "." else path


def _stated(name: str, kind: DirectKind, fragment: dict[str, str]) -> str | None:
    """Return the sha256 that a fragment states; what else is in it is refused."""
    found = None
    for key, value in fragment.items():
        if key == "egg":
            continue
        if key != "sha256" and key not in _OTHER_HASHES:
            raise RefusedError(
                f"`#{key}` in the address of `{name}` is not understood",
                hint="`#sha256=`, `#subdirectory=` and `#egg=` are",
            )
        found = _sha256(name, kind, key, value)
    return found


def _sha256(name: str, kind: DirectKind, algorithm: str, digest: str) -> str:
    if kind == "git":
        raise RefusedError(
            f"`{name}` is in a repository, which has no {algorithm}", hint="a commit pins it: write `@COMMIT`"
        )
    if algorithm != "sha256":
        raise RefusedError(f"the {algorithm} of `{name}` is not checked", hint="state its sha256, or none")
    if not SHA256_HEX.fullmatch(digest.lower()):
        raise RefusedError(f"the sha256 of `{name}` is not 64 hexadecimal digits")
    return digest.lower()
