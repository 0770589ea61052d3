"""Run one command in a private root: namespaces, an overlay mount, and nothing of this machine's file system.

usage: enter.py PLAN    (a JSON file; its form is :class:`Plan` in ``root.py``)

A program of its own, started by ``root.py`` with ``-I -S``: it unshares and mounts, which a process with
threads cannot.  Everything it makes is held by the namespaces it makes, so whatever ends it, even SIGKILL,
ends the command and its mounts too.  Exits with the command's status (128 and the number of a signal that
ended it); with 125 when the command could not be started, and says why in the file ``failure`` beside the
plan.  What is mounted and masked follows the OCI runtime specification ("Default Filesystems") and what
container engines do by default; capabilities are those that Docker's containers have.
"""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import platform
import resource
import select
import signal
import socket
import stat
import struct
import sys
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Iterator

FAILED = 125
FROM_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
TO_END = (signal.SIGTERM, signal.SIGHUP)
TO_INTERRUPT = signal.SIGUSR1
"""Comes from ``private_root.py``: an interrupt that no terminal has sent."""

LOOK_SECONDS = 0.05
"""How often a command with limits is looked at."""

SHARED_BYTES = 1 << 26
"""Shared memory that a command with limits gets in /dev/shm, and of System V: as Docker's containers."""

# linux/sched.h
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x20000000, 0x40000000
# linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
# linux/prctl.h
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 22, 24, 38
# linux/seccomp.h
SECCOMP_MODE_FILTER, SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 2, 0x00050000, 0x7FFF0000
# linux/filter.h: load a word, compare, return
BPF_LOAD, BPF_EQUAL, BPF_RETURN = 0x20, 0x15, 0x06
# linux/if.h, linux/sockios.h
IFF_UP, SIOCGIFFLAGS, SIOCSIFFLAGS = 1, 0x8913, 0x8914

# asm-generic/ioctls.h, which Python's termios has not; the same on both machines below
TIOCSPTLCK, TIOCGPTPEER = 0x40045431, 0x5441
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
"""Type into a terminal, and paste into one."""

# linux/fcntl.h, linux/mount.h; the number of the call is the same on both machines below
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1

PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
"""Number of the system call, which has no function in the C library."""

IOCTL = {
    "x86_64": ((0xC000003E, 16), (0xC000003E, 0x40000000 | 514), (0x40000003, 54)),
    "aarch64": ((0xC00000B7, 29), (0x40000028, 54)),
}
"""Numbers of the system call in each of the machine's interfaces (linux/audit.h)."""

CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31})
"""chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, net_raw, sys_chroot,
mknod, audit_write, setfcap (linux/capability.h)."""

DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
LINKS = {
    "fd": "/proc/self/fd",
    "ptmx": "pts/ptmx",
    "stderr": "/proc/self/fd/2",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
}
HIDDEN = ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/proc/latency_stats")
"""Tell of this machine or its kernel's memory."""

