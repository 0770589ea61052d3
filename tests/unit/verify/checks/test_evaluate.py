from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from envbuild.verify.checks import (
    CheckResult,
    Facts,
    LockedTarget,
    Profile,
    Report,
    evaluate,
    plan_checks,
    read_facts,
    read_target,
)
from envbuild.verify.checks.codec import CodecError, encode
from envbuild.verify.checks.facts import DebFacts
from tests.rig.locks import TARGET_DIGEST

Change = Callable[[Facts], Facts]


def compare(
    target: LockedTarget,
    facts: Facts,
    *,
    profile: Profile = "image",
) -> Report:
    return evaluate(target, plan_checks(target), facts, profile=profile)


def not_passed(report: Report) -> list[tuple[str, str, str]]:
    return [
        (result.outcome, result.id, result.difference)
        for result in report.results
        if result.outcome not in {"passed", "skipped"}
    ]


def only(report: Report) -> CheckResult:
    (result,) = (result for result in report.results if result.outcome not in {"passed", "skipped"})
    return result


def in_environment(**fields: Any) -> Change:
    return lambda facts: replace(facts, environment=replace(facts.environment, **fields))


def in_python(**fields: Any) -> Change:
    def change(facts: Facts) -> Facts:
        assert facts.environment.python is not None
        return in_environment(python=replace(facts.environment.python, **fields))(facts)

    return change


def in_variables(**values: str) -> Change:
    return lambda facts: replace(
        facts, variables=replace(facts.variables, values=facts.variables.values | values)
    )


def in_process(**fields: Any) -> Change:
    return lambda facts: replace(facts, process=replace(facts.process, **fields))


def with_deb(name: str, **fields: Any) -> Change:
    return lambda facts: replace(
        facts, debs=tuple(replace(deb, **fields) if deb.name == name else deb for deb in facts.debs or ())
    )


def without_deb(name: str) -> Change:
    return lambda facts: replace(facts, debs=tuple(deb for deb in facts.debs or () if deb.name != name))


def with_distribution(name: str, **fields: Any) -> Change:
    return lambda facts: replace(
        facts,
        distributions=tuple(
            replace(item, **fields) if item.name == name else item for item in facts.distributions
        ),
    )


def without_distribution(name: str) -> Change:
    return lambda facts: replace(
        facts, distributions=tuple(item for item in facts.distributions if item.name != name)
    )


def test_a_sound_container_passes_every_check(target: LockedTarget, facts: Facts) -> None:
    report = compare(target, facts)
    assert report.succeeded
    assert {result.outcome for result in report.results} == {"passed"}
    assert report.target == "train (cpu, linux/amd64)"


