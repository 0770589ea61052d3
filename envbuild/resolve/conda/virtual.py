"""Virtual packages of a target: what its machines and its base have that is no package of a channel."""

from envbuild.catalog.cuda import cuda_of_driver, newest_cuda
from envbuild.lock.model import Base
from envbuild.platforms import PLATFORMS
from envbuild.spec.request import VariantRequest

OLDEST_LINUX = "4.18"
"""What `__linux` says: the oldest kernel in wide use (Red Hat Enterprise Linux 8); images run on any."""


def virtual_packages(base: Base, cuda: str | None) -> dict[str, str]:
    """Return ``name → version`` (``__archspec``: ``1 microarchitecture``) of a target, sorted.

    ``__archspec`` is the plain architecture: packages for newer processors are never chosen for machines
    nobody described.  ``__glibc`` is missing on a base without it.

    Source: conda documentation, "Managing virtual packages".
    """
    found = {
        "__archspec": f"1 {PLATFORMS[base.platform].machine}",
        "__linux": OLDEST_LINUX,
        "__unix": "0",
    }
    if base.libc.family == "glibc":
        found["__glibc"] = base.libc.version
    if cuda is not None:
        found["__cuda"] = cuda
    return dict(sorted(found.items()))


def cuda_of(request: VariantRequest) -> str | None:
    """Return the version of ``__cuda``: what [conda] says, else [gpu]; None for an environment for CPUs.

    With ``cuda = "auto"`` it is what the oldest driver of the fleet reports, or the newest CUDA there is.
    """
    conda, gpu = request.conda, request.gpu
    if conda is not None and conda.cuda is not None:
        return conda.cuda
    if gpu is None or gpu.vendor != "nvidia":
        return None
    if gpu.cuda != "auto":
        return gpu.cuda
    if gpu.driver is None:
        return newest_cuda()
    return cuda_of_driver(gpu.driver.removeprefix(">="))
