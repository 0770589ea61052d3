"""Options of `envbuild add`, `envbuild remove` and `envbuild upgrade`."""

from dataclasses import dataclass
from typing import get_args

from envbuild.errors import UsageError
from envbuild.spec.edits.package_lists import Kind
from envbuild.workflows.options import refuse_other

PackageKind = Kind
"""Whose packages: ``pip``, ``apt``, ``conda``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOptions:
    """Options of adding packages.

    :raises UsageError: they contradict each other, or a field has a value that it cannot have.
    """

    kind: PackageKind = "pip"
    """Whose packages: ``pip``, ``apt`` or ``conda``."""

    variant: str | None = None
    """The variant they are for; None: all."""

    group: str | None = None
    """The group of ``pyproject.toml`` they are for; it is made, and taken by the spec, if need be."""

    to: str | None = None
    """The file they are written to, where the spec names several.

    Relative to the folder of the spec; where the spec reads no such file, to the current folder.
    """

    lock: bool = True
    """Lock afterwards; False: edit the spec alone."""

    dry_run: bool = False
    """Write nothing; say what would change."""

    add_builds: bool = False
    """Write what must be built from source into ``build`` of [pip] too."""

    def __post_init__(self) -> None:
        refuse_other("kind", self.kind, get_args(Kind))
        if self.group is not None and self.kind != "pip":
            raise UsageError("a dependency group holds Python packages alone")
        if self.group is not None and self.to is not None:
            raise UsageError("a dependency group says which file it is, so --to has nothing to choose")
        if self.add_builds and not self.lock:
            raise UsageError("what must be built from source is found by locking")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveOptions:
    """Options of removing packages.

    :raises UsageError: they contradict each other, or a field has a value that it cannot have.
    """

    kind: PackageKind | None = None
    """Whose packages; None: whoever has one of that name."""

    variant: str | None = None
    """The variant that shall be without them; None: what all variants share."""

    group: str | None = None
    """The dependency group that shall be without them; None: wherever they stand."""

    lock: bool = True
    dry_run: bool = False
    add_builds: bool = False

    def __post_init__(self) -> None:
        refuse_other("kind", self.kind, get_args(Kind))
        if self.group is not None and self.kind not in {None, "pip"}:
            raise UsageError("a dependency group holds Python packages alone")
        if self.add_builds and not self.lock:
            raise UsageError("what must be built from source is found by locking")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeOptions:
    """Options of upgrading packages."""

    dry_run: bool = False
    """Write nothing; say what would change."""

    add_builds: bool = False
    """Write what must be built from source into ``build`` of [pip] too."""


def kind_of_flags(*, pip: bool = False, apt: bool = False, conda: bool = False) -> PackageKind | None:
    """Return whose packages flags of a command line mean; None without one.

    :raises UsageError: they mean several.
    """
    flags: dict[PackageKind, bool] = {"pip": pip, "apt": apt, "conda": conda}
    chosen = [kind for kind, given in flags.items() if given]
    if len(chosen) > 1:
        raise UsageError(f"--{chosen[0]} and --{chosen[1]} contradict each other")
    return chosen[0] if chosen else None


def flags_of(options: AddOptions | RemoveOptions) -> list[str]:
    """Return what says on a command line which list is meant."""
    # without one `add` means Python packages, and `remove` whoever has the name
    is_said = options.kind is not None and (options.kind != "pip" or isinstance(options, RemoveOptions))
    flags = [f"--{options.kind}"] if is_said else []
    to = options.to if isinstance(options, AddOptions) else None
    for flag, value in (("--variant", options.variant), ("--group", options.group), ("--to", to)):
        flags += [flag, value] if value is not None else []
    return flags
