"""GPUs by name.  Where a GPU is present it is asked itself; names serve to plan for those elsewhere."""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, ClassVar, Final, Literal

from pydantic import StringConstraints

from envbuild.catalog.capability import ComputeCapability
from envbuild.catalog.tables import BUILT_IN, Catalog, CatalogTable, Row
from envbuild.errors import SpecError
from envbuild.values import Value

GpuKind = Literal["data-center", "workstation", "geforce", "jetson"]

MOST_NEAR_NAMES: Final = 3

_CAPABILITY = re.compile(r"(?:sm_)?[1-9][0-9]{1,2}|[1-9][0-9]?\.[0-9]")
_MEMORY = re.compile(r"\b[0-9]+ ?(?:gb|gib)\b")
_VARIANT = re.compile(
    r"\b(?:nvidia|tesla|geforce|quadro|pcie|pcie4|sxm[0-9]?|nvl|hbm[0-9]e?|oem|generation|super|laptop|mobile|gpu)\b"
)


class GpuRow(Row):
    """One line of the table."""

    capability: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]?\.[0-9]$")]
    kind: GpuKind
    aliases: tuple[str, ...] = ()


class GpuModelTable(CatalogTable):
    """``data/gpus.toml``."""

    file: ClassVar[str] = "gpus"
    gpus: dict[str, GpuRow]


class Gpu(Value):
    """One kind of GPU a fleet has."""

    name: str
    """As NVIDIA lists it; ``sm_90`` where only a capability was given."""

    capability: str
    """``9.0``."""

    kind: GpuKind | None
    """None where only a capability was given."""

    @property
    def compute_capability(self) -> ComputeCapability:
        """The capability as a value."""
        return ComputeCapability.parse(self.capability)

    @property
    def has_forward_compatibility(self) -> bool | None:
        """Whether cuda-compat works on it: data-centre GPUs and Jetsons; None where the kind is not known."""
        return None if self.kind is None else self.kind in {"data-center", "jetson"}


def all_gpus(catalog: Catalog = BUILT_IN) -> tuple[Gpu, ...]:
    """Return every GPU of the catalogue, by capability and name."""
    rows = catalog.table(GpuModelTable).gpus
    found = (Gpu(name=name, capability=row.capability, kind=row.kind) for name, row in rows.items())
    return tuple(sorted(found, key=lambda gpu: (gpu.compute_capability, gpu.name)))


def find_gpu(name: str, catalog: Catalog = BUILT_IN) -> Gpu:
    """Return the GPU of this name: as NVIDIA lists it, as NVML reports it, in short, or as ``sm_90``.

    :raises SpecError: there is none, or several of different capability; the hint names those that are near.
    """
    wanted = name.strip()
    if _CAPABILITY.fullmatch(wanted.lower()):
        return _by_capability(wanted.lower(), catalog)
    index = _index(catalog)
    exact = index.plain.get(_plain(wanted))
    found = [exact] if exact else index.meant_by(_short(wanted))
    if len(found) == 1:
        return found[0]
    if found:
        each = " or ".join(f"`{gpu.name}` ({gpu.capability})" for gpu in found)
        raise SpecError(f"`{name}` names GPUs of different compute capability", hint=f"write {each}")
    raise SpecError(
        f"unknown GPU `{name}`",
        hint=index.near(_short(wanted)) or "write its compute capability, such as `sm_90`",
    )


def _by_capability(text: str, catalog: Catalog) -> Gpu:
    capability = ComputeCapability.parse(text)
    known = {gpu.capability for gpu in all_gpus(catalog)}
    if capability.dotted not in known:
        each = sorted(known, key=ComputeCapability.parse)
        raise SpecError(
            f"no GPU has compute capability {capability.dotted}", hint=f"known are {', '.join(each)}"
        )
    return Gpu(name=capability.sm, capability=capability.dotted, kind=None)


@dataclass(frozen=True, slots=True)
class _Index:
    """Every spelling GPUs are found by."""

    plain: dict[str, Gpu]
    short: dict[str, Gpu]

    def meant_by(self, short: str) -> list[Gpu]:
        """Return what a short name may mean, one GPU a capability: `RTX 4000` is of Turing and of Ada."""
        if short not in self.short:
            return []
        longer = sorted((name for name in self.short if name.startswith(f"{short} ")), key=len, reverse=True)
        found = {gpu.capability: gpu for gpu in (self.short[name] for name in (*longer, short))}
        return [gpu for _, gpu in sorted(found.items())]

    def near(self, short: str) -> str | None:
        """Return a hint naming what ``short`` may have meant, or None when nothing comes close."""
        close = difflib.get_close_matches(short, sorted(self.short), n=MOST_NEAR_NAMES, cutoff=0.6)
        return f"did you mean {_choice(self.short[name].name for name in close)}?" if close else None


@lru_cache(maxsize=4)
def _index(catalog: Catalog) -> _Index:
    plain: dict[str, Gpu] = {}
    for name, row in catalog.table(GpuModelTable).gpus.items():
        gpu = Gpu(name=name, capability=row.capability, kind=row.kind)
        plain.update({_plain(spelling): gpu for spelling in (name, *row.aliases)})
    return _Index(plain, {_short(spelling): gpu for spelling, gpu in plain.items()})


def _plain(name: str) -> str:
    """Return a name in small letters, with single spaces for all that separates its parts."""
    return " ".join(re.sub(r"[^a-z0-9]+", " ", name.lower()).split())


def _short(name: str) -> str:
    """Return a plain name without brand, memory size and form factor, which do not change the capability."""
    bare = _VARIANT.sub(" ", _MEMORY.sub(" ", _plain(name)))
    return " ".join(bare.split()) or _plain(name)


def _choice(names: Iterable[str]) -> str:
    quoted = [f"`{name}`" for name in dict.fromkeys(names)]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else quoted[0]
