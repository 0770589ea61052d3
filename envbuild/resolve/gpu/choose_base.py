"""The base that lacks nothing and brings nothing twice, for the CUDA that was derived.  Pure.

Wheels that bring CUDA need none of the system's: a second copy costs gigabytes, and ``LD_LIBRARY_PATH`` of
NVIDIA's images would put it before the wheels' own.  What no wheel brings comes from an image of
``nvidia/cuda``, in the smallest flavour that has it.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from envbuild.catalog.cuda import driver_for
from envbuild.catalog.cuda_images import CudaImage, ImageFlavour, cuda_images
from envbuild.catalog.rocm import RocmImage, rocm_images
from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.catalog.versions import major_of, minor_of, reaches, version_key
from envbuild.errors import NoSolutionError, Problem
from envbuild.lock.gpu import Flavour
from envbuild.lock.model import Base
from envbuild.resolve.gpu.cudnn import cuda_with_cudnn, cudnn_wheel, has_cudnn
from envbuild.resolve.gpu.derive import Derivation
from envbuild.spec.request import GpuRequest

FLAVOURS: Final[tuple[Flavour, ...]] = ("slim", "base", "runtime", "cudnn-runtime", "devel")
"""Least first."""

_BRINGS: Final[Mapping[Flavour, str]] = {
    "slim": "no CUDA",
    "base": "the runtime library alone",
    "runtime": "CUDA's libraries",
    "cudnn-runtime": "CUDA's libraries and cuDNN",
    "devel": "CUDA's libraries, headers and nvcc",
}
_MANYLINUX: Final = re.compile(r"manylinux_([0-9]+)_([0-9]+)_")
_OLDER_NAMES: Final = {"manylinux1": "2.5", "manylinux2010": "2.12", "manylinux2014": "2.17"}


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseChoice:
    """What an environment is to stand on, and why."""

    flavour: Flavour
    image: CudaImage | RocmImage | None = None
    """None: the slim image of the wanted Python."""

    reasons: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def choose_base(
    derived: Derivation,
    asked: GpuRequest,
    *,
    python: str,
    libc: str = "0",
    catalog: Catalog = BUILT_IN,
) -> BaseChoice:
    """Return the base for an environment whose wheels need a libc not older than ``libc``.

    :raises NoSolutionError: no image of the catalogue has the CUDA or ROCm that is needed.
    """
    if asked.vendor == "amd" and asked.image not in {"auto", "slim"}:
        return _rocm_base(derived, asked, python=python, libc=libc, catalog=catalog)
    flavour, why = _flavour(derived, asked)
    rejected = tuple(_rejected(flavour, derived, catalog))
    if flavour == "slim":
        return BaseChoice(flavour=flavour, reasons=(why,), rejected=rejected)
    cuda, which = _cuda_of_image(derived, asked, catalog)
    tagged = _tagged(flavour, derived)
    if "cudnn" in tagged:
        cuda, instead = cuda_with_cudnn(cuda, tagged, derived, asked, catalog)
        which = instead or which
    image, others = _image(cuda, tagged, python=python, libc=libc, catalog=catalog)
    return BaseChoice(
        flavour=flavour,
        image=image,
        reasons=(why, which, *_reasons_for(image, python, libc)),
        rejected=(*rejected, *others),
        warnings=tuple(_warnings(image)),
    )


def newest_libc_of(files: Iterable[str]) -> str:
    """Return the glibc that every one of these wheels can be loaded with: ``2.28``; ``0`` when any will do.

    A file's tags are alternatives (PEP 600), so the oldest of each counts, and the newest of those.
    """
    needed = "0"
    for file in files:
        tag = file.removesuffix(".whl").rpartition("-")[2]
        olds = [version for name, version in _OLDER_NAMES.items() if f"{name}_" in tag]
        versions = [*olds, *(f"{major}.{minor}" for major, minor in _MANYLINUX.findall(tag))]
        if versions:
            needed = max(needed, min(versions, key=version_key), key=version_key)
    return needed


def flavour_of(environment: Mapping[str, str]) -> Flavour:
    """Return how much of CUDA an image brings, by the variables NVIDIA's images set.

    Source: the Dockerfiles of nvidia/cuda; each flavour adds to those of the one below it.
    """
    if "NV_CUDA_CUDART_DEV_VERSION" in environment or "/stubs" in environment.get("LIBRARY_PATH", ""):
        return "devel"
    if "NV_CUDNN_VERSION" in environment:
        return "cudnn-runtime"
    if "NV_CUDA_LIB_VERSION" in environment:
        return "runtime"
    return "base" if "NV_CUDA_CUDART_VERSION" in environment else "slim"


def flavour_of_base(base: Base) -> Flavour:
    """Return how much of CUDA or ROCm a base brings: AMD's images set no variables, but have its packages."""
    has_rocm = any(deb.startswith("rocm-dev=") for deb in base.debs)
    return "devel" if has_rocm else flavour_of(base.env)


