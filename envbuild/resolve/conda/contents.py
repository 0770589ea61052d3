"""What a package's file says that its channel does not: Python distributions, activation, link scripts."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envbuild.digest import sha256_bytes
from envbuild.errors import IntegrityError
from envbuild.formats.conda_package import CondaArchive, CondaMember
from envbuild.formats.conda_prefix import CondaPython, prefix_files
from envbuild.formats.json_text import parse_json
from envbuild.lock.conda import CONDA_PREFIX
from envbuild.resolve.conda.activation import Activation, read_activation

_DISTRIBUTION = re.compile(
    r"(?:^|.*/)site-packages/([^/]+?)-([^/-]+)(?:\.dist-info|(?:-py[0-9.]+(?:-[^/]+)?)?\.egg-info)(?:/.*)?"
)
"""An egg-info may name the Python and the platform it was built for (setuptools, "The Internal Structure of
Python Eggs")."""

_LINK_SCRIPT = re.compile(r"bin/\.[^/]+-(?:post|pre)-link\.sh")
_ACTIVATE, _VARIABLES = "etc/conda/activate.d/", "etc/conda/env_vars.d/"


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaContents:
    """What matters of a package's files."""

    distributions: tuple[str, ...]
    """``name==version``, sorted."""

    link_scripts: tuple[str, ...]
    activation: Activation


def read_contents(archive: CondaArchive) -> CondaContents:
    """Return what matters of a package; its files are only read when some of them set variables.

    :raises IntegrityError: it is no package, or one of its paths leaves the prefix.
    """
    paths = archive.info().paths
    activation = Activation()
    if any(path.startswith((_ACTIVATE, _VARIABLES)) for path in paths):
        activation = _activation(archive.files(), paths)
    return CondaContents(
        distributions=tuple(sorted(set(_distributions(paths)))),
        link_scripts=tuple(sorted(path for path in paths if _LINK_SCRIPT.fullmatch(path))),
        activation=activation,
    )


def interpreter_sha256(archive: CondaArchive, python: CondaPython, path: str) -> str:
    """Return the digest that the interpreter at ``path`` (below the prefix) has once it lies there.

    :raises IntegrityError: the package has no such file.
    """
    for file in prefix_files(archive, prefix=CONDA_PREFIX, python=python):
        if file.path == path and file.kind == "file":
            return sha256_bytes(file.content)
    raise IntegrityError(f"the package of Python has no {path}")


def _distributions(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        match = _DISTRIBUTION.fullmatch(path)
        if match is None:
            continue
        try:
            yield f"{canonicalize_name(match[1])}=={Version(match[2])}"
        except InvalidVersion:
            continue  # no requirement could speak of it


def _activation(members: Iterable[CondaMember], paths: tuple[str, ...]) -> Activation:
    scripts: dict[str, str] = {}
    preset: dict[str, str] = {}
    for member in members:
        if member.path.startswith(_ACTIVATE) and member.path.endswith(".sh"):
            scripts[member.path] = member.content.decode(errors="replace")
        elif member.path.startswith(_VARIABLES) and member.path.endswith(".json"):
            preset |= _variables(member)
    return read_activation(scripts, prefix=CONDA_PREFIX, files=frozenset(paths), preset=preset)


def _variables(member: CondaMember) -> Mapping[str, str]:
    try:
        document = parse_json(member.content)
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in document.items()} if isinstance(document, dict) else {}
