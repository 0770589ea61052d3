"""The local engine without root: with subordinate ids, and what is said without."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.rig.paths import CHECKOUT
from tests.rig.small_root import make_small_root
from tests.rig.unprivileged import UID, run_unprivileged

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root"),
    pytest.mark.skipif(shutil.which("newuidmap") is None, reason="uidmap is not installed (make setup)"),
]

ENTER = """
import os, sys
from envbuild.errors import EnvbuildError
from envbuild.image.local.user_namespace import acts_as_root, restart_in_namespace
try:
    if not acts_as_root():
        restart_in_namespace(["--version"], environment=os.environ)
except EnvbuildError as error:
    print(error.exit_code.value, error.message, error.hint, error.detail, sep="|")
else:
    print("root already")
"""
TRY = """
import os, sys
from pathlib import Path
from envbuild.errors import EngineError
from envbuild.image.local.preflight import try_engine
try:
    print(try_engine(Path(sys.argv[1]), os.environ))
except EngineError as error:
    print(error.message)
"""
INSIDE = """
import os, sys
from pathlib import Path
from envbuild.image.local.layers.changes import diff_layer
from envbuild.image.local.roots.private_root import PrivateRoot
from envbuild.image.local.layers.store import LayerStore, LayerKey
from envbuild.formats.compression import codec_of
scratch = Path(sys.argv[1])
with PrivateRoot([Path(sys.argv[2])], scratch=scratch / "roots") as root:
    done = root.run(("sh", "-ec", sys.argv[3]), env={"PATH": "/bin"})
    print(done.stdout.decode() + done.stderr.decode(), end="")
    key = LayerKey(kind="test", inputs={}, codec=codec_of("zstd"), comment="")
    make = lambda writer: diff_layer(root.upper, root.lowers, writer, started=2e9, epoch=7)
    print(LayerStore(scratch).make(key, make).diff_id)
"""
LIMITED = """
import sys
from pathlib import Path
from envbuild.errors import LimitExceededError
from envbuild.image.engine import RunLimits
from envbuild.image.local.roots.private_root import PrivateRoot
with PrivateRoot([Path(sys.argv[2])], scratch=Path(sys.argv[1]) / "roots") as root:
    for script in sys.argv[3:]:
        seconds = 1 if script.startswith("sleep") else 60
        limits = RunLimits(seconds=seconds, memory=64 << 20, output=1 << 10, processes=10)
        try:
            done = root.run(("sh", "-c", script), env={"PATH": "/bin"}, user="app", limits=limits)
            print(done.exit_status, (done.stdout + done.stderr).decode(), end="")
        except LimitExceededError as error:
            print(error.message)
"""
ATTACHED = """
import sys
from pathlib import Path
from envbuild.image.container_options import ContainerOptions, Mount
from envbuild.image.local.roots.private_root import PrivateRoot
home = Path(sys.argv[1])
mounts = (Mount(target="/home/me", source=home), Mount(target="/shown", source=Path("/dev"), read_only=True))
with PrivateRoot([Path(sys.argv[2])], scratch=home / "roots") as root:
    options = ContainerOptions(mounts=mounts)
    sys.exit(root.run_attached(("sh", "-c", sys.argv[3]), env={"PATH": "/bin"}, options=options))
