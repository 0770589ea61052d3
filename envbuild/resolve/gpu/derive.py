"""Which CUDA or ROCm an environment has, read off the names and versions of what was resolved for it.  Pure.

No matrix of frameworks and CUDA versions is consulted for what wheels say themselves, so a framework newer
than this program is read as well as an old one.  Only what no wheel says comes from the catalogue: names
of libraries, and what frameworks without CUDA wheels look for in the system.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from envbuild.catalog.components import (
    ComponentTable,
    component_of_wheel,
    cuda_of_component,
    toolkits_of_runtime,
    toolkits_of_versions,
)
from envbuild.catalog.frameworks import SystemCuda, system_cuda_of
from envbuild.catalog.tables import BUILT_IN, Catalog
from envbuild.catalog.versions import major_of, minor_of, version_key
from envbuild.lock.gpu import GpuLibrary, Vendor

TOOLKIT: Final = "cuda-toolkit"
"""A distribution without files whose version is that of the toolkit, update included."""

RUNTIME: Final = "cudart"

_SPEAKING: Final = ("nvrtc", "nvjitlink", "cupti")
"""Components that say CUDA's ``major.minor`` where there is no runtime library, the best first."""

_FOLDERS: Final = {"cudart": "cuda_runtime", "nvrtc": "cuda_nvrtc", "cupti": "cuda_cupti"}
"""Folders of wheels for CUDA 11 and 12 that are not called as the component is."""

_OWN_FOLDER: Final = frozenset({"cudnn", "nccl"})
"""Components that have a folder of their own for every CUDA major."""

_FIRST_SHARED_FOLDER: Final = 13
"""From this major on all other components share ``nvidia/cu13``."""

