"""Where ``[tool.uv.sources]`` takes packages from: one place for each, chosen by markers, extras and groups.

Format: uv documentation, "Dependency sources".
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packaging.utils import canonicalize_name

from envbuild.spec.direct_references import MOUNT_HINT
from envbuild.spec.foreign.target_markers import MarkerTarget
from envbuild.spec.problems import RefusedError

FILE = "pyproject.toml"
_LOCAL = ("path", "workspace")


@dataclass(frozen=True, slots=True)
class SourceChoices:
    """What decides between several sources of one package."""

    targets: tuple[MarkerTarget, ...]
    extras: Collection[str] = ()
    groups: Collection[str] = ()


@dataclass(slots=True)
class PlacedPackages:
    """Where packages come from, by normalised name."""

    indexes: dict[str, str] = field(default_factory=dict)
    """Name of the index, as uv has it."""

    addresses: dict[str, str] = field(default_factory=dict)
    """``git+https://…``, ``https://…``."""

    refused: dict[str, RefusedError] = field(default_factory=dict)
    """From a folder, or from several places at once."""


def read_uv_sources(document: Mapping[str, Any], choices: SourceChoices) -> PlacedPackages:
    """Return where each package of ``[tool.uv.sources]`` comes from on the targets."""
    placed = PlacedPackages()
    for name, sources in _sources(document):
        try:
            source = _chosen(name, sources, choices)
            if source is not None:
                _place(name, source, placed)
        except RefusedError as error:
            placed.refused[name] = error
    return placed


def index_addresses(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the addresses of ``[[tool.uv.index]]`` by name."""
    indexes = _at(document, "tool", "uv", "index")
    return {
        index["name"]: index["url"]
        for index in (indexes if isinstance(indexes, list) else ())
        if isinstance(index, dict)
        and isinstance(index.get("name"), str)
        and isinstance(index.get("url"), str)
    }


def _sources(document: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    table = _at(document, "tool", "uv", "sources")
    for name, source in table.items() if isinstance(table, dict) else ():
        choices = source if isinstance(source, list) else [source]
        yield canonicalize_name(name), [choice for choice in choices if isinstance(choice, dict)]


def _chosen(
    name: str, sources: Sequence[Mapping[str, Any]], choices: SourceChoices
) -> Mapping[str, Any] | None:
    """Return the one source that holds on every target, or None when the package has none there."""
    found = [
        [source for source in sources if _applies(source, target, choices)] for target in choices.targets
    ]
    if any(len(holding) > 1 for holding in found):
        raise RefusedError(
            f"`{name}` has several sources that hold at once: [tool.uv.sources] of `{FILE}`",
            hint=_variants_hint(name, sources),
        )
    first = found[0] if found else []
    if any(holding != first for holding in found):
        raise RefusedError(
            f"`{name}` has another source on each platform: [tool.uv.sources] of `{FILE}`",
            hint=_variants_hint(name, sources),
        )
    return first[0] if first else None


def _variants_hint(name: str, sources: Sequence[Mapping[str, Any]]) -> str:
    indexes = [str(source["index"]) for source in sources if "index" in source]
    lines = " or ".join(f'sources = {{ {name} = "{_spelled(index)}" }}' for index in indexes)
    return f"choose in [pip], or in one variant each: {lines}" if lines else "choose one in [pip] packages"


def _spelled(index: str) -> str:
    return index.lower().replace("_", "-")


def _applies(source: Mapping[str, Any], target: MarkerTarget, choices: SourceChoices) -> bool:
    extra, group = source.get("extra"), source.get("group")
    if isinstance(extra, str) and canonicalize_name(extra) not in map(canonicalize_name, choices.extras):
        return False
    if isinstance(group, str) and canonicalize_name(group) not in map(canonicalize_name, choices.groups):
        return False
    marker = source.get("marker")
    return target.holds(marker if isinstance(marker, str) else None)


def _place(name: str, source: Mapping[str, Any], placed: PlacedPackages) -> None:
    if any(key in source for key in _LOCAL):
        raise RefusedError(f"`{name}` is not from an index: [tool.uv.sources] of `{FILE}`", hint=MOUNT_HINT)
    if isinstance(url := source.get("git"), str):
        revision = next((str(source[key]) for key in ("rev", "tag", "branch") if key in source), "")
        subdirectory = source.get("subdirectory")
        placed.addresses[name] = (
            f"git+{url.removeprefix('git+')}"
            + (f"@{revision}" if revision else "")
            + (f"#subdirectory={subdirectory}" if isinstance(subdirectory, str) else "")
        )
    elif isinstance(url := source.get("url"), str):
        placed.addresses[name] = url
    elif isinstance(index := source.get("index"), str):
        placed.indexes[name] = index


def _at(table: Any, *path: str) -> Any:
    for key in path:
        table = table.get(key) if isinstance(table, dict) else None
    return table
