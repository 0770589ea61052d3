"""Every path of an image: as expected, a difference, or not covered."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from envbuild.oci.file_tree import FileTree, Oddity
from envbuild.oci.layer_listing import IMPLIED_FOLDER, UNCHECKED_DIGEST, FileRecord
from envbuild.verify.checks import CheckResult, Coverage, LockedTarget, Profile, read_target
from envbuild.verify.files.accounting import Comparison, account_files
from envbuild.verify.files.expected_files import ExpectedEntry, ExpectedFiles
from tests.rig.locks import TARGET_DIGEST

NUMPY, GIT = "numpy-2.1.0-cp311-cp311-linux_x86_64.whl", "git_1:2.39.5-0+deb12u2_amd64.deb"
PACKAGES = "lib/python3.11/site-packages"
SITE = "/opt/venv/lib/python3.11/site-packages"
INIT, CORE = f"{SITE}/numpy/__init__.py", f"{SITE}/numpy/core.so"
PYC = f"{SITE}/numpy/__pycache__/__init__.cpython-311.pyc"

Records = Mapping[str, FileRecord | None]


def file(letter: str, mode: int = 0o644, **fields: Any) -> FileRecord:
    return FileRecord("f", mode, 0, 0, 1, letter * 64)._replace(**fields)


def link(target: str) -> FileRecord:
    return FileRecord("l", 0, 0, 0, 0, target)


EXPECTED = ExpectedFiles(
    wheels={
        NUMPY: {
            f"{PACKAGES}/numpy/__init__.py": ExpectedEntry("f", 0o644, "6" * 64),
            f"{PACKAGES}/numpy/core.so": ExpectedEntry("f", 0o644, "8" * 64),
            "bin/f2py": ExpectedEntry("f", 0o755, "7" * 64),
        }
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
BASE: dict[str, FileRecord] = {
    "/": IMPLIED_FOLDER,
    "/usr": IMPLIED_FOLDER,
    "/usr/bin": IMPLIED_FOLDER,
    "/bin": link("usr/bin"),
    "/etc": IMPLIED_FOLDER,
    "/etc/passwd": file("a"),
}
REFERENCE: dict[str, FileRecord] = {
    **BASE,
    "/etc/passwd": file("b"),
    "/etc/hosts": file("e"),
    "/etc/gitconfig": file("2"),
    "/usr/bin/git": file("1", 0o755),
    "/usr/bin/git-shell": link("git"),
    "/opt": IMPLIED_FOLDER,
    "/opt/venv": IMPLIED_FOLDER,
    "/opt/venv/pyvenv.cfg": file("c"),
    "/opt/venv/bin": IMPLIED_FOLDER,
    "/opt/venv/bin/f2py": file("7", 0o755),
    INIT: file("6"),
    CORE: file("8"),
    PYC: file("d"),
}

Told = list[tuple[str, str, str | None, str | None]]


def account(
    target: LockedTarget,
    changes: Records | None = None,
    *,
    reference: bool = True,
    reference_tree: FileTree | None = None,
    base: bool | Mapping[str, FileRecord] = True,
    profile: Profile = "image",
    expected: ExpectedFiles = EXPECTED,
    **fields: Any,
) -> tuple[tuple[CheckResult, ...], Coverage]:
    """Account for the files of the reference, with some changed or gone."""
    records = {path: record for path, record in {**REFERENCE, **(changes or {})}.items() if record}
    values: dict[str, Any] = {
        "target": target,
        "image": FileTree(records=records),
        "expected": expected,
        "reference": (reference_tree or FileTree(records=REFERENCE)) if reference else None,
        "no_reference": None if reference else "no reference: it cannot be made here",
        "base": FileTree(records=BASE if base is True else base) if base else None,
        "base_layers": 2 if base else 0,
        "profile": profile,
    }
    results, coverage = account_files(Comparison(**(values | fields)))
    assert sum(coverage.accounted.values()) + coverage.differing + coverage.uncovered == coverage.paths
    assert coverage.paths == len(records)
    assert {result.evidence for result in results} <= {"stored"}
    return results, coverage


def told(results: tuple[CheckResult, ...]) -> Told:
    return [
        (item.outcome, item.title, item.expected, item.found) for item in results if item.outcome != "passed"
    ]


@pytest.mark.parametrize("profile", ["image", "devcontainer"])
def test_an_image_that_is_its_reference_is_accounted_for(target: LockedTarget, profile: Profile) -> None:
    results, coverage = account(target, profile=profile)
    assert told(results) == []
    assert coverage == Coverage(
        paths=len(REFERENCE),
        accounted={
            "wheels": 3, "conda packages": 0, "debs": 3, "layers of the base": 5, "the lock": 0,
            "the reference": 7,
        },
    )  # fmt: skip
    assert [(result.id, result.found) for result in results] == [
        ("files/wheel/numpy", "3 files"),
        ("files/wheel/pytz", "0 files"),
        ("files/deb/git:amd64", "3 files"),
    ]


ATTRIBUTE = (("SCHILY.xattr.security.capability", "01000002"),)
CHANGES: dict[str, tuple[str, FileRecord, str, str]] = {
    "content": (CORE, file("9"), "sha256 888888888888…", "sha256 999999999999…"),
    "mode": (CORE, file("8", 0o4755), "mode 0644", "mode 4755"),
    "owner": (CORE, file("8", uid=1000, gid=5), "owner 0:0", "owner 1000:5"),
    "attributes": (
        CORE,
        file("8", attributes=ATTRIBUTE),
        "no security.capability",
        "security.capability=01000002",
    ),
    "a link": (CORE, link("/tmp/x"), "sha256 888888888888…", "a link to /tmp/x"),  # noqa: S108
    "a folder": (CORE, IMPLIED_FOLDER, "sha256 888888888888…, mode 0644", "a folder, mode 0755"),
    "a device": (
        CORE,
        FileRecord("c", 0o644, 0, 0, 0, "1:3"),
        "sha256 888888888888…",
        "a character device 1:3",
    ),
    "a pipe": (CORE, FileRecord("p", 0o644, 0, 0, 0, None), "sha256 888888888888…", "a named pipe"),
    "all of it": (
        CORE,
        file("9", 0o600, uid=1),
        "sha256 888888888888…, mode 0644, owner 0:0",
        "sha256 999999999999…, mode 0600, owner 1:0",
    ),
    "target of a link": ("/usr/bin/git-shell", link("sh"), "a link to git", "a link to sh"),
    "bytecode": (PYC, file("9"), "sha256 dddddddddddd…", "sha256 999999999999…"),
    "what the build wrote": (
        "/opt/venv/pyvenv.cfg",
        file("9"),
        "sha256 cccccccccccc…",
        "sha256 999999999999…",
    ),
    "a configuration file": ("/etc/gitconfig", file("9"), "sha256 222222222222…", "sha256 999999999999…"),
    "what a script wrote": ("/etc/passwd", file("9"), "sha256 bbbbbbbbbbbb…", "sha256 999999999999…"),
    "a folder's mode": ("/etc", IMPLIED_FOLDER._replace(mode=0o777), "mode 0755", "mode 0777"),
    "the root": ("/", IMPLIED_FOLDER._replace(mode=0o777), "mode 0755", "mode 0777"),
    "hosts": ("/etc/hosts", file("9"), "sha256 eeeeeeeeeeee…", "sha256 999999999999…"),
}


@pytest.mark.parametrize(("path", "record", "expected", "found"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_anything_is_named(
    target: LockedTarget, path: str, record: FileRecord, expected: str, found: str
) -> None:
    results, coverage = account(target, {path: record})
    assert told(results) == [("failed", path, expected, found)]
    assert (coverage.differing, coverage.uncovered) == (1, 0)


@pytest.mark.parametrize(
    ("path", "result", "reason"),
    [
        (CORE, "files/wheel/numpy", "files of numpy 2.1.0"),
        ("/usr/bin/git", "files/deb/git:amd64", "files of git 1:2.39.5-0+deb12u2"),
        (PYC, None, "written by the build or a package's script"),
    ],
)
def test_whose_a_changed_file_is_is_told(
    target: LockedTarget, path: str, result: str | None, reason: str
) -> None:
    """And that its package's files are as locked is not."""
    for change in (file("9"), None):
        results, _ = account(target, {path: change})
        (found,) = (item for item in results if item.outcome == "failed")
        assert found.reason == reason
        assert result not in {item.id for item in results}


