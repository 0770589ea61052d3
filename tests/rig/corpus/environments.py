"""The environments of the corpus, and what is expected of each."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rig.paths import CHECKOUT

FOLDER = CHECKOUT / "tests" / "corpus"
EXPECTED = "expected.toml"
LOCK_PYTHON = "3.11"
"""The Python of the base that locks are judged on."""

RIGHT, NEEDS_NETWORK, NEEDS_LATER = "right", "needs-network", "needs-later"
"""What is expected of locking: it succeeds; what it needs cannot be reached where tests run; it needs what
envbuild does not have yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedSpec:
    """What a careful person would write into the spec."""

    python: tuple[str, ...] = ()
    """Versions any of which is right; none: not judged."""

    requirements: tuple[str, ...] = ()
    """What must be asked for.  Specifiers are compared too, by meaning; markers and addresses are not."""

    constraints: tuple[str, ...] = ()
    conda: tuple[str, ...] = ()
    """Names of conda packages that must be asked for."""

    system: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    """Requirements that must not be asked for: names, or a name with the version that would be wrong."""

    absent_system: tuple[str, ...] = ()
    base: str | None = None
    """Image of the base; None: not judged."""

    gpu: bool | None = None
    """Whether there is a [gpu]; None: not judged."""

    env: Mapping[str, str] = field(default_factory=dict)
    prepend: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left: tuple[str, ...] = ()
    """Places that must be reported as not taken: ``file``, ``file:line`` or ``file: field``."""

    left_any: tuple[str, ...] = ()
    """Places of which at least one must be reported."""

    named: tuple[str, ...] = ()
    """Files that the spec must name, so that they stay the place where things are written."""

    indexes: tuple[str, ...] = ()
    """Addresses of indexes that the spec must name, or whose line must be reported."""

    bound: Mapping[str, str] = field(default_factory=dict)
    """Package → address of the index it must be bound to."""

    refused: bool = False
    """Nothing can be taken: an error, and no spec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CorpusEnvironment:
    """One environment of the corpus."""

    folder: Path
    kind: str
    shape: str
    """Whose shape it has."""

    expected: ExpectedSpec
    lock: str
    """``right``, ``needs-network``, or ``needs-later`` with the reason in `reason`."""

    reason: str = ""
    args: tuple[str, ...] = ()
    """Options for ``init``."""

    build: bool = False
    imports: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions that the lock must have: those of the lock that people have."""

    sources: tuple[str, ...] = ()
    """Packages that must come from a source."""

    is_heavy: bool = False
    """Whether locking reads much: torch and its like."""

    @property
    def name(self) -> str:
        """``kind/name``, which is also its folder below the corpus."""
        return self.folder.relative_to(FOLDER).as_posix()

    @property
    def python_is_older(self) -> bool:
        """Whether what it asks for may have no wheels for the Python that locks are judged on."""
        return bool(self.expected.python) and all(
            int(version.split(".")[1]) < int(LOCK_PYTHON.split(".")[1]) for version in self.expected.python
        )


def environments() -> tuple[CorpusEnvironment, ...]:
    """Return all environments, in the order of their names."""
    return tuple(read_environment(path.parent) for path in sorted(FOLDER.glob(f"*/*/{EXPECTED}")))


def read_environment(folder: Path) -> CorpusEnvironment:
    """Return the environment in ``folder``.  :raises TypeError: its expectation has an unknown key."""
    written = tomllib.loads((folder / EXPECTED).read_text("utf-8"))
    written.pop("needs", None)
    lock, _, reason = written.pop("lock").partition(": ")
    return CorpusEnvironment(
        folder=folder,
        kind=written.pop("kind"),
        shape=written.pop("shape"),
        expected=_expected(written.pop("init")),
        lock=lock,
        reason=reason,
        is_heavy=written.pop("weight", "light") == "heavy",
        **{key: _frozen(value) for key, value in written.items()},
    )


def _expected(table: Mapping[str, Any]) -> ExpectedSpec:
    values = {key: _frozen(value) for key, value in table.items()}
    if isinstance(values.get("python"), str):
        values["python"] = (values["python"],)
    values["prepend"] = {key: tuple(items) for key, items in table.get("prepend", {}).items()}
    return ExpectedSpec(**values)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
