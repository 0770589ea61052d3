import importlib.metadata
import platform
import sys
from datetime import date
from typing import Any

import pytest
from packaging.version import Version

from envbuild.errors import SpecError
from envbuild.lock.model import Libc
from envbuild.platforms import AMD64, ARM64, host
from envbuild.resolve.python.target import TargetPython
from envbuild.resolve.upgrade import Upgrade
from envbuild.spec.request import BaseRequest, PipRequest, VariantRequest
from tests.rig.desk import Desk
from tests.rig.index import make_wheel

pytestmark = pytest.mark.slow

OWN = TargetPython(host() or AMD64, Libc(family="glibc", version="2.36"), platform.python_version())
UV_HINT = 'use resolver = "uv", which resolves for any platform from any machine'


def request_for(*requirements: str, **more: Any) -> VariantRequest:
    snapshot = more.pop("snapshot", None)
    pip = PipRequest(requirements=requirements, resolver="pip-tools", **more)
    return VariantRequest(python="3.11", snapshot=snapshot, base=BaseRequest(image="base"), pip=pip)


def resolved(desk: Desk, request: VariantRequest, **more: Any) -> list[str]:
    wheels = desk.resolve(request=request, resolver="pip-tools", target=OWN, **more)
    return [f"{wheel.name}=={wheel.version}" for wheel in wheels]


def test_requirements_constraints_and_extras_count_and_setuptools_is_a_package(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0", requires=["setuptools"], extras={"fast": ["lib"]})
    make_wheel(desk.folder, "setuptools", "80.0")
    for version in ("1.0", "2.0"):
        make_wheel(desk.folder, "lib", version)
    request = request_for("app[fast]", constraints=("lib<2",))
    assert resolved(desk, request) == ["app==1.0", "lib==1.0", "setuptools==80.0"]


def test_what_is_locked_stays_unless_upgraded(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0", requires=["lib"])
    make_wheel(desk.folder, "lib", "1.0")
    locked = desk.resolve("app", resolver="pip-tools", target=OWN)
    make_wheel(desk.folder, "app", "2.0", requires=["lib"])
    make_wheel(desk.folder, "lib", "2.0")
    request = request_for("app")
    assert resolved(desk, request, previous=locked) == ["app==1.0", "lib==1.0"]
    assert resolved(desk, request, previous=locked, upgrade=Upgrade(packages=frozenset({"lib"}))) == [
        "app==1.0",
        "lib==2.0",
    ]
    assert resolved(desk, request, previous=locked, upgrade=Upgrade(everything=True)) == [
        "app==2.0",
        "lib==2.0",
    ]


def test_what_pip_looks_at_is_told(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0")
    resolved(desk, request_for("app"))
    assert "pip-tools is looking at app 1.0" in desk.progress.items


def test_settings_of_the_machine_do_not_leak_in(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("wheels")
    make_wheel(desk.folder, "app", "1.0")
    make_wheel(folder, "app", "9.0")
    pins = folder / "pins.txt"
    pins.write_text("app==0.1\n")
    desk.environment |= {"PIP_FIND_LINKS": str(folder), "PIP_CONSTRAINT": str(pins), "PIP_PRE": "1"}
    assert resolved(desk, request_for("app")) == ["app==1.0"]


def test_tools_are_pip_tools_and_the_pip_it_drives(desk: Desk) -> None:
    assert desk.resolver("pip-tools").tools() == {
        "pip": importlib.metadata.version("pip"),
        "pip-tools": importlib.metadata.version("pip-tools"),
    }


def refusal(desk: Desk, request: VariantRequest, target: TargetPython = OWN) -> SpecError:
    with pytest.raises(SpecError) as caught:
        desk.resolve(request=request, resolver="pip-tools", target=target)
    assert {(problem.where, problem.hint) for problem in caught.value.problems} == {("pip.resolver", UV_HINT)}
    return caught.value


def test_another_target_needs_uv(desk: Desk) -> None:
    other = ARM64 if OWN.platform == AMD64 else AMD64
    minor = 13 if sys.version_info[1] != 13 else 12
    error = refusal(desk, request_for("app"), TargetPython(other, OWN.libc, f"3.{minor}.1"))
    (problem,) = error.problems
    assert problem.message == (
        f"pip-tools resolves for the Python it runs on, and this machine is {OWN.platform.name} and "
        f"envbuild runs on Python {OWN.version}; the target is {other.name}, Python 3.{minor}.1, glibc 2.36"
    )


def test_a_binding_to_an_index_needs_uv(desk: Desk) -> None:
    request = request_for(
        "app", indexes={"corp": "https://index.example.com/simple"}, sources={"app": "corp"}
    )
    assert [problem.message for problem in refusal(desk, request).problems] == [
        "pip-tools cannot bind packages to named indexes, as [pip] sources asks"
    ]


def test_a_snapshot_needs_a_pip_that_can_keep_to_it(desk: Desk) -> None:
    for version in ("1.0", "2.0"):
        make_wheel(desk.folder, "app", version)
    desk.index._uploaded["app-2.0-py3-none-any.whl"] = "2026-03-02T00:00:00Z"
    request = request_for("app", snapshot=date(2026, 3, 1))
    pip = importlib.metadata.version("pip")
    if Version(pip) >= Version("26.0"):
        assert resolved(desk, request) == ["app==1.0"]
    else:
        assert [problem.message for problem in refusal(desk, request).problems] == [
            f"pip {pip} cannot keep to a snapshot; pip 26.0 can"
        ]
