from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from envbuild.verify.checks import (
    ExpectedEntry,
    ExpectedFiles,
    Facts,
    LockedTarget,
    Profile,
    Report,
    evaluate,
    plan_checks,
    read_target,
)
from envbuild.verify.checks.facts import BytecodeFacts, BytecodeFinding, DeepFacts, FileEntry

SITE = "/opt/venv/lib/python3.11/site-packages"
NUMPY = "numpy-2.1.0-cp311-cp311-linux_x86_64.whl"
PYTZ = "pytz-2024.2.6-py3-none-any.whl"
GIT = "git_1:2.39.5-0+deb12u2_amd64.deb"
MakeDeep = Callable[..., DeepFacts]


def file(digit: str, *, mode: int = 0o644) -> FileEntry:
    return ("f", mode, 1, digit * 64)


def link(target: str) -> FileEntry:
    return ("l", 0o777, 0, target)


FOLDER: FileEntry = ("d", 0o755, 0, None)

FILES: dict[str, FileEntry] = {
    "/bin": link("usr/bin"),
    "/usr": FOLDER,
    "/usr/bin": FOLDER,
    "/usr/bin/git": file("1", mode=0o755),
    "/usr/bin/git-shell": link("git"),
    "/etc/gitconfig": file("2"),
    "/usr/bin/python3": link("python3.11"),
    "/usr/bin/python3.11": file("a", mode=0o755),
    "/opt/venv/pyvenv.cfg": file("3"),
    "/opt/venv/lib64": link("lib"),
    "/opt/venv/bin/python": link("python3"),
    "/opt/venv/bin/python3": link("/usr/bin/python3.11"),
    "/opt/venv/bin/activate": file("4"),
    "/opt/venv/bin/f2py": file("5", mode=0o755),
    f"{SITE}/numpy/__init__.py": file("6"),
    f"{SITE}/numpy/__pycache__/__init__.cpython-311.pyc": file("7"),
    f"{SITE}/numpy/core.so": file("8"),
    f"{SITE}/pytz/__init__.py": file("9"),
}

EXPECTED = ExpectedFiles(
    wheels={
        NUMPY: {
            "bin/f2py": ExpectedEntry("f", 0o755, "5" * 64),
            "lib/python3.11/site-packages/numpy/__init__.py": ExpectedEntry("f", 0o644, "6" * 64),
            "lib/python3.11/site-packages/numpy/core.so": ExpectedEntry("f", 0o644, "8" * 64),
        },
        PYTZ: {"lib/python3.11/site-packages/pytz/__init__.py": ExpectedEntry("f", 0o644, "9" * 64)},
    },
    debs={
        GIT: {
            "/bin": ExpectedEntry("d", 0o755, None),
            "/bin/git": ExpectedEntry("f", 0o755, "1" * 64),
            "/bin/git-shell": ExpectedEntry("l", 0o777, "git"),
            "/etc/gitconfig": ExpectedEntry("f", 0o644, "2" * 64, conffile=True),
        }
    },
)


@pytest.fixture
def bootstrapped(projection: dict[str, Any]) -> LockedTarget:
    """Return a target whose base is made of packages, with its interpreter's package among them."""
    projection["base"] |= {"image": None, "debs": []}
    return read_target(projection)


def compare(
    target: LockedTarget,
    facts: Facts,
    deep: DeepFacts,
    *,
    expected: ExpectedFiles | None = EXPECTED,
    profile: Profile = "image",
) -> Report:
    checks = [check for check in plan_checks(target, deep=True) if check.group == "files"]
    return evaluate(target, checks, replace(facts, deep=deep), profile=profile, expected=expected)


def differences(report: Report) -> list[tuple[str, str]]:
    return [(result.outcome, result.difference) for result in report.results if result.outcome != "passed"]


def sound(deep: MakeDeep, change: Mapping[str, FileEntry | None] | None = None, **fields: Any) -> DeepFacts:
    files: dict[str, FileEntry | None] = {**FILES, **(change or {})}
    scripts = {"bin/activate": ("4" * 64, "0" * 64)}
    return deep(
        {path: entry for path, entry in files.items() if entry is not None},
        **({"environment_scripts": scripts} | fields),
    )


