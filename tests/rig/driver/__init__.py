"""NVIDIA's driver and CUDA's libraries as test doubles, in C, compiled when a test wants them.

There is no GPU where the tests run, so no driver can be: these stand in for `libnvidia-ml.so.1` and
`libcuda.so.1`, lie where the NVIDIA runtime lays the real ones, and answer as `nvml.h` and `cuda.h` document.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parent
CRASHES, HANGS = -1, -2
"""What `status` and `cuda_status` may be besides a code: a library that crashes or hangs who calls it."""

GIB = 1 << 30
LIBRARY_FOLDER = "/usr/lib/x86_64-linux-gnu"
"""Where the NVIDIA runtime mounts the driver's libraries in Debian's and Ubuntu's containers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuDouble:
    """A GPU that is not there."""

    name: str
    capability: tuple[int, int]
    memory: int
    mig: int = -1
    """1 and 0: on and off; -1: it knows no MIG."""

    status: int = 0
    """What asking for it returns: 15 is a GPU that fell off the bus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverDouble:
    """A driver that is not there."""

    version: str
    cuda: int
    """Highest CUDA: 1000 × major + 10 × minor."""

    gpus: tuple[GpuDouble, ...] = ()
    status: int = 0
    """What `nvmlInit` returns."""

    cuda_status: int = 0
    """What `cuInit` returns, or that it crashes or hangs."""


T4 = GpuDouble(name="Tesla T4", capability=(7, 5), memory=15 * GIB)
V100 = GpuDouble(name="Tesla V100-SXM2-16GB", capability=(7, 0), memory=16 * GIB)
H100 = GpuDouble(name="NVIDIA H100 80GB HBM3", capability=(9, 0), memory=80 * GIB, mig=0)
RTX5090 = GpuDouble(name="NVIDIA GeForce RTX 5090", capability=(12, 0), memory=32 * GIB)

DRIVERS = {
    "t4-525": DriverDouble(version="525.147.05", cuda=12000, gpus=(T4,)),
    "v100-580": DriverDouble(version="580.95.05", cuda=13000, gpus=(V100,)),
    "h100-550": DriverDouble(version="550.90.07", cuda=12040, gpus=(H100, H100)),
    "rtx5090-570": DriverDouble(version="570.124.06", cuda=12080, gpus=(RTX5090,)),
    "no-gpu": DriverDouble(version="580.95.05", cuda=13000, cuda_status=100),
    "not-loaded": DriverDouble(version="580.95.05", cuda=13000, status=9, cuda_status=100),
    "mismatch": DriverDouble(version="580.95.05", cuda=13000, status=18, cuda_status=803),
    "cuda-crashing": DriverDouble(version="580.95.05", cuda=13000, gpus=(T4,), cuda_status=CRASHES),
    "crashing": DriverDouble(version="580.95.05", cuda=13000, status=CRASHES),
    "hanging": DriverDouble(version="580.95.05", cuda=13000, status=HANGS),
    "lost": DriverDouble(
        version="580.95.05",
        cuda=13000,
        gpus=(T4, GpuDouble(name="lost", capability=(7, 5), memory=0, status=15)),
    ),
}


def write_driver(double: DriverDouble, folder: Path, *, nvml: bool = True, cuda: bool = True) -> Path:
    """Compile the libraries of `double` into `folder`, named as the driver's installer names them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "double.h").write_text(_header(double))
    for wanted, source, name in ((nvml, "nvml.c", "libnvidia-ml"), (cuda, "cuda.c", "libcuda")):
        if wanted:
            file = f"{name}.so.{double.version}"
            _compile(SOURCES / source, folder / file, soname=f"{name}.so.1", options=(f"-I{folder}", "-ldl"))
            (folder / f"{name}.so.1").unlink(missing_ok=True)
            (folder / f"{name}.so.1").symlink_to(file)
    return folder


def write_library(path: Path, version: int, *, soname: str | None = None) -> Path:
    """Compile a library of CUDA that reports `version`; its soname is its file name unless given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return _compile(
        SOURCES / "runtime.c", path, soname=soname or path.name, options=(f"-DVERSION={version}",)
    )


def write_importer(path: Path, *, needed: Path, rpath: str, runpath: bool) -> Path:
    """Compile a library that needs `needed` and looks for it in `rpath`, as a framework's own does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    source = path.with_suffix(".c")
    source.write_text(
        "int cudaRuntimeGetVersion(int *);\nint ask(int *to) { return cudaRuntimeGetVersion(to); }\n"
    )
    tags = "--enable-new-dtags" if runpath else "--disable-new-dtags"
    options = (str(needed), f"-Wl,{tags},-rpath,{rpath},--no-as-needed")
    return _compile(source, path, soname=path.name, options=options)


def _compile(source: Path, path: Path, *, soname: str, options: tuple[str, ...]) -> Path:
    compiler = shutil.which("gcc") or "gcc"
    subprocess.run(
        [
            compiler,
            "-shared",
            "-fPIC",
            "-O1",
            "-Wall",
            "-Werror",
            f"-Wl,-soname,{soname}",
            "-o",
            path,
            source,
            *options,
        ],
        check=True,
        timeout=60,
    )
    return path


def _header(double: DriverDouble) -> str:
    gpus = ", ".join(
        f'{{"{gpu.name}", {major}, {minor}, {gpu.memory}ULL, {gpu.mig}, {gpu.status}}}'
        for gpu in double.gpus
        for major, minor in [gpu.capability]
    )
    return f"""\
#define DRIVER_VERSION "{double.version}"
#define CUDA_VERSION {double.cuda}
#define CUDA_STATUS ({double.cuda_status})
#define NVML_STATUS ({double.status})
#define CRASHES ({CRASHES})
#define HANGS ({HANGS})
#define GPU_COUNT {len(double.gpus)}u
struct gpu {{
    const char *name;
    int major, minor;
    unsigned long long memory;
    int mig, status;
}};
static const struct gpu GPUS[GPU_COUNT + 1] __attribute__((unused)) = {{{gpus or "{0}"}}};
"""