DIFFERENCES = [
    pytest.param(
        lambda facts: replace(facts, os=replace(facts.os, version_id="13")),
        "os/version-id",
        "os version-id 12 → 13",
        id="os",
    ),
    pytest.param(
        lambda facts: replace(facts, libc=replace(facts.libc, version="2.41")),
        "libc",
        "C library glibc 2.36 → glibc 2.41",
        id="libc",
    ),
    pytest.param(
        lambda facts: replace(facts, libc=replace(facts.libc, family=None, version=None)),
        "libc",
        "C library glibc 2.36 → missing",
        id="unknown libc",
    ),
    pytest.param(
        lambda facts: replace(facts, machine=replace(facts.machine, machine="aarch64")),
        "architecture",
        "architecture linux/amd64 → linux/arm64",
        id="architecture",
    ),
    pytest.param(
        lambda facts: replace(facts, machine=replace(facts.machine, pointer_bits=32)),
        "architecture",
        "architecture linux/amd64 → linux/amd64 (32-bit programs)",
        id="32-bit",
    ),
    pytest.param(
        in_python(version="3.11.4"),
        "interpreter/version",
        "python version 3.11.2 → 3.11.4",
        id="python version",
    ),
    pytest.param(
        in_python(executable="/usr/local/bin/python3.11"),
        "interpreter/path",
        "python path /usr/bin/python3.11 → /usr/local/bin/python3.11",
        id="python path",
    ),
    pytest.param(
        in_environment(
            settings={"home": "/usr/bin", "include-system-site-packages": "true", "version": "3.11.2"}
        ),
        "venv",
        "/opt/venv/pyvenv.cfg include-system-site-packages = false → include-system-site-packages = true",
        id="system site packages",
    ),
    pytest.param(
        in_environment(settings={"include-system-site-packages": "false", "version": "3.11.2"}),
        "venv",
        "/opt/venv/pyvenv.cfg home = /usr/bin → home = (absent)",
        id="no home",
    ),
    pytest.param(in_environment(settings=None), "venv", "/opt/venv/pyvenv.cfg → missing", id="no pyvenv.cfg"),
    pytest.param(
        with_deb("git", version="1:2.39.5-0+deb12u3"),
        "deb/git:amd64",
        "git 1:2.39.5-0+deb12u2 → 1:2.39.5-0+deb12u3",
        id="deb changed",
    ),
    pytest.param(without_deb("git"), "deb/git:amd64", "git 1:2.39.5-0+deb12u2 → missing", id="deb missing"),
    pytest.param(
        with_deb("git", status="deinstall ok config-files"),
        "deb/git:amd64",
        "git 1:2.39.5-0+deb12u2 → missing",
        id="deb removed",
    ),
    pytest.param(
        with_deb("git", status="install ok half-configured"),
        "deb/git:amd64",
        "git 1:2.39.5-0+deb12u2 → 1:2.39.5-0+deb12u2 (install ok half-configured)",
        id="deb half-installed",
    ),
    pytest.param(
        with_deb("git", status="install reinstreq installed"),
        "deb/git:amd64",
        "git 1:2.39.5-0+deb12u2 → 1:2.39.5-0+deb12u2 (install reinstreq installed)",
        id="deb broken",
    ),
    pytest.param(
        with_distribution("numpy", version="2.1.1"), "wheel/numpy", "numpy 2.1.0 → 2.1.1", id="wheel changed"
    ),
    pytest.param(
        with_distribution("numpy", version=None),
        "wheel/numpy",
        "numpy 2.1.0 → (no version)",
        id="wheel broken",
    ),
    pytest.param(
        without_distribution("numpy"),
        "wheel/numpy",
        "numpy 2.1.0 → missing",
        id="wheel missing",
    ),
    pytest.param(
        with_distribution("numpy", installer="pip"),
        "wheel/numpy",
        "numpy 2.1.0, installed by envbuild → 2.1.0, installed by pip",
        id="wheel installed again",
    ),
    pytest.param(
        with_distribution("numpy", installer=None),
        "wheel/numpy",
        "numpy 2.1.0, installed by envbuild → 2.1.0, installed by an unknown program",
        id="wheel installed by hand",
    ),
    pytest.param(
        in_variables(HF_HOME="/elsewhere"),
        "env/HF_HOME",
        "HF_HOME /cache → /elsewhere",
        id="variable changed",
    ),
    pytest.param(
        in_process(uid=1001, user="other"),
        "user",
        "user app (1000:1000) → other (1001:1000)",
        id="another user",
    ),
    pytest.param(
        in_process(uid=0, gid=0, user="root"), "user", "user app (1000:1000) → root (0:0)", id="root"
    ),
    pytest.param(
        in_process(uid=4711, user=None),
        "user",
        "user app (1000:1000) → no name (4711:1000)",
        id="nameless user",
    ),
]


@pytest.mark.parametrize("profile", ["image", "devcontainer"])
@pytest.mark.parametrize(("change", "thing", "difference"), DIFFERENCES)
def test_a_difference_fails_and_is_named(
    *, target: LockedTarget, facts: Facts, profile: Profile, change: Change, thing: str, difference: str
) -> None:
    report = compare(target, change(facts), profile=profile)
    found = not_passed(report)
    assert ("failed", thing, difference) in found
    assert [item for item in found if item[0] == "failed"] == [("failed", thing, difference)]
    assert not report.succeeded


