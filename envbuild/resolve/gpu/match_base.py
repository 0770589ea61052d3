"""The base an environment for GPUs stands on when the spec names none: known only once its wheels are.

Wheels are chosen for a Python and a libc, so they are resolved on the slim image first; most environments
stay there.  Only when something looks for CUDA in the system are they resolved again on an image that has it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from envbuild.catalog.bases import default_image, mirrored
from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.errors import NoSolutionError
from envbuild.lock.model import Wheel
from envbuild.resolve.gpu.choose_base import BaseChoice, choose_base, newest_libc_of
from envbuild.resolve.gpu.derive import GpuPackage, derive
from envbuild.resolve.gpu.findings import refuse
from envbuild.spec.request import BaseRequest, GpuRequest, VariantRequest

ResolveOn = Callable[[VariantRequest], tuple[Wheel, ...]]
"""Resolves the wheels of a request whose base is named."""


@dataclass(frozen=True, slots=True)
class Matched:
    """A request whose base is named, and the wheels that were resolved on it."""

    request: VariantRequest
    wheels: tuple[Wheel, ...]
    choice: BaseChoice


def packages_of(wheels: tuple[Wheel, ...]) -> tuple[GpuPackage, ...]:
    """Return wheels as the derivation reads them."""
    return tuple(
        GpuPackage(name=wheel.name, version=wheel.version, requires=wheel.requires) for wheel in wheels
    )


def choose_for(
    wheels: tuple[Wheel, ...], request: VariantRequest, gpu: GpuRequest, *, catalog: Catalog = BUILT_IN
) -> BaseChoice:
    """Return the base that matches ``wheels``.

    :raises NoSolutionError: the wheels do not fit the GPU that was asked for, or no image has their CUDA.
    """
    packages = packages_of(wheels)
    derived = derive(packages, catalog=catalog)
    refuse(packages, derived, gpu, catalog=catalog)
    return choose_base(
        derived,
        gpu,
        python=request.python,
        libc=newest_libc_of(wheel.file for wheel in wheels),
        catalog=catalog,
    )


def match(
    request: VariantRequest,
    gpu: GpuRequest,
    resolve_on: ResolveOn,
    *,
    start: BaseRequest | None = None,
    catalog: Catalog = BUILT_IN,
) -> Matched:
    """Return ``request`` with the base that matches what its requirements turn out to be.

    ``start`` is the base that is tried first: that of an earlier lock, which then stays while it matches.

    :raises NoSolutionError: see :func:`choose_for`; or there is no base both agree on.
    """
    on = request.model_copy(update={"base": start}) if start else _first(request, gpu, catalog)
    seen: list[VariantRequest] = []
    while on not in seen:
        seen.append(on)
        wheels = resolve_on(on)
        choice = choose_for(wheels, request, gpu, catalog=catalog)
        wanted = _on(request, choice)
        if wanted == on:
            return Matched(request=on, wheels=wheels, choice=choice)
        on = wanted
    images = " and ".join(str(item.base.image) for item in seen)
    raise NoSolutionError(
        f"the wheels resolved on {images} each need another base",
        hint="name one of them in [base]",
    )


def _first(request: VariantRequest, gpu: GpuRequest, catalog: Catalog) -> VariantRequest:
    """Return the request on the base it most likely ends on: the slim one, unless the spec says otherwise."""
    choice = BaseChoice(flavour="slim")
    if gpu.image != "auto" and gpu.cuda != "auto":
        choice = choose_base(derive((), catalog=catalog), gpu, python=request.python, catalog=catalog)
    return _on(request, choice)


def _on(request: VariantRequest, choice: BaseChoice) -> VariantRequest:
    image = choice.image.reference if choice.image else default_image(request.python)
    image = mirrored(image, request.gpu.registry if request.gpu else None)
    return request.model_copy(update={"base": BaseRequest(image=image)})
