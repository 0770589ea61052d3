"""What a container of an attached command is made with."""

from pathlib import Path

import pytest

from envbuild.image import accounts
from envbuild.image.container_options import Account, ContainerOptions, Mount, PublishedPort
from envbuild.image.docker.attached import (
    container_options,
    container_user,
    is_missing_command,
    security_of,
)

ANN = Account(uid=1234, gid=50, name="ann", groups=((77, "team"),))
SHARED = ContainerOptions(mounts=(Mount(target="/w", source=Path("/home/ann")),), caller=ANN)


@pytest.fixture(autouse=True)
def same_ids(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for kind in ("uid", "gid"):
        (tmp_path / f"{kind}_map").write_text("0 0 4294967295\n")
    monkeypatch.setattr(accounts, "ID_MAP", str(tmp_path / "{}_map"))


def test_the_caller_owns_what_it_makes_on_an_engine_of_root() -> None:
    found = container_user(SHARED, None, frozenset({"seccomp"}))
    assert (found.user, found.account, found.options) == ("1234:50", ANN, {"group_add": ["77"]})


def test_root_of_a_rootless_engine_s_containers_is_the_caller() -> None:
    found = container_user(SHARED, None, frozenset({"rootless"}))
    assert (found.user, found.account, found.options) == ("0:0", None, {})


def test_where_containers_have_other_ids_this_one_goes_without() -> None:
    found = container_user(SHARED, None, frozenset({"userns"}))
    assert (found.user, found.options["userns_mode"]) == ("1234:50", "host")


def test_root_of_a_namespace_with_one_id_is_the_user_outside(tmp_path: Path) -> None:
    for kind, number in (("uid", 1234), ("gid", 50)):
        (tmp_path / f"{kind}_map").write_text(f"0 {number} 1\n")
    root = Account(uid=0, gid=0, name="root", groups=((65534, "nogroup"),))
    found = container_user(ContainerOptions(caller=root), None, frozenset())
    assert (found.user, found.options) == ("1234:50", {})


def test_nobody_becomes_root_in_a_namespace_without_a_map(tmp_path: Path) -> None:
    for kind in ("uid", "gid"):
        (tmp_path / f"{kind}_map").write_text("")
    assert container_user(SHARED, None, frozenset()).user == "1234:50"


def test_a_user_who_was_named_is_not_the_caller() -> None:
    assert container_user(SHARED, "app", frozenset()).user == "app"
    assert container_user(ContainerOptions(), None, frozenset()).user is None


def test_options_in_the_engine_s_words() -> None:
    options = ContainerOptions(
        mounts=(Mount(target="/d", source=Path("/data"), read_only=True), Mount(target="/m")),
        ports=(
            PublishedPort(container=80, host=8080, address="127.0.0.1"),
            PublishedPort(container=80),
            PublishedPort(container=53, protocol="udp"),
        ),
        network="front",
        shm_size=8,
        memory=9,
        cpus=1.5,
        tty=True,
    )
    made = container_options(options, frozenset({"selinux"}))
    assert made.pop("mounts") == [
        {"Target": "/d", "Source": "/data", "Type": "bind", "ReadOnly": True},
        {"Target": "/m", "Source": None, "Type": "tmpfs", "ReadOnly": False},
    ]
    assert made == {
        "ports": {"80/tcp": [("127.0.0.1", 8080), None], "53/udp": [None]},
        "network_mode": "front",
        "shm_size": 8,
        "mem_limit": 9,
        "nano_cpus": 1_500_000_000,
        "tty": True,
        "security_opt": ["label=disable"],
    }
    assert container_options(ContainerOptions(), frozenset({"selinux"})) == {}


def test_with_the_network_of_the_machine_no_port_is_bound() -> None:
    options = ContainerOptions(network="host", ports=(PublishedPort(container=80),))
    assert container_options(options, frozenset()) == {"network_mode": "host"}


def test_what_an_engine_says_of_itself() -> None:
    told = ["name=seccomp,profile=builtin", "name=rootless", "name=cgroupns"]
    assert security_of({"SecurityOptions": told}) == {"seccomp", "rootless", "cgroupns"}
    assert security_of({}) == frozenset()


@pytest.mark.parametrize(
    ("told", "missing"),
    [
        ('runc create failed: exec: "no": executable file not found in $PATH: unknown', True),
        ('exec: "/etc/passwd": permission denied: unknown', True),
        ("crun: executable file `no` not found in $PATH", True),
        ("driver failed programming external connectivity: address already in use", False),
    ],
)
def test_commands_that_are_not_there(told: str, missing: bool) -> None:
    assert is_missing_command(told) is missing
