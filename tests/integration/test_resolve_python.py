"""Real packages from the machine's own index, through both resolvers."""

import platform
from pathlib import Path

import pytest

from envbuild.lock.model import Libc, Wheel
from envbuild.platforms import ARM64, host
from envbuild.progress import SilentProgress
from envbuild.remote.index.client import PythonIndex
from envbuild.resolve.python.backend import PythonResolver
from envbuild.resolve.python.pip_tools import PipToolsResolver
from envbuild.resolve.python.resolve import INSTALLER, pin_tool, resolve_python
from envbuild.resolve.python.target import TargetPython
from envbuild.resolve.python.uv import UvResolver
from envbuild.spec.request import BaseRequest, PipRequest, VariantRequest

pytestmark = pytest.mark.network

TABLE = ("numpy", "pandas", "scikit-learn", "fastapi[standard]")


@pytest.fixture(scope="module")
def own() -> TargetPython:
    """Return this machine as a target: the only one pip-tools can resolve for."""
    here = host()
    if here is None or platform.libc_ver()[0] != "glibc":
        pytest.skip("needs Linux with glibc")
    libc = Libc(family="glibc", version=platform.libc_ver()[1])
    return TargetPython(here, libc, platform.python_version())


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def index() -> PythonIndex:
    return PythonIndex.of_this_machine()


def request_for(*requirements: str, constraints: tuple[str, ...] = ()) -> VariantRequest:
    pip = PipRequest(requirements=requirements, constraints=constraints)
    return VariantRequest(python="3.11", base=BaseRequest(image="base"), pip=pip)


def resolved(
    request: VariantRequest, target: TargetPython, resolver: PythonResolver, index: PythonIndex, cache: Path
) -> tuple[Wheel, ...]:
    return resolve_python(
        request, target, resolver=resolver, index=index, cache=cache, progress=SilentProgress()
    ).wheels


CORPUS = [
    pytest.param(request_for("numpy", "pandas", "scikit-learn"), id="sklearn example"),
    pytest.param(
        request_for("transformers[sentencepiece,tiktoken,retrieval]"),
        id="transformers with extras",
        marks=pytest.mark.long,
    ),
    pytest.param(
        request_for(
            "black[jupyter]",
            'colorama; sys_platform == "win32"',
            "httpx[http2,socks]",
            'importlib-metadata; python_version < "3.8"',
            "ipython",
            "keyring",
            'pywin32; platform_system == "Windows"',
            'tomli; python_version < "3.11"',
            'typing-extensions; python_version < "3.13"',
            'uvloop; platform_python_implementation == "CPython" and sys_platform != "win32"',
        ),
        id="markers",
    ),
    pytest.param(
        request_for(
            "matplotlib>=3.7",
            "pandas",
            "requests[socks]>=2.28",
            constraints=("numpy<2.3", "pandas<2.3", "pillow!=11.3.0", "urllib3<2.5"),
        ),
        id="requirements and constraints",
    ),
    pytest.param(request_for("jax"), id="jax on CPU", marks=pytest.mark.long),
    pytest.param(request_for("fastapi[standard]"), id="fastapi", marks=pytest.mark.long),
]


@pytest.mark.slow
@pytest.mark.parametrize("request_", CORPUS)
def test_uv_and_pip_tools_agree(
    request_: VariantRequest, own: TargetPython, index: PythonIndex, cache: Path
) -> None:
    by_uv = resolved(request_, own, UvResolver(index.configuration), index, cache)
    by_pip = resolved(request_, own, PipToolsResolver(index.configuration), index, cache)
    assert by_uv == by_pip
    assert all(wheel.hash_source == "index" for wheel in by_uv)


def test_every_platform_resolves_on_this_machine(index: PythonIndex, cache: Path) -> None:
    target = TargetPython(ARM64, Libc(family="glibc", version="2.41"), "3.13.5")
    wheels = resolved(request_for("numpy", "requests"), target, UvResolver(index.configuration), index, cache)
    files = {wheel.name: wheel.file for wheel in wheels}
    assert "cp313-cp313-manylinux" in files["numpy"]
    assert "aarch64" in files["numpy"]
    assert files["requests"].endswith("-py3-none-any.whl")


def test_wheels_name_no_host_and_can_be_found_again(
    own: TargetPython, index: PythonIndex, cache: Path
) -> None:
    (wheel,) = resolved(request_for("six"), own, UvResolver(index.configuration), index, cache)
    assert wheel.path is not None
    assert not wheel.path.startswith(("/", "http"))
    located = index.locate(wheel.name, wheel.file, wheel.index)
    assert located.url.endswith(f"/{wheel.path}")
    assert (located.sha256, located.size) == (wheel.sha256, wheel.size)


def test_the_installer_is_on_the_index(own: TargetPython, index: PythonIndex, cache: Path) -> None:
    wheel = pin_tool(INSTALLER, own, index=index, cache=cache)
    assert wheel.file == f"installer-{wheel.version}-py3-none-any.whl"
