"""Drivers, GPUs and CUDA's libraries against the lock."""

from collections.abc import Iterator

from envbuild.verify.checks import cuda
from envbuild.verify.checks.comparison import Context
from envbuild.verify.checks.gpu_facts import DriverFacts, GpuDevice, GpuFacts, LibraryFacts
from envbuild.verify.checks.plan import VENDORS, Check
from envbuild.verify.checks.report import CheckResult
from envbuild.verify.checks.target import LockedGpu, LockedLibrary

_NOT_ASKED = "nobody looked for GPUs"
_GIB = 1 << 30


def evaluate_library(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare which file an import would load, and the version that file reports, with the locked library."""
    locked = next(library for library in _gpu(context).libraries if library.soname == check.subject)
    found = {library.soname: library for library in _facts(context).libraries}.get(locked.soname)
    if found is None:
        yield context.skipped(check, "nobody looked where it would be loaded from")
        return
    if found.path is None:
        yield context.differ(check, "missing", found=None, reason=found.problem)
        return
    expected = _path_of(locked, context)
    if expected is not None and found.path != _file_of(expected, found, context):
        told = f"{found.version or 'another file'} from {found.path}"
        yield context.differ(check, "changed", found=told, reason=_why(found))
    elif found.problem is not None:
        yield context.differ(check, "changed", found=found.path, reason=found.problem)
    elif found.version is not None and not cuda.agrees(locked.version, found.version):
        yield context.differ(check, "changed", found=f"{found.version} from {found.path}")
    elif found.shadowed_by is not None:
        yield context.differ(
            check,
            "harmless",
            found=found.shadowed_by,
            reason="LD_LIBRARY_PATH gives that file to whoever asks by name; the framework finds its own",
        )
    else:
        yield context.passed(check, found=found.version or found.path, reason=found.path)


def evaluate_driver(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare the driver with the oldest that runs what is locked."""
    facts = context.facts.gpu
    if facts is None:
        yield context.skipped(check, _NOT_ASKED)
        return
    gpu = _gpu(context)
    driver = facts.drivers[gpu.vendor]
    if driver.state in {"absent", "not-loaded"}:
        yield _without(check, context, facts)
    elif driver.state != "ready":
        yield context.differ(check, "changed", found="does not work", reason=driver.reason)
    elif unusable := cuda.why_unusable(driver, devices=len(devices_of(facts, gpu.vendor))):
        told = _told(driver, driver.version or "loaded")
        yield context.differ(check, "changed", found=told, reason=unusable)
    elif driver.version is None or gpu.driver_minimum is None:
        reason = None if driver.version is None else "the lock does not say which driver it needs"
        yield context.passed(check, found=driver.version or "loaded", reason=reason)
    else:
        yield _compare_driver(check, context, driver, driver.version, gpu.driver_minimum)


def evaluate_devices(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare each GPU's architecture with those the locked frameworks have code for."""
    facts = context.facts.gpu
    if facts is None:
        yield context.skipped(check, _NOT_ASKED)
        return
    devices = devices_of(facts, _gpu(context).vendor)
    if not devices:
        yield _without(check, context, facts)
    for device in devices:
        yield _compare_device(check, context, device, facts.drivers[device.vendor])


def evaluate_vendor(check: Check, context: Context) -> Iterator[CheckResult]:
    """Name the other vendor when all the machine's GPUs are of it."""
    facts = context.facts.gpu
    vendor = _gpu(context).vendor
    if facts is None:
        yield context.skipped(check, _NOT_ASKED)
        return
    # a card may be the processor's own, for the screen: it is no GPU to compute on until a driver shows it
    cards = facts.cards.keys() if context.require_gpu else set()
    others = sorted({device.vendor for device in facts.devices} | cards)
    if devices_of(facts, vendor) or vendor in facts.cards:
        yield context.passed(check)
    elif others:
        found = ", ".join(VENDORS[other] for other in others)
        yield context.differ(check, "changed", found=found, reason="the lock is for GPUs of another vendor")
    else:
        yield _without(check, context, facts)


def evaluate_import(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare the libraries that importing a framework brought into a process with the locked files."""
    found = {item.framework: item for item in _facts(context).imports}.get(check.subject)
    if found is None:
        yield context.skipped(check, "it was not imported")
        return
    if found.problem is not None:
        yield context.differ(check, "changed", found="cannot be imported", reason=found.problem)
        return
    strangers = [path for path in found.mapped if not _is_locked(path, context)]
    for path in strangers:
        name = path.rpartition("/")[2]
        locked = _library_of(path, _gpu(context))
        yield context.single(
            check,
            f"{check.id}/{name}",
            "changed",
            title=f"{name} in {check.subject}",
            expected=(_path_of(locked, context) if locked else None) or "a locked file",
            found=path,
            reason="loaded by the import in place of what is locked",
        )
    if not strangers:
        yield context.passed(check, found=f"{len(found.mapped)} libraries", reason=", ".join(found.mapped))


def evaluate_kernels(check: Check, context: Context) -> Iterator[CheckResult]:
    """Check that the framework computed the right result on each GPU."""
    facts = context.facts.gpu
    if facts is None:
        yield context.skipped(check, _NOT_ASKED)
        return
    found = {item.framework: item for item in facts.imports}.get(check.subject)
    devices = devices_of(facts, _gpu(context).vendor)
    if not devices:
        yield _without(check, context, facts)
        return
    if found is None or found.problem is not None:
        yield context.skipped(check, f"{check.subject} was not imported")
        return
    if not found.kernels:
        reason = found.no_kernels or f"{check.subject} sees no GPU"
        yield context.differ(check, "changed", found="nothing computed", reason=reason)
    for kernel in found.kernels:
        title = f"{check.subject} on GPU {kernel.index}"
        if kernel.succeeded:
            yield context.passed(check, thing=f"{check.id}/{kernel.index}", title=title, found=kernel.detail)
        else:
            yield context.single(
                check,
                f"{check.id}/{kernel.index}",
                "changed",
                title=title,
                expected="the right result",
                found=kernel.detail,
            )
    if found.kernels and len(found.kernels) < len(devices):
        told = f"{len(found.kernels)} of {len(devices)} GPUs"
        yield context.differ(
            check,
            "harmless",
            found=told,
            reason=f"{check.subject} sees no more; CUDA_VISIBLE_DEVICES may be set",
        )


def devices_of(facts: GpuFacts, vendor: str) -> tuple[GpuDevice, ...]:
    """Return the GPUs of one vendor."""
    return tuple(device for device in facts.devices if device.vendor == vendor)


def describe_device(device: GpuDevice) -> str:
    """Return ``Tesla T4, sm_75, 15 GiB``."""
    parts = [device.name or "a GPU without a name", device.architecture or "of unknown architecture"]
    if device.memory:
        parts.append(f"{device.memory / _GIB:.0f} GiB")
    if device.mig:
        parts.append("cut into instances (MIG)")
    return ", ".join(parts)


def _told(driver: DriverFacts, version: str) -> str:
    other = driver.library_version
    return f"{version} with libcuda of {other}" if other not in {None, version} else version


def _compare_driver(
    check: Check, context: Context, driver: DriverFacts, version: str, minimum: str
) -> CheckResult:
    gpu = _gpu(context)
    other = driver.library_version if driver.library_version not in {None, version} else None
    told = _told(driver, version)
    if other and not cuda.is_at_least(other, version):
        reason = "forward compatibility is for drivers older than it, never for newer ones"
        return context.differ(check, "changed", found=told, reason=reason)
    if not cuda.is_at_least(other or version, minimum):
        highest = f", it runs CUDA {driver.cuda} at most" if driver.cuda else ""
        reason = f"too old for CUDA {gpu.version}{highest}"
        return context.differ(check, "changed", found=told, reason=reason)
    note = None
    if other:
        note = f"forward compatibility: {driver.library} stands in for the driver's own"
    elif gpu.driver_toolkit and not cuda.is_at_least(version, gpu.driver_toolkit):
        note = (
            f"minor-version compatibility: driver {gpu.driver_toolkit} is the first that knows CUDA "
            f"{gpu.version} itself, which compiling PTX still needs"
        )
    return context.passed(check, found=told, reason=note)


def _compare_device(check: Check, context: Context, device: GpuDevice, driver: DriverFacts) -> CheckResult:
    gpu = _gpu(context)
    thing, title = f"{check.id}/{device.index}", f"GPU {device.index}"
    found = describe_device(device)

    def fails(reason: str, expected: str | None = None) -> CheckResult:
        return context.single(
            check, thing, "changed", title=title, expected=expected, found=found, reason=reason
        )

    if device.problem is not None:
        found = device.problem
        return fails("the driver lists it, but it does not answer")
    if device.architecture is None:
        return context.skipped(
            check, "the driver does not say of what architecture it is", thing=thing, title=title
        )
    wheels = sorted({item.wheel for item in gpu.architectures if item.role == "framework"})
    if not wheels:
        return _compare_without_code(check, context, device)
    for wheel in wheels:
        code = [item for item in gpu.architectures if item.wheel == wheel and item.role == "framework"]
        name = "-".join(wheel.split("-")[:2])
        kind = cuda.runs(device.architecture, code)
        if kind is None:
            others = ", ".join(cuda.carried(code)) or "no GPU at all"
            return fails(f"{name} has no code for it, only for {others}", f"code for {device.architecture}")
        newest = driver.library_version or driver.version
        if (
            kind == "ptx"
            and newest
            and gpu.driver_toolkit
            and not cuda.is_at_least(newest, gpu.driver_toolkit)
        ):
            needs = f"{name} has only PTX for it, which needs driver {gpu.driver_toolkit}"
            return fails(f"{needs}: {cuda.explain_status(222)}", f"code for {device.architecture}")
    return context.passed(check, thing=thing, title=title, found=found)


def _compare_without_code(check: Check, context: Context, device: GpuDevice) -> CheckResult:
    """Compare with what CUDA itself compiles for: the lock does not say what the frameworks hold."""
    gpu = _gpu(context)
    thing, title, found = f"{check.id}/{device.index}", f"GPU {device.index}", describe_device(device)
    capability = cuda.capability(device.architecture or "")
    oldest = cuda.OLDEST.get((cuda.release(gpu.version or "") or (0,))[0])
    if capability and oldest and capability < oldest:
        return context.single(
            check,
            thing,
            "changed",
            title=title,
            expected=f"{oldest.sm} or newer",
            found=found,
            reason=f"CUDA {gpu.version} has no code for it",
        )
    reason = (
        f"{found}: the lock does not say whether its frameworks have code for that; "
        "name it in [gpu] targets, or verify with --deep"
    )
    return context.skipped(check, reason, thing=thing, title=title)


def _without(check: Check, context: Context, facts: GpuFacts) -> CheckResult:
    """Return what becomes of a check that needs a GPU where there is none."""
    reason = why_no_gpu(facts, _gpu(context).vendor)
    if context.require_gpu:
        return context.differ(check, "missing", found=None, reason=reason)
    return context.skipped(check, f"no GPU: {reason}")


def why_no_gpu(facts: GpuFacts, vendor: str) -> str:
    """Return why there is no GPU of ``vendor``, in plain words."""
    driver = facts.drivers[vendor]
    reason = driver.reason or "the driver shows none"
    number = facts.cards.get(vendor, 0)
    if number:
        reason += f"; the machine has {number} of {VENDORS[vendor]}, this process was given none"
    if facts.withheld:
        reason += f"; {facts.withheld}"
    others = {device.vendor for device in facts.devices} | facts.cards.keys()
    for other in sorted(others - {vendor}):
        reason += f"; there is one of {VENDORS[other]}, the lock is for {VENDORS[vendor]}"
    return reason


def _gpu(context: Context) -> LockedGpu:
    gpu = context.target.gpu
    if gpu is None:
        raise ValueError("a check of GPUs was planned for a target that locks none")
    return gpu


def _facts(context: Context) -> GpuFacts:
    return context.facts.gpu or GpuFacts(drivers={})


def _path_of(locked: LockedLibrary, context: Context) -> str | None:
    return f"{context.target.prefix}/{locked.path}" if locked.path else None


def _file_of(expected: str, found: LibraryFacts, context: Context) -> str:
    """Return the file a locked path is: where a package brings a link, what it leads to within the prefix."""
    inside = found.leads_to is not None and found.leads_to.startswith(f"{context.target.prefix}/")
    return found.leads_to if found.leads_to and inside else expected


def _is_locked(path: str, context: Context) -> bool:
    """Return whether a mapped file is one that the lock put there.

    All of the prefix is compared by ``--deep``.  Outside of it the base's own libraries are locked with it,
    but not where a package brings that library too.
    """
    gpu = _gpu(context)
    inside = path.startswith(f"{context.target.prefix}/")
    locked = _library_of(path, gpu)
    if locked is None:
        return inside or gpu.image != "slim"
    expected = _path_of(locked, context)
    if expected is None:
        return not inside
    found = next((item for item in _facts(context).libraries if item.soname == locked.soname), None)
    return path == (_file_of(expected, found, context) if found else expected)


def _library_of(path: str, gpu: LockedGpu) -> LockedLibrary | None:
    """Return the locked library a mapped file is: a process shows ``libcudart.so.12.5.82``, no link to it."""
    name = path.rpartition("/")[2]
    return next((item for item in gpu.libraries if f"{name}.".startswith(f"{item.soname}.")), None)


def _why(found: LibraryFacts) -> str:
    if found.found_by == "environment":
        return "LD_LIBRARY_PATH puts it before the locked file"
    who = found.wanted_by or "whoever asks by name"
    return f"found by {found.found_by} for {who}"
