"""What a shell offers for the values of options and arguments; never an error, and no output."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import typer

_PLAIN: Final = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


def complete_variant(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the variants of the project's lock, or of its spec."""
    from envbuild.workflows.upkeep.completion import variants_of

    return _offered(context, incomplete, variants_of)


def complete_platform(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the platforms of the project's lock, or of its spec."""
    from envbuild.workflows.upkeep.completion import platforms_of

    return _offered(context, incomplete, platforms_of)


def complete_package(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the packages of the project's lock."""
    from envbuild.workflows.upkeep.completion import packages_of

    return _offered(context, incomplete, packages_of)


def complete_key(incomplete: str) -> list[str]:
    """Offer the keys of the user's configuration."""
    from envbuild.workflows.upkeep.completion import configuration_keys

    return _beginning(configuration_keys(), incomplete)


def _offered(
    context: typer.Context,
    incomplete: str,
    find: Callable[[Iterable[Path], Path | None], tuple[str, ...]],
) -> list[str]:
    try:
        folders: tuple[Path, ...] = tuple(map(Path, context.find_root().params.get("folders") or ()))
        spec = context.params.get("spec")
        return _beginning(find(folders, Path(spec) if spec else None), incomplete)
    except Exception:  # noqa: BLE001 - a message would stand in the middle of what is being typed
        return []


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    # names are what somebody wrote into a file: what a shell would not take for one plain word is not offered
    return [name for name in names if name.startswith(incomplete) and _PLAIN.fullmatch(name)]
