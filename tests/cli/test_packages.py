"""`tree`, `why` and `outdated`: what people and programs see of the packages of a lock."""

import json
import socket
import subprocess
import sys

import pytest

from envbuild.lock.codec import dumps
from envbuild.lock.model import Lock
from tests.rig.growing import with_debs, with_target, with_wheels
from tests.rig.index import make_wheel
from tests.rig.locks import conda_lock, deb, image_base, sample_lock, wheel
from tests.rig.paths import CHECKOUT
from tests.rig.program import SPEC, Program

LOCK = with_debs(
    with_wheels(
        sample_lock(),
        wheel("server", requires=('loop; extra == "fast"', "numpy<3"), size=2_000_000),
        wheel("loop"),
        asks=("server[fast]",),
    ),
    deb("git", depends=("libc6 (>= 2.34)", "perl")),
    deb("perl", depends=("perl-modules",)),
    deb("perl-modules", depends=("perl", "awk")),
)

TREE = """\
[pip]
numpy 2.3.4 (asked for: numpy>=2)
scikit-learn 1.7.2
├── joblib 1.5.2
└── numpy 2.3.4
server 1.0 (asked for: server[fast])
├── loop 1.0 (extra fast)
└── numpy 2.3.4

[system]
git 1.0-1
├── libc6 2.36-9+deb12u13 (of the base)
└── perl 1.0-1
    └── perl-modules 1.0-1
        ├── mawk 1.3.4 (provides awk; of the base)
        └── perl 1.0-1 (*)

(*) shown in full above
"""

WHY = """\
numpy 2.3.4 (wheel): default on linux/amd64
  [pip] asks for numpy>=2
  [pip] asks for scikit-learn
    scikit-learn 1.7.2 requires numpy>=1.22
  [pip] asks for server[fast]
    server 1.0 requires numpy<3
  newer versions are limited by
    server 1.0: <3
"""


@pytest.fixture
def packages(program: Program) -> Program:
    """Return a program beside a lock, without the spec that it answers."""
    program.lock.write_text(dumps(LOCK))
    return program


def test_the_tree_begins_with_what_the_spec_asks_for(packages: Program):
    answer = packages("tree")

    assert (answer.code, answer.stderr) == (0, "")
    assert answer.stdout == TREE


def test_a_tree_begins_with_packages_that_are_named(packages: Program):
    assert packages("tree", "Scikit_Learn", "--depth", "0").stdout == "scikit-learn 1.7.2 (wheel)\n"


def test_a_tree_is_inverted(packages: Program):
    assert packages("tree", "--invert", "awk", "mawk").code == 2
    assert packages("tree", "--invert", "mawk").stdout == (
        "mawk 1.3.4 (deb; of the base)\n"
        "├── base-files 12.4+deb12u12 (provides awk; of the base)\n"
        "│   └── bash 5.2.15-2+b9 (of the base)\n"
        "└── perl-modules 1.0-1 (provides awk)\n"
        "    └── perl 1.0-1\n"
        "        ├── git 1.0-1\n"
        "        │   └── [system] asks for it: git\n"
        "        └── perl-modules 1.0-1 (*)\n"
        "\n(*) shown in full above\n"
    )


def test_a_tree_of_one_kind(packages: Program):
    assert packages("tree", "--kind", "deb", "--depth", "0").stdout == "[system]\ngit 1.0-1\n"


def test_a_tree_shows_sizes(packages: Program):
    lines = packages("tree", "--sizes").stdout.splitlines()

    assert lines[2] == "scikit-learn 1.7.2 (9.0 MB, 25.3 MB with what it requires)"
    assert lines[-3] == "8 files of 27.3 MB; packages of the base are not counted"


def test_an_inverted_tree_needs_a_package(packages: Program):
    answer = packages("tree", "--invert")

    assert answer.code == 2
    assert "an inverted tree begins with a package" in answer.stderr


def test_a_tree_as_json_is_a_list_of_packages_that_name_each_other(packages: Program):
    found = json.loads(packages("tree", "--json").stdout)

    assert found["roots"][1] == {"id": "wheel:scikit-learn", "requirement": "scikit-learn", "table": "pip"}
    by_id = {package["id"]: package for package in found["packages"]}
    assert by_id["wheel:server"] == {
        "build": None,
        "id": "wheel:server",
        "kind": "wheel",
        "name": "server",
        "part": "environment",
        "requires": [
            {"extra": "fast", "id": "wheel:loop", "provides": None, "requirement": "loop"},
            {"extra": None, "id": "wheel:numpy", "provides": None, "requirement": "numpy<3"},
        ],
        "size": 2_000_000,
        "version": "1.0",
    }
    assert {edge["id"] for package in found["packages"] for edge in package["requires"]} <= by_id.keys()


