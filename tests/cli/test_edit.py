"""`add`, `remove`, `upgrade` and `--lock` as a user meets them, with an index of a few small wheels."""

import json
import shlex
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.rig.index import PackageIndex, make_wheel
from tests.rig.program import SPEC, Program
from tests.rig.terminal import Terminal
from tests.rig.web import LoopbackServer, Request

PATIENCE_SECONDS = 20.0
START = SPEC.replace('"numpy>=2", "scikit-learn"', '"demo",  # ours\n')


@pytest.fixture
def silent_server() -> Iterator[LoopbackServer]:
    """Run a server that takes requests and does not answer before the end of the test."""
    over = threading.Event()

    def wait(_: Request) -> None:
        over.wait(PATIENCE_SECONDS * 2)

    with LoopbackServer(wait) as server:
        yield server
        over.set()


@pytest.fixture
def edited(with_index: Program, package_index: PackageIndex) -> Program:
    """Return the program in a project with one package, on an index that has others."""
    folder = package_index.folder
    make_wheel(folder, "demo", "1.0")
    make_wheel(folder, "demo", "1.5", requires=["other<2"])
    make_wheel(folder, "other", "1.0")
    make_wheel(folder, "tool", "1.0")
    make_wheel(folder, "tool", "2.0")
    with_index.spec.write_text(START)
    return with_index


@pytest.mark.slow
def test_the_day_of_a_package(edited: Program, package_index: PackageIndex):
    assert edited("lock", "--quiet").code == 0

    added = edited("add", "tool<2")
    assert (added.code, added.stdout) == (0, "")
    lines = added.stderr.splitlines()
    assert "pip.packages  + tool<2" in lines
    assert lines[-2:] == ["  wheel  tool  + 1.0", "wrote envbuild.toml and envbuild.lock"]
    assert edited.spec.read_text() == START.replace('"demo",', '"demo", "tool<2",')

    lock, elsewhere = edited.folder / "envbuild.lock", edited.folder / "locks"
    lock.replace(elsewhere)
    lock.symlink_to(elsewhere.name)
    replaced = edited("add", "tool")
    assert lock.is_symlink(), "the file that a link leads to is written"
    assert "pip.packages[1]  tool<2 → tool" in replaced.stderr
    assert "  wheel" not in replaced.stderr, "a lock keeps what the spec still allows"

    upgraded = edited("upgrade", "tool")
    assert "  wheel  tool  1.0 → 2.0\nwrote envbuild.lock\n" in upgraded.stderr
    assert edited("upgrade", "tool").stderr.endswith("nothing newer satisfies the spec\n")
    make_wheel(package_index.folder, "tool", "3.0")
    assert "tool  2.0 → 3.0" in edited("upgrade", "tool", "--dry-run").stderr

    removed = json.loads(edited("remove", "tool", "demo", "--json").stdout)
    assert [change["old"] for change in removed["changes"]] == ["tool", "demo"]
    packages = removed["difference"]["targets"][0]["packages"]
    assert [(item["change"], item["name"]) for item in packages] == [
        ("removed", "demo"),
        ("removed", "other"),
        ("removed", "tool"),
    ]


@pytest.mark.slow
def test_a_pin_is_moved_by_what_an_upgrade_says(edited: Program):
    file = edited.folder / "pyproject.toml"
    file.write_text("""[dependency-groups]\ndev = ["tool==1.0; python_version < '4'"]\n""")
    edited.spec.write_text(START.replace("[pip]", '[pip]\ngroups = ["dev"]'))
    assert edited("lock", "--quiet").code == 0

    note, nothing = edited("upgrade", "tool").stderr.splitlines()[-2:]

    assert nothing == "nothing newer satisfies the spec"
    first, second = note.partition("to move it: ")[2].split(", then ")
    assert first == """envbuild add --group dev 'tool; python_version < "4"'"""
    assert edited(*shlex.split(first)[1:]).code == 0
    assert "  wheel  tool  1.0 → 2.0\n" in edited(*shlex.split(second)[1:]).stderr
    assert file.read_text() == """[dependency-groups]\ndev = ['tool; python_version < "4"']\n"""


