"""Operating system, C library, processor, process."""

import os
import re
import shlex
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

from envbuild.verify.checks.facts import LibcFacts, MachineFacts, OsFacts, ProcessFacts, VariableFacts
from envbuild.verify.probe.roots import place, read_text

# x86-64 psABI, "micro-architecture levels", in the kernel's names (abm is lzcnt, pni is sse3)
_LEVELS = (
    ("x86-64-v2", {"cx16", "lahf_lm", "pni", "popcnt", "sse4_1", "sse4_2", "ssse3"}),
    ("x86-64-v3", {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"}),
    ("x86-64-v4", {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}),
)


def os_facts(root: Path) -> OsFacts:
    """Read os-release(5): ``/etc`` first, then the vendor's."""
    values: dict[str, str] = {}
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        text = read_text(place(root, path))
        if text is not None:
            values = parse_os_release(text)
            break
    return OsFacts(
        id=values.get("ID"),
        version_id=values.get("VERSION_ID"),
        codename=values.get("VERSION_CODENAME"),
        pretty_name=values.get("PRETTY_NAME"),
    )


def parse_os_release(text: str) -> dict[str, str]:
    """Return the assignments of an os-release file; a line that is none is passed over."""
    values = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if not equals or name.startswith("#"):
            continue
        try:
            values[name] = "".join(shlex.split(value))
        except ValueError:
            values[name] = value
    return values


def libc_facts() -> LibcFacts:
    """Ask the C library of this process, without starting ldd."""
    try:
        family, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, OSError):
        family = version = ""
    if family == "glibc":
        return LibcFacts(family="glibc", version=_major_minor(version))
    for loader in sorted(Path("/lib").glob("ld-musl-*.so.1")):
        # musl's loader introduces itself when started without a program
        said = subprocess.run([loader], capture_output=True, text=True, check=False, timeout=10).stderr
        return LibcFacts(family="musl", version=parse_musl(said))
    return LibcFacts(family=None, version=None)


def parse_musl(text: str) -> str | None:
    """Return ``major.minor`` from what musl's loader says of itself."""
    match = re.search(r"^Version ([0-9.]+)", text, re.MULTILINE)
    return _major_minor(match[1]) if match else None


def machine_facts() -> MachineFacts:
    """Describe the processor through the kernel."""
    model, features = parse_cpuinfo(read_text(Path("/proc/cpuinfo")) or "")
    machine = os.uname().machine
    return MachineFacts(
        machine=machine,
        pointer_bits=struct.calcsize("P") * 8,
        cpu_count=len(os.sched_getaffinity(0)),
        cpu_model=model,
        cpu_level=x86_level(features) if machine == "x86_64" else None,
        cpu_features=tuple(sorted(features)),
    )


def parse_cpuinfo(text: str) -> tuple[str | None, frozenset[str]]:
    """Return model name and features (x86 flags, arm Features) of the first of ``/proc/cpuinfo``."""
    values: dict[str, str] = {}
    for line in text.partition("\n\n")[0].splitlines():
        name, _, value = line.partition(":")
        values.setdefault(name.strip().lower(), value.strip())
    return values.get("model name"), frozenset((values.get("flags") or values.get("features") or "").split())


def x86_level(features: Iterable[str]) -> str:
    """Return the highest micro-architecture level these flags reach; each includes the ones before."""
    present = set(features)
    level = "x86-64-v1"
    for name, needed in _LEVELS:
        if not needed <= present:
            break
        level = name
    return level


def process_facts(root: Path) -> ProcessFacts:
    """Say whom and where this process runs as; the name comes from the container's own account file."""
    try:
        workdir = os.getcwd()  # noqa: PTH109 - as the kernel says it
    except FileNotFoundError:
        workdir = None
    uid = os.getuid()
    return ProcessFacts(
        uid=uid,
        gid=os.getgid(),
        user=_user_name(root, uid),
        groups=tuple(sorted(os.getgroups())),
        workdir=workdir,
    )


def variable_facts(names: Iterable[str]) -> VariableFacts:
    """Report the values of ``names``, and of all others that they exist."""
    wanted = set(names)
    return VariableFacts(
        values={name: os.environ[name] for name in sorted(wanted & os.environ.keys())},
        others=tuple(sorted(os.environ.keys() - wanted)),
    )


def _user_name(root: Path, uid: int) -> str | None:
    for line in (read_text(place(root, "/etc/passwd")) or "").splitlines():
        fields = line.split(":")
        if fields[2:3] == [str(uid)]:
            return fields[0]
    return None


def _major_minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
