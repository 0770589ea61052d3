"""What a lock holds of CUDA or ROCm: derived from what is locked, compared with what a container loads."""

from typing import Literal

from pydantic import Field, NonNegativeInt

from envbuild.values import Value

Vendor = Literal["nvidia", "amd"]
Flavour = Literal["slim", "base", "runtime", "cudnn-runtime", "devel"]
"""How much of CUDA a base brings, least first, in the words of NVIDIA's image tags; ``slim``: none."""

DriverState = Literal["toolkit", "minor-version", "forward-compatibility", "too-old", "too-new", "unknown"]
"""Why a driver is enough: it is of the toolkit's version or newer; of the same major (minor-version
compatibility); lifted by package cuda-compat.  Or why not: older than the major needs; newer than any that
drives the GPU."""

Kernels = Literal["cubin", "ptx", "none", "unknown"]
"""What of a framework's device code a GPU would run: machine code, PTX the driver compiles, or nothing."""


class GpuLibrary(Value):
    """One library of CUDA that the environment would load."""

    name: str
    """``cudart``, ``cudnn``, ``nccl``, ``cublas``, …: the file's name without ``lib``."""

    soname: str
    """``libcudart.so.13``."""

    version: str
    """As its package says: ``13.0.96``, ``9.24.0.43``."""

    provider: str
    """``wheel nvidia-cudnn-cu13``, ``base``, ``conda cuda-cudart``."""

    path: str | None = None
    """Below the prefix, when a wheel provides it."""


class GpuArchitectures(Value):
    """Architectures one library of a wheel has device code for."""

    wheel: str
    """File name of the wheel."""

    library: str
    """Path inside the wheel."""

    role: Literal["framework", "support"]
    """Whether its kernels decide what the environment runs on, or only add to it."""

    cubins: dict[str, NonNegativeInt] = Field(default_factory=dict)
    """``sm_75`` → number of entries of machine code."""

    ptx: dict[str, NonNegativeInt] = Field(default_factory=dict)
    """``compute_120`` → number of entries of PTX, which a driver compiles for what is newer."""


class GpuVerdict(Value):
    """Whether one kind of GPU of the fleet, with the oldest driver of the fleet, can run the environment."""

    target: str
    """As in the spec."""

    capability: str
    """``sm_75``."""

    driver: str | None = None
    """Oldest driver of the fleet; None: the spec names none."""

    driver_state: DriverState
    kernels: Kernels

    ok: bool
    """Nothing that is known speaks against it."""

    reason: str
    """In plain words."""


class TargetGpu(Value):
    """CUDA or ROCm of one target."""

    vendor: Vendor

    runtime: str | None = None
    """CUDA or ROCm as ``major.minor``; None: nothing that is locked says it."""

    toolkit: str | None = None
    """CUDA with its update, ``13.0.3``, where that is known."""

    majors: tuple[int, ...] = ()
    """Every CUDA major something that is locked was built for, sorted."""

    driver_minimum: str | None = None
    """Oldest driver that runs this major (CUDA's minor-version compatibility)."""

    driver_toolkit: str | None = None
    """Oldest driver that knows this minor itself, PTX included, as far as known: ``580.65.06``, ``620``.

    Not that of a later update of the toolkit: PTX is the minor's."""

    image: Flavour
    """How much of CUDA the base brings."""

    evidence: tuple[str, ...] = ()
    """What was derived from what, in plain words, the best witness first."""

    libraries: tuple[GpuLibrary, ...] = ()
    """Sorted by name and soname."""

    architectures: tuple[GpuArchitectures, ...] = ()
    """Sorted by wheel and library; only when the spec names a fleet."""

    fleet: tuple[GpuVerdict, ...] = ()
    """In the order of the spec's targets."""
