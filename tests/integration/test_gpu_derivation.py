"""What is derived from names and versions, against what real wheels say inside: read by ranges, not fetched.

`torch/version.py` holds the CUDA torch was built with, and the lists of files of NVIDIA's wheels the
libraries and where they lie: neither had a say in the derivation or the table it came from.
"""

import re
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from packaging.requirements import Requirement

from envbuild.formats.core_metadata import parse_metadata
from envbuild.remote.index.client import PythonIndex
from envbuild.remote.index.metadata import TAIL, IndexRanges, RangeStream
from envbuild.remote.index.page import IndexFile
from envbuild.resolve.gpu.derive import Derivation, GpuPackage, derive

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.xdist_group("gpu-derivation")]

RELEASES = ("2.2.2", "2.4.1", "2.5.1", "2.7.1", "2.8.0", "2.11.0", "2.14.1", "2.15.0")
TARGET = {
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "sys_platform": "linux",
    "os_name": "posix",
    "python_version": "3.11",
    "python_full_version": "3.11.9",
    "implementation_name": "cpython",
}
COMPARED = ("cudart", "cublas", "cudnn", "nccl")


class Wheels:
    """Wheels of the client's own index, looked into by ranges."""

    def __init__(self, index: PythonIndex) -> None:
        self.index = index

    def file(self, name: str, version: str) -> IndexFile:
        """Return the wheel of a release for Linux on x86-64 and Python 3.11."""
        fitting = [
            file
            for file in self.index.page(name).files(version)
            if re.search(r"manylinux[0-9_]*.*_x86_64\.whl$|-any\.whl$", file.filename)
            and re.search(r"-(cp311-cp311|py3-none|py2\.py3-none)-", file.filename)
        ]
        assert fitting, f"{name} {version} is not on the index"
        return fitting[0]

    def open(self, name: str, version: str) -> zipfile.ZipFile:
        """Return a wheel's zip; only what is read of it is fetched."""
        file = self.file(name, version)
        source = IndexRanges(self.index, file.url, "default")
        size = self.index.size(file)
        start = max(0, size - TAIL)
        return zipfile.ZipFile(RangeStream(source, size, start, source.read(start, size)))

    def requires(
        self, name: str, version: str, extras: frozenset[str] = frozenset()
    ) -> Iterator[Requirement]:
        """Yield what a release requires on the target."""
        with self.open(name, version) as wheel:
            (path,) = (item for item in wheel.namelist() if item.endswith(".dist-info/METADATA"))
            lines = parse_metadata(wheel.read(path)).requires
        for requirement in map(Requirement, lines):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({**TARGET, "extra": extra}) for extra in ("", *extras)):
                yield requirement

    def nvidia(self, name: str, version: str, extras: frozenset[str] = frozenset()) -> Iterator[GpuPackage]:
        """Yield the wheels of NVIDIA a release brings, each at the version that satisfies it."""
        for requirement in self.requires(name, version, extras):
            if not requirement.name.startswith(("nvidia-", "cuda-toolkit")):
                continue
            releases = self.index.page(requirement.name).by_version()
            found = str(max(requirement.specifier.filter(releases)))
            yield GpuPackage(name=requirement.name, version=found)
            if requirement.extras:
                yield from self.nvidia(requirement.name, found, frozenset(requirement.extras))


@pytest.fixture(scope="module")
def wheels() -> Iterator[Wheels]:
    index = PythonIndex.of_this_machine()
    yield Wheels(index)
    index.close()


@pytest.mark.parametrize("release", RELEASES)
def test_the_derived_cuda_is_the_one_torch_was_built_with(wheels: Wheels, release: str) -> None:
    brought = tuple(wheels.nvidia("torch", release))
    found = derive((GpuPackage(name="torch", version=release), *brought))
    with wheels.open("torch", release) as wheel:
        said = wheel.read("torch/version.py").decode()
        names = {PurePosixPath(name).name for name in wheel.namelist()}
    built = re.search(r"^cuda: Optional\[str\] = '([0-9.]+)'|^cuda = '([0-9.]+)'", said, re.MULTILINE)
    assert built is not None, said
    cuda = built[1] or built[2]
    assert found.runtime == cuda
    assert found.majors == (int(cuda.partition(".")[0]),)
    # torch itself brings none of what was derived from NVIDIA's wheels
    assert names.isdisjoint(library.soname for library in found.libraries)
    _assert_libraries_are_where_the_lock_says(wheels, brought, found)


def _assert_libraries_are_where_the_lock_says(
    wheels: Wheels, brought: tuple[GpuPackage, ...], found: Derivation
) -> None:
    versions = {package.name: package.version for package in brought}
    compared = [library for library in found.libraries if library.name in COMPARED]
    assert {library.name for library in compared} == set(COMPARED)
    for library in compared:
        name = library.provider.removeprefix("wheel ")
        with wheels.open(name, versions[name]) as wheel:
            assert library.path in wheel.namelist()
