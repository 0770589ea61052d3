"""Whether there are kernels for a GPU among the device code of the frameworks.

Presence is not enough: a framework that carries nearly 500 kernels for each of its architectures may carry a
single one for another, written for it by hand.  Of a wheel the library with the most device code decides;
others of it that have nothing for the GPU are named.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from envbuild.catalog.capability import ComputeCapability
from envbuild.catalog.cuda import architectures_of, first_cuda_of, generation_of
from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.catalog.versions import major_of, minor_of, version_key
from envbuild.lock.gpu import GpuArchitectures, Kernels

ENOUGH: Final = 0.5
"""Share of a library's kernels a GPU must find to be called supported.  Real wheels have nearly all or nearly
none."""

_ORDER: Final[tuple[Kernels, ...]] = ("none", "unknown", "ptx", "cubin")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelAnswer:
    """What one GPU would run of an environment's device code."""

    state: Kernels
    reason: str

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against it."""
        return self.state != "none"


@dataclass(frozen=True, slots=True)
class _Code:
    """The device code of one library, with its architectures read."""

    name: str
    cubins: Mapping[ComputeCapability, int]
    ptx: Mapping[ComputeCapability, int]

    @property
    def kernels(self) -> int:
        """Number of kernels: what the best covered architecture has."""
        return max((*self.cubins.values(), *self.ptx.values()), default=0)

    def best(self, capability: ComputeCapability) -> tuple[ComputeCapability | None, int]:
        """Return the machine code a GPU runs most kernels of, and how many that are."""
        return _best({made: n for made, n in self.cubins.items() if capability.runs_cubin_of(made)})

    def best_ptx(self, capability: ComputeCapability) -> tuple[ComputeCapability | None, int]:
        """Return the PTX that compiles to most kernels for a GPU, and how many that are."""
        return _best({made: n for made, n in self.ptx.items() if capability.runs_ptx_of(made)})


def judge_kernels(
    capability: ComputeCapability,
    cuda: str | None,
    architectures: Sequence[GpuArchitectures],
    *,
    knows_ptx: bool | None,
    catalog: Catalog = BUILT_IN,
) -> KernelAnswer:
    """Return what a GPU would run; ``knows_ptx`` says whether its driver compiles PTX of ``cuda``."""
    dropped = _dropped(capability, cuda, catalog) if cuda else None
    if dropped:
        return KernelAnswer(state="none", reason=dropped)
    wheels = [list(group) for _, group in groupby(_frameworks(architectures), key=lambda item: item.wheel)]
    if not wheels:
        unread = f"no device code was read, so kernels for {capability.sm} are not known"
        return KernelAnswer(state="unknown", reason=unread + _not_yet(capability, cuda, catalog))
    answers = [_of_wheel(wheel, capability, cuda, knows_ptx=knows_ptx, catalog=catalog) for wheel in wheels]
    return min(answers, key=lambda answer: _ORDER.index(answer.state))


def _frameworks(architectures: Sequence[GpuArchitectures]) -> list[GpuArchitectures]:
    found = [item for item in architectures if item.role == "framework" and (item.cubins or item.ptx)]
    return sorted(found, key=lambda item: (item.wheel, item.library))


def _of_wheel(
    libraries: Sequence[GpuArchitectures],
    capability: ComputeCapability,
    cuda: str | None,
    *,
    knows_ptx: bool | None,
    catalog: Catalog,
) -> KernelAnswer:
    package = " ".join(libraries[0].wheel.split("-")[:2]).replace("_", "-")
    codes = sorted((_code(item) for item in libraries), key=lambda code: -code.kernels)
    main = codes[0]
    made, count = main.best(capability)
    if made is not None and count >= ENOUGH * main.kernels:
        without = [code.name for code in codes[1:] if not _runs(code, capability, knows_ptx=knows_ptx)]
        but = f", but {' and '.join(without)} in it has nothing for this GPU" if without else ""
        which = "" if made.sm == capability.sm else f", which {capability.sm} runs"
        return KernelAnswer(state="cubin", reason=f"{package} has kernels of {made.sm}{which}{but}")
    source, compiled = main.best_ptx(capability)
    if source is not None and compiled >= ENOUGH * main.kernels:
        return _of_ptx(package, source, cuda, knows_ptx=knows_ptx)
    if made is not None:
        reason = f"{package} has only {count} of {main.kernels} kernels for {capability.sm}"
    else:
        reason = f"{package} has kernels of {_listed(main)}, none of which {capability.sm} runs"
    if capability.is_integrated:
        reason += " (to systems on chip only their own code is promised to run)"
    return KernelAnswer(state="none", reason=reason + _not_yet(capability, cuda, catalog))


def _of_ptx(
    package: str, source: ComputeCapability, cuda: str | None, *, knows_ptx: bool | None
) -> KernelAnswer:
    has = f"{package} has only PTX for it, {source.compute}"
    if knows_ptx is False:
        older = f"a driver older than that of CUDA {cuda} does not compile it (error 222)"
        return KernelAnswer(state="none", reason=f"{has}, and {older}")
    knows = (
        "the driver compiles it at first use" if knows_ptx else "whether the driver compiles it is not known"
    )
    return KernelAnswer(state="ptx", reason=f"{has}: {knows}")


def _runs(code: _Code, capability: ComputeCapability, *, knows_ptx: bool | None) -> bool:
    compiled = code.best_ptx(capability)[1] if knows_ptx is not False else 0
    return max(code.best(capability)[1], compiled) >= ENOUGH * code.kernels


def _code(item: GpuArchitectures) -> _Code:
    return _Code(
        name=item.library.rpartition("/")[2], cubins=dict(_read(item.cubins)), ptx=dict(_read(item.ptx))
    )


def _read(counts: Mapping[str, int]) -> Iterator[tuple[ComputeCapability, int]]:
    return ((ComputeCapability.parse(name), count) for name, count in counts.items())


def _best(counts: Mapping[ComputeCapability, int]) -> tuple[ComputeCapability | None, int]:
    """Return the entry with most kernels, the newest of them where there are several."""
    if not counts:
        return None, 0
    made = max(counts, key=lambda made: (counts[made], made))
    return made, counts[made]


def _listed(code: _Code) -> str:
    """Return what a library has most kernels for."""
    kept = [made.sm for made in sorted(code.cubins) if code.cubins[made] >= ENOUGH * code.kernels]
    kept += [made.compute for made in sorted(code.ptx) if code.ptx[made] >= ENOUGH * code.kernels]
    return ", ".join(kept)


def _dropped(capability: ComputeCapability, cuda: str, catalog: Catalog) -> str | None:
    """Return that a CUDA version no longer has code for a GPU, if so."""
    name, facts = generation_of(capability, catalog) or ("", None)
    last = facts.last_cuda_major if facts else None
    if last is None or major_of(cuda) <= last:
        return None
    return f"CUDA {major_of(cuda)} has no code for {name} GPUs ({capability.sm}); CUDA {last} was the last"


def _not_yet(capability: ComputeCapability, cuda: str | None, catalog: Catalog) -> str:
    """Return that a CUDA version makes no code for a GPU yet, as the end of a sentence."""
    known = architectures_of(cuda, catalog) if cuda else None
    first = first_cuda_of(capability, catalog)
    if not cuda or not known or capability in known or first is None:
        return ""
    if version_key(first) <= version_key(minor_of(cuda)):
        return ""
    return f" (CUDA {first} is the first that makes code for it)"
