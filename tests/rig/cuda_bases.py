"""Stand-ins for images of nvidia/cuda, and for a standalone Python: neither can be had where the tests run.

An image has the variables of the real one of its tag (names and values from NVIDIA's Dockerfiles), Debian's
packages without a Python, and a runtime library in /usr/local/cuda that reports a version of its own: whoever
loads it in place of a wheel's is found out.
"""

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.rig.bases import (
    Base,
    Layer,
    PushedImage,
    debian_base,
    digest_of,
    file_entry,
    folder_entry,
    push_base,
    python_base,
    relocated_interpreter,
    write_layer,
)
from tests.rig.driver import write_library
from tests.rig.registry import Registry

SHADOW_VERSION = 12_000
"""What the runtime library of a stand-in reports: that of no wheel the tests install."""

_BASE_ENVIRONMENT: Mapping[str, str] = {
    "NVARCH": "x86_64",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    "NVIDIA_PRODUCT_NAME": "CUDA",
    "NVIDIA_REQUIRE_CUDA": "cuda>=12.6 brand=tesla,driver>=535,driver<536",
    "NVIDIA_VISIBLE_DEVICES": "all",
    "PATH": "/usr/local/nvidia/bin:/usr/local/cuda/bin:"
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}
_FLAVOURS = ("base", "runtime", "cudnn-runtime", "devel")


def cuda_environment(cuda: str, flavour: str) -> dict[str, str]:
    """Return the variables an image of nvidia/cuda has: each flavour adds to the one below it."""
    found = {
        **_BASE_ENVIRONMENT,
        "CUDA_VERSION": cuda,
        "NV_CUDA_CUDART_VERSION": f"{cuda.rpartition('.')[0]}.77-1",
        # since 12.8.1 the toolkit's folder is on it
        "LD_LIBRARY_PATH": "/usr/local/nvidia/lib:/usr/local/nvidia/lib64:/usr/local/cuda/lib64",
    }
    if flavour != "base":
        found |= {"NV_CUDA_LIB_VERSION": f"{cuda}-1", "NCCL_VERSION": "2.23.4-1"}
    if flavour.startswith("cudnn"):
        found["NV_CUDNN_VERSION"] = "9.5.1.17-1"
    if flavour.endswith("devel"):
        found |= {
            "NV_CUDA_CUDART_DEV_VERSION": f"{cuda}-1",
            "LIBRARY_PATH": "/usr/local/cuda/lib64/stubs",
        }
    return found


def push_cuda_base(registry: Registry, tag: str, folder: Path) -> PushedImage:
    """Push a stand-in under the real repository path and ``tag``; ``folder`` is for its layer."""
    cuda, _, rest = tag.partition("-")
    flavour = rest.rpartition("-")[0]
    major = cuda.partition(".")[0]
    libraries = {f"usr/local/cuda/lib64/libcudart.so.{major}": SHADOW_VERSION}
    if flavour != "base":
        libraries["usr/lib/x86_64-linux-gnu/libnccl.so.2"] = 22_304
    if flavour.startswith("cudnn"):
        libraries["usr/lib/x86_64-linux-gnu/libcudnn.so.9"] = 90_501
    contents = {
        name: write_library(folder / Path(name).name, version).read_bytes()
        for name, version in libraries.items()
    }
    parents = {str(parent) for name in libraries for parent in Path(name).parents if str(parent) != "."}
    layer = folder / f"{tag}.tar.gz"
    write_layer(
        layer,
        [
            *map(folder_entry, sorted(parents)),
            *(file_entry(name, content) for name, content in sorted(contents.items())),
        ],
    )
    content = layer.read_bytes()
    toolkit = Layer(
        path=layer,
        digest=digest_of(content),
        diff_id=digest_of(gzip.decompress(content)),
        size=len(content),
    )
    system = python_base()
    base = Base(
        layers=(system.layers[0], toolkit),
        architecture=system.architecture,
        python_version=system.python_version,
        command=("bash",),
    )
    return push_base(base, registry, "nvidia/cuda", tag, environment=cuda_environment(cuda, flavour))


def write_standalone_python(path: Path) -> str:
    """Write an archive laid out as python-build-standalone's, of Debian's interpreter; return its version."""
    debian = debian_base()
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for entry, content in relocated_interpreter(debian):
            name = entry.name.removeprefix("usr/local").lstrip("/")
            if not name or name == "usr":
                continue
            entry.name = f"python/{name}"
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return debian.python_version
