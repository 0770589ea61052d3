import platform
import sys

import pytest
from packaging.markers import Marker, default_environment
from packaging.tags import sys_tags

from envbuild.lock.model import Libc
from envbuild.platforms import AMD64, ARM64, Platform, host
from envbuild.resolve.python.target import TargetPython, differences_from_host, libc_version

GLIBC = Libc(family="glibc", version="2.36")


def platforms_of(target: TargetPython) -> list[str]:
    interpreter = f"cp{target.minor[0]}{target.minor[1]}"
    return [tag.platform for tag in target.tags if (tag.interpreter, tag.abi) == (interpreter, interpreter)]


@pytest.fixture
def own() -> TargetPython:
    here = host()
    if here is None or platform.libc_ver()[0] != "glibc":
        pytest.skip("needs Linux with glibc")
    return TargetPython(here, Libc(family="glibc", version=platform.libc_ver()[1]), platform.python_version())


def test_for_this_machine_the_tags_are_those_packaging_finds(own: TargetPython) -> None:
    linux = f"linux_{own.platform.machine}"
    found = [tag for tag in sys_tags() if tag.platform != linux]
    assert [tag for tag in own.tags if tag.platform != linux] == found
    assert set(own.tags) == set(sys_tags())


def test_for_this_machine_the_markers_are_packagings_but_for_the_kernel(own: TargetPython) -> None:
    found = dict(default_environment())
    assert own.marker_environment == found | {"platform_release": "", "platform_version": ""}


@pytest.mark.parametrize(
    ("target_platform", "libc", "expected"),
    [
        pytest.param(
            AMD64,
            Libc(family="glibc", version="2.18"),
            [
                "manylinux_2_18_x86_64",
                "manylinux_2_17_x86_64",
                "manylinux2014_x86_64",
                "manylinux_2_16_x86_64",
            ],
            id="amd64, glibc",
        ),
        pytest.param(
            ARM64,
            Libc(family="glibc", version="2.18"),
            [
                "manylinux_2_18_aarch64",
                "manylinux_2_17_aarch64",
                "manylinux2014_aarch64",
                "linux_aarch64",
            ],
            id="arm64 has nothing older than manylinux2014",
        ),
        pytest.param(
            ARM64,
            Libc(family="musl", version="1.2"),
            ["musllinux_1_2_aarch64", "musllinux_1_1_aarch64", "musllinux_1_0_aarch64", "linux_aarch64"],
            id="musl",
        ),
    ],
)
def test_platform_tags_go_from_newest_to_oldest(
    target_platform: Platform, libc: Libc, expected: list[str]
) -> None:
    assert platforms_of(TargetPython(target_platform, libc, "3.12.4"))[:4] == expected


def test_the_oldest_amd64_tags_are_manylinux1_and_plain_linux() -> None:
    assert platforms_of(TargetPython(AMD64, GLIBC, "3.11.2"))[-3:] == [
        "manylinux_2_5_x86_64",
        "manylinux1_x86_64",
        "linux_x86_64",
    ]


def test_rank_is_the_place_among_the_tags() -> None:
    target = TargetPython(AMD64, GLIBC, "3.11.2")
    assert [target.rank[tag] for tag in target.tags] == list(range(len(target.tags)))


def test_markers_speak_of_the_target_and_not_of_this_machine() -> None:
    environment = TargetPython(ARM64, GLIBC, "3.13.1").marker_environment
    text = 'python_full_version == "3.13.1" and platform_machine == "aarch64" and sys_platform == "linux"'
    assert Marker(text).evaluate(environment)


@pytest.mark.parametrize(
    ("text", "expected"), [("2.36", (2, 36)), ("2.36-9+deb12u4", (2, 36)), ("1.2.4", (1, 2))]
)
def test_libc_versions_are_compared_as_numbers(text: str, expected: tuple[int, int]) -> None:
    assert libc_version(text) == expected


def test_what_is_no_libc_version_is_refused() -> None:
    with pytest.raises(ValueError, match="`unknown` is not the version of a C library"):
        libc_version("unknown")


def test_this_machine_stands_in_for_its_own_kind(own: TargetPython) -> None:
    assert differences_from_host(own) == ()
    older = TargetPython(own.platform, Libc(family="glibc", version="2.17"), own.version)
    assert differences_from_host(older) == ()


def test_this_machine_does_not_stand_in_for_others(own: TargetPython) -> None:
    other = ARM64 if own.platform == AMD64 else AMD64
    minor = 13 if sys.version_info[1] != 13 else 12
    target = TargetPython(other, Libc(family="musl", version="1.2"), f"3.{minor}.0")
    assert differences_from_host(target) == (
        f"this machine is {own.platform.name}",
        f"envbuild runs on Python {platform.python_version()}",
        "this machine has glibc",
    )
