"""The private root, on this machine's real kernel."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from envbuild.errors import EngineError, LimitExceededError
from envbuild.image.container_options import ContainerOptions, Mount
from envbuild.image.engine import RunLimits
from envbuild.image.local.roots.private_root import EntryError, PrivateRoot, RootFolders, root_folder
from tests.rig.paths import CHECKOUT
from tests.rig.small_root import ENV, add_program, make_small_root
from tests.rig.terminal import Terminal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root, or subordinate ids"),
]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return make_small_root(tmp_path_factory.mktemp("small") / "root")


@pytest.fixture
def root(small, tmp_path):
    with PrivateRoot([small], scratch=tmp_path / "scratch") as made:
        yield made


def sh(root, script, **options):
    return root.run(("sh", "-c", script), **{"env": ENV, **options})


def test_what_a_command_says_and_how_it_ends(root):
    outcome = sh(root, "cat; echo err >&2; exit 3", stdin=b"\x00\xff in\n")
    assert (outcome.exit_status, outcome.stdout, outcome.stderr) == (3, b"\x00\xff in\n", b"err\n")
    assert sh(root, "kill -9 $$").exit_status == 128 + signal.SIGKILL


def test_nothing_of_this_machine_is_in_it(root, tmp_path):
    assert sh(root, f"ls {tmp_path}").exit_status != 0
    mounted = sh(root, "cat /proc/self/mounts").stdout.decode()
    assert str(tmp_path) not in mounted
    assert sh(root, "ls /proc").stdout.decode().split()[:2] == ["1", "2"]
    assert sh(root, "cat /proc/sys/kernel/hostname; ls /sys/class/net").stdout == b"envbuild\nlo\n"
    assert sh(root, "echo 1 >/proc/sys/vm/drop_caches").exit_status != 0


def test_this_machines_control_groups_are_out_of_reach(root):
    """A command with this machine's network sees this machine's /sys, and nothing that is mounted in it."""
    with_network = sh(root, "cat /proc/self/mounts", network=True).stdout.decode().splitlines()
    mounts = [line.split()[1:4] for line in with_network if line.split()[1].startswith("/sys")]
    ((place, _, options),) = mounts
    assert place == "/sys"
    assert "ro" in options.split(",")


def test_capabilities_are_those_of_a_container(root):
    assert "CapBnd:\t00000000a80425fb" in sh(root, "cat /proc/self/status").stdout.decode()


def test_the_environment_is_what_was_given(root):
    inside = root.run(("cat", "/proc/self/environ"), env={**ENV, "A": "ö b"}).stdout
    assert inside.decode().split("\0") == ["HOME=/root", "PATH=/bin", "A=ö b", ""]


def test_users_by_name_and_number(root):
    assert sh(root, "id -u; id -G; echo $HOME", user="app").stdout == b"1000\n1000 44\n/home/app\n"
    assert sh(root, "id -u; id -g", user="1000:44").stdout == b"1000\n44\n"
    assert sh(root, "id -u; id -g; echo $HOME", user="4321").stdout == b"4321\n0\n/\n"
    with pytest.raises(EntryError, match="the image has no user `nobody-here`"):
        sh(root, "true", user="nobody-here")


def test_a_command_that_is_not_there_is_named(root):
    with pytest.raises(EntryError, match="`no-such-program` cannot be started: No such file"):
        root.run(("no-such-program",), env=ENV)
    with pytest.raises(EntryError, match="there is no folder /nowhere"):
        sh(root, "true", workdir="/nowhere", user="app")
    assert sh(root, "exit 125").exit_status == 125


def test_changes_are_in_the_upper_folder_and_not_below(root, small):
    sh(root, "echo x >/new; rm /etc/group")
    assert (root.upper / "new").read_text() == "x\n"
    assert (root.upper / "etc/group").is_char_device()
    assert (small / "etc/group").exists()
    assert sh(root, "cat /new").stdout == b"x\n"


def test_binds_are_read_only_and_leave_no_trace_below_dev(root, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_text("bound")
    outcome = sh(
        root,
        "cat /dev/envbuild/in/file; touch /dev/envbuild/in/x",
        binds={"/dev/envbuild/in": tmp_path / "in"},
    )
    assert (outcome.exit_status, outcome.stdout) == (1, b"bound")
    assert b"Read-only" in outcome.stderr
    assert list(root.upper.iterdir()) == []


def test_a_link_in_the_root_leads_nowhere_outside(small, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "layer").mkdir()
    (tmp_path / "layer/lead").symlink_to(outside)
    (tmp_path / "layer/bind").write_text("x")
    with PrivateRoot([small, tmp_path / "layer"], scratch=tmp_path / "scratch") as root:
        # the link's target is looked for, and made, in the root
        sh(root, "true", binds={"/lead/file": tmp_path / "layer/bind"})
        assert list(outside.iterdir()) == []
        assert (root.upper / str(outside).lstrip("/") / "file").exists()


@pytest.mark.parametrize("folder", ["/", "/dev", "/dev/shm", "/tmp"])  # noqa: S108 - of the root
def test_a_device_that_a_command_makes_does_not_work(small, tmp_path, folder):
    """This machine's root may make any, its disks among them; engines have device groups against that."""
    (tmp_path / "layer/bin").mkdir(parents=True)
    add_program(tmp_path / "layer", "mknod")
    with PrivateRoot([small, tmp_path / "layer"], scratch=tmp_path / "scratch") as root:
        made = sh(root, f"mknod {folder}/made c 1 3 || exit 8; : <{folder}/made || exit 9; exit 0")
        assert made.exit_status in {2, 8, 9}, made.stderr
        # those it is given do
        assert sh(root, ": </dev/zero && echo x >/dev/null").exit_status == 0