def test_lines_are_drawn_in_ascii_where_the_encoding_has_no_others(packages: Program):
    from envbuild.cli.text.tree import as_text  # noqa: PLC0415
    from envbuild.workflows.packages.tree import package_tree  # noqa: PLC0415
    from envbuild.workflows.project import Project  # noqa: PLC0415

    found = package_tree(Project(packages.spec))
    for encoding in ("ascii", "latin-1", None, "no-such-encoding"):
        text = "\n".join(as_text(found, encoding=encoding, sizes=False))
        assert text.isascii()
        assert "|-- joblib 1.5.2\n`-- numpy 2.3.4" in text


def test_each_chain_is_told_with_its_constraints(packages: Program):
    answer = packages("why", "NumPy")

    assert (answer.code, answer.stderr) == (0, "")
    assert answer.stdout == WHY


def test_chains_are_bounded(packages: Program):
    assert "… and 2 more chains: --limit 0 shows all" in packages("why", "numpy", "--limit", "1").stdout
    assert packages("why", "numpy", "--limit", "0").stdout == WHY


def test_a_package_of_the_base_and_a_tool_say_what_they_are(packages: Program):
    assert packages("why", "bash").stdout == (
        "bash 5.2.15-2+b9 (deb): default on linux/amd64\n  part of the base debian:bookworm\n"
    )
    assert packages("why", "installer").stdout == (
        "installer 1.1.0 (wheel): default on linux/amd64\n  used by builds of the image; not part of it\n"
    )


def test_a_name_in_two_ecosystems_is_explained_in_each(program: Program):
    program.lock.write_text(dumps(conda_lock()))
    lines = program("why", "python").stdout.splitlines()

    assert lines[0] == "python 3.11.9 h1_0_cpython (conda): default on linux/amd64"
    assert "  the Python of the spec: 3.11" in lines
    assert lines[-2:] == ["    [conda]: 3.11.*", "    numpy 2.3.4 py311_0: <3.12.0a0"]


def test_targets_with_the_same_reasons_are_together(program: Program):
    program.lock.write_text(dumps(_two_platforms(LOCK)))
    headings = [line for line in program("why", "numpy").stdout.splitlines() if not line.startswith(" ")]

    assert headings == ["numpy 2.3.4 (wheel): default on linux/amd64, default on linux/arm64"]
    one = program("why", "numpy", "--platform", "linux/arm64", "--json")
    assert [item["platform"] for item in json.loads(one.stdout)] == ["linux/arm64"]