def test_a_sound_image_passes(target: LockedTarget, facts: Facts, deep: MakeDeep) -> None:
    report = compare(target, facts, sound(deep))
    assert differences(report) == []
    assert [(result.id, result.found) for result in report.results] == [
        ("files/wheel/numpy", "3 files"),
        ("files/wheel/pytz", "1 files"),
        ("files/prefix", None),
        ("files/deb/git:amd64", "3 files"),
        ("bytecode", "0 files compared with their sources"),
    ]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        pytest.param(
            {f"{SITE}/numpy/core.so": file("e")},
            f"{SITE}/numpy/core.so sha256 888888888888… → sha256 eeeeeeeeeeee…",
            id="content",
        ),
        pytest.param({f"{SITE}/numpy/core.so": None}, f"{SITE}/numpy/core.so a file → missing", id="missing"),
        pytest.param(
            {f"{SITE}/numpy/core.so": link("/tmp/x.so")},  # noqa: S108 - a path in a listing
            f"{SITE}/numpy/core.so sha256 888888888888… → a link to /tmp/x.so",
            id="file became link",
        ),
        pytest.param(
            {f"{SITE}/numpy/core.so": FOLDER},
            f"{SITE}/numpy/core.so sha256 888888888888… → a folder",
            id="file became folder",
        ),
        pytest.param(
            {f"{SITE}/numpy/core.so": file("8", mode=0o777)},
            f"{SITE}/numpy/core.so mode 0644 → mode 0777",
            id="mode",
        ),
        pytest.param(
            {"/usr/bin/git": file("1", mode=0o4755)}, "/bin/git mode 0755 → mode 4755", id="deb: mode"
        ),
        pytest.param(
            {"/usr/bin/git-shell": link("sh")}, "/bin/git-shell a link to git → a link to sh", id="deb: link"
        ),
    ],
)
def test_a_changed_file_of_a_package_is_named(
    target: LockedTarget,
    facts: Facts,
    deep: MakeDeep,
    change: dict[str, FileEntry | None],
    difference: str,
) -> None:
    for profile in ("image", "devcontainer"):
        report = compare(target, facts, sound(deep, change), profile=profile)
        assert differences(report) == [("failed", difference.replace("/bin/git", "/usr/bin/git"))]


def test_a_package_without_any_file_is_one_difference(
    target: LockedTarget, facts: Facts, deep: MakeDeep
) -> None:
    gone = {path: None for path in FILES if "numpy" in path or "f2py" in path}
    report = compare(target, facts, sound(deep, gone))
    (result,) = report.with_outcome("failed")
    assert result.difference == "files of numpy 2.1.0 → missing"
    assert result.reason == "none of its 3 files is there"


@pytest.mark.parametrize(("profile", "outcome"), [("image", "failed"), ("devcontainer", "warned")])
def test_extra_files_in_the_prefix_are_named(
    target: LockedTarget, facts: Facts, deep: MakeDeep, profile: Profile, outcome: str
) -> None:
    extras = {
        f"{SITE}/evil.pth": file("e"),
        f"{SITE}/numpy/link.so": link("core.so"),
        f"{SITE}/gone/__pycache__/mod.cpython-311.pyc": file("e"),
        f"{SITE}/numpy/__pycache__/__init__.txt": file("e"),
        "/opt/venv/bin/pip": file("e", mode=0o755),
    }
    report = compare(target, facts, sound(deep, extras), profile=profile)
    assert differences(report) == [
        (outcome, f"{SITE}/evil.pth → a file"),
        (outcome, f"{SITE}/numpy/link.so → a link"),
        (outcome, f"{SITE}/gone/__pycache__/mod.cpython-311.pyc → a file"),
        (outcome, f"{SITE}/numpy/__pycache__/__init__.txt → a file"),
        (outcome, "/opt/venv/bin/pip → a file"),
    ]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (
            {"/opt/venv/bin/python3": link("/usr/bin/python3.12")},
            "/opt/venv/bin/python3 a link to /usr/bin/python3.11 → a link to /usr/bin/python3.12",
        ),
        (
            {"/opt/venv/bin/activate": file("e")},
            "/opt/venv/bin/activate as /usr/bin/python3.11 writes it → other content",
        ),
        ({"/opt/venv/lib64": link("/elsewhere")}, "/opt/venv/lib64 → a link"),
    ],
    ids=["interpreter", "activate", "lib64"],
)
def test_a_changed_skeleton_is_named(
    target: LockedTarget,
    facts: Facts,
    deep: MakeDeep,
    change: dict[str, FileEntry | None],
    difference: str,
) -> None:
    report = compare(target, facts, sound(deep, change))
    assert ("failed", difference) in differences(report)
    assert not report.succeeded