def test_no_descriptor_leads_out_of_the_root(root, tmp_path):
    """A working folder of an image, or of a spec, may be any path."""
    (tmp_path / "shown").mkdir()
    shown = ContainerOptions(mounts=(Mount(target="/shown", source=tmp_path / "shown", read_only=True),))
    for number in range(3, 20):
        workdir, run = f"/proc/self/fd/{number}", root.run_attached
        with pytest.raises(EntryError, match="there is no folder"):
            run(("ls",), env=ENV, workdir=workdir, binds={"/dev/envbuild/a": tmp_path}, options=shown)


def test_a_command_without_a_terminal_of_its_own_types_into_no_other(small, tmp_path):
    """It would be read by the shell that envbuild was started from."""
    root = tmp_path / "root"
    shutil.copytree(small, root, symlinks=True)
    program = Path(sys.executable).resolve()
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+)", linked):
        if not Path(library).is_relative_to(sys.base_prefix):
            (root / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, root / library.lstrip("/"))
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from envbuild.image.container_options import ContainerOptions, Mount\n"
        "from envbuild.image.local.roots.private_root import PrivateRoot\n"
        "lower, scratch, prefix, program = sys.argv[1:]\n"
        "mount = Mount(target=prefix, source=Path(prefix), read_only=True)\n"
        "typing = \"import fcntl; fcntl.ioctl(open('/dev/tty'), int('5412', 16), b'x')\"\n"
        "with PrivateRoot([Path(lower)], scratch=Path(scratch)) as root:\n"
        "    options = ContainerOptions(mounts=(mount,))\n"
        "    command = (program, '-I', '-S', '-c', typing)\n"
        "    print(root.run_attached(command, stdin=False, options=options))\n"
    )
    with Terminal(
        *("-c", script, str(root), str(tmp_path / "scratch"), sys.base_prefix, str(program)), folder=CHECKOUT
    ) as terminal:
        terminal.end()
        assert any("PermissionError" in line for line in terminal.lines), terminal.lines


def test_what_is_mounted_below_is_read_only_too(root):
    """/dev is one file system of this machine, /dev/shm another."""
    options = ContainerOptions(
        mounts=(
            Mount(target="/shown", source=Path("/dev"), read_only=True),
            Mount(target="/m", read_only=True),
        )
    )
    name = f"envbuild-{os.getpid()}"
    script = f"touch /shown/shm/{name} || touch /m/x || exit 7"
    assert root.run_attached(("sh", "-c", script), env=ENV, options=options) == 7
    assert not Path("/dev/shm", name).exists()  # noqa: S108 - of this machine


