import os
from pathlib import Path

import pytest

from envbuild.verify.checks.facts import DebFacts
from envbuild.verify.probe.environment import environment_facts
from envbuild.verify.probe.packages import deb_facts, outside_distributions, prefix_distributions
from envbuild.verify.probe.roots import place, real_path
from envbuild.verify.probe.system import (
    libc_facts,
    machine_facts,
    os_facts,
    parse_cpuinfo,
    parse_musl,
    process_facts,
    variable_facts,
    x86_level,
)

V2 = "cx16 lahf_lm pni popcnt sse4_1 sse4_2 ssse3"
V3 = f"{V2} abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"


def write(root: Path, path: str, text: str = "") -> None:
    target = place(root, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def test_os_release_is_read_as_shells_do(tmp_path: Path) -> None:
    write(
        tmp_path,
        "/etc/os-release",
        "# comment\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID='12'\n"
        'BAD="\nVERSION_CODENAME=bookworm\n',
    )
    facts = os_facts(tmp_path)
    assert (facts.id, facts.version_id, facts.codename) == ("debian", "12", "bookworm")
    assert facts.pretty_name == "Debian GNU/Linux 12"


def test_the_vendors_os_release_stands_in(tmp_path: Path) -> None:
    write(tmp_path, "/usr/lib/os-release", "ID=other\n")
    assert os_facts(tmp_path).id == "other"
    assert os_facts(tmp_path / "nothing").id is None


def test_this_process_has_a_libc_and_a_machine() -> None:
    assert libc_facts().family == "glibc"
    assert libc_facts().version == ".".join(os.confstr("CS_GNU_LIBC_VERSION").split()[1].split(".")[:2])  # type: ignore[union-attr]
    machine = machine_facts()
    assert machine.machine == os.uname().machine
    assert machine.pointer_bits == 64
    assert machine.cpu_count == len(os.sched_getaffinity(0))
    assert machine.cpu_features


def test_musl_is_read_from_what_its_loader_says() -> None:
    assert parse_musl("musl libc (x86_64)\nVersion 1.2.4_git20230717\nDynamic Program Loader\n") == "1.2"
    assert parse_musl("not found") is None


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        ("sse2", "x86-64-v1"),
        (V2, "x86-64-v2"),
        (V3, "x86-64-v3"),
        (f"{V3} avx512bw avx512cd avx512dq avx512f avx512vl", "x86-64-v4"),
        # a level counts only with all before it
        (V3.replace("popcnt", ""), "x86-64-v1"),
    ],
)
def test_the_level_of_a_processor(flags: str, level: str) -> None:
    assert x86_level(flags.split()) == level


def test_cpuinfo_of_both_machines() -> None:
    x86 = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu sse2\n\nprocessor\t: 1\nflags\t: other\n"
    assert parse_cpuinfo(x86) == ("Some CPU", frozenset({"fpu", "sse2"}))
    arm = "processor\t: 0\nFeatures\t: fp asimd sve\nCPU part\t: 0xd40\n"
    assert parse_cpuinfo(arm) == (None, frozenset({"fp", "asimd", "sve"}))
    assert parse_cpuinfo("") == (None, frozenset())


def test_the_users_name_is_the_containers(tmp_path: Path) -> None:
    write(
        tmp_path, "/etc/passwd", f"other:x:{os.getuid() + 1}:0::/:/bin/sh\nme:x:{os.getuid()}:0::/:/bin/sh\n"
    )
    assert process_facts(tmp_path).user == "me"
    assert process_facts(tmp_path).uid == os.getuid()
    assert process_facts(tmp_path / "nothing").user is None


def test_values_of_other_variables_stay_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASKED", "yes")
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    facts = variable_facts(["ASKED", "ABSENT"])
    assert facts.values == {"ASKED": "yes"}
    assert "SECRET_TOKEN" in facts.others
    assert "hunter2" not in str(facts)


STATUS = """\
Package: zlib1g
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Description: compression
 Package: not a field
 .
Version: 1:1.2.13

Package: git
Status: deinstall ok config-files
Architecture: amd64
Conffiles:
 /etc/x 0123
Version: 2

"""


def test_the_dpkg_database(tmp_path: Path) -> None:
    write(tmp_path, "/var/lib/dpkg/status", STATUS)
    assert deb_facts(tmp_path) == (
        DebFacts(name="git", version="2", architecture="amd64", status="deinstall ok config-files"),
        DebFacts(name="zlib1g", version="1:1.2.13", architecture="amd64", status="install ok installed"),
    )


def test_a_database_in_parts(tmp_path: Path) -> None:
    write(tmp_path, "/var/lib/dpkg/status.d/libc6", "Package: libc6\nVersion: 2.36\nArchitecture: amd64\n")
    write(tmp_path, "/var/lib/dpkg/status.d/libc6.md5sums", "0123  usr/lib/libc.so.6\n")
    assert deb_facts(tmp_path) == (
        DebFacts(name="libc6", version="2.36", architecture="amd64", status="install ok installed"),
    )


