"""Locks made by hand, small but whole, for tests that need a value rather than a resolution."""

from datetime import UTC, datetime
from typing import Literal

from envbuild.digest import sha256_bytes
from envbuild.lock.conda import CondaPackage
from envbuild.lock.gpu import GpuArchitectures, GpuLibrary, GpuVerdict, TargetGpu
from envbuild.lock.model import (
    Base,
    Builder,
    CondaInstaller,
    Deb,
    ImageSource,
    Interpreter,
    Libc,
    Lock,
    OsRelease,
    PackagesSource,
    Target,
    User,
    Wheel,
    WheelSource,
)
from envbuild.spec.request import (
    BaseRequest,
    CondaRequest,
    GpuRequest,
    ImageRequest,
    PipRequest,
    Request,
    SystemRequest,
    VariantRequest,
)

CREATED = datetime(2026, 9, 6, 10, 0, tzinfo=UTC)
UPLOADED = datetime(2026, 10, 1, 12, 30, 15, tzinfo=UTC)

TARGET_DIGEST = f"sha256:{'9' * 64}"
"""Of a target that a test writes as plain JSON: what only its variables for trackers hold."""


def hexadecimal(seed: str) -> str:
    """Return 64 hexadecimal digits that stand for the content called ``seed``."""
    return sha256_bytes(seed.encode())


def digest(seed: str) -> str:
    """Return an OCI digest for the content called ``seed``."""
    return f"sha256:{hexadecimal(seed)}"


def wheel(name: str, version: str = "1.0", *, size: int = 5_000, requires: tuple[str, ...] = ()) -> Wheel:
    """Return a pure wheel."""
    file = f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    return Wheel(
        name=name,
        version=version,
        file=file,
        size=size,
        sha256=hexadecimal(file),
        path=f"packages/aa/bb/{file}",
        uploaded=UPLOADED,
        requires_python=">=3.9",
        requires=requires,
        license="MIT",
    )


def deb(
    name: str,
    version: str = "1.0-1",
    *,
    depends: tuple[str, ...] = (),
    provides: tuple[str, ...] = (),
    essential: bool = False,
) -> Deb:
    """Return a package of the main archive."""
    file = f"{name}_{version}_amd64.deb"
    return Deb(
        name=name,
        version=version,
        architecture="amd64",
        file=file,
        size=1_000,
        sha256=hexadecimal(file),
        archive="debian",
        path=f"pool/main/{name[0]}/{name}/{file.replace(':', '%3a')}",
        source=name,
        depends=depends,
        provides=provides,
        essential=essential,
    )


INSTALLER = wheel("installer", "1.1.0", size=460_000)
WHEELS = (
    INSTALLER,
    wheel("joblib", "1.5.2", size=308_000),
    wheel("numpy", "2.3.4", size=16_000_000),
    wheel("scikit-learn", "1.7.2", size=9_000_000, requires=("joblib>=1.2", "numpy>=1.22")),
)
BASE_DEBS = (
    deb("base-files", "12.4+deb12u12", essential=True, depends=("awk",)),
    deb("bash", "5.2.15-2+b9", essential=True, depends=("libc6 (>= 2.36)", "base-files (>= 2.1.12)")),
    deb("libc6", "2.36-9+deb12u13"),
    deb("mawk", "1.3.4", provides=("awk",), depends=("libc6 (>= 2.34)",)),
    deb("python3.11", "3.11.2-6+deb12u6", depends=("libc6 (>= 2.36)",)),
)
GIT = deb("git", "1:2.39.5-0+deb12u2", depends=("libc6 (>= 2.34)",))
OS = OsRelease(
    id="debian", version_id="12", codename="bookworm", pretty_name="Debian GNU/Linux 12 (bookworm)"
)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def request(*, image: str | None = None) -> Request:
    """Return a request for one variant on linux/amd64."""
    return Request(
        name="train",
        platforms=("linux/amd64",),
        default_variant="default",
        variants={
            "default": VariantRequest(
                python="3.11",
                base=BaseRequest(image=image) if image else BaseRequest(packages="debian:bookworm"),
                pip=PipRequest(requirements=("numpy>=2", "scikit-learn")),
                system=SystemRequest(packages=("git",)),
                image=ImageRequest(env={"GREETING": 'say "hi" for $5\\'}),
                seed=7,
            )
        },
    )


