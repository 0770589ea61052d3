"""Whether each GPU of a fleet can run an environment: is its driver enough, and are there kernels for it.

Two questions, answered apart.  A driver that reports CUDA 13 does not mean that the GPU under it can run code
of CUDA 13, and a GPU that could run it may have a driver that is too old.  Pure: the facts come from the lock
and the catalogue.  What would help is said by ``advice.py``.
"""

from collections.abc import Sequence

from envbuild.catalog.gpus import find_gpu
from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.lock.gpu import GpuArchitectures, GpuVerdict
from envbuild.resolve.gpu.driver_check import judge_driver
from envbuild.resolve.gpu.kernel_check import judge_kernels


def fleet_verdicts(
    targets: Sequence[str],
    driver: str | None,
    cuda: str | None,
    architectures: Sequence[GpuArchitectures],
    *,
    compat: bool = False,
    catalog: Catalog = BUILT_IN,
) -> tuple[GpuVerdict, ...]:
    """Return a verdict for each target, in their order.

    ``driver`` is the oldest of the fleet (``535`` or ``>=535.104.05``), ``cuda`` what the environment runs
    on, ``compat`` whether its image brings cuda-compat of that very CUDA.  A verdict that rests on something
    unknown is ``ok``, for nothing speaks against it, and says what is unknown.

    :raises SpecError: a target names no GPU, or several.
    """
    oldest = driver.removeprefix(">=") if driver else None
    found = []
    for target in targets:
        gpu = find_gpu(target, catalog)
        of_driver = judge_driver(gpu, oldest, cuda, compat=compat, catalog=catalog)
        kernels = judge_kernels(
            gpu.compute_capability, cuda, architectures, knows_ptx=of_driver.knows_ptx, catalog=catalog
        )
        found.append(
            GpuVerdict(
                target=target,
                capability=gpu.compute_capability.sm,
                driver=oldest,
                driver_state=of_driver.state,
                kernels=kernels.state,
                ok=of_driver.ok and kernels.ok,
                reason=f"{of_driver.reason}; {kernels.reason}",
            )
        )
    return tuple(found)