def lacking(
    flavour: Flavour, derived: Derivation, *, cuda: str | None, cudnn: str | None = None
) -> tuple[Problem, ...]:
    """Return what packages look for that a base of this flavour, with this CUDA and cuDNN, does not have.

    ``cudnn`` is None where the base does not say which it has.
    """
    found = []
    for need in derived.needs:
        wants = f"CUDA {need.wants.cuda}"
        if need.lacks_cuda and (flavour in {"slim", "base"} or cuda is None):
            found.append(
                Problem("base", f"{need.package} looks for {wants} in the system, and the base has none")
            )
        elif need.lacks_cuda and cuda and major_of(cuda) != major_of(need.wants.cuda):
            found.append(
                Problem("base", f"{need.package} looks for {wants} in the system, and the base has {cuda}")
            )
        elif need.lacks_cudnn and flavour not in {"cudnn-runtime", "devel"}:
            found.append(
                Problem(
                    "base",
                    f"{need.package} looks for cuDNN {need.wants.cudnn} in the system, and the base has none",
                    f"add `{cudnn_wheel(need)}` to [pip] packages",
                )
            )
        elif need.lacks_cudnn and cudnn and not has_cudnn(cudnn, need):
            found.append(
                Problem(
                    "base",
                    f"{need.package} looks for cuDNN {need.wants.cudnn} in the system, "
                    f"and the base has {cudnn}",
                    f"add `{cudnn_wheel(need)}` to [pip] packages",
                )
            )
    return tuple(found)


def _rocm_base(
    derived: Derivation, asked: GpuRequest, *, python: str, libc: str, catalog: Catalog
) -> BaseChoice:
    """Return AMD's image with the compilers of the ROCm that wheels are for: the only kind it publishes."""
    if asked.image != "devel":
        raise NoSolutionError(
            f"there is no {asked.image} image of ROCm",
            hint='wheels bring its libraries; image = "devel" has its compilers as well',
        )
    rocm = derived.runtime if asked.cuda == "auto" else asked.cuda
    if rocm is None:
        raise NoSolutionError(
            "nothing says which ROCm the base should have", hint='name it in [gpu]: cuda = "7.1"'
        )
    images = [image for image in rocm_images(rocm, catalog) if version_key(image.libc) >= version_key(libc)]
    if not images:
        known = ", ".join(dict.fromkeys(minor_of(image.rocm) for image in rocm_images(catalog=catalog)))
        raise NoSolutionError(
            f"the catalogue knows no image of ROCm {rocm} with glibc {libc} or newer",
            hint=f"it knows ROCm {known}; name an image in [base], or update the catalogue",
        )
    best = max(images, key=lambda image: (image.python == python, image.complete, version_key(image.rocm)))
    return BaseChoice(
        flavour="devel",
        image=best,
        reasons=(
            "[gpu] image asks for devel: ROCm's compilers",
            f"ROCm {rocm} is what the wheels are for"
            if asked.cuda == "auto"
            else f"[gpu] asks for ROCm {rocm}",
        ),
        rejected=("slim: it has no compilers of ROCm",),
        warnings=(f"{best.reference} was seen in public files; the catalogue has no list of AMD's images",),
    )


def _flavour(derived: Derivation, asked: GpuRequest) -> tuple[Flavour, str]:
    if asked.image != "auto":
        return asked.image, f"[gpu] image asks for {asked.image}: {_BRINGS[asked.image]}"
    for need in derived.needs:
        if need.lacks_cudnn:
            cuda = "" if need.lacks_cuda else f"; with {cudnn_wheel(need)} a slim base would do"
            return "cudnn-runtime", f"{need.package} looks for cuDNN in the system{cuda}"
    for need in derived.needs:
        return "runtime", f"{need.package} looks for CUDA's libraries in the system"
    if derived.vendor == "amd":
        return "slim", "wheels built for ROCm bring its libraries"
    if derived.brings_cuda:
        return "slim", "wheels bring every library of CUDA that is looked for"
    return "slim", "nothing looks for CUDA in the system"


def _rejected(flavour: Flavour, derived: Derivation, catalog: Catalog) -> Iterator[str]:
    position = FLAVOURS.index(flavour)
    if position:
        below = FLAVOURS[position - 1]
        yield f"{below}: it has {_BRINGS[below]}, which is not enough"
    if flavour == "slim" and derived.brings_cuda:
        yield f"base, runtime, devel: CUDA would be there twice{_weight(derived, catalog)}"