def packages_base() -> Base:
    """Return a base bootstrapped from packages."""
    return Base(
        key="debian:bookworm linux/amd64",
        platform="linux/amd64",
        packages=PackagesSource(distribution="debian:bookworm", debs=tuple(item.file for item in BASE_DEBS)),
        created=CREATED,
        os=OS,
        libc=Libc(family="glibc", version="2.36"),
        env={"LANG": "C.UTF-8", "PATH": PATH},
        users={"root": "0:0"},
    )


def image_base(reference: str = "registry.example.com/python:3.11-slim") -> Base:
    """Return a base taken from a registry."""
    return Base(
        key=f"{reference} linux/amd64",
        platform="linux/amd64",
        image=ImageSource(
            reference=reference,
            index=digest("index"),
            digest=digest("manifest"),
            config=digest("config"),
            layers=(digest("layer"),),
            diff_ids=(digest("diff"),),
        ),
        created=CREATED,
        os=OS,
        libc=Libc(family="glibc", version="2.36"),
        env={"LANG": "C.UTF-8", "PATH": PATH},
        users={"root": "0:0"},
        debs=("libc6=2.36-9+deb12u13:amd64",),
    )


def sample_lock(base: Base | None = None) -> Lock:
    """Return a lock of three wheels and git on ``base``."""
    base = base or packages_base()
    target = Target(
        variant="default",
        platform="linux/amd64",
        base=base.key,
        interpreter=Interpreter(
            version="3.11.2", path="/usr/bin/python3.11", provider="deb python3.11-minimal"
        ),
        installer=INSTALLER.file,
        debs=(GIT.file,),
        wheels=tuple(item.file for item in WHEELS if item is not INSTALLER),
        env={
            "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
            "GREETING": 'say "hi" for $5\\',
            "LANG": "C.UTF-8",
            "PATH": f"/opt/venv/bin:{PATH}",
            "PYTHONHASHSEED": "7",
            "VIRTUAL_ENV": "/opt/venv",
        },
        user=User(name="app", uid=1000, gid=1000),
        workdir="/workspace",
        command=("python",),
    )
    debs = (*(BASE_DEBS if base.packages else ()), GIT)
    return Lock(
        tools={"apt": "2.6.1", "uv": "0.9.0"},
        request=request(image=base.image.reference if base.image else None),
        targets=(target,),
        bases=(base,),
        debs=tuple(sorted(debs, key=lambda item: item.file)),
        wheels=WHEELS,
    )


GPU = TargetGpu(
    vendor="nvidia",
    runtime="13.0",
    toolkit="13.0.3",
    majors=(13,),
    driver_minimum="580.65.06",
    driver_toolkit="580.95.05",
    image="slim",
    evidence=("nvidia-cuda-runtime 13.0.96 is CUDA 13.0", "cuda-toolkit 13.0.3 names the update: 13.0.3"),
    libraries=(
        GpuLibrary(
            name="cudart",
            soname="libcudart.so.13",
            version="13.0.96",
            provider="wheel nvidia-cuda-runtime",
            path="lib/python3.11/site-packages/nvidia/cu13/lib/libcudart.so.13",
        ),
    ),
    architectures=(
        GpuArchitectures(
            wheel="torch-2.14.1-cp311-cp311-manylinux_2_28_x86_64.whl",
            library="torch/lib/libtorch_cuda.so",
            role="framework",
            cubins={"sm_75": 470, "sm_80": 475},
        ),
    ),
    fleet=(
        GpuVerdict(
            target="T4",
            capability="sm_75",
            driver="580",
            driver_state="toolkit",
            kernels="cubin",
            ok=True,
            reason="driver 580 has CUDA 13.0, and 470 of 475 kernels are there for sm_75",
        ),
    ),
)
"""What a lock says of CUDA: one value of each kind."""


def gpu_lock(base: Base | None = None) -> Lock:
    """Return :func:`sample_lock` with a GPU."""
    lock = sample_lock(base)
    (target,) = lock.targets
    variant = lock.request.variants["default"].model_copy(
        update={"gpu": GpuRequest(targets=("T4",), driver=">=580")}
    )
    request = lock.request.model_copy(update={"variants": {"default": variant}})
    return lock.model_copy(update={"request": request, "targets": (target.model_copy(update={"gpu": GPU}),)})