@pytest.mark.parametrize(("profile", "outcome"), [("image", "failed"), ("devcontainer", "warned")])
def test_what_neither_lock_nor_scripts_bring_is_named_once(
    target: LockedTarget, profile: Profile, outcome: str
) -> None:
    extra: Records = {
        f"{SITE}/evil.pth": file("9"),
        "/usr/bin/su": file("9", 0o4755),
        "/data": IMPLIED_FOLDER,
        "/data/inner": IMPLIED_FOLDER,
        "/data/inner/x": file("9", uid=7),
        "/empty": IMPLIED_FOLDER,
        "/dev/sda": FileRecord("b", 0o660, 0, 6, 0, "8:0"),
    }
    results, coverage = account(target, extra, profile=profile)
    assert told(results) == [
        (outcome, f"{SITE}/evil.pth", None, "sha256 999999999999…, mode 0644"),
        (outcome, "/usr/bin/su", None, "sha256 999999999999…, mode 4755"),
        (outcome, "/data/inner/x", None, "sha256 999999999999…, mode 0644, owner 7:0"),
        (outcome, "/empty", None, "a folder, mode 0755"),
        (outcome, "/dev/sda", None, "a block device 8:0, mode 0660, owner 0:6"),
    ]
    assert coverage.differing == len(extra)


