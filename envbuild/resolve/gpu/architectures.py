"""Which architectures the wheels of an environment have device code for, read from the wheels themselves.

Only wheels that may hold device code are looked at, each straight out of its zip and once on a machine: what
was found is kept by the wheel's sha256.
"""

import contextlib
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from envbuild.cache.folders import ARCHITECTURES
from envbuild.cache.notes import read_note, try_note
from envbuild.catalog.components import component_of_wheel
from envbuild.catalog.frameworks import builds_of, system_cuda_of
from envbuild.errors import IntegrityError
from envbuild.formats.elf_sections import ElfError
from envbuild.formats.fatbin import DeviceCode, read_device_code
from envbuild.lock.gpu import GpuArchitectures
from envbuild.lock.model import Wheel
from envbuild.parallel import run_all
from envbuild.progress import Progress
from envbuild.resolve.gpu.derive import GpuPackage, is_for_cuda
from envbuild.store.store import HASHERS, Store

SUPPORT: Final = frozenset({"cublas", "cudnn", "nccl"})
"""Components with kernels of their own that frameworks call; the others' are compiled for all there is."""

_NVIDIA_LIBRARY: Final = re.compile(
    r"lib(?:cu(?:blas|blasLt|dart|dnn|fft|file|pti|rand|solver|sparse|sparseLt|tensor)|n(?:ccl|pp|v))"
)
"""Libraries of NVIDIA's that other wheels carry a copy of."""

_FRAMEWORKS: Final = frozenset({"cupy", "jax", "jaxlib", "tensorflow", "torch", "torchvision"})
_SMALLEST_LIBRARY: Final = 4096


@dataclass(slots=True)
class WheelArchitectures:
    """What a set of wheels has device code for."""

    architectures: tuple[GpuArchitectures, ...] = ()
    """Sorted by wheel and library."""

    unread: tuple[str, ...] = ()
    """Libraries that could not be read, each with the reason."""


@dataclass(slots=True)
class _WheelCode:
    """What one wheel holds."""

    libraries: dict[str, DeviceCode] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {
            "libraries": {
                name: {"cubins": code.cubins, "ptx": code.ptx} for name, code in self.libraries.items()
            },
            "faults": self.faults,
        }


def wheels_to_read(wheels: Sequence[Wheel]) -> tuple[Wheel, ...]:
    """Return the wheels that may hold device code: frameworks, what builds on them, and what they call."""
    return tuple(wheel for wheel in wheels if _role(wheel) is not None)


def read_architectures(
    wheels: Sequence[Wheel],
    *,
    store: Store,
    fetch: Callable[[Sequence[Wheel]], None],
    cache: Path,
    progress: Progress,
) -> WheelArchitectures:
    """Return the device code of ``wheels``, those of :func:`wheels_to_read`.

    ``fetch`` brings wheels into ``store``; it is called for those whose reading ``cache`` lacks.

    :raises IntegrityError: a wheel is not the locked one, or no zip file.
    """
    known = {
        wheel.file: contents
        for wheel in wheels
        if (contents := read_note(_place(cache, wheel), _contents_of)) is not None
    }
    lacking = sorted(
        (wheel for wheel in wheels if wheel.file not in known), key=lambda wheel: (-wheel.size, wheel.file)
    )
    if lacking:
        fetch(lacking)
        progress.on_stage("reading GPU architectures from wheels")
        done = 0

        def read(wheel: Wheel) -> None:
            nonlocal done
            contents = known[wheel.file] = _read(wheel, store)
            try_note(_place(cache, wheel), contents.document())
            done += 1
            progress.on_count(done, len(lacking))

        run_all(read, lacking, workers=HASHERS)
    return WheelArchitectures(
        architectures=tuple(
            item
            for wheel in sorted(wheels, key=lambda wheel: wheel.file)
            for item in _of(wheel, known[wheel.file])
        ),
        unread=tuple(
            f"{wheel.file}: {library} {fault}"
            for wheel in sorted(wheels, key=lambda wheel: wheel.file)
            for library, fault in sorted(known[wheel.file].faults.items())
        ),
    )


def _of(wheel: Wheel, contents: _WheelCode) -> Iterator[GpuArchitectures]:
    role = _role(wheel) or "support"
    for library, code in sorted(contents.libraries.items()):
        copied = _NVIDIA_LIBRARY.match(library.rpartition("/")[2]) is not None
        yield GpuArchitectures(
            wheel=wheel.file,
            library=library,
            role="support" if copied else role,
            cubins=_in_order(code.cubins),
            ptx=_in_order(code.ptx),
        )


def _in_order(counts: dict[str, int]) -> dict[str, int]:
    def key(name: str) -> tuple[int, str]:
        number = name.rpartition("_")[2]
        return int(number.rstrip("af")), number

    return dict(sorted(counts.items(), key=lambda item: key(item[0])))


def _role(wheel: Wheel) -> Literal["framework", "support"] | None:
    if wheel.file.endswith("-any.whl"):
        return None
    component = component_of_wheel(wheel.name, wheel.version)
    if component:
        return "support" if component[0] in SUPPORT else None
    if wheel.name.startswith("nvidia-"):
        return None
    package = GpuPackage(name=wheel.name, version=wheel.version)
    names = {wheel.name, *_required(wheel)}
    if (
        is_for_cuda(package)
        or wheel.name.endswith("-gpu")
        or builds_of(wheel.name)
        or system_cuda_of(wheel.name, wheel.version)
        or any(name in _FRAMEWORKS or name.startswith(("nvidia-", "cuda-")) for name in names)
    ):
        return "framework"
    return None


def _required(wheel: Wheel) -> Iterator[str]:
    for line in wheel.requires:
        with contextlib.suppress(InvalidRequirement):
            yield canonicalize_name(Requirement(line).name)


def _read(wheel: Wheel, store: Store) -> _WheelCode:
    contents = _WheelCode()
    with store.open_verified(wheel.sha256) as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                for info in archive.infolist():
                    if not _is_library(info):
                        continue
                    try:
                        code = read_device_code(lambda info=info: archive.open(info), size=info.file_size)  # type: ignore[misc]
                    except ElfError as error:
                        contents.faults[info.filename] = str(error)
                        continue
                    if code:
                        contents.libraries[info.filename] = code
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise IntegrityError(f"`{wheel.file}` is not a valid wheel: {error}") from error
    return contents


def _is_library(info: zipfile.ZipInfo) -> bool:
    name = info.filename.rpartition("/")[2]
    return info.file_size >= _SMALLEST_LIBRARY and (name.endswith(".so") or ".so." in name)


def _place(cache: Path, wheel: Wheel) -> Path:
    return ARCHITECTURES.path(cache) / wheel.sha256[:2] / wheel.sha256


def _contents_of(document: Any) -> _WheelCode:
    found = _WheelCode(faults={str(name): str(fault) for name, fault in document["faults"].items()})
    for name, counts in document["libraries"].items():
        code = DeviceCode()
        code.cubins.update({str(key): int(count) for key, count in counts["cubins"].items()})
        code.ptx.update({str(key): int(count) for key, count in counts["ptx"].items()})
        found.libraries[str(name)] = code
    return found
