"""What a machine's drivers, GPUs and CUDA libraries say of themselves."""

from dataclasses import dataclass, field
from typing import Literal

Vendor = Literal["nvidia", "amd"]

DriverState = Literal["ready", "absent", "not-loaded", "mismatch", "failed"]
"""``absent``: nothing of a driver is here.  ``not-loaded``: its libraries are, the kernel's part is not.
``mismatch``: both are, of different versions, so neither works.  ``failed``: it is here and does not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFacts:
    """A vendor's driver, as a process here meets it."""

    state: DriverState
    reason: str | None = None
    """Why it is not ready, in plain words."""

    version: str | None = None
    """Of the part in the kernel: ``535.104.05``."""

    cuda: str | None = None
    """Highest CUDA, ``major.minor``, as the driver's management library says."""

    library: str | None = None
    """The ``libcuda.so`` a process loads, links followed."""

    library_version: str | None = None
    """Driver version that file's name carries.  Another one than ``version``: forward compatibility."""

    library_cuda: str | None = None
    """Highest CUDA, as that library says."""

    library_status: int | None = None
    """What ``cuInit`` returned: 0, or a CUDA error."""

    library_problem: str | None = None
    """Why ``libcuda`` cannot be asked, where the management library can: it is missing, crashes, hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuDevice:
    """One GPU a process here may use."""

    vendor: Vendor
    index: int
    name: str | None = None
    architecture: str | None = None
    """``sm_75`` (compute capability 7.5), ``gfx90a``."""

    memory: int | None = None
    """Bytes."""

    identifier: str | None = None
    """UUID of NVIDIA's, unique number of AMD's."""

    mig: bool | None = None
    """Whether it is cut into instances (MIG); None where a GPU knows no such thing."""

    problem: str | None = None
    """What it answered instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryFacts:
    """One library of CUDA or ROCm, as an import would find it."""

    soname: str
    path: str | None = None
    """Absolute, links followed; None: nothing here would be loaded."""

    leads_to: str | None = None
    """The file behind the path that was asked about, links followed.  None: no path was, or nothing is there.

    A package may bring ``libcudart.so.12`` as a link to ``libcudart.so.12.6.77``, which processes show."""

    version: str | None = None
    """As its own function reports, in parts: ``13.0``, ``9.24.0``; None where none was asked."""

    wanted_by: str | None = None
    """The file whose search path decided; None: nothing imports it by itself."""

    found_by: Literal["rpath", "environment", "runpath", "wheel", "loader"] | None = None
    """Which step of the search found it (ld.so(8)); ``wheel``: no step, but a wheel's folder has it."""

    shadowed_by: str | None = None
    """Another file of that name which whoever asks without a search path of his own gets instead."""

    problem: str | None = None
    """Why it cannot be loaded, or did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFacts:
    """A small computation on one GPU, compared with its known result."""

    index: int
    succeeded: bool
    detail: str
    """Device and result, or what went wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFacts:
    """A framework, imported by the environment's interpreter."""

    framework: str
    version: str | None = None
    problem: str | None = None
    """Why it cannot be imported."""

    mapped: tuple[str, ...] = ()
    """Libraries of CUDA or ROCm in the process afterwards: paths of ``/proc/self/maps``, sorted."""

    kernels: tuple[KernelFacts, ...] = ()
    no_kernels: str | None = None
    """Why the framework ran nothing on any GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """All a probe says of GPUs."""

    drivers: dict[str, DriverFacts]
    """By vendor."""

    devices: tuple[GpuDevice, ...] = ()
    cards: dict[str, int] = field(default_factory=dict)
    """Number of GPUs by vendor on the machine's PCI bus, whether or not a process here may use them."""

    libraries: tuple[LibraryFacts, ...] = ()
    imports: tuple[ImportFacts, ...] = ()
    withheld: str | None = None
    """Why the engine gave this container no GPU; known outside only."""