@pytest.mark.parametrize("profile", ["image", "devcontainer"])
@pytest.mark.parametrize("path", [CORE, "/usr/bin/git-shell", "/etc/passwd", PYC, "/opt/venv/pyvenv.cfg"])
def test_what_is_missing_fails(target: LockedTarget, path: str, profile: Profile) -> None:
    results, coverage = account(target, {path: None}, profile=profile)
    ((outcome, title, _, found),) = told(results)
    assert (outcome, title, found) == ("failed", path, "missing")
    assert coverage.differing == 0, "it is no path of the image"


@pytest.mark.parametrize("record", [IMPLIED_FOLDER, link("/x"), file("9"), file("e", 0o600)], ids=repr)
def test_hosts_may_be_absent_and_not_be_another(target: LockedTarget, record: FileRecord) -> None:
    """A Docker Engine mounts over it while it builds."""
    assert told(account(target, {"/etc/hosts": None})[0]) == []
    assert len(told(account(target, {"/etc/hosts": record})[0])) == 1


def test_no_other_file_may_be_absent(target: LockedTarget) -> None:
    for path in REFERENCE:
        if path not in {"/", "/etc/hosts"}:
            assert told(account(target, {path: None})[0]) != [], path


PERSONAL: Records = {
    "/etc/passwd": file("9"),
    "/etc/gitconfig": file("9", 0o600),
    CORE: file("8", 0o666),
    "/opt/venv/bin/f2py": file("7", 0o777),
    PYC: file("9", attributes=((UNCHECKED_DIGEST, "d" * 64),)),
    "/opt/venv/bin": IMPLIED_FOLDER._replace(mode=0o777),
    "/opt/venv/pyvenv.cfg": file("c", uid=1000, gid=1000),
}
UNSOUND: Records = {
    CORE: file("9"),
    INIT: file("6", 0o777),
    "/usr/bin/git": file("1", 0o777),
    PYC: file("9", attributes=((UNCHECKED_DIGEST, "e" * 64),)),
    "/opt/venv/bin/f2py": link("/bin/sh"),
    "/opt/venv/pyvenv.cfg": file("9"),
}


