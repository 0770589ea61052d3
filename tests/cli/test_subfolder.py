"""Every command from a folder below the spec's, and with `-C`: it does the same as beside the spec."""

import gc
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from envbuild.cli.app import app
from envbuild.cli.machine import enter_folders, leave_folders
from tests.rig.paths import CHECKOUT
from tests.rig.program import SPEC, Answer, Program

# Docker's SDK leaves its socket open where nothing listens
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

BELOW = Path("src/model")

SAME = [
    ("lock",),
    ("lock", "--check"),
    ("lock", "--json"),
    ("lock", "--check", "--platform", "linux/amd64"),
    ("add", "six", "--no-lock", "--dry-run"),
    ("remove", "six"),
    ("upgrade", "--offline"),
    ("diff", "git:HEAD"),
    ("tree", "--json"),
    ("why", "numpy"),
    ("outdated", "--offline"),
    ("explain", "gpu", "--json"),
    ("render",),
    ("render", "--frozen", "--json"),
    ("build", "--progress", "none"),
    ("build", "--engine", "docker", "--frozen"),
    ("status", "--json"),
    ("status", "--exit-code"),
    ("verify",),
    ("verify", "--host", "--json"),
    ("images", "--json"),
    ("push",),
    ("pull",),
    ("rm", "--all", "--yes"),
    ("run", "--", "true"),
    ("shell",),
    ("run", "--from", "tensorboard:logs", "--yes"),
    ("describe", "--run", "dvc:HEAD"),
    ("data", "lock"),
    ("data", "fetch"),
    ("data", "verify", "--json"),
    ("data", "diff"),
    ("export", "conda-lock"),
    ("export", "explicit"),
    ("devcontainer", "--check"),
    ("doctor", "--json"),
    ("catalog", "show"),
    ("cache", "info", "--json"),
    ("config", "--json"),
]
"""Commands that find the spec for themselves, or need none."""

OTHERS = {
    ("data", "snapshot"),
    ("init",),
    ("import",),
    ("export", "bake"),
    ("merge-driver", "run"),
    ("merge-driver", "install"),
}
"""Commands with tests of their own below, or that take their files as arguments."""


