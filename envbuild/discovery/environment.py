"""A live environment, read without running anything of it: what is installed, pinned exactly.

Formats: packaging specifications, "Recording installed projects" and "Recording the Direct URL Origin"; PEP
405 (pyvenv.cfg); the records of conda in ``conda-meta``.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from email.policy import compat32
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidName, canonicalize_name

from envbuild.discovery.commands.indexes import report_unbound
from envbuild.discovery.content import FileContent, PythonEvidence, Taken
from envbuild.discovery.environments.conda_lists import channel_of_address
from envbuild.files.sizes import counted
from envbuild.formats.core_metadata import headers_of
from envbuild.spec import conda_rules
from envbuild.spec.direct_references import without_credentials
from envbuild.spec.problems import RefusedError
from envbuild.spec.requirements import normalized_requirement

MOST_PACKAGES: Final = 20_000
LONGEST: Final = 4_000_000
"""Bytes of one file of an environment."""

_OWN: Final = frozenset({"pip", "setuptools", "wheel"})
"""What environments are made with; left out unless something requires it."""

_LIBRARY: Final = re.compile(r"python(?P<version>3\.[0-9]+)")
_VERSION: Final = re.compile(r"[0-9]+\.[0-9]+")


@dataclass(frozen=True, slots=True)
class InstalledDistribution:
    """One distribution of an environment."""

    name: str
    """Normalised."""

    version: str
    place: str
    """Its folder in the environment, as messages call it."""

    requires: tuple[str, ...] = ()
    """Normalised names of what it requires, extras left out."""

    origin: Mapping[str, Any] | None = None
    """What ``direct_url.json`` says, where it is not from an index."""


def read_environment(prefix: Path) -> FileContent:
    """Return what is installed in the environment at ``prefix``; what cannot be locked is in ``left``.

    ``prefix`` is a virtual environment, an environment of conda, or the Python in its ``bin``.
    """
    content = FileContent()
    root = prefix.parent.parent if prefix.name.startswith("python") and not prefix.is_dir() else prefix
    if not root.is_dir():
        content.leave(
            str(prefix), "is no folder of an environment", "name the one that has `pyvenv.cfg` in it"
        )
        return content
    libraries = _libraries(root)
    _python(root, libraries, content)
    known = _conda(root, content)
    found = [item for library in libraries for item in _distributions(library, root, content)]
    _distribute(found, known, content)
    if not libraries and not known:
        content.leave(str(prefix), "has no Python in it", "name the one that has `pyvenv.cfg` in it")
    counts = [
        counted(len(items), noun)
        for table, noun in (("conda", "conda package"), ("pip", "requirement"))
        if (items := content.tables.get(table, {}).get("packages"))
    ]
    if counts:
        content.taken.append(Taken(root.name or "environment", f"{', '.join(counts)}, pinned as installed"))
    return content


# --- Python -------------------------------------------------------------------------------------


def _libraries(root: Path) -> list[Path]:
    """Return the folders distributions are installed in."""
    found = []
    for folder in ("lib", "lib64"):
        for path in _entries(root / folder):
            names = ("site-packages", "dist-packages") if path.name.startswith("python3") else ()
            found += [path / name for name in names if (path / name).is_dir()]
    seen: dict[Path, Path] = {}
    for path in found:
        # lib64 is a link to lib
        seen.setdefault(path.resolve(), path)
    return list(seen.values())


def _python(root: Path, libraries: Iterable[Path], content: FileContent) -> None:
    for line in (_text(root / "pyvenv.cfg") or "").splitlines():
        key, _, value = line.partition("=")
        version = _VERSION.match(value.strip())
        if key.strip() in {"version", "version_info"} and version:
            content.pythons.append(PythonEvidence(version[0], "pyvenv.cfg"))
            return
    for library in libraries:
        if match := _LIBRARY.fullmatch(library.parent.name):
            content.pythons.append(PythonEvidence(match["version"], f"lib/{library.parent.name}"))
            return


# --- distributions ------------------------------------------------------------------------------


def _distribute(found: list[InstalledDistribution], conda: set[str], content: FileContent) -> None:
    """Take the distributions that conda did not install."""
    required = {name for item in found for name in item.requires}
    taken: dict[str, InstalledDistribution] = {}
    for item in sorted(found, key=lambda item: (item.name, item.place)):
        if item.name in taken:
            message = f"{item.name} {item.version} is there beside {taken[item.name].version}"
            content.leave(item.place, message, "remove the one that is not used, and install it anew")
        elif item.name not in conda and (item.name not in _OWN or item.name in required):
            taken[item.name] = item
    requirements = [text for item in taken.values() if (text := _requirement(item, content))]
    content.add("pip", "packages", requirements)
    for item in taken.values():
        report_unbound(content, [f"{item.name}=={item.version}"] if item.origin is None else [], item.place)


def _requirement(item: InstalledDistribution, content: FileContent) -> str | None:
    try:
        if item.origin is None:
            return normalized_requirement(f"{item.name}=={item.version}")
        return normalized_requirement(_direct(item, item.origin))
    except RefusedError as error:
        content.left.append(error.at(item.place))
        return None


def _direct(item: InstalledDistribution, origin: Mapping[str, Any]) -> str:
    """Return a requirement by address.  :raises RefusedError: only this machine has it."""
    url = origin.get("url")
    if not isinstance(url, str):
        raise RefusedError(f"{item.name} is not from an index, and its origin does not say from where")
    scheme = urlsplit(url).scheme
    directory, version_control = _table(origin, "dir_info"), _table(origin, "vcs_info")
    if directory.get("editable") is True:
        hint = "mount the project when a container starts; installing it is a later feature ([project])"
        raise RefusedError(f"{item.name} {item.version} is installed as editable", hint=hint)
    if scheme not in {"http", "https", "ssh", "git"}:
        hint = f'`packages = ["{item.name}=={item.version}"]` in [pip], if an index has it'
        raise RefusedError(f"{item.name} {item.version} is installed from a folder or file", hint=hint)
    subdirectory = origin.get("subdirectory")
    fragment = f"#subdirectory={subdirectory}" if isinstance(subdirectory, str) else ""
    address = without_credentials(url)
    if version_control:
        commit = version_control.get("commit_id")
        if version_control.get("vcs") != "git" or not re.fullmatch(r"[0-9a-f]{40,64}", str(commit)):
            raise RefusedError(f"{item.name} is from a repository of `{version_control.get('vcs')}`")
        return f"{item.name} @ git+{address}@{commit}{fragment}"
    digest = _table(_table(origin, "archive_info"), "hashes").get("sha256")
    if isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest):
        fragment = f"#sha256={digest}" + (f"&{fragment[1:]}" if fragment else "")
    return f"{item.name} @ {address}{fragment}"


def _distributions(library: Path, root: Path, content: FileContent) -> Iterator[InstalledDistribution]:
    for path in _entries(library)[:MOST_PACKAGES]:
        place = path.relative_to(root).as_posix()
        if path.name.endswith(".dist-info"):
            metadata = path / "METADATA"
        elif path.name.endswith(".egg-info"):
            metadata = path / "PKG-INFO" if path.is_dir() else path
        elif path.name.endswith((".egg-link", ".egg")):
            hint = "mount the project when a container starts; installing it is a later feature ([project])"
            content.leave(place, f"{path.stem} is installed as setuptools once did", hint)
            continue
        else:
            continue
        if path.name.startswith("~"):
            continue  # what pip left behind when it was stopped
        if item := _distribution(path, metadata, place, content):
            yield item


def _distribution(
    path: Path, metadata: Path, place: str, content: FileContent
) -> InstalledDistribution | None:
    text = _text(metadata)
    message = HeaderParser(policy=compat32).parsestr(
        headers_of((text or "").encode()).decode(errors="replace")
    )
    name, version = str(message.get("Name") or "").strip(), str(message.get("Version") or "").strip()
    try:
        normal = canonicalize_name(name, validate=True)
    except InvalidName:
        normal = None
    if normal is None or not version or "\n" in version:
        content.leave(place, "says neither name nor version of what is installed", "install it anew")
        return None
    requires = [str(line) for line in message.get_all("Requires-Dist", ())]
    return InstalledDistribution(
        normal, version, place, tuple(_names(requires)), _origin(path / "direct_url.json", place, content)
    )


def _names(requires: Iterable[str]) -> Iterator[str]:
    """Yield the names of what is required without any extra."""
    for line in requires:
        try:
            requirement = Requirement(" ".join(line.split()))
        except InvalidRequirement:
            continue
        if "extra" not in str(requirement.marker or ""):
            yield canonicalize_name(requirement.name)


def _origin(path: Path, place: str, content: FileContent) -> Mapping[str, Any] | None:
    text = _text(path)
    if text is None:
        return None
    document = _json(text)
    if document is None:
        content.leave(f"{place}/direct_url.json", "is not JSON", "the version is taken from an index")
    return document


# --- conda --------------------------------------------------------------------------------------


def _conda(root: Path, content: FileContent) -> set[str]:
    """Take what conda installed; return the names of distributions that are part of it."""
    distributions: set[str] = set()
    channels: Counter[str] = Counter()
    packages: list[str] = []
    records = [path for path in _entries(root / "conda-meta") if path.suffix == ".json"]
    for path in records[:MOST_PACKAGES]:
        place = f"conda-meta/{path.name}"
        document = _json(_text(path) or "")
        if document is None:
            content.leave(place, "is not a record of conda", "install the package anew")
            continue
        files = document.get("files")
        names = (_installed_name(str(file)) for file in (files if isinstance(files, list) else []))
        distributions.update(name for name in names if name)
        try:
            name = conda_rules.package_name(str(document.get("name", "")))
            channel = _channel(document)
            spec = conda_rules.parse_match_spec(f"{name} =={document['version']} {document['build']}")
        except KeyError as error:
            content.leave(place, f"does not say its {error.args[0]}", "install the package anew")
            continue
        except RefusedError as error:
            content.left.append(error.at(place))
            continue
        channels[channel] += 1
        if name not in _OWN:
            packages.append(str(spec))
    if packages:
        content.add("conda", "channels", [channel for channel, _ in channels.most_common()])
        content.add("conda", "packages", sorted(packages))
    return distributions


def _installed_name(file: str) -> str | None:
    match = re.fullmatch(r".*/([^/]+?)-[^/-]+(?:-py[0-9.]+)?\.(?:dist|egg)-info/(?:METADATA|PKG-INFO)", file)
    return canonicalize_name(match[1]) if match else None


def _channel(document: Mapping[str, Any]) -> str:
    """Return the channel a record names, by its name or its address."""
    written = str(document.get("channel") or "")
    subdir = str(document.get("subdir") or "")
    if "://" not in written:
        return conda_rules.channel(written.removesuffix(f"/{subdir}") if subdir else written)
    return channel_of_address(written.rstrip("/").removesuffix(f"/{subdir}"))


# --- the disk -----------------------------------------------------------------------------------


def _entries(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries)
    except OSError:
        return []


def _text(path: Path) -> str | None:
    """Return the text of a file, None where there is none that can be read."""
    try:
        if not path.is_file() or path.stat().st_size > LONGEST:
            return None
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return None


def _json(text: str) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}