def test_a_mount_over_another(root, tmp_path):
    """Such as one's own /etc/hosts over this machine's."""
    for name in ("first", "second"):
        (tmp_path / name).write_text(name)
    options = ContainerOptions(mounts=(Mount(target="/etc/hosts", source=tmp_path / "second"),))
    command = ("sh", "-c", "test $(cat /etc/hosts) = second")
    assert root.run_attached(command, env=ENV, binds={"/etc/hosts": tmp_path / "first"}, options=options) == 0


def test_a_file_is_not_mounted_over_a_folder(root, tmp_path):
    (tmp_path / "file").touch()
    options = ContainerOptions(mounts=(Mount(target="/bin", source=tmp_path / "file"),))
    with pytest.raises(EntryError, match=r"nothing can be mounted at /bin: .*Not a directory"):
        root.run_attached(("true",), env=ENV, options=options)


@pytest.mark.parametrize("leads_to", ["/", "/proc", "/proc/sys/kernel", "/dev", "/sys"])
def test_nothing_is_mounted_over_what_a_root_is_made_with(small, tmp_path, leads_to):
    """The place may be a link of the image."""
    (tmp_path / "layer").mkdir()
    (tmp_path / "layer/workspace").symlink_to(leads_to)
    options = ContainerOptions(mounts=(Mount(target="/workspace", source=tmp_path),))
    with (
        PrivateRoot([small, tmp_path / "layer"], scratch=tmp_path / "scratch") as root,
        pytest.raises(EntryError, match="nothing can be mounted at /workspace: it is"),
    ):
        root.run_attached(("true",), env=ENV, options=options)


def test_a_read_only_root_can_be_entered_by_many_at_once(small, tmp_path):
    with (
        PrivateRoot([small], scratch=tmp_path / "scratch", writable=False) as root,
        ThreadPoolExecutor(4) as threads,
    ):
        outcomes = list(threads.map(lambda n: sh(root, f"touch /x; touch /tmp/x && echo {n}"), range(8)))
    assert [outcome.stdout for outcome in outcomes] == [f"{n}\n".encode() for n in range(8)]
    assert all(b"Read-only" in outcome.stderr for outcome in outcomes)


def test_hundreds_of_layers_and_no_more(small, tmp_path):
    layers = []
    for number in range(498):
        layers.append(tmp_path / f"a-rather-long-name-of-a-folder-{number}")
        layers[-1].mkdir()
        (layers[-1] / "file").write_text(str(number))
    with PrivateRoot([small, *layers], scratch=tmp_path / "scratch") as root:
        assert sh(root, "cat /file").stdout == b"497"
    with pytest.raises(EngineError, match="an image of 500 layers cannot be run"):
        PrivateRoot([small, *layers, layers[0]], scratch=tmp_path / "scratch")


LIMITS = RunLimits(seconds=20, memory=64 << 20, output=1 << 16, processes=20)


def test_within_its_limits_a_command_is_as_without(root):
    outcome = sh(root, "cat; echo err >&2; exit 3", stdin=b"\xff in\n", limits=LIMITS)
    assert (outcome.exit_status, outcome.stdout, outcome.stderr) == (3, b"\xff in\n", b"err\n")
    assert sh(root, "kill -9 $$", limits=LIMITS).exit_status == 128 + signal.SIGKILL
    with pytest.raises(EntryError, match="`no-such-program` cannot be started: No such file"):
        root.run(("no-such-program",), env=ENV, limits=LIMITS)


def test_accounts_that_are_read_without_end_are_no_way_around_the_time(root):
    (root.upper / "etc").mkdir()
    os.mkfifo(root.upper / "etc/passwd")
    with pytest.raises(LimitExceededError, match=r"did not end within 0\.3 seconds"):
        sh(root, "true", limits=replace(LIMITS, seconds=0.3))


def test_accounts_of_any_size_are_no_way_around_the_memory(root):
    (root.upper / "etc").mkdir()
    (root.upper / "etc/passwd").touch()
    os.truncate(root.upper / "etc/passwd", 1 << 40)
    with pytest.raises(LimitExceededError, match="used more than 64 MiB of memory"):
        sh(root, "true", limits=LIMITS)