def test_a_missing_variable_fails(target: LockedTarget, facts: Facts) -> None:
    variables = replace(facts.variables, values={"PATH": facts.variables.values["PATH"]})
    result = only(compare(target, replace(facts, variables=variables)))
    assert (result.outcome, result.difference) == ("failed", "HF_HOME /cache → missing")
    assert result.reason == "in the container's processes"


def test_an_interpreter_that_does_not_start_is_named_with_the_reason(
    target: LockedTarget, facts: Facts
) -> None:
    reason = "/opt/venv/bin/python does not exist"
    report = compare(target, in_environment(python=None, reason=reason)(facts))
    assert {result.reason for result in report.with_outcome("failed")} == {reason}
    assert report.count("failed") == 4


def test_no_dpkg_database_means_no_package(target: LockedTarget, facts: Facts) -> None:
    report = compare(target, replace(facts, debs=None))
    failed = [result.id for result in report.with_outcome("failed")]
    assert failed == ["deb/git:amd64", "deb/libc6:amd64", "deb/tzdata:all"]
    assert [result.id for result in report.with_outcome("skipped")][:1] == ["debs"]


def test_a_name_installed_twice_fails(
    target: LockedTarget, facts: Facts, add_distribution: Callable[..., Facts]
) -> None:
    result = only(compare(target, add_distribution(facts, "numpy", "2.1.1")))
    assert (result.outcome, result.difference) == ("failed", "numpy 2.1.0 → 2.1.0, 2.1.1")
    assert result.reason == "installed more than once"


@pytest.mark.parametrize(("profile", "outcome"), [("image", "failed"), ("devcontainer", "warned")])
def test_extras_are_named(
    *,
    target: LockedTarget,
    facts: Facts,
    add_distribution: Callable[..., Facts],
    profile: Profile,
    outcome: str,
) -> None:
    debs = (
        *(facts.debs or ()),
        DebFacts(name="vim", version="2:9", architecture="amd64", status="install ok installed"),
        DebFacts(name="gone", version="1", architecture="amd64", status="deinstall ok config-files"),
        DebFacts(name="libc6", version="2.36-9", architecture="i386", status="install ok unpacked"),
    )
    outside = replace(facts.distributions[0], name="sneaky", path="/usr/lib/python3/dist-packages/s.egg-info")
    changed = replace(
        add_distribution(facts, "requests", "2.32.0"), debs=debs, outside_distributions=(outside,)
    )
    report = compare(target, changed, profile=profile)
    assert not_passed(report) == [
        (outcome, "deb/libc6:i386", "libc6 → 2.36-9"),
        (outcome, "deb/vim:amd64", "vim → 2:9"),
        (outcome, "wheel/requests", "requests → 2.32.0"),
        (outcome, "wheel/sneaky", "sneaky → 2.1.0"),
    ]


GPUS = {"NVIDIA_DRIVER_CAPABILITIES": "compute,utility", "NVIDIA_VISIBLE_DEVICES": "all"}


def for_gpus(projection: dict[str, Any]) -> LockedTarget:
    projection["env"] |= GPUS
    projection["gpu"] = {"vendor": "nvidia"}
    return read_target(projection, TARGET_DIGEST)


@pytest.mark.parametrize("profile", ["image", "devcontainer"])
@pytest.mark.parametrize("given", ["void", "0", "0,1", "GPU-00000000-0000-0000-0000-000000000000"])
def test_which_gpus_an_engine_gave_is_no_difference(
    projection: dict[str, Any], facts: Facts, given: str, profile: Any
) -> None:
    target = for_gpus(projection)
    there = in_variables(**{**GPUS, "NVIDIA_VISIBLE_DEVICES": given})(facts)
    report = compare(target, there, profile=profile)
    assert not_passed(report) == []
    (result,) = (item for item in report.results if item.id == "env/NVIDIA_VISIBLE_DEVICES")
    assert (result.found, result.reason) == (
        given,
        "the engine says in it which GPUs this container was given",
    )


