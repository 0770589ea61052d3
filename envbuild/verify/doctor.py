"""What a machine has of all that envbuild needs, and what to do about the rest: values; nothing is asked."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from envbuild.errors import EnvbuildError, ExitCode
from envbuild.verify.checks.codec import encode
from envbuild.verify.checks.cuda import why_unusable
from envbuild.verify.checks.gpu import describe_device, devices_of, why_no_gpu
from envbuild.verify.checks.gpu_facts import DriverState, GpuFacts, Vendor
from envbuild.verify.checks.plan import VENDORS

State = Literal["ok", "missing", "broken", "none"]
"""``missing``: only some commands need it.  ``broken``: most do, or it is there and does not work.
``none``: there is nothing of the kind, and nothing wrong with that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at."""

    name: str
    state: State
    found: str
    """In plain words: a version, a place, what is wrong."""

    hint: str | None = None
    exit_code: ExitCode = ExitCode.OK
    """What a command that needs it would end with; 0 unless broken."""


def exit_code_of(findings: Iterable[Finding]) -> ExitCode:
    """Return the code of the first thing broken."""
    broken = (finding.exit_code for finding in findings if finding.state == "broken")
    return next(broken, ExitCode.OK)


def failed(name: str, error: EnvbuildError, *, state: State = "broken") -> Finding:
    """Return what an error says of a thing."""
    return Finding(
        name=name,
        state=state,
        found=error.message,
        hint=error.hint,
        exit_code=error.exit_code if state == "broken" else ExitCode.OK,
    )


def not_needed(name: str, error: EnvbuildError, *, by: str) -> Finding:
    """Return that a thing is missing, and that ``by`` does without."""
    return Finding(name=name, state="none", found=f"not needed by {by}; {error.message}")


def gpu_findings(
    facts: GpuFacts, *, withheld: Mapping[Vendor, str | None], by_nature: bool = False
) -> Iterator[Finding]:
    """Yield drivers, highest CUDA and GPUs of a machine, and whether the engine gives containers those.

    ``withheld`` is why the engine gives containers no GPU, by vendor; ``by_nature`` says that nothing can be
    done about that.
    """
    vendors: tuple[Vendor, ...] = ("nvidia", "amd")
    present = [v for v in vendors if facts.drivers[v].state != "absent" or facts.cards.get(v)]
    for vendor in present:
        driver = facts.drivers[vendor]
        if driver.state == "ready":
            yield from _working(facts, vendor, withheld[vendor], by_nature=by_nature)
        else:
            is_missed = _is_missed(facts, vendor)
            yield Finding(
                name=f"{VENDORS[vendor]} driver",
                state="broken" if is_missed else "missing",
                found=why_no_gpu(facts, vendor),
                hint=_HINTS.get((vendor, driver.state)),
                exit_code=ExitCode.FAILURE if is_missed else ExitCode.OK,
            )
    if not present:
        yield Finding(name="GPUs", state="none", found="none in this machine")


def _is_missed(facts: GpuFacts, vendor: Vendor) -> bool:
    """Return whether a driver that is not ready keeps the machine from what it is there for.

    Not where another vendor's GPUs work: this one's may be the processor's, for the screen.  And libraries of
    a driver are installed on machines that have no GPU.
    """
    others = (other for other in facts.drivers if other != vendor)
    if any(facts.drivers[other].state == "ready" and devices_of(facts, other) for other in others):
        return False
    return facts.drivers[vendor].state != "not-loaded" or bool(facts.cards.get(vendor))


def _working(facts: GpuFacts, vendor: Vendor, withheld: str | None, *, by_nature: bool) -> Iterator[Finding]:
    """Yield what a driver that works says, and its GPUs."""
    driver = facts.drivers[vendor]
    yield Finding(name=f"{VENDORS[vendor]} driver", state="ok", found=driver.version or "loaded")
    if driver.cuda:
        forward = driver.library_version not in {None, driver.version}
        told = f"{driver.cuda}, by forward compatibility" if forward else driver.cuda
        yield Finding(name="highest CUDA", state="ok", found=told)
    devices = devices_of(facts, vendor)
    unusable = why_unusable(driver, devices=len(devices))
    if unusable:
        yield Finding(
            name="CUDA",
            state="broken",
            found=unusable,
            hint="`nvidia-modprobe -u -c=0` loads nvidia-uvm; without libcuda, install the whole driver",
            exit_code=ExitCode.FAILURE,
        )
    for device in devices:
        name = f"GPU {device.index}"
        if device.problem is None:
            yield Finding(name=name, state="ok", found=describe_device(device))
        else:
            hint = "the kernel's log may say why; a restart may bring it back"
            yield Finding(
                name=name, state="broken", found=device.problem, hint=hint, exit_code=ExitCode.FAILURE
            )
    if not devices:
        yield Finding(name=f"{VENDORS[vendor]} GPUs", state="missing", found="the driver shows none")
    elif withheld and by_nature:
        yield Finding(name="GPUs in containers", state="none", found=withheld)
    elif withheld:
        hint = _TOOLKIT if vendor == "nvidia" else "pass --gpus all to try it anyway"
        yield Finding(name="GPUs in containers", state="missing", found=withheld, hint=hint)
    else:
        yield Finding(name="GPUs in containers", state="ok", found=f"the engine gives {VENDORS[vendor]}'s")


_TOOLKIT = "install NVIDIA's container toolkit, then `nvidia-ctk runtime configure --runtime=docker`"
_HINTS: dict[tuple[str, DriverState], str] = {
    ("nvidia", "absent"): "install the driver",
    ("nvidia", "not-loaded"): "load it (`modprobe nvidia`), or restart the machine",
    ("nvidia", "mismatch"): "restart the machine: the driver was replaced while the old one is running",
    ("amd", "absent"): "load it (`modprobe amdgpu`), or install a kernel that has it",
    (
        "amd",
        "not-loaded",
    ): "computing needs a kernel with KFD (CONFIG_HSA_AMD), and a GPU that it knows",
    ("amd", "failed"): "join the groups that own it (`usermod -aG render,video NAME`), then log in again",
}
"""What to do, by vendor and state of the driver."""


def document(findings: Iterable[Finding], gpu: GpuFacts | None) -> dict[str, Any]:
    """Return all of it as plain JSON values; ``gpu`` is what the probe said of GPUs."""
    listed = list(findings)
    return {
        "exit-code": int(exit_code_of(listed)),
        "findings": [
            {"name": item.name, "state": item.state, "found": item.found, "hint": item.hint}
            for item in listed
        ],
        "gpu": encode(gpu),
    }