@pytest.mark.parametrize(("path", "record"), PERSONAL.items(), ids=PERSONAL)
def test_what_a_dev_container_changes_for_its_person_only_warns_there(
    target: LockedTarget, path: str, record: FileRecord
) -> None:
    outcomes: dict[Profile, str] = {"image": "failed", "devcontainer": "warned"}
    for profile, outcome in outcomes.items():
        results, coverage = account(target, {path: record}, profile=profile)
        assert [item[:2] for item in told(results)] == [(outcome, path)]
        assert coverage.differing == 1


@pytest.mark.parametrize(("path", "record"), UNSOUND.items(), ids=UNSOUND)
def test_changed_files_of_packages_fail_in_a_dev_container_too(
    target: LockedTarget, path: str, record: FileRecord
) -> None:
    results, _ = account(target, {path: record}, profile="devcontainer")
    assert [item[:2] for item in told(results)] == [("failed", path)]


NOBODYS: Records = {
    path: file("a", 0o755)
    for path in (
        "/boot/vmlinuz",
        "/etc/fonts/local",
        "/etc/ld.so.preload",
        "/etc/ld.so.cache",
        "/etc/passwd-",
        "/opt/tool/run",
        "/usr/bin/tool",
        "/usr/lib/x86_64-linux-gnu/libx.so.1",
        "/usr/lib/locale/locale-archive",
        "/usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/2.10.0/loaders.cache",
        "/usr/lib64/libx.so.1",
        "/usr/libexec/tool",
        "/usr/local/bin/tool",
        "/usr/local/lib/libx.so",
        "/usr/sbin/tool",
        "/usr/share/info/dir",
        "/var/lib/dpkg/status",
    )
}
"""Files of the reference that no package brings."""

WRITTEN_AGAIN = {
    path
    for path in NOBODYS
    if path.startswith(("/etc/fonts", "/etc/passwd", "/usr/share", "/var"))
    or path.endswith((".cache", "/locale-archive"))
}
"""Those that packages' scripts write, and write again where packages are added."""


@pytest.mark.parametrize("path", NOBODYS)
def test_programs_and_libraries_that_nobody_owns_are_not_personal(target: LockedTarget, path: str) -> None:
    """A base may bring them, and no script does."""
    folders: dict[str, FileRecord] = {}
    for end in range(1, len(path)):
        if path[end] == "/":
            folders[path[:end]] = IMPLIED_FOLDER
    wanted = FileTree(records={**REFERENCE, **folders, path: file("a", 0o755)})
    for record in (file("9", 0o755), file("a", 0o777)):
        results, _ = account(target, {**folders, path: record}, reference_tree=wanted, profile="devcontainer")
        assert [item[:2] for item in told(results)] == [
            ("warned" if path in WRITTEN_AGAIN else "failed", path)
        ]


@pytest.mark.parametrize("mode", [0o4644, 0o2644, 0o6755])
def test_a_set_id_bit_is_not_personal(target: LockedTarget, mode: int) -> None:
    results, _ = account(target, {"/etc/passwd": file("9", mode)}, profile="devcontainer")
    assert [item[:2] for item in told(results)] == [("failed", "/etc/passwd")]


def test_a_bit_that_is_gone_may_be_personal(target: LockedTarget) -> None:
    wanted = FileTree(records={**REFERENCE, "/etc/passwd": file("b", 0o6644)})
    results, _ = account(
        target, {"/etc/passwd": file("b", 0o2644)}, reference_tree=wanted, profile="devcontainer"
    )
    assert [item[:2] for item in told(results)] == [("warned", "/etc/passwd")]


@pytest.mark.parametrize("content", ["b", "9"])
def test_attributes_are_not_personal(target: LockedTarget, content: str) -> None:
    results, _ = account(target, {"/etc/passwd": file(content, attributes=ATTRIBUTE)}, profile="devcontainer")
    assert [item[:2] for item in told(results)] == [("failed", "/etc/passwd")]


