"""What every Python resolver is asked and answers, and the process environment it runs in."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from envbuild.errors import EnvbuildError
from envbuild.remote.http import ca_bundle
from envbuild.remote.index.configuration import DEFAULT_INDEX, ClientConfiguration, IndexAddress
from envbuild.resolve.python.target import TargetPython
from envbuild.resolve.upgrade import NO_UPGRADE, Upgrade

_TOOL_VARIABLE = re.compile(r"(UV|PIP|PIP_TOOLS)_")
_KEPT = {
    "PIP_CACHE_DIR",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_KEYRING_PROVIDER",
    "PIP_RETRIES",
    "PIP_TOOLS_CACHE_DIR",
    "UV_CACHE_DIR",
    "UV_HTTP_RETRIES",
    "UV_HTTP_TIMEOUT",
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_SYSTEM_CERTS",
}
"""Settings of the machine that say how an index is reached and what is cached: none changes the answer."""

_COLOURS = {"CLICOLOR_FORCE", "FORCE_COLOR", "PY_COLORS"}
_ENVIRONMENTS = {"CONDA_PREFIX", "VIRTUAL_ENV"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One distribution in one version: what a resolver decides."""

    name: NormalizedName
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedPin(Pin):
    """One distribution whose file is known before anything is resolved."""

    requires: tuple[str, ...] = ()
    """``Requires-Dist`` lines, without addresses."""

    requires_python: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a resolver is asked, once per target."""

    requirements: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    target: TargetPython
    default: IndexAddress | None = None
    """The main index; None when the machine names none, and the resolver's built-in address counts."""

    indexes: tuple[IndexAddress, ...] = ()
    """Named indexes that `sources` speaks of."""

    pages: tuple[IndexAddress, ...] = ()
    """Named pages of files that `sources` speaks of."""

    sources: Mapping[NormalizedName, str] = field(default_factory=dict)
    """Name of the one index or page a distribution may come from; others come from the default."""

    provided: tuple[Pin, ...] = ()
    """Distributions that are there already, from conda: they stay as they are and bring nothing along."""

    placed: tuple[PlacedPin, ...] = ()
    """Distributions that the request has addresses for: no other version will do."""

    snapshot: date | None = None
    preferred: tuple[Pin, ...] = ()
    """Versions to stay with where nothing speaks against them."""

    upgrade: Upgrade = NO_UPGRADE
    """Preferences to forget."""

    @property
    def there(self) -> frozenset[NormalizedName]:
        """Distributions that no index is asked about."""
        return frozenset(pin.name for pin in (*self.provided, *self.placed))

    def index_of(self, name: NormalizedName) -> str:
        """Return the name of the index a distribution comes from."""
        return self.sources.get(name, DEFAULT_INDEX)


OnCandidate = Callable[[NormalizedName, str | None], None]
"""Hears the name of a distribution a resolver looks at, and the version it considers, if that is known."""


class PythonResolver(Protocol):
    """Turns requirements into versions; knows nothing of files."""

    @property
    def name(self) -> str:
        """How the spec calls it."""

    def tools(self) -> dict[str, str]:
        """Return the version of every program that has a say."""

    def resolve(self, question: Question, *, on_candidate: OnCandidate = lambda *_: None) -> tuple[Pin, ...]:
        """Return what satisfies the question, sorted by name; it may hold more than is needed.

        What is provided or placed is not among it.

        ``on_candidate`` hears, from another thread and as far as the resolver tells, what it looks at.

        :raises NoSolutionError: nothing does; ``detail`` is all that the resolver said, without secrets.
        :raises SpecError: this resolver cannot answer such a question.
        :raises EnvbuildError: the resolver failed otherwise; ``detail`` as above.
        """


def process_environment(environment: Mapping[str, str], configuration: ClientConfiguration) -> dict[str, str]:
    """Return the environment for a resolver: the machine's, without what could change its answer."""
    own = {
        key: value
        for key, value in environment.items()
        if (key in _KEPT or not _TOOL_VARIABLE.match(key)) and key not in _COLOURS | _ENVIRONMENTS
    }
    own["NO_COLOR"] = "1"
    bundle = ca_bundle(environment) or configuration.ca_bundle
    if bundle:
        own |= {"SSL_CERT_FILE": bundle, "REQUESTS_CA_BUNDLE": bundle, "PIP_CERT": bundle}
    if configuration.client_certificate:
        own["SSL_CLIENT_CERT"] = configuration.client_certificate
        own["PIP_CLIENT_CERT"] = configuration.client_certificate
    if configuration.trusted_hosts:
        hosts = " ".join(configuration.trusted_hosts)
        own |= {"UV_INSECURE_HOST": hosts, "PIP_TRUSTED_HOST": hosts}
    if configuration.proxy:
        own |= dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "PIP_PROXY"), configuration.proxy)
    return own


def write_lines(path: Path, lines: Sequence[str]) -> Path:
    """Write one requirement a line."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def upgrade_options(upgrade: Upgrade) -> list[str]:
    """Return the options that uv and pip-tools both have for an upgrade."""
    names = sorted(canonicalize_name(name) for name in upgrade.packages)
    return [*(["--upgrade"] if upgrade.everything else []), *(f"--upgrade-package={name}" for name in names)]


def pins_as_lines(pins: Sequence[Pin]) -> list[str]:
    """Return pins as a requirements file holds them."""
    return [f"{pin.name}=={pin.version}" for pin in pins]


def parse_pins(text: str) -> tuple[Pin, ...]:
    """Return the pins of a compiled requirements file, sorted by name.

    :raises EnvbuildError: a line is not a pin.
    """
    return tuple(sorted(_pins(text), key=lambda pin: pin.name))


def _pins(text: str) -> Iterator[Pin]:
    for line in text.splitlines():
        entry = line.partition(" #")[0].strip()
        # comments, options such as index addresses, and what is provided
        if not entry or entry.startswith(("#", "-")) or " @ file:" in entry:
            continue
        try:
            requirement = Requirement(entry)
            (specifier,) = requirement.specifier
        except (InvalidRequirement, ValueError) as error:
            raise EnvbuildError(f"the resolver answered `{entry}`, which is not a pinned version") from error
        yield Pin(name=canonicalize_name(requirement.name), version=specifier.version)
