"""Which file an import would load for a library of CUDA or ROCm, and what version that file says it is.

The search is the loader's (ld.so(8)): the asking object's RPATH, then ``LD_LIBRARY_PATH``, then its RUNPATH,
then the system's folders.  Who asks is a framework's own library, since it and not the wheels decides: most
of NVIDIA's wheels have no search path of their own.  Importing the framework shows what really came of it.
"""

import ctypes
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from envbuild.verify.checks.gpu_facts import LibraryFacts
from envbuild.verify.probe.elf import DynamicSectionError, read_dynamic
from envbuild.verify.probe.isolated import isolated
from envbuild.verify.probe.nvidia import cuda_version, mapped_path

_PATIENCE = 60.0
"""Seconds a library may take to load and say its version."""

FoundBy = Literal["rpath", "environment", "runpath", "wheel", "loader"]

_ASKERS = (
    ("torch/lib/libc10_cuda.so", False),
    ("torch/lib/libtorch_cuda.so", False),
    ("torch/lib/libtorch_hip.so", False),
    ("jax_plugins/xla_cuda*/xla_cuda_plugin.so", True),
    ("jax_plugins/xla_rocm*/xla_rocm_plugin.so", True),
    ("tensorflow/libtensorflow_cc.so.2", True),
    ("onnxruntime/capi/libonnxruntime_providers_cuda.so", False),
)
"""Libraries of frameworks that bring CUDA or ROCm in, below a folder of packages; whether they open what they
want by name while running (XLA does) rather than list it as needed."""

_WHEEL_FOLDERS = ("nvidia/*/lib", "torch/lib", "*.libs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """A framework's library, and how it searches."""

    path: str
    needed: frozenset[str]
    opens_by_name: bool
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]

    def wants(self, soname: str) -> bool:
        """Return whether it brings that library in."""
        return self.opens_by_name or soname in self.needed


def library_facts(
    libraries: Mapping[str, str | None], *, folders: Iterable[str], environment: Mapping[str, str]
) -> tuple[LibraryFacts, ...]:
    """Return where each of ``libraries`` would come from, and its version.

    They are sonames, each with the absolute path where it should be, if that is known.  ``folders`` are where
    the environment's packages lie.
    """
    places = tuple(Path(folder) for folder in folders)
    askers = tuple(_askers(places))
    search = library_path(environment)
    return tuple(
        replace(_with_version(_locate(soname, askers, places, search)), leads_to=_file_at(path))
        for soname, path in libraries.items()
    )


def library_path(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the folders of ``LD_LIBRARY_PATH``; an empty entry is the working directory (ld.so(8))."""
    value = environment.get("LD_LIBRARY_PATH", "")
    return tuple(part or "." for part in re.split("[:;]", value)) if value else ()


def _askers(places: Iterable[Path]) -> Iterable[Asker]:
    for place in places:
        for pattern, opens_by_name in _ASKERS:
            for path in sorted(place.glob(pattern)):
                try:
                    dynamic = read_dynamic(path)
                except (DynamicSectionError, OSError):
                    continue  # what is wrong with it is for --deep to say: here it only fails to ask
                yield Asker(
                    path=str(path),
                    needed=frozenset(dynamic.needed),
                    opens_by_name=opens_by_name,
                    rpath=dynamic.rpath,
                    runpath=dynamic.runpath,
                )


def _locate(
    soname: str, askers: Iterable[Asker], places: Iterable[Path], search: tuple[str, ...]
) -> LibraryFacts:
    in_environment = _first(search, soname)
    asker = next((asker for asker in askers if asker.wants(soname)), None)
    steps: list[tuple[FoundBy, str | None]] = [("environment", in_environment)]
    if asker is not None:
        steps.insert(0, ("rpath", _first(asker.rpath, soname)))
        steps.append(("runpath", _first(asker.runpath, soname)))
    else:
        wheels = (
            str(folder)
            for place in places
            for pattern in _WHEEL_FOLDERS
            for folder in sorted(place.glob(pattern))
        )
        steps.append(("wheel", _first(wheels, soname)))
    found_by: FoundBy = "loader"
    path = None
    for step, place in steps:
        if place is not None:
            found_by, path = step, place
            break
    problem = None
    if path is None:
        answer = isolated(lambda: _by_name(soname), seconds=_PATIENCE)
        path, problem = answer.value, answer.problem
    shadow = in_environment if path and in_environment and in_environment != path else None
    return LibraryFacts(
        soname=soname,
        path=path,
        wanted_by=asker.path if asker else None,
        found_by=found_by if path else None,
        shadowed_by=shadow,
        problem=problem,
    )


def _first(folders: Iterable[str], soname: str) -> str | None:
    for folder in folders:
        path = os.path.join(folder, soname)  # noqa: PTH118 - as the loader joins them
        if os.path.exists(path):  # noqa: PTH110
            return os.path.realpath(path)
    return None


def _file_at(path: str | None) -> str | None:
    return os.path.realpath(path) if path and os.path.exists(path) else None  # noqa: PTH110


def _by_name(soname: str) -> str | None:
    ctypes.CDLL(soname)
    path = mapped_path(soname.partition(".so")[0])
    return os.path.realpath(path) if path else None


def _with_version(facts: LibraryFacts) -> LibraryFacts:
    reporter = _REPORTERS.get(library_name(facts.soname))
    path = facts.path
    if reporter is None or path is None:
        return facts
    answer = isolated(lambda: reporter(ctypes.CDLL(path)), seconds=_PATIENCE)
    return replace(facts, version=answer.value, problem=answer.problem)


def library_name(soname: str) -> str:
    """Return ``cudart`` for ``libcudart.so.13`` and for a wheel's copy (``libcudart-d0da41ae.so.11.0``)."""
    return re.sub(r"^lib|(-[0-9a-f]{8})?\.so.*$", "", soname)


def _cudart(library: ctypes.CDLL) -> str:
    return cuda_version(_by_pointer(library, "cudaRuntimeGetVersion"))


def _cudnn(library: ctypes.CDLL) -> str:
    """9.x: major × 10000 + minor × 100 + patch; before, major × 1000 (cudnn_version.h)."""
    function = library.cudnnGetVersion
    function.restype = ctypes.c_size_t
    number = int(function())
    return _parts(number, 10000 if number >= 90000 else 1000)  # noqa: PLR2004 - as said above


def _nccl(library: ctypes.CDLL) -> str:
    """From 2.9 on major × 10000 + minor × 100 + patch; before, major × 1000 (nccl.h)."""
    number = _by_pointer(library, "ncclGetVersion")
    return _parts(number, 10000 if number >= 10000 else 1000)  # noqa: PLR2004 - as said above


def _hip(library: ctypes.CDLL) -> str:
    """Major × 10000000 + minor × 100000 + patch (hip_version.h)."""
    number = _by_pointer(library, "hipRuntimeGetVersion")
    return f"{number // 10_000_000}.{number // 100_000 % 100}.{number % 100_000}"


def _by_pointer(library: ctypes.CDLL, function: str) -> int:
    number = ctypes.c_int()
    status = library[function](ctypes.byref(number))
    if status != 0:
        raise OSError(f"{function} returned {status}")
    return number.value


def _parts(number: int, major: int) -> str:
    return f"{number // major}.{number % major // 100}.{number % 100}"


_REPORTERS: dict[str, Callable[[ctypes.CDLL], str]] = {
    "amdhip64": _hip,
    "cudart": _cudart,
    "cudnn": _cudnn,
    "nccl": _nccl,
    "rccl": _nccl,
}