def test_a_reference_that_is_not_the_wheel_is_found_out(target: LockedTarget) -> None:
    """Image and reference may come from the same damaged cache; the wheel does not."""
    damaged = {**REFERENCE, CORE: file("9")}
    image = FileTree(records=damaged)
    results, coverage = account_files(
        Comparison(target=target, image=image, expected=EXPECTED, reference=FileTree(records=damaged))
    )
    ((outcome, title, expected, found),) = told(results)
    assert (outcome, title) == ("failed", CORE)
    assert (expected, found) == ("sha256 888888888888…", "sha256 999999999999…")
    assert sum(coverage.accounted.values()) + coverage.differing == coverage.paths


def test_what_a_script_of_a_deb_changed_is_what_the_reference_has(target: LockedTarget) -> None:
    diverted = {**REFERENCE, "/usr/bin/git": file("9", 0o755)}
    tree = FileTree(records=diverted)
    results, coverage = account_files(
        Comparison(target=target, image=tree, expected=EXPECTED, reference=tree)
    )
    assert told(results) == []
    assert coverage.accounted["debs"] == 2


def test_layers_that_engines_read_in_different_ways_are_named(target: LockedTarget) -> None:
    """A locked base is used as it is."""
    oddities = tuple(Oddity(layer=layer, path="/x", reason="is there twice") for layer in (0, 1, 2))
    results, _ = account(target, image=FileTree(records=REFERENCE, oddities=oddities))
    assert told(results) == [("failed", "/x", None, "is there twice, which engines read in different ways")]
    results, _ = account(target, base=False, image=FileTree(records=REFERENCE, oddities=oddities))
    assert len(told(results)) == 3


def without_reference(
    target: LockedTarget, changes: Records | None = None, **fields: Any
) -> tuple[Told, Coverage]:
    results, coverage = account(target, changes, reference=False, **fields)
    return told(results), coverage


def test_without_a_reference_artifacts_and_base_account_for_what_they_bring(target: LockedTarget) -> None:
    found, coverage = without_reference(target)
    assert found == []
    assert coverage.reason == "no reference: it cannot be made here"
    assert coverage.accounted == {
        "wheels": 3, "conda packages": 0, "debs": 3, "layers of the base": 5, "the lock": 0,
        "the reference": 0,
    }  # fmt: skip
    assert coverage.not_covered == (
        "/etc/passwd", "/etc/hosts", "/opt", "/opt/venv", "/opt/venv/pyvenv.cfg", "/opt/venv/bin", PYC
    )  # fmt: skip


CLAIMED: dict[str, tuple[str, FileRecord | None, tuple[str | None, str]]] = {
    "a wheel's content": (CORE, file("9"), ("sha256 888888888888…", "sha256 999999999999…")),
    "a wheel's mode": (CORE, file("8", 0o666), ("mode 0644", "mode 0666")),
    "a wheel's owner": (CORE, file("8", uid=5), ("owner 0:0", "owner 5:0")),
    "a wheel's file is missing": (CORE, None, ("a file", "missing")),
    "a wheel's file is a link": (CORE, link("x"), ("sha256 888888888888…", "a link to x")),
    "a deb's content": ("/usr/bin/git", file("9", 0o755), ("sha256 111111111111…", "sha256 999999999999…")),
    "a deb's link": ("/usr/bin/git-shell", link("sh"), ("a link to git", "a link to sh")),
    "a deb's file is missing": ("/usr/bin/git", None, ("a file", "missing")),
    "a deb's file gets a set-user-ID bit": (
        "/usr/bin/git",
        file("1", 0o4755),
        ("mode 0755", "mode 4755"),
    ),
    "a deb's file gets a set-user-ID bit and an owner": (
        "/usr/bin/git",
        file("1", 0o4755, uid=5, gid=6),
        ("mode 0755, owner 0:0", "mode 4755, owner 5:6"),
    ),
    "a file in the home": ("/home/app/.bashrc", file("9"), (None, "sha256 999999999999…")),
    "a link in the home": ("/home/app/deep/x", link("/bin/sh"), (None, "a link to /bin/sh")),
    "a file in the workdir": ("/workspace/sitecustomize.py", file("9"), (None, "sha256 999999999999…")),
    "a pipe in the workdir": (
        "/workspace/pipe",
        FileRecord("p", 0o644, 1000, 1000, 0, None),
        (None, "a named pipe"),
    ),
    "a file in the prefix": (f"{SITE}/evil.pth", file("9"), (None, "sha256 999999999999…")),
    "a link in the prefix": ("/opt/venv/bin/pip", link("/tmp/x"), (None, "a link to /tmp/x")),  # noqa: S108
}