@pytest.mark.slow
def test_what_cannot_be_locked_changes_nothing(edited: Program):
    lock = edited.lock.read_bytes()

    answer = edited("add", "tool", "unheard-of")

    assert answer.code == 5
    assert "`unheard-of` is not on the index" in answer.stderr
    assert (edited.spec.read_text(), edited.lock.read_bytes()) == (START, lock)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_it_is_ended_nothing_is_changed(
    edited: Program, silent_server: LoopbackServer, number: signal.Signals
):
    lock = edited.lock.read_bytes()

    with edited.start(
        "add", "tool", environment={"PIP_INDEX_URL": f"{silent_server.url}/simple/"}
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "resolving Python packages" in line:
                break
        running.send_signal(number)
        running.communicate(timeout=PATIENCE_SECONDS)

    assert running.returncode != 0
    assert (edited.spec.read_text(), edited.lock.read_bytes()) == (START, lock)


def test_without_locking_the_spec_alone_is_edited(locked: Program):
    lock = locked.lock.read_bytes()

    answer = locked("add", "--apt", "ffmpeg", "git=1:2.39", "--no-lock")

    assert (answer.code, answer.stdout) == (0, "")
    assert answer.stderr == (
        "system.packages     + ffmpeg\nsystem.packages[0]  git → git=1:2.39\nwrote envbuild.toml\n"
    )
    assert locked.spec.read_text() == SPEC.replace('["git"]', '["git=1:2.39", "ffmpeg"]')
    assert locked.lock.read_bytes() == lock


def test_a_dry_run_of_the_spec_alone(locked: Program):
    answer = locked("remove", "numpy", "--no-lock", "--dry-run")

    assert answer.stderr == ("pip.packages[0]  - numpy>=2\nwould write envbuild.toml; nothing was written\n")
    assert locked.spec.read_text() == SPEC


def test_what_is_there_already_needs_nothing(locked: Program):
    answer = locked("add", "numpy>=2")

    assert (answer.code, answer.stderr) == (
        0,
        "note: the spec asks for `numpy>=2` already\nnothing to do\n",
    )


def test_names_that_are_not_there(locked: Program):
    answer = locked("remove", "nunpy")

    assert (answer.code, answer.stdout) == (3, "")
    assert answer.stderr == (
        "error: nothing was removed\n"
        "  • nunpy: the spec does not ask for it\n"
        "    hint: did you mean `numpy`?\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "a", "--apt", "--conda"),
        ("add", "a", "--apt", "--group", "test"),
        ("remove", "a", "--pip", "--apt"),
        ("build", "--lock", "--frozen"),
        ("add",),
        ("remove",),
    ],
)
def test_command_lines_that_contradict_themselves(locked: Program, arguments: tuple[str, ...]):
    assert locked(*arguments).code == 2


def test_nothing_is_locked_offline(locked: Program):
    answer = locked("add", "polars", "--offline")

    assert answer.code == 9
    assert locked.spec.read_text() == SPEC


@pytest.mark.slow
def test_build_locks_first_when_it_is_told_to(edited: Program):
    stale = edited("build")
    assert stale.code == 4
    assert stale.stderr.endswith(
        "hint: run `envbuild lock`, or `envbuild build --lock`, or use the lock as it stands with --frozen\n"
    )
    ran = edited("run", "--", "true")
    assert ran.code == 125
    assert "`envbuild run --lock`" in ran.stderr

    # there is no engine here: it fails after the lock, in a process of its own for the sake of open sockets
    with edited.start("build", "--lock") as running:
        _, stderr = running.communicate(timeout=6 * PATIENCE_SECONDS)

    assert running.returncode == 6
    assert "note: envbuild.lock was brought up to date\n" in stderr
    assert edited("lock", "--check").code == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "following"),
    [
        (("add", "tool"), ["next: envbuild build"]),
        (("add", "tool", "--no-lock"), ["next: envbuild lock"]),
        (("add", "tool", "--no-lock", "--quiet"), []),
        (("add", "tool", "--no-lock", "--json"), []),
        (("add", "tool", "--no-lock", "--dry-run"), []),
        (("add", "tool", "--no-lock", "-f", "../project"), ["next: envbuild lock -f ../project"]),
    ],
)
def test_a_person_at_a_terminal_is_told_what_comes_next(
    edited: Program, arguments: tuple[str, ...], following: list[str]
):
    with Terminal("-m", "envbuild", *arguments, folder=edited.folder) as terminal:
        assert terminal.end() == 0

    assert [line for line in terminal.lines if line.startswith("next:")] == following


@pytest.mark.slow
def test_a_first_spec_is_followed_by_a_lock(program: Program):
    (program.folder / "requirements.txt").write_text("six\n")
    with Terminal("-m", "envbuild", "init", folder=program.folder) as terminal:
        assert terminal.end() == 0

    assert terminal.lines[-2:] == ["wrote envbuild.toml", "next: envbuild lock"]
    program.spec.unlink()
    assert "next:" not in program("init").stderr
