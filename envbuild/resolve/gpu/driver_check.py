"""Whether a driver is enough for a CUDA version on one kind of GPU.

Sources: CUDA Compatibility (docs.nvidia.com/deploy/cuda-compatibility), its pages on minor-version and
forward compatibility.  Which driver is which is data of the catalogue.
"""

from dataclasses import dataclass

from envbuild.catalog.cuda import (
    CudaDriver,
    cuda_of_driver,
    driver_for,
    first_cuda_of,
    generation_of,
    newest_branch,
)
from envbuild.catalog.drivers import compat_package, lift_of
from envbuild.catalog.gpus import Gpu
from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.catalog.versions import major_of, reaches
from envbuild.lock.gpu import DriverState


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverAnswer:
    """What a driver means for one GPU and one CUDA version."""

    state: DriverState
    reason: str

    knows_ptx: bool | None = None
    """Whether it compiles PTX made by that CUDA version; None where that is not known."""

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against it."""
        return self.state not in {"too-old", "too-new"}


def judge_driver(
    gpu: Gpu, driver: str | None, cuda: str | None, *, compat: bool, catalog: Catalog = BUILT_IN
) -> DriverAnswer:
    """Return whether ``driver`` is enough for ``cuda`` on ``gpu``.

    A GPU newer than ``driver`` has a newer one, whatever is the oldest of the fleet; then that is judged.
    """
    if cuda is None:
        return DriverAnswer(state="unknown", reason="which CUDA it runs on is not known")
    wanted = driver_for(cuda, catalog)
    if wanted is None:
        unknown = f"which drivers CUDA {major_of(cuda)} needs is not in the catalogue"
        return DriverAnswer(state="unknown", reason=unknown)
    if driver is None:
        needs = f"no driver is named, and CUDA {wanted.cuda} needs {wanted.minimum} or newer"
        return DriverAnswer(state="unknown", reason=needs)
    generation = generation_of(gpu.compute_capability, catalog)
    last = generation[1].last_branch if generation else None
    if generation and last and major_of(driver) > last:
        dropped = f"driver {driver} does not drive {generation[0]} GPUs; branch {last} was the last that did"
        return DriverAnswer(state="too-new", reason=dropped)
    first = _first_branch(gpu, catalog)
    if first is not None and major_of(driver) < first:
        called = f"driver {first}, the first for this GPU,"
        return _compare(gpu, str(first), called, wanted, compat=compat, catalog=catalog)
    return _compare(gpu, driver, f"driver {driver}", wanted, compat=compat, catalog=catalog)


def _compare(
    gpu: Gpu, driver: str, called: str, wanted: CudaDriver, *, compat: bool, catalog: Catalog
) -> DriverAnswer:
    reported = cuda_of_driver(driver, catalog)
    newer = major_of(driver) > newest_branch(catalog)
    reports = f"{called} reports CUDA {reported}{' or newer' if newer else ''}"
    if reported is None:
        reports = f"{called} is older than those of CUDA 11"
    if wanted.full is not None and reaches(driver, wanted.full):
        return DriverAnswer(state="toolkit", reason=f"{reports}, so it knows {wanted.cuda}", knows_ptx=True)
    lifts = lift_of(wanted.cuda, driver, catalog) == "lifts" and gpu.has_forward_compatibility is not False
    if reaches(driver, wanted.minimum):
        return DriverAnswer(
            state="minor-version",
            reason=f"{reports} and runs {wanted.cuda} by minor-version compatibility, "
            f"as every driver from {wanted.minimum} on",
            # one that is newer than all known ones may be of that version
            knows_ptx=True if compat and lifts else None if newer else False,
        )
    if compat and lifts:
        return DriverAnswer(
            state="forward-compatibility",
            reason=f"{reports}, and {compat_package(wanted.cuda)} of the image lifts it to {wanted.cuda}",
            knows_ptx=True,
        )
    unlifted = _why_not_lifted(gpu, driver, wanted, catalog)
    return DriverAnswer(
        state="too-old",
        reason=f"{reports}, and CUDA {wanted.cuda} needs {wanted.minimum} or newer{unlifted}",
        knows_ptx=False,
    )


def _why_not_lifted(gpu: Gpu, driver: str, wanted: CudaDriver, catalog: Catalog) -> str:
    """Return why forward compatibility does not help, as the end of a sentence."""
    package = compat_package(wanted.cuda)
    match lift_of(wanted.cuda, driver, catalog):
        case "lifts" if gpu.has_forward_compatibility is False:
            kind = "GeForce" if gpu.kind == "geforce" else gpu.kind
            return f" ({package} does not lift it on {kind} GPUs: error 804)"
        case "lifts":
            on = "" if gpu.has_forward_compatibility else " on a data-centre GPU"
            return f" ({package} would lift it{on}, but the image has none)"
        case "unsupported":
            return f" ({package} is not supported on branch {major_of(driver)})"
        case _:
            return ""


def _first_branch(gpu: Gpu, catalog: Catalog) -> int | None:
    """Return the first driver branch for a GPU: that of the first CUDA that makes code for it."""
    cuda = first_cuda_of(gpu.compute_capability, catalog)
    known = driver_for(cuda, catalog) if cuda else None
    return known.branch if known else None