def test_shared_memory_is_bounded(root):
    outcome = sh(
        root, "cat /dev/zero >/dev/shm/x; stat -c %s /dev/shm/x; cat /proc/sys/kernel/shmall", limits=LIMITS
    )
    assert outcome.stdout == b"%d\n%d\n" % (64 << 20, (64 << 20) // os.sysconf("SC_PAGESIZE"))
    shmall = Path("/proc/sys/kernel/shmall").read_text()
    assert sh(root, "cat /proc/sys/kernel/shmall").stdout.decode() == shmall


def test_the_kernel_ends_a_command_with_limits_before_others(root):
    assert sh(root, "cat /proc/self/oom_score_adj; ulimit -c", limits=LIMITS).stdout == b"1000\n0\n"


def test_processes_that_end_at_once_do_not_keep_it_from_its_time(root):
    # each leaves its parent before it ends, so the first process of the root has to reap it
    script = "while :; do (sleep 0 & sleep 0 & sleep 0 &); done"
    started = time.monotonic()
    with pytest.raises(LimitExceededError, match=r"did not end within 0\.5 seconds"):
        sh(root, script, limits=replace(LIMITS, seconds=0.5, processes=10_000))
    assert time.monotonic() - started < 10


def test_as_many_processes_as_the_limit_may_run(root):
    # the shell is one
    script = "for i in $(cat); do sleep $i & done; wait"
    assert sh(root, script, stdin=b"0.5 " * 19, limits=LIMITS).exit_status == 0
    with pytest.raises(LimitExceededError, match="the container had more than 20 processes and threads"):
        sh(root, script, stdin=b"15 " * 20, limits=LIMITS)


def test_a_program_that_is_told_to_end_leaves_none_of_its_processes(small, tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from envbuild.cli.termination import ending_in_order\n"
        "from envbuild.image.local.roots.private_root import PrivateRoot\n"
        "with ending_in_order(), PrivateRoot([Path(sys.argv[1])], scratch=Path(sys.argv[2])) as root:\n"
        "    root.run(('sh', '-c', \"trap '' TERM; echo >/started; sleep 4321\"), env={'PATH': '/bin'})\n"
    )
    scratch = tmp_path / "scratch"
    child = subprocess.Popen([sys.executable, "-c", script, small, scratch], cwd=CHECKOUT)
    while not list(scratch.glob("root-*/upper/started")):
        assert child.poll() is None
        time.sleep(0.02)
    child.terminate()
    assert child.wait(30) == 128 + signal.SIGTERM
    assert not _sleepers()
    assert list(scratch.iterdir()) == []


def test_killing_everything_leaves_no_process_and_no_mount(small, tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from envbuild.image.local.roots.private_root import PrivateRoot\n"
        "with PrivateRoot([Path(sys.argv[1])], scratch=Path(sys.argv[2])) as root:\n"
        "    root.run(('sh', '-c', 'echo started >/started; sleep 4321'), env={'PATH': '/bin'})\n"
    )
    scratch = tmp_path / "scratch"
    child = subprocess.Popen([sys.executable, "-c", script, small, scratch], cwd=CHECKOUT)
    while not list(scratch.glob("root-*/upper/started")):
        assert child.poll() is None
        time.sleep(0.02)
    child.kill()
    child.wait()
    deadline = time.monotonic() + 30
    while _sleepers() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _sleepers()
    assert str(scratch) not in Path("/proc/self/mountinfo").read_text()
    assert list(scratch.glob("root-*/upper"))
    with PrivateRoot([small], scratch=scratch):
        assert len(list(scratch.glob("root-*.lock"))) == 1
    assert list(scratch.iterdir()) == []


def _sleepers():
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if process.read_bytes() == b"sleep\x004321\x00":
                found.append(process)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_pruning_sweeps_what_killed_processes_left(tmp_path):
    with root_folder(tmp_path / "roots") as kept:
        (tmp_path / "roots/root-0/upper").mkdir(parents=True)
        (tmp_path / "roots/root-0.lock").touch()
        roots = RootFolders(tmp_path)
        assert list(roots.items()) == []
        roots.sweep()
        assert kept.is_dir()
        assert not (tmp_path / "roots/root-0").exists()
    assert list((tmp_path / "roots").iterdir()) == []