def test_reasons_as_json(packages: Program):
    (found,) = json.loads(packages("why", "loop", "--json").stdout)

    assert found["chains"] == [
        {
            "id": "wheel:server",
            "requirement": "server[fast]",
            "steps": [
                {
                    "extra": "fast",
                    "id": "wheel:server",
                    "provides": None,
                    "requirement": "loop",
                    "requires": "wheel:loop",
                    "version": "1.0",
                }
            ],
            "table": "pip",
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("why", "nunpy"), "did you mean `numpy`?"),
        (("why", "numpy", "--kind", "deb"), "it is there as a wheel"),
        (("tree", "scikit"), "the lock has no package `scikit`"),
        (("why", "numpy", "--variant", "gpu"), "targets of this lock: default on linux/amd64"),
        (("tree", "--variant", "gpu"), "variants of this lock: default"),
        (("why", "numpy", "--kind", "rpm"), "--kind"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(packages: Program, arguments: tuple[str, ...], said: str):
    answer = packages(*arguments)

    assert (answer.code, answer.stdout) == (2, "")
    assert said in answer.stderr


def test_a_package_that_is_not_locked_yet_is_told_apart(program: Program):
    program.has(sample_lock())
    program.asks_for("polars")

    answer = program("why", "polars")
    assert "envbuild.toml has changed since it was locked: run `envbuild lock`" in answer.stderr


def test_there_must_be_a_lock(program: Program):
    program.spec.write_text(SPEC)

    assert program("tree").code == 4
    program.lock.write_text("version = 1\n")
    assert program("why", "numpy").code == 4


def test_neither_reads_anything_but_the_lock(packages: Program, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a program or a server was asked")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    packages.spec.write_text("not toml")
    cache = packages.folder.parent / "cache"

    assert packages("tree").code == packages("why", "numpy").code == 0
    assert not cache.exists()


@pytest.mark.parametrize("arguments", [("tree",), ("tree", "-f", "."), ("why", "numpy")])
def test_neither_imports_what_takes_long(arguments: tuple[str, ...]):
    text = "import sys; from envbuild.cli.app import app; app(standalone_mode=False); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", text, *arguments],
        cwd=CHECKOUT / "examples/sklearn",
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = set(done.stdout.splitlines()[-1].split())
    assert "envbuild.lock.graph.model" in loaded
    assert loaded & {"pydantic", "requests", "debian", "envbuild.lock.model", "envbuild.spec.model"} == set()


# --- outdated -----------------------------------------------------------------------------------


def test_nobody_can_be_asked_offline(locked: Program):
    answer = locked("outdated", "--offline")

    assert answer.code == 2
    assert "--offline asks nobody" in answer.stderr


def test_a_stale_lock_is_not_compared(locked: Program):
    locked.asks_for("polars")

    assert locked("outdated").code == 4


@pytest.fixture
def behind(with_index: Program, package_index: object) -> Program:
    """Return a program whose index has newer versions than its lock; no Debian packages are locked."""
    # nobody answers there: whether the base has moved is not known
    base = image_base("127.0.0.1:9/python:3.11-slim")
    lock = with_wheels(
        without_system_packages(sample_lock(base)),
        wheel("scikit-learn", "1.7.2", requires=("joblib<2,>=1.2", "numpy>=1.22")),
    )
    folder = package_index.folder  # type: ignore[attr-defined]
    for name, version in (("joblib", "1.5.2"), ("joblib", "1.6.0"), ("joblib", "2.0"), ("numpy", "2.3.4")):
        make_wheel(folder, name, version)
    make_wheel(folder, "scikit-learn", "1.7.2", requires=["joblib<2,>=1.2", "numpy>=1.22"])
    make_wheel(folder, "scikit-learn", "1.8.0", requires=["joblib<2,>=1.2", "numpy>=1.22"])
    with_index.has(lock)
    return with_index


def test_newer_versions_are_shown_with_what_limits_them(behind: Program):
    answer = behind("outdated", "--frozen")

    assert answer.code == 0, answer.stderr
    assert answer.stdout == (
        "package       kind   locked  allowed  newest  note\n"
        "joblib        wheel  1.5.2   1.6.0    2.0     limited by scikit-learn 1.7.2: <2\n"
        "scikit-learn  wheel  1.7.2   1.8.0    1.8.0\n"
    )
    assert "2 of 3 packages have newer versions: default on linux/amd64" in answer.stderr


def test_ci_is_told_by_an_exit_code(behind: Program):
    assert behind("outdated", "--frozen", "--exit-code").code == 1


def test_what_the_spec_names_alone(behind: Program):
    found = json.loads(behind("outdated", "--frozen", "--direct", "--json").stdout)

    assert (found["checked"], found["outdated"]) == (2, True)
    assert found["packages"] == [
        {
            "allowed": "1.8.0",
            "direct": True,
            "kind": "wheel",
            "locked": "1.7.2",
            "name": "scikit-learn",
            "newest": "1.8.0",
            "notes": [],
            "security": None,
        }
    ]


def test_the_newest_is_known_where_nothing_can_be_resolved(behind: Program, package_index: object):
    folder = package_index.folder  # type: ignore[attr-defined]
    for path in folder.glob("numpy-*"):
        path.unlink()
    make_wheel(folder, "numpy", "1.0")

    answer = behind("outdated", "--frozen")
    assert answer.code == 0, answer.stderr
    assert "scikit-learn  wheel  1.7.2   ?        1.8.0" in answer.stdout
    assert "not known: what the spec allows of pip" in answer.stderr
    assert behind("outdated", "--frozen", "--exit-code").code == 0


def without_system_packages(lock: Lock) -> Lock:
    return with_target(lock, debs=()).model_copy(update={"debs": ()})


def _two_platforms(lock: Lock) -> Lock:
    (target,) = lock.targets
    (base,) = lock.bases
    other = base.model_copy(update={"key": "debian:bookworm linux/arm64", "platform": "linux/arm64"})
    return lock.model_copy(
        update={
            "request": lock.request.model_copy(update={"platforms": ("linux/amd64", "linux/arm64")}),
            "targets": (target, target.model_copy(update={"base": other.key, "platform": "linux/arm64"})),
            "bases": (base, other),
        }
    )