@pytest.fixture
def below(locked: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the program in a folder two levels below the spec's."""
    folder = locked.folder / BELOW
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return locked


def leaves(command, path: tuple[str, ...] = ()):
    found = getattr(command, "commands", {})
    if not found:
        yield path
    for name, inner in found.items():
        yield from leaves(inner, (*path, name))


def test_every_command_is_tried():
    tried = {command[:length] for command in SAME for length in (1, 2)} | OTHERS
    known = {path for path in leaves(get_command(app)) if path[0] not in {"catalog", "cache", "config"}}

    assert known - tried == set()


def without_folders(answer: Answer, *names: str) -> Answer:
    """Return an answer as if all files were in the current folder."""
    said = [answer.stdout, answer.stderr]
    for name in names:
        said = [text.replace(f"{name}/", "").replace(name, ".") for text in said]
    # columns are as wide as what is in them; what a disk has free changes
    said = [re.sub(r" +|[0-9.]+ [MG]B free", " ", text) for text in said]
    return Answer(code=answer.code, stdout=said[0], stderr=said[1])


@pytest.mark.parametrize("arguments", SAME, ids=" ".join)
def test_a_command_does_the_same_below_the_spec(
    below: Program, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    here = below(*arguments)
    monkeypatch.chdir(below.folder)
    beside = below(*arguments)

    gc.collect()
    assert here.code == beside.code
    assert without_folders(here, "../..") == without_folders(beside)


@pytest.mark.parametrize("arguments", SAME, ids=" ".join)
def test_a_command_does_the_same_with_minus_c(
    below: Program, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir("/")
    from_outside = below("-C", str(below.folder), *arguments)
    assert Path.cwd() == Path("/")
    monkeypatch.chdir(below.folder)

    beside = below(*arguments)

    gc.collect()
    assert without_folders(from_outside) == without_folders(beside)


def test_the_spec_is_named_as_it_was_found(below: Program):
    below.spec.write_text("nam = 1\n")
    wrong = below("lock")
    below.spec.write_text(SPEC.replace("seed = 7", "seed = 8"))
    stale = below("render")
    below.lock.unlink()
    missing = below("render")

    assert wrong.stderr.startswith("error: `../../envbuild.toml` has 3 problems\n")
    assert stale.stderr.startswith("error: ../../envbuild.lock is out of date with ../../envbuild.toml")
    assert missing.stderr.startswith("error: there is no envbuild.lock in ../..\n")


def test_syntax_is_told_with_the_folder_and_the_line(below: Program):
    below.spec.write_text("name = train\n")

    said = below("lock").stderr
    assert said.startswith("error: `../../envbuild.toml` is not TOML\n  • ../../envbuild.toml:1: ")


def test_outputs_and_arguments_are_relative_to_the_current_folder(below: Program):
    reported = below("verify", "--host", "--junit", "../host.xml")
    compared = below("diff", "../../envbuild.lock", "file:../..", "--exit-code")

    assert (reported.code, compared.code) == (0, 0)
    assert (below.folder / "src/host.xml").exists()


def test_what_is_written_beside_the_spec_stays_there(below: Program):
    below.spec.write_text(SPEC.replace("seed = 7", "seed = 7 "))

    assert below("devcontainer").code == 0
    assert (below.folder / ".devcontainer/devcontainer.json").exists()
    assert list((below.folder / BELOW).iterdir()) == []


def test_init_writes_into_the_current_folder(below: Program):
    Path("requirements.txt").write_text("six\n")

    assert below("init", "--python", "3.11", "--name", "small").code == 0
    assert Path("envbuild.toml").exists()
    assert below("lock", "--check").stderr.startswith("error: there is no envbuild.lock")


def test_all_means_what_is_below(below: Program):
    inner = Path("inner")
    inner.mkdir()
    (inner / "envbuild.toml").write_text(SPEC)

    found = json.loads(below("lock", "--all", "--check", "--json").stdout)
    assert [entry["spec"] for entry in found] == ["inner"]


def test_a_named_folder_is_not_left(below: Program):
    answer = below("lock", "--spec", ".")

    assert answer.code == 3
    assert answer.stderr.startswith("error: there is no spec here: neither")


def test_a_project_file_without_the_table_does_not_count(below: Program):
    for folder in (Path(), Path("..")):
        (folder / "pyproject.toml").write_text('[project]\nname = "envbuild"\n')

    assert below("lock", "--check").code == 0


def test_a_table_in_a_nearer_project_file_counts(below: Program):
    Path("../pyproject.toml").write_text("[tool.envbuild]\nnam = 1\n")

    assert below("lock").stderr.startswith("error: `../pyproject.toml` has 3 problems")


def test_two_specs_above_are_refused(below: Program):
    (below.folder / "pyproject.toml").write_text("[tool.envbuild]\n")

    answer = below("lock")
    assert answer.code == 3
    assert answer.stderr.startswith(
        "error: both `../../envbuild.toml` and [tool.envbuild] of `../../pyproject.toml` hold a spec"
    )


def test_a_lock_alone_is_found_when_nothing_looks_at_the_spec(below: Program):
    below.spec.unlink()

    assert below("render", "--frozen").code == 0
    assert below("render").code == 3


def test_a_link_to_a_folder_leads_to_where_it_is(below: Program, tmp_path: Path, monkeypatch):
    (tmp_path / "link").symlink_to(below.folder / BELOW)
    monkeypatch.chdir(tmp_path / "link")

    assert below("lock", "--check").code == 0


MINE, OTHER = 65_533, 65_532


@pytest.fixture
def shared(below: Program, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the program of user `MINE`, whose folder is below one where `OTHER` put a spec."""
    if os.geteuid() != 0:
        pytest.skip("only root can make files of other users")
    os.chown(below.folder / BELOW, MINE, MINE)
    os.chown(below.spec, OTHER, OTHER)
    monkeypatch.setattr(os, "geteuid", lambda: MINE)
    return below


def test_a_spec_that_another_user_put_above_is_refused(shared: Program, monkeypatch: pytest.MonkeyPatch):
    refused = shared("lock", "--check")
    named = shared("lock", "--check", "-f", "../../envbuild.toml")
    monkeypatch.chdir(shared.folder)
    beside = shared("lock", "--check")

    assert refused.code == 3
    assert refused.stderr == (
        f"error: `../../envbuild.toml` belongs to another user (uid {OTHER}), "
        "so it is not used unless you name it\n"
        "\n"
        "hint: if you trust that user, name the spec: `-f ../../envbuild.toml`\n"
    )
    assert named.code == beside.code == 0


@pytest.mark.parametrize("owner", [0, MINE])
def test_a_spec_of_ones_own_or_of_root_is_taken(shared: Program, owner: int):
    os.chown(shared.spec, owner, owner)

    assert shared("lock", "--check").code == 0


def test_a_lock_that_another_user_put_there_is_refused_too(shared: Program):
    os.chown(shared.spec, 0, 0)
    os.chown(shared.lock, OTHER, OTHER)

    answer = shared("lock", "--check")
    assert answer.code == 3
    assert "`../../envbuild.lock` belongs to another user" in answer.stderr


def test_a_link_that_another_user_put_there_is_refused(shared: Program):
    (shared.folder / "real").write_text(SPEC)
    shared.spec.unlink()
    shared.spec.symlink_to("real")
    os.chown(shared.spec, OTHER, OTHER, follow_symlinks=False)

    assert shared("lock", "--check").code == 3


def test_a_link_to_what_another_user_put_elsewhere_is_refused(shared: Program):
    shared.spec.rename(shared.folder / "real")
    shared.spec.symlink_to("real")
    os.chown(shared.spec, MINE, MINE, follow_symlinks=False)

    assert shared("lock", "--check").code == 3


def test_who_works_in_a_folder_trusts_its_owner(shared: Program):
    os.chown(shared.folder / BELOW, OTHER, OTHER)

    assert shared("lock", "--check").code == 0


def test_root_trusts_who_ran_sudo(shared: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    refused = shared("lock", "--check").code
    monkeypatch.setenv("SUDO_UID", str(OTHER))

    assert (refused, shared("lock", "--check").code) == (3, 0)


def test_only_root_heeds_sudo(shared: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SUDO_UID", str(OTHER))

    assert shared("lock", "--check").code == 3


def test_in_the_namespace_it_started_itself_root_outside_is_trusted(
    shared: Program, monkeypatch: pytest.MonkeyPatch
):
    """There, files of root and of other users show one owner; who made them was checked outside."""
    os.chown(shared.spec, 65_534, 65_534)
    before = shared("lock", "--check").code
    monkeypatch.setenv("ENVBUILD_NAMESPACE", "1")

    assert (before, shared("lock", "--check").code) == (3, 0)


def test_minus_c_is_relative_to_the_one_before(below: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(below.folder)

    answer = below("-C", "src", "-C", "model", "export", "explicit", "--output", "x", "--spec", "nowhere")
    assert answer.stderr.startswith("error: `nowhere` does not exist")
    assert below("-C", "src", "-C", "src", "lock").stderr == (
        "error: -C: cannot change to `src`: no such file or directory\n"
    )
    assert below("--directory", "envbuild.toml", "lock").code == 2
    assert Path.cwd() == below.folder


def test_other_paths_are_relative_to_minus_c(below: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir("/")
    monkeypatch.setenv("ENVBUILD_CACHE_DIR", "cache")

    answer = below("-C", str(below.folder), "cache", "info")
    assert answer.stdout == f"{below.folder}/cache\n"


@pytest.mark.slow
def test_the_program_starts_itself_again_with_the_same_folder(below: Program, tmp_path: Path):
    """What replaces the program is a script that says what it was called with."""
    program = tmp_path / "again.py"
    program.write_text(
        "import os, sys\n"
        "from envbuild import process\n"
        "from envbuild.image.local import user_namespace\n"
        "user_namespace.require_subordinate_ids = lambda environment: None\n"
        "user_namespace.acts_as_root = lambda: False\n"
        "from envbuild.image.local import engine\n"
        "engine.acts_as_root = lambda: False\n"
        "def replace(arguments, *, environment):\n"
        "    print('again', os.getcwd(), arguments[-6:], environment['ENVBUILD_NAMESPACE'], flush=True)\n"
        "    os._exit(0)\n"
        "process.replace = replace\n"
        "from envbuild.__main__ import main\n"
        "main()\n"
    )
    words = ["-C", "src/model", "build", "--engine", "local", "--frozen"]
    answer = subprocess.run(
        [sys.executable, program, *words],
        cwd=below.folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert answer.stdout == f"again {below.folder} {tuple(words)} 1\n", answer.stderr


def test_the_folder_it_was_started_in_may_be_gone_at_the_end(tmp_path: Path, monkeypatch) -> None:
    started, other = tmp_path / "started", tmp_path / "other"
    started.mkdir()
    other.mkdir()
    monkeypatch.chdir(started)
    enter_folders([other])
    started.rmdir()
    leave_folders()
    assert Path.cwd() == other


@pytest.mark.parametrize("folder", ["train", "models/train"])
def test_where_only_folders_below_have_specs_one_is_named(program: Program, folder: str):
    below = program.folder / folder / "envbuild.toml"
    below.parent.mkdir(parents=True)
    below.write_text(SPEC)

    answer = program("build")

    assert answer.code == 3
    assert answer.stderr.endswith(
        f"\nhint: there is one in `{folder}`: name it with `-f {folder}`; "
        "lock, build, verify and status take all with --all\n"
    )