@pytest.mark.parametrize(("path", "record", "difference"), CLAIMED.values(), ids=CLAIMED)
def test_without_a_reference_what_contradicts_an_artifact_fails(
    target: LockedTarget, path: str, record: FileRecord | None, difference: tuple[str | None, str]
) -> None:
    found, coverage = without_reference(target, {path: record})
    assert found == [("failed", path, *difference)]
    assert path not in coverage.not_covered


UNCLEAR: Records = {
    "/usr/bin/git": file("1", 0o2755, uid=5, gid=6),
    "/etc/gitconfig": file("2", 0o640),
    "/etc/passwd": file("9"),
    PYC: file("9"),
    "/usr/bin/new": file("9"),
    "/opt/venv/bin/python3.11": link("/usr/bin/python3.11"),
    f"{SITE}/extra": IMPLIED_FOLDER,
    "/home/app": IMPLIED_FOLDER,
    "/home/app/folder": IMPLIED_FOLDER,
    "/home/other/x": file("9"),
    "/home/application": file("9"),
}


@pytest.mark.parametrize(("path", "record"), UNCLEAR.items(), ids=UNCLEAR)
def test_without_a_reference_what_a_script_may_have_written_is_not_covered(
    target: LockedTarget, path: str, record: FileRecord
) -> None:
    """Of an image base nobody knows what a package's script brings."""
    found, coverage = without_reference(target, {path: record})
    assert found == []
    assert path in coverage.not_covered


def test_without_an_image_base_system_folders_hold_what_packages_bring(projection: dict[str, Any]) -> None:
    projection["base"]["image"] = None
    bootstrapped = read_target(projection, TARGET_DIGEST)
    strange: Records = {
        "/usr/bin/tool": file("9"),
        "/opt/other/x": file("9"),
        "/etc/ld.so.preload": file("9"),
        "/usr/bin/awk": link("/tmp/awk"),  # noqa: S108 - a path in a listing
    }
    found, _ = without_reference(bootstrapped, strange, base=False)
    assert [(outcome, path) for outcome, path, *_ in found] == [("failed", path) for path in strange]
    unclear: Records = {
        "/usr/bin/awk": link("/etc/alternatives/awk"),
        "/usr/share/info/dir": file("9"),
        "/usr/lib/python3/__pycache__/x.cpython-311.pyc": file("9"),
        "/etc/motd": file("9"),
        "/usr/games": IMPLIED_FOLDER,
    }
    found, coverage = without_reference(bootstrapped, unclear, base=False)
    assert found == []
    assert unclear.keys() <= {*coverage.not_covered}


def test_files_that_dpkg_was_told_to_leave_out_may_be_absent(projection: dict[str, Any]) -> None:
    for excludes, count in (
        (["-/etc/*"], 0),
        (["-/etc/*", "+/etc/git*"], 1),
        (["-/usr/*"], 1),
    ):
        projection["base"]["excludes"] = excludes
        found, _ = without_reference(read_target(projection, TARGET_DIGEST), {"/etc/gitconfig": None})
        assert len(found) == count


def test_of_two_packages_that_bring_one_file_either_may_win(projection: dict[str, Any]) -> None:
    other = "git-fork_1_amd64.deb"
    projection["debs"].append(projection["debs"][0] | {"name": "git-fork", "version": "1", "file": other})
    expected = replace(
        EXPECTED, debs={**EXPECTED.debs, other: {"/usr/bin/git": ExpectedEntry("f", 0o755, "5" * 64)}}
    )
    target = read_target(projection, TARGET_DIGEST)
    for letter, failures in (("1", 0), ("5", 0), ("9", 1)):
        found, _ = without_reference(target, {"/usr/bin/git": file(letter, 0o755)}, expected=expected)
        assert len(found) == failures


