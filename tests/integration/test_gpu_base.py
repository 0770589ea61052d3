"""A base matched to CUDA, end to end: stand-ins for nvidia/cuda in a registry, all else real."""

import json
import os
import subprocess
import sys
import tomllib

import pytest

from tests.rig.bases import push_base, python_base
from tests.rig.cuda_bases import push_cuda_base, write_standalone_python
from tests.rig.engine import forget_at_the_end
from tests.rig.index import make_wheel
from tests.rig.paths import CHECKOUT
from tests.rig.web import Answer, LoopbackServer

pytestmark = [
    pytest.mark.engine,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.xdist_group("gpu-base"),
]

DEVEL = "12.6.3-devel-ubuntu24.04"
RUNTIME = "12.9.1-runtime-ubuntu24.04"
FILE = "cpython-3.11.2+20260101-x86_64-unknown-linux-gnu-install_only_stripped.tar.gz"

# stands for the table of builds: the real ones cannot be had here
TABLE = """
from collections import namedtuple
PythonVersion = namedtuple("PythonVersion", "implementation major minor micro freethreaded")
def get_download_link(request, arch=None, platform=None):
    if "{version}" != request:
        raise ValueError(request)
    return PythonVersion("cpython", *map(int, "{version}".split(".")), False), (
        "https://builds.example.com/download/20260101/{quoted}", "{sha256}")
"""


def envbuild(*arguments, folder, environment):
    result = subprocess.run(
        [sys.executable, "-m", "envbuild", *arguments],
        cwd=folder,
        env={**os.environ, **environment, "PYTHONPATH": f"{environment.get('SHIM', '')}:{CHECKOUT}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if result.returncode != 0:
        pytest.fail(
            f"envbuild {' '.join(arguments)} exited {result.returncode}\n{result.stderr}{result.stdout}"
        )
    return result


def write_spec(folder, text):
    folder.mkdir()
    (folder / "envbuild.toml").write_text(f'name = "gpu-base-{os.getpid()}"\n{text}')


@pytest.fixture(scope="module")
def pythons(tmp_path_factory):
    """Serve a standalone Python, and have its table say so."""
    folder = tmp_path_factory.mktemp("pythons")
    archive = folder / FILE
    version = write_standalone_python(archive)
    digest = subprocess.run(
        ["sha256sum", archive], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    table = folder / "shim" / "pbs_installer"
    table.mkdir(parents=True)
    quoted = FILE.replace("+", "%2B")
    (table / "__init__.py").write_text(TABLE.format(version=version, quoted=quoted, sha256=digest))

    def answer(request):
        return Answer(content=archive) if request.path == f"/mirror/20260101/{FILE}" else None

    with LoopbackServer(answer) as server:
        yield version, {"ENVBUILD_PYTHON_URL": f"{server.url}/mirror", "SHIM": str(table.parent)}


def test_a_compiler_from_the_system_and_cuda_from_wheels_do_not_meet(
    pythons, registry, engine_host, tmp_path
):
    version, environment = pythons
    push_cuda_base(registry, DEVEL, tmp_path)
    project = tmp_path / "project"
    write_spec(
        project,
        f"""
        python = "{version}"
        [pip]
        packages = ["nvidia-cuda-runtime-cu12==12.6.77"]
        [gpu]
        cuda = "12.6"
        image = "devel"
        registry = "{registry.host}"
        """,
    )
    said = envbuild("lock", folder=project, environment=environment).stderr
    lock = tomllib.loads((project / "envbuild.lock").read_text())
    (target,) = lock["targets"]
    assert lock["bases"][0]["image"]["reference"] == f"{registry.host}/nvidia/cuda:{DEVEL}"
    assert target["gpu"]["image"] == "devel"
    assert target["interpreter"]["provider"] == "standalone"
    assert target["interpreter"]["archive"]["path"] == f"20260101/{FILE.replace('+', '%2B')}"
    assert "builds.example.com" not in (project / "envbuild.lock").read_text()
    assert target["env"]["LD_LIBRARY_PATH"] == "/usr/local/nvidia/lib:/usr/local/nvidia/lib64"
    assert "standalone Python" in said

    image = envbuild("build", folder=project, environment=environment).stdout.strip()
    forget_at_the_end(image)
    report = json.loads(envbuild("verify", "--json", folder=project, environment=environment).stdout)
    results = {item["id"]: item for item in report["results"]}
    assert results["interpreter/sha256"]["outcome"] == "passed"
    cudart = [item for name, item in results.items() if "cudart" in name]
    assert [item["outcome"] for item in cudart] != []
    assert {item["outcome"] for item in cudart} == {"passed"}
    explained = envbuild("explain", "gpu", folder=project, environment=environment).stdout
    assert "without the base's own CUDA" in explained


def test_wheels_that_look_for_cuda_get_the_image_that_has_it_and_the_distributions_python(
    registry, package_index, tmp_path
):
    push_cuda_base(registry, RUNTIME, tmp_path)
    # the slim image the wheels are resolved on first
    push_base(python_base(), registry, "library/python", "3.11-slim-bookworm")
    make_wheel(package_index.folder, "cupy-cuda12x", "13.6.0", tag="cp311-cp311-manylinux_2_28_x86_64")
    make_wheel(package_index.folder, "installer", "1.1.0")
    project = tmp_path / "project"
    write_spec(
        project,
        f"""
        python = "3.11"
        [pip]
        packages = ["cupy-cuda12x"]
        [gpu]
        driver = ">=575"
        registry = "{registry.host}"
        """,
    )
    environment = {"UV_DEFAULT_INDEX": package_index.index_url, "PIP_CONFIG_FILE": "/dev/null"}
    envbuild("lock", folder=project, environment=environment)
    lock = tomllib.loads((project / "envbuild.lock").read_text())
    (target,) = lock["targets"]
    assert lock["bases"][0]["image"]["reference"] == f"{registry.host}/nvidia/cuda:{RUNTIME}"
    assert target["gpu"]["toolkit"] == "12.9.1"
    assert target["gpu"]["evidence"][-1] == "the base brings CUDA 12.9.1"
    assert target["interpreter"]["provider"] == "deb python3.11-minimal"
    assert any(name.startswith("python3.11_") for name in target["debs"])
    assert target["env"]["LD_LIBRARY_PATH"].endswith("/usr/local/cuda/lib64")
    assert "base" not in lock["request"]["variants"]["default"]
    # nothing moves by itself, and the slim image is not even asked for again
    again = envbuild("lock", "--upgrade-package", "nothing", folder=project, environment=environment).stderr
    assert "python:3.11-slim-bookworm" not in again
    assert "the lock has no package `nothing`" in again
    assert tomllib.loads((project / "envbuild.lock").read_text()) == lock