_LOCAL_CUDA = re.compile(r"\+(?:[a-z0-9.]*\.)?cu([1-9][0-9])([0-9])(?:$|[^0-9])")
_LOCAL_ROCM = re.compile(r"\+(?:[a-z0-9.]*\.)?rocm([0-9]+\.[0-9]+)")
_SUFFIX = re.compile(r"-(?:cu|cuda)([1-9][0-9])(?:x|-[a-z]+)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuPackage:
    """One resolved package."""

    name: str
    """Normalised."""

    version: str
    kind: str = "wheel"
    """What it is, in the words of :attr:`GpuLibrary.provider`."""

    requires: tuple[str, ...] = ()
    """Requirements it states, as PEP 508 strings."""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class Need:
    """A package that looks for CUDA in the system, because no wheel brings it."""

    package: GpuPackage
    wants: SystemCuda
    lacks_cuda: bool
    lacks_cudnn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Derivation:
    """What the packages say."""

    vendor: Vendor | None
    """Whose GPUs they compute on; None: nothing says so."""

    runtime: str | None = None
    """``major.minor``; of the highest major, when there are several."""

    toolkit: str | None = None
    majors: tuple[int, ...] = ()
    evidence: tuple[str, ...] = ()
    libraries: tuple[GpuLibrary, ...] = ()
    needs: tuple[Need, ...] = ()

    @property
    def brings_cuda(self) -> bool:
        """Whether wheels bring a CUDA runtime of their own."""
        return bool(self.libraries)


@dataclass(frozen=True, slots=True)
class _CudaComponent:
    """A package that is a component of CUDA."""

    package: GpuPackage
    component: str
    major: int
    soname: str | None

    @property
    def library(self) -> GpuLibrary | None:
        """The library, as the lock names it, its path without the folder of the distributions."""
        if self.soname is None:
            return None
        return GpuLibrary(
            name=self.component,
            soname=self.soname,
            version=_release(self.package.version),
            provider=f"{self.package.kind} {self.package.name}",
            path=f"{_folder(self.component, self.major)}/{self.soname}",
        )


def derive(packages: Sequence[GpuPackage], *, site: str = "", catalog: Catalog = BUILT_IN) -> Derivation:
    """Return what ``packages``, all that one target has, say of CUDA or ROCm.

    ``site`` is the folder of the distributions below the prefix: what paths of libraries begin with.
    """
    ordered = sorted(packages, key=lambda package: package.name)
    parts = tuple(_parts(ordered, catalog))
    needs = tuple(_needs(ordered, parts, catalog))
    stated = [*_from_runtime(parts), *_from_components(parts), *_from_builds(ordered)]
    certain = {major_of(version) for version, _ in stated}
    rough = [*_from_names(ordered, parts, known=certain), *_from_needs(needs)]
    majors = certain | {major_of(version) for version, _ in rough}
    if not majors:
        return _rocm(ordered) or Derivation(vendor=None, needs=needs)
    highest = max(majors)
    of_highest = [version for version, _ in stated if major_of(version) == highest]
    exact = [version for version, _ in rough if major_of(version) == highest and "." in version]
    runtime = next(iter([*of_highest, *exact]), None)
    toolkit, told = _toolkit(ordered, parts, runtime, catalog)
    said = [*(text for _, text in stated), *told, *(text for _, text in rough), *_beside(parts)]
    return Derivation(
        vendor="nvidia",
        runtime=runtime,
        toolkit=toolkit,
        majors=tuple(sorted(majors)),
        evidence=tuple(dict.fromkeys(said)),
        libraries=tuple(
            library.model_copy(update={"path": f"{site}/{library.path}".lstrip("/")})
            for part in sorted(parts, key=lambda part: (part.component, part.soname or ""))
            if (library := part.library)
        ),
        needs=needs,
    )


def build_of(package: GpuPackage) -> str | None:
    """Return what a local version says a package was built for: ``12.6``, ``cpu``, ``rocm6.2``; or None."""
    if found := _LOCAL_CUDA.search(package.version):
        return f"{found[1]}.{found[2]}"
    if found := _LOCAL_ROCM.search(package.version):
        return f"rocm{found[1]}"
    local = package.version.partition("+")[2]
    return "cpu" if local.split(".")[0] == "cpu" else None


def is_for_cuda(package: GpuPackage) -> bool:
    """Whether a package's own name or version says that it was built for some CUDA."""
    return bool(_LOCAL_CUDA.search(package.version) or _SUFFIX.search(package.name))


def _parts(packages: Iterable[GpuPackage], catalog: Catalog) -> Iterator[_CudaComponent]:
    for package in packages:
        found = component_of_wheel(package.name, package.version, catalog)
        if found:
            name, row, major = found
            soname = row.soname(cuda_major=major, version=_release(package.version))
            yield _CudaComponent(package, name, major, soname)


def _from_runtime(parts: Iterable[_CudaComponent]) -> Iterator[tuple[str, str]]:
    found = [part for part in parts if part.component == RUNTIME]
    for part in sorted(found, key=lambda part: -part.major):
        cuda = cuda_of_component(part.package.version)
        yield cuda, f"{part.package} is the runtime library of CUDA {cuda}"


def _from_components(parts: Sequence[_CudaComponent]) -> Iterator[tuple[str, str]]:
    """Yield what other components say of majors that have no runtime library."""
    with_runtime = {part.major for part in parts if part.component == RUNTIME}
    for name in _SPEAKING:
        for part in parts:
            if part.component == name and part.major not in with_runtime:
                cuda = cuda_of_component(part.package.version)
                yield cuda, f"{part.package} belongs to CUDA {cuda}; there is no runtime library"


def _from_builds(packages: Iterable[GpuPackage]) -> Iterator[tuple[str, str]]:
    for package in packages:
        if found := _LOCAL_CUDA.search(package.version):
            cuda = f"{found[1]}.{found[2]}"
            yield cuda, f"{package} says in its version that it was built for CUDA {cuda}"


def _from_names(
    packages: Iterable[GpuPackage], parts: Iterable[_CudaComponent], *, known: set[int]
) -> Iterator[tuple[str, str]]:
    """Yield what names say of majors that no version speaks of; names that are only held say nothing."""
    of_part = {part.package.name: str(part.major) for part in parts}
    for package in packages:
        found = _SUFFIX.search(package.name)
        major = of_part.get(package.name) or (found[1] if found else None)
        if major and int(major) not in known and not package.version.startswith("0.0."):
            yield major, f"{package} says in its name that it is for CUDA {major}"


def _from_needs(needs: Iterable[Need]) -> Iterator[tuple[str, str]]:
    for need in needs:
        if need.lacks_cuda:
            cudnn = f" and cuDNN {need.wants.cudnn}" if need.lacks_cudnn else ""
            yield (
                need.wants.cuda,
                f"{need.package} looks for CUDA {need.wants.cuda}{cudnn} in the system",
            )


def _needs(
    packages: Iterable[GpuPackage], parts: Sequence[_CudaComponent], catalog: Catalog
) -> Iterator[Need]:
    for package in packages:
        wants = system_cuda_of(package.name, package.version, catalog=catalog)
        if wants is None or build_of(package) == "cpu":
            continue
        major = major_of(wants.cuda)
        lacks_cuda = not any(part.component == RUNTIME and part.major == major for part in parts)
        has_cudnn = any(part.component == "cudnn" and part.major == major for part in parts)
        lacks_cudnn = wants.cudnn is not None and not has_cudnn
        if lacks_cuda or lacks_cudnn:
            yield Need(package, wants, lacks_cuda, lacks_cudnn)


def _toolkit(
    packages: Iterable[GpuPackage], parts: Sequence[_CudaComponent], runtime: str | None, catalog: Catalog
) -> tuple[str | None, list[str]]:
    """Return the update of the toolkit, as far as something tells it, and who did."""
    for package in packages:
        if package.name == TOOLKIT:
            update = ".".join(_release(package.version).split(".")[:3])
            if minor_of(update) == runtime:
                return update, [f"{package} is the list of CUDA {update}'s parts"]
    of_runtime = next(
        (
            part
            for part in parts
            if part.component == RUNTIME and cuda_of_component(part.package.version) == runtime
        ),
        None,
    )
    if of_runtime is None:
        return None, []
    updates = toolkits_of_runtime(_release(of_runtime.package.version), catalog)
    if len(updates) > 1:
        versions = {
            part.component: _release(part.package.version) for part in parts if part.major == of_runtime.major
        }
        listed = catalog.table(ComponentTable).toolkits
        fitting = {
            *toolkits_of_versions(versions, catalog),
            *(item for item in updates if item not in listed),
        }
        updates = tuple(update for update in updates if update in fitting) or updates
    if len(updates) == 1:
        return updates[0], [f"{of_runtime.package} came with CUDA {updates[0]}"]
    if updates:
        return None, [
            f"{of_runtime.package} came with CUDA {' and '.join(updates)}: which update, stays open"
        ]
    return None, []


def _beside(parts: Iterable[_CudaComponent]) -> Iterator[str]:
    names = {"cudnn": "cuDNN", "nccl": "NCCL"}
    for part in parts:
        if part.component in names:
            yield f"{names[part.component]} is {part.package.version}, of {part.package.name}"


def _rocm(packages: Iterable[GpuPackage]) -> Derivation | None:
    found = {package: match[1] for package in packages if (match := _LOCAL_ROCM.search(package.version))}
    if not found:
        return None
    return Derivation(
        vendor="amd",
        runtime=max(found.values(), key=version_key),
        evidence=tuple(
            f"{package} says in its version that it was built for ROCm {version}"
            for package, version in found.items()
        ),
    )


def _folder(component: str, major: int) -> str:
    if component in _OWN_FOLDER or major < _FIRST_SHARED_FOLDER:
        return f"nvidia/{_FOLDERS.get(component, component)}/lib"
    return f"nvidia/cu{major}/lib"


def _release(version: str) -> str:
    """Return the numbers a version starts with."""
    found = re.match(r"[0-9]+(?:\.[0-9]+)*", version)
    return found[0] if found else "0"