def _weight(derived: Derivation, catalog: Catalog) -> str:
    """Return what the catalogue knows of the size of the images that were not taken."""
    major = str(max(derived.majors)) if derived.majors else None
    sized = [image for image in cuda_images(cuda=major, catalog=catalog) if image.size]
    for flavour in ("cudnn-runtime", "runtime", "cudnn-devel", "devel"):
        for image in sized:
            if image.flavour == flavour and image.size:
                return f"; {image.reference} alone has {image.size / 1e9:.1f} GB in a registry"
    return ""


def _cuda_of_image(derived: Derivation, asked: GpuRequest, catalog: Catalog) -> tuple[str, str]:
    """Return the ``major.minor`` an image should have, and why."""
    if asked.cuda != "auto":
        return asked.cuda, f"[gpu] asks for CUDA {asked.cuda}"
    if derived.runtime:
        return derived.runtime, f"CUDA {derived.runtime} is what the wheels are for"
    if not derived.majors:
        raise NoSolutionError(
            "nothing says which CUDA the base should have", hint='name it in [gpu]: cuda = "12.6"'
        )
    major = max(derived.majors)
    minors = list(
        dict.fromkeys(minor_of(image.cuda) for image in cuda_images(cuda=str(major), catalog=catalog))
    )
    if not minors:
        raise _no_image(str(major), "any flavour", catalog)
    if asked.driver:
        driver = asked.driver.removeprefix(">=")
        for minor in minors:
            known = driver_for(minor, catalog)
            if known and known.full and reaches(driver, known.full):
                return minor, f"CUDA {minor} is the newest of CUDA {major} that driver {driver} knows itself"
    return minors[0], f"any CUDA {major} will do, and {minors[0]} is the newest"


def _tagged(flavour: Flavour, derived: Derivation) -> ImageFlavour:
    if flavour == "devel" and any(need.lacks_cudnn for need in derived.needs):
        return "cudnn-devel"
    if flavour == "slim":
        raise ValueError("a slim base is no image of CUDA")
    return flavour


def _image(
    cuda: str, flavour: ImageFlavour, *, python: str, libc: str, catalog: Catalog
) -> tuple[CudaImage, tuple[str, ...]]:
    """Return the best image of a CUDA minor, and what speaks against the others of its distributions."""
    images = cuda_images(cuda=cuda, flavour=flavour, packages="debian", catalog=catalog)
    newest = [image for image in images if image.superseded_by is None] or [
        image for image in images if image.cuda == images[0].cuda
    ]
    carrying = [image for image in newest if version_key(image.libc) >= version_key(libc)]
    if not carrying:
        raise _no_image(cuda, flavour, catalog, libc=libc if newest else None)
    best = max(
        carrying,
        key=lambda image: (
            _fits(image, python),
            image.evidence == "listed",
            version_key(image.libc),
            image.tag,
        ),
    )
    against = [
        f"{image.tag}: its glibc {image.libc} is older than the {libc} that wheels need"
        for image in newest
        if image not in carrying
    ]
    return best, tuple(against)


def _fits(image: CudaImage, python: str) -> bool:
    """Whether the distribution's own Python is the wanted one; which patch release it has, only apt knows."""
    return image.python == python


def _reasons_for(image: CudaImage, python: str, libc: str) -> Iterator[str]:
    yield f"{image.cuda} is the newest update of CUDA {minor_of(image.cuda)} there are images of"
    if _fits(image, python):
        yield f"{image.distribution} has Python {python} itself"
    else:
        yield f"{image.distribution} has no Python {python}, so a standalone one is laid into /opt/python"
    if libc != "0":
        yield f"its glibc {image.libc} carries wheels that need {libc}"


def _warnings(image: CudaImage) -> Iterator[str]:
    if image.superseded_by:
        yield (
            f"{image.reference} is not the newest of its minor, {image.superseded_by} is: "
            "NVIDIA deletes such images within half a year; keep a copy in a registry of your own"
        )
    if image.state == "unsupported":
        yield f"{image.reference} is at the end of its life; NVIDIA may delete it: keep a copy of your own"
    if image.evidence == "sibling":
        yield f"{image.reference} is in no list the catalogue knows; only its siblings are"
    if image.distribution_end_of_life:
        yield f"free support of {image.distribution} ends in {image.distribution_end_of_life}"


def _no_image(cuda: str, flavour: str, catalog: Catalog, *, libc: str | None = None) -> NoSolutionError:
    if libc:
        return NoSolutionError(
            f"no image of nvidia/cuda with CUDA {cuda} ({flavour}) has the glibc {libc} that wheels need",
            hint="name an image in [base], or take older wheels",
        )
    known = list(
        dict.fromkeys(minor_of(image.cuda) for image in cuda_images(packages="debian", catalog=catalog))
    )
    return NoSolutionError(
        f"the catalogue knows no image of nvidia/cuda with CUDA {cuda} ({flavour})",
        hint=f"it knows {known[0]} and older; name an image in [base], or update the catalogue with "
        "`envbuild catalog update`",
    )
