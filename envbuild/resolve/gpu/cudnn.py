"""Which images have the cuDNN that somebody looks for in the system.  Pure."""

from envbuild.catalog.cuda_images import ImageFlavour, cuda_images
from envbuild.catalog.tables import Catalog
from envbuild.catalog.versions import major_of, minor_of, reaches, version_key
from envbuild.errors import NoSolutionError
from envbuild.resolve.gpu.derive import Derivation, Need
from envbuild.spec.request import GpuRequest


def cuda_with_cudnn(
    cuda: str, flavour: ImageFlavour, derived: Derivation, asked: GpuRequest, catalog: Catalog
) -> tuple[str, str | None]:
    """Return the CUDA minor whose image has the cuDNN looked for, and why it is another than ``cuda``.

    That is ``cuda`` itself, or a newer minor of its major: what was built for one runs on the other (CUDA
    Compatibility, "minor version compatibility"), which is not promised of an older one.

    :raises NoSolutionError: no image has it.
    """
    needs = [need for need in derived.needs if need.lacks_cudnn]
    images = cuda_images(cuda=str(major_of(cuda)), flavour=flavour, packages="debian", catalog=catalog)
    fitting = sorted(
        {
            minor_of(image.cuda)
            for image in images
            if image.superseded_by is None
            and version_key(minor_of(image.cuda)) >= version_key(cuda)
            and all(has_cudnn(image.cudnn, need) for need in needs)
        },
        key=version_key,
    )
    of_cuda = [image.cudnn for image in images if minor_of(image.cuda) == cuda and image.cudnn]
    if cuda in fitting or not of_cuda:
        return cuda, None
    has = f"those of CUDA {cuda} have cuDNN {of_cuda[0]}"
    wanting = " and ".join(f"{need.package} looks for cuDNN {need.wants.cudnn}" for need in needs)
    if fitting and asked.cuda == "auto":
        return fitting[0], f"CUDA {fitting[0]} is the first whose images have the cuDNN: {has}, and {wanting}"
    unfit = next(need for need in needs if not has_cudnn(of_cuda[0], need))
    others = f', or leave it to cuda = "auto", which takes {fitting[0]}' if fitting else ""
    raise NoSolutionError(
        f"no image of nvidia/cuda fits: {has}, and {wanting}",
        hint=f"add `{cudnn_wheel(unfit)}` to [pip] packages{others}",
    )


def has_cudnn(found: str | None, need: Need) -> bool:
    """Return whether a cuDNN answers a need: of its major, and of its minor or a newer one.

    Frameworks refuse others when they start (TensorFlow: "CuDNN library needs to have matching major version
    and equal or higher minor version").  What says no minor does not speak against it.
    """
    if found is None or need.wants.cudnn is None:
        return True
    return major_of(found) == major_of(need.wants.cudnn) and reaches(found, need.wants.cudnn)


def cudnn_wheel(need: Need) -> str:
    """Return the requirement that brings the cuDNN somebody looks for."""
    wanted = need.wants.cudnn or "0"
    return f"nvidia-cudnn-cu{major_of(need.wants.cuda)}>={wanted},<{major_of(wanted) + 1}"