UNCHANGING = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""Would change this machine when written to."""

RESERVED = frozenset({"/", "/dev", "/proc", "/sys"})
"""What a root is made with: nothing can be shown there instead."""

LOCKED = {8: MS_NOEXEC, 1024: 1024, 2048: 2048, 4096: 1 << 21}
"""What statvfs says and mount is told: noexec, noatime, nodiratime, relatime."""

TERMINAL_GROUP = 5
"""``tty`` on every distribution: owner of new terminals."""

_libc = ctypes.CDLL(None, use_errno=True)


class EnteringError(Exception):
    """A step failed; says which, and what the kernel said."""

    kind = "root"


class CommandError(EnteringError):
    """The root is there, but the command, its folder or its user are not."""

    kind = "command"


class ProgramError(EnteringError):
    """The program is not in the root, or cannot be executed."""

    kind = "program"


class LimitError(EnteringError):
    """The command went beyond a limit, whose name this is."""

    kind = "limit"


def main() -> int:
    """Do what the plan says; return the exit status."""
    path = Path(sys.argv[1])
    plan = json.loads(path.read_text(encoding="utf-8"))
    try:
        # a terminal sends these to the command as well, which decides what they mean
        for number in FROM_TERMINAL:
            signal.signal(number, signal.SIG_IGN)
        _die_with(plan["parent"])
        flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP
        _check(_libc.unshare(flags | (0 if plan["network"] else CLONE_NEWNET)), "making namespaces")
        alive, end = os.pipe()
        # the first process of a process namespace: when it ends, all others in it do
        child = os.fork()
        if child == 0:
            os.close(end)
            _first(plan, alive)
        # it ends when all others in its namespace have: whoever waits for this process finds none of them
        told = signal.SIGTERM if plan["attached"] else signal.SIGKILL
        for number in TO_END:
            # what was to be ignored (nohup) still is
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, lambda *_: os.kill(child, told))
        if plan["attached"]:
            signal.signal(TO_INTERRUPT, lambda number, _: os.kill(child, number))
        return _status(_wait(child))
    except EnteringError as error:
        _tell(_report(path.parent), error)
        return FAILED


def _first(plan: Any, alive: int) -> NoReturn:
    """Set the root up, start the command in it, and reap whatever is left to it.

    ``alive`` ends when the parent does, whose number cannot be seen in this namespace.
    """
    status = FAILED
    # later it is out of reach: the root is another one, and so is the user
    report = _report(Path(plan["folder"]))
    try:
        _die_with(None)
        # the first process of a namespace is ended by no signal that it does not handle
        signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
        signal.signal(TO_INTERRUPT, lambda *_: os._exit(128 + signal.SIGINT))
        if select.select([alive], [], [], 0)[0]:
            os._exit(FAILED)
        collection = _Collection(plan["collected"])
        _set_up(plan)
        status = _run(plan, report)
        collection.take()
    except BaseException as error:  # noqa: BLE001 - a forked child must not return into its parent's code
        _tell(report, error)
    finally:
        os._exit(status)


def _run(plan: Any, report: int) -> int:
    limits = plan["limits"]
    terminal = _send_terminal(plan["terminal"])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    command = os.fork()
    if command == 0:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            if limits:
                _limit(limits)
            _become(plan, terminal)
        except MemoryError as error:
            # the image's accounts may be of any size
            _tell(report, LimitError("memory") if limits else error)
        except BaseException as error:  # noqa: BLE001 - see above
            _tell(report, error)
        os._exit(FAILED)
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(command, number))
    # as a terminal does: all of them
    signal.signal(TO_INTERRUPT, lambda *_: os.kill(-1, signal.SIGINT))
    return _status(_watch(command, limits) if limits else _wait(command))


def _limit(limits: Any) -> None:
    """Limit this process and those it will start."""
    _check(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "refusing new privileges")
    # what one process cannot take before it is looked at; twice, so that it is seen beyond the limit
    most, allowed = 2 * limits["memory"], resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(
        resource.RLIMIT_DATA, (most if allowed == resource.RLIM_INFINITY else min(most, allowed),) * 2
    )
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # what the limits do not see ends this process before any other of the machine
    Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")


def _watch(command: int, limits: Any) -> int:
    """Reap children until ``command`` has ended; return how it ended.

    Not by limits of the kernel's: those of one user count what other containers have, and a control group is
    not for everybody to make.

    :raises LimitError: it went beyond a limit.
    """
    now = time.monotonic()
    deadline, next_look = now + limits["seconds"], now
    processes = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    while True:
        child, ended, usage = os.wait4(-1, os.WNOHANG)
        if child == command:
            # it took too much, and failed before it was looked at
            if ended != 0 and usage.ru_maxrss << 10 > limits["memory"]:
                raise LimitError("memory")
            return ended
        # also while there is always one more to reap: whoever starts processes without end sees to that
        now = time.monotonic()
        if now >= deadline:
            raise LimitError("seconds")
        if now >= next_look:
            _look(processes, limits)
            next_look = now + LOOK_SECONDS
        if not child:
            signal.sigtimedwait({signal.SIGCHLD}, max(min(deadline, next_look) - time.monotonic(), 0))


def _look(processes: int, limits: Any) -> None:
    """Add up what all processes but this one have.  :raises LimitError: it is beyond a limit."""
    numbers = [name for name in os.listdir(processes) if name.isdecimal() and name != "1"]
    memory, tasks = 0, len(numbers)
    for number in numbers:
        if tasks > limits["processes"]:
            raise LimitError("processes")
        # one that has just ended has nothing
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = _status_of(f"{number}/status", processes)
            tasks += fields.get("Threads", 1) - 1
            # in kB; pages of files are the kernel's to take back
            memory += sum(fields.get(name, 0) for name in ("RssAnon", "RssShmem", "VmSwap")) << 10
    if tasks > limits["processes"]:
        raise LimitError("processes")
    if memory > limits["memory"]:
        raise LimitError("memory")


def _status_of(path: str, folder: int) -> "dict[str, int]":
    with open(os.open(path, os.O_RDONLY, dir_fd=folder), "rb") as file:
        lines = file.read().splitlines()
    found = {}
    for line in lines:
        name, _, value = line.partition(b":")
        if (words := value.split()) and words[0].isdigit():
            found[name.decode()] = int(words[0])
    return found


def _send_terminal(through: "int | None") -> "int | None":
    """Make a terminal of this root, send the end that people have ``through`` a socket; return the other."""
    if through is None:
        return None
    with socket.socket(fileno=through) as sender:
        master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
        terminal = fcntl.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        socket.send_fds(sender, [b"\1"], [master])
        os.close(master)
        # its size is set by then
        if not sender.recv(1):
            raise EnteringError("nobody is at the terminal")
    return terminal


def _take_terminal(terminal: int, uid: int) -> None:
    """Make ``terminal`` that of a new session, and its streams."""
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    # so that it can be opened by name too
    os.fchown(terminal, uid, TERMINAL_GROUP)
    for stream in (0, 1, 2):
        os.dup2(terminal, stream)


def _refuse_typing() -> None:
    """Keep this process and its children from typing into a terminal.

    Without a terminal of its own the command shares the session of whoever started it, so that Ctrl-C reaches
    it; what it typed there would be read by the shell outside.
    """
    program = b"".join(
        # each jump counts instructions; the operands of the kernel's structure are at 4, 0 and 24
        struct.pack("=HBBI", *instruction)
        for architecture, number in IOCTL[platform.machine()]
        for instruction in (
            (BPF_LOAD, 0, 0, 4),
            (BPF_EQUAL, 0, 6, architecture),
            (BPF_LOAD, 0, 0, 0),
            (BPF_EQUAL, 0, 4, number),
            (BPF_LOAD, 0, 0, 24),
            (BPF_EQUAL, 1, 0, TIOCSTI),
            (BPF_EQUAL, 0, 1, TIOCLINUX),
            (BPF_RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.EPERM),
        )
    ) + struct.pack("=HBBI", BPF_RETURN, 0, 0, SECCOMP_RET_ALLOW)
    held = ctypes.create_string_buffer(program)
    described = struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
    result = _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, described, 0, 0)
    _check(result, "keeping the command from typing into this terminal")


def _start_in(folder: str) -> None:
    try:
        os.chdir(folder)
        # the kernel names no folder that is outside the root
        os.getcwd()
    except OSError as error:
        raise CommandError(f"there is no folder {folder}: {error.strerror}") from error


def _become(plan: Any, terminal: "int | None") -> NoReturn:
    for number in (*FROM_TERMINAL, signal.SIGTERM, TO_INTERRUPT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    if not plan["stdin"]:
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    uid, gid, groups, home = _account(plan["user"])
    if terminal is not None:
        _take_terminal(terminal, uid)
    elif plan["attached"]:
        _refuse_typing()
    if plan["attached"]:
        _make_home(home, uid, gid)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="utf-8"))
    for capability in range(last + 1):
        if capability not in CAPABILITIES:
            _check(_libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "dropping a capability")
    environment = {"HOME": home, **plan["environment"]}
    # those of a caller are what lets it into folders it shares with others; no namespace may name them again
    if not plan["keep_groups"]:
        os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    os.umask(0o022)
    _start_in(plan["workdir"])
    program = plan["command"][0]
    try:
        os.execvpe(program, plan["command"], environment)  # noqa: S606 - there is no shell in it
    except OSError as error:
        raise ProgramError(f"`{program}` cannot be started: {error.strerror}") from error


# --- the root -----------------------------------------------------------------------------------


def _set_up(plan: Any) -> None:
    os.umask(0o022)
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    os.chdir(plan["folder"])
    # relative and short: all options of a mount share one page
    options = [f"lowerdir={':'.join(plan['lowers'])}", "userxattr", "index=off"]
    if plan["upper"]:
        # what it holds is read back or thrown away, so no write needs to reach the disk
        options += ["upperdir=upper", "workdir=work", "volatile"]
    _mount("overlay", "root", "overlay", MS_NODEV, ",".join(options))
    # opened here, shown there: no path of the new root, which may hold any link, is followed in this one
    devices = {name: _open(f"/dev/{name}") for name in DEVICES}
    binds = {target: _open(source) for target, source in sorted(plan["binds"].items())}
    mounts = [
        (target, None if source is None else _open(source), read_only)
        for target, source, read_only in plan["mounts"]
    ]
    feed = _open_archive(plan["feed"])
    system, outside = _open("/sys"), _open("/")
    os.chdir("root")
    pivot_root = PIVOT_ROOT.get(platform.machine())
    if pivot_root is None:
        raise EnteringError(f"no private root is made on {platform.machine()}")
    _check(_libc.syscall(pivot_root, b".", b"."), "changing the root")
    _mount_kernel_folders(None if plan["network"] is False else system)
    _mount_devices(devices, shared=SHARED_BYTES if plan["limits"] else plan["shared"])
    if not plan["upper"]:
        _mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")  # noqa: S108 - its own
    for target, source in binds.items():
        _bind(source, Path(target))
    for target, shown, read_only in mounts:
        _show(shown, target, read_only=read_only)
    os.fchdir(outside)
    _check(_libc.umount2(b".", MNT_DETACH), "letting go of the old root")
    os.chdir("/")
    _close(*devices.values(), *binds.values(), *(shown for _, shown, _ in mounts), system, outside)
    if plan["limits"]:
        _bound_shared_memory()
    _mask()
    _make_ready(plan)
    if feed is not None:
        _unpack(feed, plan["workdir"])
    socket.sethostname("envbuild")
    if not plan["network"]:
        _raise_loopback()


def _bound_shared_memory() -> None:
    # of this namespace alone, in pages
    pages = SHARED_BYTES // os.sysconf("SC_PAGESIZE")
    # in a user namespace older kernels let nobody change it
    with contextlib.suppress(PermissionError):
        Path("/proc/sys/kernel/shmall").write_text(str(pages), encoding="utf-8")


def _make_ready(plan: Any) -> None:
    """Make what an attached command finds although its image has not got it."""
    if plan["attached"]:
        try:
            # as engines do
            Path(plan["workdir"]).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"there is no folder {plan['workdir']}: {error.strerror}") from error
    if plan["account"] is not None:
        _add_account(plan["account"])


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise EnteringError(f"opening {path}: {error.strerror}") from error


def _close(*descriptors: "int | None") -> None:
    """Close what leads out of the root: a path of the image may be /proc/self/fd/NUMBER, or a link to it."""
    for descriptor in descriptors:
        if descriptor is not None:
            os.close(descriptor)


def _mount_kernel_folders(system: "int | None") -> None:
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    _mount("proc", "/proc", "proc", flags)
    if system is None:
        _mount("sysfs", "/sys", "sysfs", flags | MS_RDONLY)
    else:
        # only the owner of a network namespace may mount its view of devices
        _bind(system, Path("/sys"), alone=True)


def _mount_devices(devices: "dict[str, int]", *, shared: "int | None") -> None:
    folder = Path("/dev")
    # without devices of its own: those below are mounts themselves, and one that is made there must not work
    _mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64m")
    for name, device in devices.items():
        (folder / name).touch()
        _mount(f"/proc/self/fd/{device}", folder / name, None, MS_BIND)
    for name, target in LINKS.items():
        (folder / name).symlink_to(target)
    (folder / "pts").mkdir()
    options = f"newinstance,ptmxmode=0666,mode=0620,gid={TERMINAL_GROUP}"
    _mount("devpts", folder / "pts", "devpts", MS_NOSUID | MS_NOEXEC, options)
    (folder / "shm").mkdir()
    size = "" if shared is None else f",size={shared}"
    _mount("tmpfs", folder / "shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, f"mode=1777{size}")


def _show(source: "int | None", target: str, *, read_only: bool) -> None:
    """Show what a person wants at ``target``: a file or folder of this machine, or an empty one in memory."""
    # an image may have a link there
    found = os.path.realpath(target)
    if found in RESERVED or found.startswith("/proc/"):
        raise CommandError(f"nothing can be mounted at {target}: it is {found} of the image")
    try:
        if source is None:
            Path(found).mkdir(parents=True, exist_ok=True)
            flags = MS_NOSUID | MS_NODEV | (MS_RDONLY if read_only else 0)
            _mount("tmpfs", found, "tmpfs", flags, "mode=1777")
        else:
            _bind(source, Path(found), read_only=read_only)
            if read_only:
                _forbid_writing(found)
    except OSError as error:
        raise CommandError(f"nothing can be mounted at {target}: {error.strerror}") from error
    except EnteringError as error:
        # such as a file over a folder
        raise CommandError(f"nothing can be mounted at {target}: {error}") from error


def _bind(source: int, target: Path, *, alone: bool = False, read_only: bool = True) -> None:
    """Show what ``source`` is open on at ``target``; ``alone`` without what is mounted below it.

    In a user namespace the kernel shows all or nothing; there its user is not this machine's root.
    """
    target = Path(os.path.realpath(target))
    if stat.S_ISDIR(os.fstat(source).st_mode):
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        # what is there may be read-only
        if not os.path.lexists(target):
            target.touch()
    try:
        _mount(f"/proc/self/fd/{source}", target, None, MS_BIND | (0 if alone else MS_REC))
    except EnteringError:
        if not alone:
            raise
        _mount(f"/proc/self/fd/{source}", target, None, MS_BIND | MS_REC)
    # what its file system forbids stays forbidden: in a user namespace these flags cannot be dropped
    now = os.statvfs(target).f_flag
    kept = sum(flag for bit, flag in LOCKED.items() if now & bit)
    kept |= (MS_RDONLY if read_only else now & MS_RDONLY) | MS_NOSUID | MS_NODEV
    _mount(None, target, None, MS_BIND | MS_REMOUNT | kept)


def _forbid_writing(folder: str) -> None:
    """Make a mount read-only with all that is mounted in it."""
    # mount_setattr(2): flags to set, flags to clear, propagation, user namespace
    wanted = struct.pack("=QQQQ", MOUNT_ATTR_RDONLY, 0, 0, 0)
    result = _libc.syscall(
        MOUNT_SETATTR, AT_FDCWD, os.fsencode(folder), AT_RECURSIVE, wanted, ctypes.c_size_t(len(wanted))
    )
    # Linux 5.11 has no such call: there what is mounted below stays as it was
    if result != 0 and ctypes.get_errno() != errno.ENOSYS:
        _check(result, f"making {folder} read-only")


def _mask() -> None:
    for path in HIDDEN:
        if Path(path).exists():
            _mount("/dev/null", path, None, MS_BIND)
    for path in UNCHANGING:
        if Path(path).exists():
            _mount(path, path, None, MS_BIND | MS_REC)
            flags = MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC
            _mount(None, path, None, flags)


def _open_archive(path: "str | None") -> "tarfile.TarFile | None":
    if path is None:
        return None
    # here and not above: most commands are fed nothing; not later: this Python's library is out of reach then
    import tarfile  # noqa: PLC0415

    return tarfile.open(path, mode="r:")


def _unpack(feed: "tarfile.TarFile", folder: str) -> None:
    """Lay files into the root, with the owners the archive gives them; links lead nowhere but into it."""
    # Python 3.14 would drop the owners; older ones may not know the word
    options: Any = {"filter": "fully_trusted"} if hasattr(feed, "extraction_filter") else {}
    with feed:
        for entry in feed:
            feed.extract(entry, folder, numeric_owner=True, **options)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        request = struct.pack("16sh14x", b"lo", 0)
        answer = fcntl.ioctl(connection, SIOCGIFFLAGS, request)
        flags = struct.unpack("16sh14x", answer)[1] | IFF_UP
        fcntl.ioctl(connection, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags))


# --- accounts -----------------------------------------------------------------------------------


def _account(user: str) -> "tuple[int, int, list[int], str]":
    """Return uid, gid, further groups and home of ``user``: name or uid, and group if given (image-spec)."""
    name, _, group = user.partition(":")
    uid, gid, home, login = (int(name), 0, "/", None) if name.isdecimal() else (None, 0, "/", name)
    for fields in _lines("/etc/passwd", 7):
        if fields[0] == login or (uid is not None and fields[2] == str(uid)):
            uid, gid, home, login = int(fields[2]), int(fields[3]), fields[5] or "/", fields[0]
            break
    if uid is None:
        raise CommandError(f"the image has no user `{name}`")
    if group:
        found = [int(fields[2]) for fields in _lines("/etc/group", 4) if fields[0] == group]
        if not found and not group.isdecimal():
            raise CommandError(f"the image has no group `{group}`")
        return uid, (found or [int(group)])[0], [], home
    members = [int(fields[2]) for fields in _lines("/etc/group", 4) if login in fields[3].split(",")]
    return uid, gid, [gid, *members], home


def _add_account(account: Any) -> None:
    """Give a user by number a name and a home, unless the root has it by some name."""
    uid, gid, name = account["uid"], account["gid"], account["name"]
    taken = set()
    for fields in _lines("/etc/passwd", 7):
        taken.add(fields[0])
        if fields[2] == str(uid):
            return
    while name in taken:
        name += "_"
    Path("/etc").mkdir(exist_ok=True)
    with open("/etc/passwd", "a", encoding="utf-8") as file:
        file.write(f"{name}:x:{uid}:{gid}::/home/{name}:/bin/sh\n")


def _make_home(home: str, uid: int, gid: int) -> None:
    """Make the home of a user where the image has none; one that cannot be made is none either."""
    with contextlib.suppress(OSError):
        if not os.path.lexists(home):
            os.makedirs(home)
            os.chown(home, uid, gid)
            os.chmod(home, 0o700)


def _lines(path: str, fields: int) -> "Iterator[list[str]]":
    with contextlib.suppress(FileNotFoundError):
        for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
            parts = line.split(":")
            if len(parts) == fields:
                yield parts


# --- what comes back ----------------------------------------------------------------------------


class _Collection:
    """Files and folders that are packed when the command has ended, each into a file outside the root."""

    def __init__(self, wanted: Any) -> None:
        self._wanted = []
        if wanted:
            # not later: this Python's library, and those files, are out of reach then
            import tarfile  # noqa: PLC0415

            self._tarfile = tarfile
        for path, archive in wanted:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._wanted.append((path, os.open(archive, flags, 0o600)))

    def take(self) -> None:
        """Pack what is there; the archive of what is not stays empty."""
        if not self._wanted:
            return
        # nobody else is to change anything meanwhile
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)
        for path, archive in self._wanted:
            with open(archive, "wb") as file:
                if os.path.lexists(path):
                    with self._tarfile.TarFile(fileobj=file, mode="w") as packed:
                        self._pack(packed, path, os.path.basename(path.rstrip("/")) or "root")

    def _pack(self, packed: "tarfile.TarFile", path: str, name: str) -> None:
        # by hand: tarfile would look names of users up, with libraries of the image
        found = os.lstat(path)
        entry = self._tarfile.TarInfo(name)
        entry.mode, entry.mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
        if stat.S_ISREG(found.st_mode):
            entry.size = found.st_size
            with open(path, "rb") as content:
                packed.addfile(entry, content)
        elif stat.S_ISLNK(found.st_mode):
            entry.type, entry.linkname = self._tarfile.SYMTYPE, os.readlink(path)
            packed.addfile(entry)
        elif stat.S_ISDIR(found.st_mode):
            entry.type = self._tarfile.DIRTYPE
            packed.addfile(entry)
            for below in sorted(os.listdir(path)):
                self._pack(packed, f"{path}/{below}", f"{name}/{below}")
        else:
            # a device, a pipe or a socket: named, so that whoever unpacks can say that it was left out
            entry.type = self._tarfile.FIFOTYPE
            packed.addfile(entry)


# --- the kernel ---------------------------------------------------------------------------------


def _mount(
    source: "str | Path | None", target: "str | Path", kind: "str | None", flags: int, options: str = ""
) -> None:
    words = [os.fsencode(word) if word is not None else None for word in (source, target, kind)]
    result = _libc.mount(*words, ctypes.c_ulong(flags), os.fsencode(options) if options else None)
    _check(result, f"mounting {kind or source or 'again'} at {target}")


def _check(result: int, step: str) -> None:
    if result != 0:
        raise EnteringError(f"{step}: {os.strerror(ctypes.get_errno())}")


def _die_with(parent: "int | None") -> None:
    """Have the kernel kill this process when its parent ends; do it now if ``parent`` has ended already."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "binding to the parent")
    if parent is not None and os.getppid() != parent:
        os._exit(FAILED)


def _wait(wanted: int) -> int:
    """Reap children until ``wanted`` has ended; return how it ended."""
    while True:
        child, ended = os.wait()
        if child == wanted:
            return ended


def _status(ended: int) -> int:
    code = os.waitstatus_to_exitcode(ended)
    return code if code >= 0 else 128 - code


def _report(folder: Path) -> int:
    return os.open(folder / "failure", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _tell(report: int, error: BaseException) -> None:
    kind, message = (error.kind, str(error)) if isinstance(error, EnteringError) else ("root", repr(error))
    os.write(report, f"{kind}\n{message}".encode())


if __name__ == "__main__":
    sys.exit(main())