def test_without_artifacts_nothing_of_them_is_claimed(target: LockedTarget) -> None:
    results, coverage = account(target, expected=ExpectedFiles())
    assert results == ()
    assert coverage.accounted["the reference"] == len(REFERENCE) - 5


def test_without_a_reference_a_deb_that_lost_its_set_user_id_bit_is_named(target: LockedTarget) -> None:
    entries = {**EXPECTED.debs[GIT], "/bin/git": ExpectedEntry("f", 0o4755, "1" * 64)}
    expected = replace(EXPECTED, debs={GIT: entries})
    found, _ = without_reference(target, {"/usr/bin/git": file("1", 0o755)}, expected=expected)
    assert found == [("failed", "/usr/bin/git", "mode 4755", "mode 0755")]
    found, coverage = without_reference(target, {"/usr/bin/git": file("1", 0o4755)}, expected=expected)
    assert found == []
    assert coverage.accounted["debs"] == 3


CARRIED_PATH = "/etc/envbuild/lock.json"
CARRIED = {CARRIED_PATH: "f" * 64, "/etc/envbuild/probe.pyz": "0" * 64}
LAID: Records = {CARRIED_PATH: file("f"), "/etc/envbuild/probe.pyz": file("0")}


def test_without_a_reference_what_the_build_lays_down_is_accounted_to_the_lock(target: LockedTarget) -> None:
    found, coverage = without_reference(target, LAID, carried=CARRIED)
    assert found == []
    assert coverage.accounted["the lock"] == 2
    assert not LAID.keys() & {*coverage.not_covered}
    # nobody said what they are
    _, coverage = without_reference(target, LAID)
    assert LAID.keys() <= {*coverage.not_covered}


@pytest.mark.parametrize(
    ("record", "expected", "now"),
    [
        (file("9"), "sha256 ffffffffffff…", "sha256 999999999999…"),
        (file("f", 0o666), "mode 0644", "mode 0666"),
        (file("f", uid=1000, gid=1000), "owner 0:0", "owner 1000:1000"),
        (
            file("f", attributes=(("SCHILY.xattr.user.a", "31"),)),
            "no user.a",
            "user.a=31",
        ),
        (link("/x"), "sha256 ffffffffffff…", "a link to /x"),
        (IMPLIED_FOLDER, "sha256 ffffffffffff…, mode 0644", "a folder, mode 0755"),
    ],
)
def test_without_a_reference_what_the_build_lays_down_is_compared(
    target: LockedTarget, record: FileRecord, expected: str, now: str
) -> None:
    """A base that has the same file excuses nothing."""
    for base in (BASE, {**BASE, CARRIED_PATH: record}):
        found, coverage = without_reference(
            target, {CARRIED_PATH: record}, carried={CARRIED_PATH: "f" * 64}, base=base
        )
        assert found == [("failed", CARRIED_PATH, expected, now)]
        assert coverage.accounted["the lock"] == 0


def test_without_a_reference_what_the_build_should_have_laid_down_is_missed(target: LockedTarget) -> None:
    found, _ = without_reference(target, carried=CARRIED)
    assert found == [("failed", path, "a file", "missing") for path in CARRIED]


def test_a_missing_folder_is_named_in_place_of_what_was_in_it(target: LockedTarget) -> None:
    gone = {path: None for path in REFERENCE if f"{path}/".startswith("/etc/")}
    results, _ = account(target, gone)
    assert told(results) == [("failed", "/etc", "a folder", "missing")]
    # and that the package's files are as locked is not said
    assert "files/deb/git:amd64" not in {item.id for item in results}


