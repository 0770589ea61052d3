"""What is asked of an engine, so that a container gets GPUs."""

from collections.abc import Callable
from typing import Any

import pytest

from envbuild.errors import UsageError
from envbuild.image.gpus import gpu_options, group_here, parse_gpus

RUNTIME = {"Runtimes": {"runc": {}, "nvidia": {"path": "nvidia-container-runtime"}}}
CDI = {"Runtimes": {"runc": {}}, "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]}
PLAIN: dict[str, Any] = {"Runtimes": {"runc": {}}}


def nvidia(text: str, info: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
    return gpu_options(parse_gpus(text, vendor="nvidia"), info, is_here=True, group_of=lambda path: None)


@pytest.mark.parametrize(
    ("text", "info", "request_"),
    [
        pytest.param("auto", RUNTIME, {"count": -1}, id="all of them"),
        pytest.param("all", RUNTIME, {"count": -1}, id="asked for"),
        pytest.param("2", RUNTIME, {"count": 2}, id="some"),
        pytest.param("device=0,GPU-5f3c", RUNTIME, {"device_ids": ["0", "GPU-5f3c"]}, id="these"),
        # asked for by name: the engine shall say what is wrong
        pytest.param("all", PLAIN, {"count": -1}, id="asked for in vain"),
        pytest.param("auto", RUNTIME | CDI | RUNTIME, {"count": -1}, id="the runtime comes first"),
    ],
)
def test_requests_to_nvidias_runtime(text: str, info: dict[str, Any], request_: dict[str, Any]) -> None:
    options, withheld = nvidia(text, info)
    assert options == {"device_requests": [{"capabilities": [["gpu"]], **request_}]}
    assert withheld is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("auto", ["nvidia.com/gpu=all"]),
        ("2", ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]),
        ("device=1,3", ["nvidia.com/gpu=1", "nvidia.com/gpu=3"]),
    ],
)
def test_requests_for_cdi_devices(text: str, names: list[str]) -> None:
    assert nvidia(text, CDI) == ({"device_requests": [{"driver": "cdi", "device_ids": names}]}, None)


@pytest.mark.parametrize(
    ("text", "info", "reason"),
    [
        ("auto", PLAIN, "the engine has neither NVIDIA's runtime nor its CDI device"),
        ("auto", {}, "the engine has neither NVIDIA's runtime nor its CDI device"),
        (
            "auto",
            {"DiscoveredDevices": [{"Source": "cdi", "ID": "other.com/nic=0"}]},
            "the engine has neither NVIDIA's runtime nor its CDI device",
        ),
        ("none", RUNTIME, "--gpus none was asked for"),
    ],
)
def test_no_request_and_why(text: str, info: dict[str, Any], reason: str) -> None:
    assert nvidia(text, info) == ({}, reason)


def amd(
    text: str, group_of: Callable[[str], int | None], *, is_here: bool = True
) -> tuple[dict[str, Any], str | None]:
    return gpu_options(parse_gpus(text, vendor="amd"), PLAIN, is_here=is_here, group_of=group_of)


AMD_DEVICES = {"devices": ["/dev/kfd:/dev/kfd:rwm", "/dev/dri:/dev/dri:rwm"]}


def test_amds_devices_with_the_groups_that_own_them() -> None:
    groups = {"/dev/kfd": 109, "/dev/dri/renderD128": 44}
    assert amd("auto", groups.get) == (AMD_DEVICES | {"group_add": [44, 109]}, None)


def test_the_group_of_root_is_not_given() -> None:
    assert amd("auto", lambda path: 0) == (AMD_DEVICES, None)


def test_amds_devices_on_an_engine_elsewhere_are_given_when_named() -> None:
    assert amd("auto", lambda path: 109, is_here=False) == (
        {},
        "the engine's machine is not known to have /dev/kfd",
    )
    assert amd("all", lambda path: 109, is_here=False) == (AMD_DEVICES, None)


def test_a_machine_without_amds_devices() -> None:
    assert amd("auto", lambda path: None)[0] == {}


@pytest.mark.parametrize("text", ["", "-1", "0", "0 1", "device=", "a;b"])
def test_what_is_not_understood(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_gpus(text, vendor="nvidia")
    assert raised.value.message == f"--gpus: `{text}` is not understood"


def test_amds_gpus_are_not_counted() -> None:
    with pytest.raises(UsageError) as raised:
        parse_gpus("2", vendor="amd")
    assert raised.value.message == "--gpus: AMD's GPUs are given all or none"


def test_groups_of_files_here() -> None:
    assert group_here("/") == 0
    assert group_here("/dev/no-such-device") is None