"""
GROW = "y=0123456789abcdef; for i in 0 1 2 3 4 5 6 7 8 9 a b c d e f g h; do y=$y$y; done"
CHANGE = (
    "id -u; mkdir /data; chmod 1777 /data; echo x >/data/x; chown 33:44 /data/x; chmod 4755 /data/x; "
    "rm /etc/group; rm -r /srv; mkdir /srv; touch -d @5 /data /data/x /etc /srv; stat -c '%u %g %a' /data/x"
)


@pytest.fixture
def open_path():
    """Make a folder others may enter; pytest's own are closed again by each session that starts."""
    with tempfile.TemporaryDirectory(prefix="unprivileged-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_subordinate_ids_are_the_users_of_the_root(open_path):
    small = make_small_root(open_path / "small")
    (small / "srv").mkdir()
    own(small, UID)
    unshare = ("unshare", "--user", "--map-auto", "--map-root-user", sys.executable, "-c", INSIDE)
    home = open_path / "home"
    unprivileged = run_unprivileged(*unshare, home, small, CHANGE, scratch=home, ids=65_536, environment={})
    assert unprivileged.returncode == 0, unprivileged.stderr
    own(small, 0)
    as_root = subprocess.run(
        [sys.executable, "-c", INSIDE, open_path / "as-root", small, CHANGE],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
    )
    assert unprivileged.stdout == as_root.stdout
    assert unprivileged.stdout.startswith("0\n33 44 4755\nsha256:")


def test_mounts_in_a_user_namespace(open_path):
    small = make_small_root(open_path / "small")
    own(small, UID)
    home = open_path / "home"
    unshare = ("unshare", "--user", "--map-auto", "--map-root-user", sys.executable, "-c", ATTACHED)
    script = "touch /home/me/made && : </dev/zero && { touch /shown/shm/made || exit 7; }"
    done = run_unprivileged(*unshare, home, small, script, scratch=home, ids=65_536, environment={})
    assert (done.returncode, (home / "made").stat().st_uid) == (7, UID), done.stderr
    assert "Read-only file system" in done.stderr


def own(folder, uid):
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, uid, follow_symlinks=False)


def test_limits_hold_in_a_user_namespace(open_path):
    small = make_small_root(open_path / "small")
    own(small, UID)
    scripts = (
        "id -u; cat /proc/self/oom_score_adj",
        "sleep 4323 & sleep 4323",
        "cat /dev/zero",
        "while :; do sleep 4323 & done",
        f"{GROW}; while :; do x=$x$y; done",
    )
    unshare = ("unshare", "--user", "--map-auto", "--map-root-user", sys.executable, "-c", LIMITED)
    home = open_path / "home"
    limited = run_unprivileged(*unshare, home, small, *scripts, scratch=home, ids=65_536, environment={})
    assert (limited.returncode, limited.stderr) == (0, "")
    assert limited.stdout.splitlines() == [
        "0 1000",
        "1000",
        "the container did not end within 1 second",
        "the container wrote more than 1 KiB to standard output",
        "the container had more than 10 processes and threads",
        "the container used more than 64 MiB of memory",
    ]
    assert list((home / "roots").iterdir()) == []


@pytest.mark.parametrize("ids", [0, 1000])
def test_without_enough_ids_it_is_said_what_to_do(open_path, ids):
    refused = run_unprivileged(
        sys.executable, "-c", ENTER, scratch=open_path / "home", ids=ids, environment={"COLUMNS": "80"}
    )
    code, message, hint, detail = refused.stdout.strip().split("|")
    assert code == "6"
    assert "ids" in message
    assert "--engine docker" in hint
    if not ids:
        assert "usermod --add-subuids" in hint
        assert detail != "None"


def test_with_ids_the_program_starts_anew_as_root(open_path):
    entered = run_unprivileged(
        sys.executable, "-c", ENTER, scratch=open_path / "home", ids=65_536, environment={}
    )
    assert (entered.returncode, entered.stderr) == (0, "")
    assert entered.stdout.startswith("envbuild ")


def test_modules_in_the_current_folder_are_not_the_programs(open_path):
    """A checkout of somebody else's must not get to run code by being the current folder."""
    home = open_path / "home"
    home.mkdir()
    (home / "typer.py").write_text("raise SystemExit('not the program')")
    script = ENTER.replace("try:", f"os.chdir({str(home)!r})\ntry:", 1)
    entered = run_unprivileged(sys.executable, "-c", script, scratch=home, ids=65_536, environment={})
    assert (entered.returncode, entered.stderr) == (0, "")
    assert entered.stdout.startswith("envbuild ")


def test_a_trial_is_made_as_root_of_a_namespace(open_path):
    home = open_path / "home"
    tried = run_unprivileged(
        sys.executable, "-c", TRY, home / "cache", scratch=home, ids=65_536, environment={}
    )
    assert (tried.stdout, tried.stderr) == ("works here, as root of a user namespace\n", "")


def test_a_trial_that_fails_in_the_namespace_says_why(open_path):
    home = open_path / "home"
    home.mkdir()
    (home / "cache").write_text("")
    tried = run_unprivileged(
        sys.executable, "-c", TRY, home / "cache", scratch=home, ids=65_536, environment={}
    )
    assert (tried.stdout, tried.stderr) == (f"{home}/cache/roots: not a directory\n", "")