RATTLER = wheel("py-rattler", "0.28.0", size=24_000_000)


def conda_package(
    name: str,
    version: str = "1.0",
    build: str = "h1_0",
    *,
    noarch: Literal["generic", "python"] | None = None,
    **fields: object,
) -> CondaPackage:
    """Return a package of conda-forge."""
    file = f"{name}-{version}-{build}.conda"
    return CondaPackage(
        name=name,
        version=version,
        build=build,
        build_number=0,
        channel="conda-forge",
        subdir="noarch" if noarch else "linux-64",
        file=file,
        size=20_000,
        sha256=hexadecimal(file),
        md5=hexadecimal(file)[:32],
        timestamp=UPLOADED,
        noarch=noarch,
        license="BSD-3-Clause",
    ).model_copy(update=fields)


CONDA_PACKAGES = (
    conda_package("numpy", "2.3.4", "py311_0", depends=("python >=3.11,<3.12.0a0",), size=9_000_000),
    conda_package("proj", "9.6.0", env={"PROJ_DATA": "/opt/conda/share/proj"}),
    conda_package("python", "3.11.9", "h1_0_cpython", size=30_000_000),
    conda_package("tqdm", "4.67.1", "pyhd8ed1ab_0", noarch="python", distributions=("tqdm==4.67.1",)),
)


def conda_lock(base: Base | None = None) -> Lock:
    """Return :func:`sample_lock` with its environment made of conda packages, one wheel on top."""
    lock = sample_lock(base)
    (target,) = lock.targets
    joblib = lock.wheels[1]
    packages = tuple(sorted(CONDA_PACKAGES, key=lambda package: package.key))
    conda = CondaRequest(channels=("conda-forge",), packages=("numpy >=2", "proj", "python 3.11.*", "tqdm"))
    variant = lock.request.variants["default"].model_copy(
        update={"conda": conda, "pip": PipRequest(requirements=("joblib",))}
    )
    env = target.env | {
        "CONDA_PREFIX": "/opt/conda",
        "PATH": f"/opt/conda/bin:{PATH}",
        "PROJ_DATA": "/opt/conda/share/proj",
    }
    del env["VIRTUAL_ENV"]
    target = target.model_copy(
        update={
            "interpreter": Interpreter(
                version="3.11.9", path="/opt/conda/bin/python3.11", provider="conda python"
            ),
            "wheels": (joblib.file,),
            "conda": tuple(package.key for package in packages),
            "conda_installer": CondaInstaller(wheel=RATTLER.file, interpreter=target.interpreter),
            "env": dict(sorted(env.items())),
        }
    )
    return lock.model_copy(
        update={
            "request": lock.request.model_copy(update={"variants": {"default": variant}}),
            "targets": (target,),
            "wheels": (INSTALLER, joblib, RATTLER),
            "conda": packages,
        }
    )


BUILD_TOOL = wheel("setuptools", "84.2.1", size=1_000_000)
COMPILER = deb("gcc", "4:12.2.0-3")


def source_lock(base: Base | None = None, *, name: str = "langdetect", source: str = "source") -> Lock:
    """Return the sample lock with a wheel that is built; ``source`` stands for what it is built from."""
    plain = sample_lock(base)
    built = wheel(name, "1.0.9").model_copy(update={"hash_source": "built"})
    (target,) = plain.targets
    key = target.base
    return plain.model_copy(
        update={
            "targets": (target.model_copy(update={"wheels": tuple(sorted((*target.wheels, built.file)))}),),
            "wheels": tuple(sorted((*plain.wheels, built, BUILD_TOOL), key=lambda item: item.file)),
            "debs": tuple(sorted((*plain.debs, COMPILER), key=lambda item: item.file)),
            "builders": (Builder(key=key, base=key, interpreter=target.interpreter, debs=(COMPILER.file,)),),
            "sources": (
                WheelSource(
                    wheel=built.file,
                    file=f"{name}-1.0.9.tar.gz",
                    size=981_474,
                    sha256=hexadecimal(source),
                    path=f"packages/aa/{name}-1.0.9.tar.gz",
                    builder=key,
                    requires=(BUILD_TOOL.file,),
                    contents=(f"{name}/__init__.py {hexadecimal('content')}",),
                ),
            ),
        }
    )