def test_a_process_without_the_variable_of_gpus_fails(projection: dict[str, Any], facts: Facts) -> None:
    report = compare(for_gpus(projection), facts)
    assert [(outcome, thing) for outcome, thing, _ in not_passed(report)] == [
        ("failed", f"env/{name}") for name in sorted(GPUS)
    ]


def test_a_personal_variable_warns_in_a_dev_container(projection: dict[str, Any], facts: Facts) -> None:
    projection["env"]["EDITOR"] = "vi"
    changed = in_variables(EDITOR="code --wait")(facts)
    report = compare(read_target(projection, TARGET_DIGEST), changed, profile="devcontainer")
    assert (only(report).outcome, only(report).difference) == ("warned", "EDITOR vi → code --wait")


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (in_process(uid=501, gid=20), "user app (1000:1000) → app (501:20)"),
        (
            in_variables(PATH="/opt/venv/bin:/editor/bin:/usr/bin:/bin:/more"),
            "PATH /opt/venv/bin:/usr/bin:/bin → /opt/venv/bin:/editor/bin:/usr/bin:/bin:/more",
        ),
    ],
    ids=["uid", "PATH"],
)
def test_what_a_dev_container_changes_for_its_person_only_warns_there(
    *,
    target: LockedTarget,
    facts: Facts,
    change: Change,
    difference: str,
) -> None:
    report = compare(target, change(facts), profile="devcontainer")
    assert (only(report).outcome, only(report).difference) == ("warned", difference)
    assert report.succeeded
    assert not compare(target, change(facts)).succeeded


def test_a_path_in_another_order_fails_in_a_dev_container_too(target: LockedTarget, facts: Facts) -> None:
    report = compare(target, in_variables(PATH="/usr/bin:/opt/venv/bin:/bin")(facts), profile="devcontainer")
    assert only(report).outcome == "failed"


def test_facts_survive_their_document(facts: Facts) -> None:
    assert read_facts(encode(facts)) == facts


def test_facts_of_another_format_are_refused(facts: Facts) -> None:
    with pytest.raises(CodecError) as caught:
        read_facts(encode(facts) | {"format": 99})
    assert str(caught.value) == "format: facts of format 99, this release reads 2"


def tracked(projection: dict[str, Any], facts: Facts, **values: str) -> tuple[LockedTarget, Facts]:
    """Return a target that is recorded, and a container that has its variables but for `values`."""
    del projection["record"]
    target = read_target(projection, TARGET_DIGEST)
    return target, in_variables(**{**target.tracker_variables, **values})(facts)


def test_variables_for_trackers_are_compared_like_others(projection: dict[str, Any], facts: Facts) -> None:
    target, there = tracked(projection, facts)
    report = compare(target, there)
    assert not_passed(report) == []
    compared = {item.id for item in report.results}
    assert {"env/MLFLOW_RUN_CONTEXT", "env/WANDB_TAGS"} <= compared


def test_a_run_may_tell_trackers_more(projection: dict[str, Any], facts: Facts) -> None:
    target, there = tracked(projection, facts, WANDB_TAGS="envbuild,envbuild-999999999999,mine,train")
    report = compare(target, there)
    assert not_passed(report) == []
    (result,) = (item for item in report.results if item.id == "env/WANDB_TAGS")
    assert result.reason == "what this container was started with is added"


@pytest.mark.parametrize("value", ["", "mine", "envbuild,train,envbuild-000000000000"])
@pytest.mark.parametrize(("profile", "outcome"), [("image", "failed"), ("devcontainer", "warned")])
def test_trackers_are_not_told_of_another_environment(
    projection: dict[str, Any], facts: Facts, value: str, profile: Profile, outcome: str
) -> None:
    target, there = tracked(projection, facts, WANDB_TAGS=value)
    result = only(compare(target, there, profile=profile))
    assert (result.outcome, result.id) == (outcome, "env/WANDB_TAGS")