def test_of_nested_missing_folders_the_outermost_is_named(target: LockedTarget) -> None:
    nested: Records = {"/data": IMPLIED_FOLDER, "/data/in": IMPLIED_FOLDER, "/data/in/x": file("9")}
    reference = FileTree(records={**REFERENCE, **{path: item for path, item in nested.items() if item}})
    paths = list(nested)
    for position, outermost in enumerate(paths):
        gone = paths[position:]
        image = FileTree(records={path: item for path, item in reference.records.items() if path not in gone})
        results, _ = account_files(
            Comparison(target=target, image=image, expected=EXPECTED, reference=reference)
        )
        assert [item[1] for item in told(results)] == [outermost]


NUMPY_GONE: Records = dict.fromkeys((INIT, CORE, "/opt/venv/bin/f2py"))


@pytest.mark.parametrize("reference", [True, False])
@pytest.mark.parametrize(
    ("folder", "title", "expected", "found"),
    [
        (None, "files of numpy 2.1.0", None, "missing"),
        ("NumPy-2.0.0.dist-info", "numpy", "2.1.0", "2.0.0"),
        ("numpy_more-1.dist-info", "files of numpy 2.1.0", None, "missing"),
        ("vendored/numpy-1.dist-info", "files of numpy 2.1.0", None, "missing"),
        ("numpy.dist-info", "files of numpy 2.1.0", None, "missing"),
    ],
)
def test_a_wheel_none_of_whose_files_is_there_is_one_result(
    target: LockedTarget, folder: str | None, title: str, expected: str | None, found: str, *, reference: bool
) -> None:
    """It says which version is there instead."""
    there: Records = {f"{SITE}/{folder}": IMPLIED_FOLDER} if folder else {}
    for profile in ("image", "devcontainer"):
        results, _ = account(target, {**NUMPY_GONE, **there}, reference=reference, profile=profile)
        (one,) = (item for item in results if item.id == "files/wheel/numpy")
        assert (one.outcome, one.title, one.expected, one.found) == ("failed", title, expected, found)
        assert one.reason == "none of its 3 files is there"


def test_a_deb_none_of_whose_files_is_there_is_one_result(target: LockedTarget) -> None:
    gone: Records = dict.fromkeys(("/usr/bin/git", "/usr/bin/git-shell", "/etc/gitconfig"))
    results, _ = account(target, gone)
    (one,) = (item for item in results if item.id == "files/deb/git:amd64")
    assert (one.outcome, one.title, one.found) == (
        "failed",
        "files of git 1:2.39.5-0+deb12u2",
        "missing",
    )


def test_an_artifact_of_which_something_is_there_has_no_such_result(target: LockedTarget) -> None:
    results, _ = account(target, dict.fromkeys((INIT, CORE)))
    assert "files/wheel/numpy" not in {item.id for item in results}


@pytest.mark.parametrize(
    ("path", "record", "outcome"),
    [
        ("/etc/gitconfig", file("9"), "warned"),
        (INIT, file("6", 0o666), "warned"),
        (INIT, file("9"), "failed"),
        ("/usr/bin/git", file("9", 0o755), "failed"),
        ("/etc/gitconfig", file("9", 0o4755), "failed"),
    ],
    ids=["edited configuration", "writable environment", "code", "program", "set-user-ID"],
)
@pytest.mark.parametrize("reference", [True, False])
def test_a_dev_container_is_judged_alike_with_and_without_a_reference(
    target: LockedTarget, path: str, record: FileRecord, outcome: str, *, reference: bool
) -> None:
    results, _ = account(target, {path: record}, reference=reference, profile="devcontainer")
    assert [item.outcome for item in results if item.title == path] == [outcome]


@pytest.mark.parametrize(
    "record",
    [file("9", 0o2644), file("2", attributes=ATTRIBUTE), link("/tmp/x")],  # noqa: S108
    ids=["set-group-ID", "capability", "link"],
)
def test_a_configuration_file_that_may_do_more_is_nobodys_personal_change(
    target: LockedTarget, record: FileRecord
) -> None:
    results, _ = account(target, {"/etc/gitconfig": record}, profile="devcontainer")
    assert [item.outcome for item in results if item.title == "/etc/gitconfig"] == ["failed"]