def test_a_circle_of_links_is_no_interpreter(target: LockedTarget, facts: Facts, deep: MakeDeep) -> None:
    report = compare(target, facts, sound(deep, {"/opt/venv/bin/python3": link("python")}))
    assert (
        "failed",
        "/opt/venv/bin/python3 a link to /usr/bin/python3.11 → a link to python",
    ) in differences(report)


def test_a_changed_configuration_file_warns_in_a_dev_container_only(
    target: LockedTarget, facts: Facts, deep: MakeDeep
) -> None:
    changed = sound(deep, {"/etc/gitconfig": file("e")})
    (result,) = compare(target, facts, changed).with_outcome("failed")
    assert result.id == "file/etc/gitconfig"
    assert result.reason == "files of git 1:2.39.5-0+deb12u2; a configuration file"
    assert compare(target, facts, changed, profile="devcontainer").count("warned") == 1


def test_modes_set_through_dpkg_are_expected(target: LockedTarget, facts: Facts, deep: MakeDeep) -> None:
    files: dict[str, FileEntry | None] = {"/usr/bin/git": file("1", mode=0o2755)}
    overrides = {"/usr/bin/git": 0o2755}
    assert compare(target, facts, sound(deep, files, mode_overrides=overrides)).succeeded
    assert not compare(target, facts, sound(deep, mode_overrides=overrides)).succeeded


def test_excluded_files_may_be_absent_but_not_changed(
    projection: dict[str, Any], facts: Facts, deep: MakeDeep
) -> None:
    projection["base"]["excludes"] = ["-/etc/*", "+/etc/keep*"]
    target = read_target(projection)
    assert compare(target, facts, sound(deep, {"/etc/gitconfig": None})).succeeded
    assert not compare(target, facts, sound(deep, {"/etc/gitconfig": file("e")})).succeeded
    projection["base"]["excludes"] = ["-/etc/*", "+/etc/git*"]
    assert not compare(read_target(projection), facts, sound(deep, {"/etc/gitconfig": None})).succeeded


@pytest.mark.parametrize(("by", "succeeds"), [("libc6", True), ("stranger", False), (":", False)])
def test_only_diversions_of_locked_packages_count(
    target: LockedTarget, facts: Facts, deep: MakeDeep, by: str, succeeds: bool
) -> None:
    moved = {"/usr/bin/git": file("e", mode=0o755), "/bin/git.distrib": None}
    moved["/usr/bin/git.distrib"] = file("1", mode=0o755)
    diverted = sound(deep, moved, diversions=(("/bin/git", "/bin/git.distrib", by),))
    assert compare(target, facts, diverted).succeeded is succeeds


def test_the_package_that_diverts_keeps_its_place(target: LockedTarget, facts: Facts, deep: MakeDeep) -> None:
    diverted = sound(deep, diversions=(("/bin/git", "/bin/git.distrib", "git"),))
    assert compare(target, facts, diverted).succeeded


def test_a_file_replaced_by_another_locked_package_is_fine(
    projection: dict[str, Any], facts: Facts, deep: MakeDeep
) -> None:
    other = "git-fork_1_amd64.deb"
    projection["debs"].append(projection["debs"][0] | {"name": "git-fork", "version": "1", "file": other})
    expected = replace(
        EXPECTED, debs={**EXPECTED.debs, other: {"/usr/bin/git": ExpectedEntry("f", 0o755, "e" * 64)}}
    )
    target = read_target(projection)
    files: dict[str, FileEntry | None] = {"/usr/bin/git": file("e", mode=0o755)}
    assert compare(target, facts, sound(deep, files), expected=expected).succeeded
    files = {"/usr/bin/git": file("f", mode=0o755)}
    assert not compare(target, facts, sound(deep, files), expected=expected).succeeded