def test_no_database(tmp_path: Path) -> None:
    assert deb_facts(tmp_path) is None


def test_distributions_of_a_prefix(tmp_path: Path) -> None:
    site = "/opt/venv/lib/python3.11/site-packages"
    info = f"{site}/Foo_Bar-1.0.dist-info"
    write(
        tmp_path,
        f"{info}/METADATA",
        "Metadata-Version: 2.1\nName: Foo.Bar\nVersion: 1.0\nVersion: 9\n\nName: of the description\n",
    )
    write(tmp_path, f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\nTag: py2-none-any\n")
    write(tmp_path, f"{info}/INSTALLER", "pip\n")
    write(tmp_path, f"{info}/RECORD", "x")
    write(tmp_path, f"{site}/broken-2.0.dist-info/WHEEL")
    write(tmp_path, f"{site}/old.egg-info", "Name: old\nVersion: 3\n")
    write(tmp_path, f"{site}/linked.egg-link", "/src\n.\n")
    write(tmp_path, f"{site}/foo/__init__.py")
    found = {item.name: item for item in prefix_distributions("/opt/venv", tmp_path)}
    assert sorted(found) == ["broken", "foo-bar", "linked", "old"]
    assert found["foo-bar"].version == "1.0"
    assert found["foo-bar"].path == info
    assert found["foo-bar"].installer == "pip"
    assert found["foo-bar"].tags == ("py2-none-any", "py3-none-any")
    assert (
        found["foo-bar"].record_sha256 == "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    )
    assert (found["broken"].version, found["broken"].record_sha256) == (None, None)
    assert (found["old"].version, found["linked"].version) == ("3", None)


def test_a_link_to_the_folder_of_a_python_has_no_distributions_of_its_own(tmp_path: Path) -> None:
    """conda-forge's Python has lib/python3.1 beside the lib/python3.X it leads to."""
    write(
        tmp_path,
        "/opt/conda/lib/python3.12/site-packages/foo-1.dist-info/METADATA",
        "Name: foo\nVersion: 1\n",
    )
    place(tmp_path, "/opt/conda/lib/python3.1").symlink_to("python3.12")

    (found,) = prefix_distributions("/opt/conda", tmp_path)

    assert found.path == "/opt/conda/lib/python3.12/site-packages/foo-1.dist-info"


def test_distributions_elsewhere_on_the_path(tmp_path: Path) -> None:
    write(tmp_path, "/usr/lib/python3/dist-packages/x-1.dist-info/METADATA", "Name: x\nVersion: 1\n")
    write(tmp_path, "/opt/venv/lib/y-1.dist-info/METADATA", "Name: y\nVersion: 1\n")
    path = ("/usr/lib/python3/dist-packages", "/opt/venv/lib", "/nowhere", "/usr/lib/python311.zip")
    found = outside_distributions(path, "/opt/venv", tmp_path)
    assert [item.name for item in found] == ["x"]
    assert outside_distributions(None, "/opt/venv", tmp_path) == ()


def test_links_are_followed_inside_the_root(tmp_path: Path) -> None:
    write(tmp_path, "/usr/bin/python3.11")
    (tmp_path / "opt/venv/bin").mkdir(parents=True)
    (tmp_path / "opt/venv/bin/python").symlink_to("python3")
    (tmp_path / "opt/venv/bin/python3").symlink_to("/usr/bin/./python3")
    (tmp_path / "usr/bin/python3").symlink_to("../../usr/bin/python3.11")
    (tmp_path / "round").symlink_to("/round")
    (tmp_path / "broken").symlink_to("/nowhere")
    assert real_path(tmp_path, "/opt/venv/bin/python") == "/usr/bin/python3.11"
    assert real_path(tmp_path, "/round") is None
    assert real_path(tmp_path, "/broken") is None
    assert real_path(tmp_path, "/") == "/"


def test_an_environment_without_interpreter_says_why(tmp_path: Path) -> None:
    facts = environment_facts("/opt/venv", tmp_path)
    assert (facts.python, facts.settings) == (None, None)
    assert facts.reason == "/opt/venv/bin/python does not exist"


def test_an_interpreter_that_cannot_start_says_why(tmp_path: Path) -> None:
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\necho nonsense\necho broken library >&2\nexit 3\n")
    python.chmod(0o755)
    facts = environment_facts(f"{tmp_path}/venv", Path("/"))
    assert facts.python is None
    assert facts.reason == f"{tmp_path}/venv/bin/python cannot be started: broken library"
    python.chmod(0o644)
    python.unlink()
    python.write_text("not a program")
    reason = environment_facts(f"{tmp_path}/venv", Path("/")).reason
    assert reason is not None
    assert reason.startswith(f"{tmp_path}/venv/bin/python cannot be started: ")
