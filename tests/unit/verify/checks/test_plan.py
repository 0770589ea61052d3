from typing import Any

from envbuild.verify.checks import LockedTarget, plan_checks, read_target
from envbuild.verify.checks.plan import locked_debs
from tests.rig.locks import TARGET_DIGEST


def test_every_locked_thing_has_a_check(target: LockedTarget) -> None:
    ids = [check.id for check in plan_checks(target)]
    assert ids == [
        "os/id",
        "os/version-id",
        "os/codename",
        "libc",
        "architecture",
        "interpreter/implementation",
        "interpreter/version",
        "interpreter/path",
        "interpreter/sha256",
        "venv",
        "deb/git:amd64",
        "deb/libc6:amd64",
        "deb/tzdata:all",
        "debs",
        "wheel/numpy",
        "wheel/pytz",
        "wheels",
        "env/HF_HOME",
        "env/PATH",
        "user",
    ]


def test_facts_the_lock_does_not_have_are_not_checked(projection: dict[str, Any]) -> None:
    projection["interpreter"]["sha256"] = None
    projection["base"]["os"]["codename"] = None
    ids = {check.id for check in plan_checks(read_target(projection, TARGET_DIGEST))}
    assert not ids & {"interpreter/sha256", "os/codename"}


def test_a_system_package_replaces_the_one_of_the_base(projection: dict[str, Any]) -> None:
    deb = projection["debs"][0]
    projection["debs"] = [
        deb | {"name": "libc6", "version": "2.36-10"},
        deb | {"name": "tzdata", "version": "2025b-1", "architecture": "amd64"},
    ]
    projection["base"]["debs"].append("libc6=2.36-9:i386")
    assert locked_debs(read_target(projection, TARGET_DIGEST)) == {
        "libc6:amd64": "2.36-10",
        "libc6:i386": "2.36-9",
        "tzdata:amd64": "2025b-1",
    }


def test_a_package_for_all_architectures_replaces_every_other(projection: dict[str, Any]) -> None:
    projection["debs"] = [projection["debs"][0] | {"name": "libc6", "version": "3", "architecture": "all"}]
    assert locked_debs(read_target(projection, TARGET_DIGEST)) == {"libc6:all": "3", "tzdata:all": "2025a-1"}


def test_epochs_survive(projection: dict[str, Any]) -> None:
    projection["base"]["debs"] = ["bsdutils=1:2.38.1-5:amd64"]
    assert locked_debs(read_target(projection, TARGET_DIGEST))["bsdutils:amd64"] == "1:2.38.1-5"