def test_files_under_a_mount_are_not_judged(target: LockedTarget, facts: Facts, deep: MakeDeep) -> None:
    files: dict[str, FileEntry | None] = {f"{SITE}/numpy/core.so": None}
    mounted = sound(deep, files, mounts=(f"{SITE}/numpy/core.so",))
    assert compare(target, facts, mounted).succeeded
    assert not compare(target, facts, sound(deep, files, mounts=("/data",))).succeeded


def test_files_nobody_could_read_are_skipped_and_counted(
    target: LockedTarget, facts: Facts, deep: MakeDeep
) -> None:
    report = compare(target, facts, sound(deep, {"/usr/bin/git": ("f", 0o755, 1, None)}))
    (result,) = report.with_outcome("skipped")
    assert result.reason == "1 files cannot be read by uid 1000; deep checks want root"


def test_without_artifacts_or_a_deep_look_files_are_skipped(
    target: LockedTarget, facts: Facts, deep: MakeDeep
) -> None:
    checks = [check for check in plan_checks(target, deep=True) if check.group == "files"]
    report = evaluate(target, checks, facts)
    assert {result.reason for result in report.results} == {"files are compared with --deep only"}
    some = replace(EXPECTED, wheels={PYTZ: EXPECTED.wheels[PYTZ]})
    report = compare(target, facts, sound(deep), expected=some)
    (result,) = report.with_outcome("skipped")
    assert (result.id, result.reason) == ("files/wheel/numpy", "the locked artifact was not at hand")


def test_system_folders_of_a_base_of_packages_hold_only_what_packages_bring(
    bootstrapped: LockedTarget, facts: Facts, deep: MakeDeep
) -> None:
    python = {
        "/usr/bin/python3.11": ExpectedEntry("f", 0o755, "a" * 64),
        "/usr/bin/python3": ExpectedEntry("l", 0o777, "python3.11"),
        "/usr/lib/python3/x.py": ExpectedEntry("f", 0o644, "b" * 64),
    }
    expected = replace(EXPECTED, debs={GIT: {**EXPECTED.debs[GIT], **python}})
    files = {
        "/usr/lib/python3/x.py": file("b"),
        "/usr/lib/python3/__pycache__/x.cpython-311.pyc": file("c"),
        "/usr/share/info/dir": file("c"),
        "/usr/lib/x86_64-linux-gnu/gtk-4.0/4.0.0/printbackends/giomodule.cache": file("c"),
        "/usr/bin/awk": link("/etc/alternatives/awk"),
        "/etc/motd": file("c"),
        "/home/app/notes": file("c"),
        "/usr/local/bin/tool": file("c", mode=0o755),
        "/opt/other/x": file("c"),
        "/etc/ld.so.preload": file("c"),
        "/usr/bin/pawk": link("/tmp/awk"),  # noqa: S108 - a path in a listing
    }
    report = compare(bootstrapped, facts, sound(deep, files), expected=expected)
    assert differences(report) == [
        ("failed", "/usr/local/bin/tool → a file"),
        ("failed", "/opt/other/x → a file"),
        ("failed", "/etc/ld.so.preload → a file"),
        ("failed", "/usr/bin/pawk → a link"),
    ]


def finding(path: str, problem: Any, detail: str = "") -> BytecodeFacts:
    found = BytecodeFinding(path=path, problem=problem, detail=detail)
    return BytecodeFacts(checked=7, foreign=0, findings=(found,))


PYC = f"{SITE}/numpy/__pycache__/__init__.cpython-311.pyc"


@pytest.mark.parametrize(
    ("problem", "found", "in_dev_container"),
    [
        ("mismatch", "is not what its source compiles to", "failed"),
        ("orphan", "has no source", "failed"),
        ("header", "records the hash of another source", "failed"),
        ("unreadable", "cannot be read as bytecode", "failed"),
        ("stale", "was made from another source than the one beside it", "warned"),
        ("mode", "was not written by the build", "warned"),
    ],
)
def test_bytecode_findings_are_named(
    *, target: LockedTarget, facts: Facts, deep: MakeDeep, problem: str, found: str, in_dev_container: str
) -> None:
    bad = sound(deep, bytecode=finding(PYC, problem))
    (result,) = compare(target, facts, bad).with_outcome("failed")
    assert (result.id, result.title, result.found) == (f"bytecode{PYC}", PYC, found)
    assert differences(compare(target, facts, bad, profile="devcontainer"))[0][0] == in_dev_container


