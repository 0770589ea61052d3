"""Options of requirements files that say where packages come from, put in the words of the spec."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from envbuild.spec.problems import RefusedError
from envbuild.spec.rules import index_url, page_url

INDEX_OPTIONS: Final = frozenset({"-i", "--index-url", "--extra-index-url"})
PAGE_OPTIONS: Final = frozenset({"-f", "--find-links"})
BUILD_OPTIONS: Final = frozenset({"--no-binary"})

_TORCH: Final = ("torch", "torchvision", "torchaudio")
"""What an index of builds for one CUDA, whose path has `/whl`, is made for."""

_BUILT_FOR_TORCH: Final = frozenset({"dgl", "mmcv", "mmcv-full", "pyg-lib"})
"""What pages for one version of torch have, besides packages called `torch-…`."""

_FOR_ONE_TORCH = re.compile(r"torch-?\d")
_PLAIN_WORDS = frozenset({"simple", "whl", "pypi", "index", "stable", "links", "find"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecSources:
    """What a spec itself says of where packages come from: options that say the same are answered."""

    indexes: frozenset[str] = frozenset()
    """Addresses of its indexes."""

    pages: frozenset[str] = frozenset()
    """Addresses of its pages."""

    build: frozenset[str] | Literal["all"] = frozenset()
    """Normalised names of what may be built from source."""


@dataclass(frozen=True, slots=True)
class SourceOptionReader:
    """Says of each option whether the spec answers it, else what to write there."""

    known: SpecSources = field(default_factory=SpecSources)

    def refusal(self, name: str, value: str, lines: Iterable[str]) -> RefusedError | None:
        """Return why an option is refused, and what to write; None: the spec says the same.

        ``lines`` are those of the file it stands in.  The value of an option is shown only when it has no
        credentials.
        """
        if name in BUILD_OPTIONS:
            return self._build(name, value)
        if name in INDEX_OPTIONS:
            return self._place(name, value, lines, "indexes")
        if "://" not in value:
            return RefusedError(
                f"`{name}` names a folder, and no other machine has it",
                hint="name the address of a page in [pip] find-links; files that are locked may also lie in "
                "the folder that ENVBUILD_VENDOR_DIR names",
            )
        return self._place(name, value, lines, "find-links")

    def _build(self, name: str, value: str) -> RefusedError | None:
        wanted = [canonicalize_name(word) for word in value.split(",") if word and word[0] != ":"]
        if value == ":none:" or self.known.build == "all":
            return None
        if wanted and set(wanted) <= self.known.build:
            return None
        names = ", ".join(f'"{name}"' for name in wanted)
        line = f"build = [{names}]" if wanted else 'build = "all"'
        return RefusedError(f"`{name}` is not taken from requirements files", hint=f"write in [pip]: {line}")

    def _place(
        self, name: str, value: str, lines: Iterable[str], table: Literal["indexes", "find-links"]
    ) -> RefusedError | None:
        is_index = table == "indexes"
        message = f"`{name}` is not taken from requirements files"
        try:
            address = index_url(value) if is_index else page_url(value)
        except RefusedError:
            kind = "index" if is_index else "page"
            return RefusedError(
                message, hint=f"name the {kind} in [pip] {table} and bind packages to it in [pip] sources"
            )
        known = self.known.indexes if is_index else self.known.pages
        if address in known or (name in {"-i", "--index-url"} and _is_public(address)):
            return None
        label = _label(address)
        packages = _packages_of(address, lines) or ("PACKAGE",)
        bound = ", ".join(f'{package} = "{label}"' for package in packages)
        instead = "; or make it this machine's own index" if name in {"-i", "--index-url"} else ""
        return RefusedError(
            message,
            hint=f'write in [pip]: {table} = {{ {label} = "{address}" }} and sources = {{ {bound} }}; '
            f"then the option can stay{instead}",
        )


def _is_public(address: str) -> bool:
    """Return whether an index is the one that pip asks when nobody says otherwise."""
    # a constant alone; pip-compile writes it on top of many files
    from pypi_simple import PYPI_SIMPLE_ENDPOINT  # noqa: PLC0415

    return address == index_url(PYPI_SIMPLE_ENDPOINT)


def _label(address: str) -> str:
    """Return a name for an index or a page, of the characters that such names have."""
    parts = urlsplit(address)
    words = [re.sub(r"\.html?$", "", unquote(part)) for part in parts.path.split("/")]
    host = (parts.hostname or "").split(".")
    for word in [*reversed(words), *reversed(host[:-1])]:
        label = re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")
        if label and not set(label.split("-")) <= _PLAIN_WORDS:
            return label
    return "extra"


def _packages_of(address: str, lines: Iterable[str]) -> tuple[str, ...]:
    """Return who in a file likely comes from an address: local versions say so, else the family of torch.

    A page for one version of torch has what is built for it, and not torch.
    """
    asked = dict(_requirements(lines))
    if _FOR_ONE_TORCH.search(address):
        return tuple(sorted(name for name in asked if name.startswith("torch-") or name in _BUILT_FOR_TORCH))
    local = {name: version for name, version in asked.items() if version}
    word = _label(address).replace("-", "")
    matching = [name for name, version in local.items() if version in word or word in version]
    family = [name for name in _TORCH if name in asked and "/whl" in urlsplit(address).path]
    return tuple(sorted(matching or local or family))


def _requirements(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    """Yield the name and the local version, perhaps empty, of each requirement."""
    for line in lines:
        try:
            requirement = Requirement(re.sub(r"\s--.*", "", line))
        except InvalidRequirement:
            continue
        locals_ = [_local(specifier.version) for specifier in requirement.specifier]
        yield canonicalize_name(requirement.name), max(locals_, default="")


def _local(version: str) -> str:
    try:
        return Version(version).local or ""
    except InvalidVersion:
        return ""


def known_sources(
    indexes: Mapping[str, str], pages: Mapping[str, str], build: Iterable[str] | Literal["all"]
) -> SpecSources:
    """Return what the tables of a spec say of sources."""
    return SpecSources(
        indexes=frozenset(indexes.values()),
        pages=frozenset(pages.values()),
        build="all" if build == "all" else frozenset(build),
    )


def binding_of(address: str, lines: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Return a name for an index or a page, and who in a file with these lines likely comes from it."""
    return _label(address), _packages_of(address, lines)