def test_bytecode_a_package_ships_is_its_own_affair(
    target: LockedTarget, facts: Facts, deep: MakeDeep
) -> None:
    shipped = f"{SITE}/pytz/secret.pyc"
    tree = {
        **EXPECTED.wheels[PYTZ],
        "lib/python3.11/site-packages/pytz/secret.pyc": ExpectedEntry("f", 0o644, "b" * 64),
    }
    expected = replace(EXPECTED, wheels={**EXPECTED.wheels, PYTZ: tree})
    orphan = finding(shipped, "orphan")
    assert compare(
        target, facts, sound(deep, {shipped: file("b")}, bytecode=orphan), expected=expected
    ).succeeded
    changed = sound(deep, {shipped: file("c")}, bytecode=orphan)
    assert compare(target, facts, changed, expected=expected).count("failed") == 2


def test_bytecode_of_other_versions_is_counted(target: LockedTarget, facts: Facts, deep: MakeDeep) -> None:
    counted = sound(deep, bytecode=BytecodeFacts(checked=5, foreign=2, findings=()))
    report = compare(target, facts, counted)
    assert report.results[-1].found == "5 files compared with their sources, 2 of other Python versions not"


STDLIB = "/usr/lib/python3.11/__pycache__/os.cpython-311.pyc"


def test_stale_bytecode_of_the_system_warns_once(
    bootstrapped: LockedTarget, facts: Facts, deep: MakeDeep
) -> None:
    found = tuple(
        BytecodeFinding(path=path, problem="stale", detail="")
        for path in (STDLIB, STDLIB.replace("os", "re"))
    )
    stale = sound(deep, bytecode=BytecodeFacts(checked=2, foreign=0, findings=found))
    (result,) = compare(bootstrapped, facts, stale).with_outcome("warned")
    assert result.difference == (
        "bytecode of the base, 2 files → was made from another source than the one beside it"
    )
    assert result.reason == f"first: {STDLIB}"


def test_what_an_image_base_brings_is_no_difference(
    target: LockedTarget, facts: Facts, deep: MakeDeep, bootstrapped: LockedTarget
) -> None:
    wrong = sound(deep, bytecode=finding(STDLIB, "mismatch"))
    assert compare(target, facts, wrong).succeeded
    source = {"/usr/lib/python3.11/os.py": ExpectedEntry("f", 0o644, "b" * 64)}
    expected = replace(EXPECTED, debs={GIT: {**EXPECTED.debs[GIT], **source}})
    files: dict[str, FileEntry | None] = {"/usr/lib/python3.11/os.py": file("b")}
    wrong = sound(deep, files, bytecode=finding(STDLIB, "mismatch"))
    assert f"bytecode{STDLIB}" in {
        result.id for result in compare(target, facts, wrong, expected=expected).with_outcome("failed")
    }
    assert f"bytecode{STDLIB}" in {
        result.id for result in compare(bootstrapped, facts, wrong).with_outcome("failed")
    }


def test_packages_opened_for_editing_warn_in_a_dev_container_only(
    target: LockedTarget, facts: Facts, deep: MakeDeep
) -> None:
    opened: dict[str, FileEntry | None] = {f"{SITE}/numpy/__init__.py": file("6", mode=0o666)}
    assert not compare(target, facts, sound(deep, opened)).succeeded
    report = compare(target, facts, sound(deep, opened), profile="devcontainer")
    assert [result.difference for result in report.with_outcome("warned")] == [
        f"{SITE}/numpy/__init__.py mode 0644 → mode 0666"
    ]
    # more than opened, and opened elsewhere
    for path, mode in ((f"{SITE}/numpy/__init__.py", 0o777), ("/usr/bin/git", 0o777)):
        changed: dict[str, FileEntry | None] = {path: file("6" if "numpy" in path else "1", mode=mode)}
        assert not compare(target, facts, sound(deep, changed), profile="devcontainer").succeeded
