"""Compare: planned checks on one side, facts on the other.  Pure; every difference names its thing."""

from collections.abc import Callable, Iterable, Iterator

from envbuild.verify.checks import conda, environment, gpu, packages
from envbuild.verify.checks.comparison import Context
from envbuild.verify.checks.facts import Facts
from envbuild.verify.checks.plan import Check, Kind
from envbuild.verify.checks.report import CheckResult, Profile, Report
from envbuild.verify.checks.target import LockedTarget

Evaluator = Callable[[Check, Context], Iterator[CheckResult]]

_MACHINES = {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}


def evaluate(
    target: LockedTarget,
    checks: Iterable[Check],
    facts: Facts,
    *,
    profile: Profile = "image",
    require_gpu: bool = False,
) -> Report:
    """Return the answer to each check, as the image tells it.

    Checks that need a GPU where there is none are skipped and say so, unless ``require_gpu``: then they fail.
    """
    context = Context(
        target=target,
        facts=facts,
        profile=profile,
        require_gpu=require_gpu,
    )
    results = [result for check in checks for result in _EVALUATORS[check.kind](check, context)]
    return Report(target=target.title, profile=profile, results=tuple(results))


def _os(check: Check, context: Context) -> Iterator[CheckResult]:
    facts = context.facts.os
    found = {"id": facts.id, "version-id": facts.version_id, "codename": facts.codename}[check.subject]
    yield context.compare(check, found)


def _libc(check: Check, context: Context) -> Iterator[CheckResult]:
    libc = context.facts.libc
    yield context.compare(check, f"{libc.family} {libc.version}" if libc.family else None)


def _architecture(check: Check, context: Context) -> Iterator[CheckResult]:
    machine = context.facts.machine
    found = _MACHINES.get(machine.machine, machine.machine)
    if machine.pointer_bits != 64:  # noqa: PLR2004 - both platforms are 64-bit
        found = f"{found} ({machine.pointer_bits}-bit programs)"
    yield context.compare(check, found)


def _interpreter(check: Check, context: Context) -> Iterator[CheckResult]:
    environment = context.facts.environment
    if environment.python is None:
        reason = environment.reason or "the prefix has no interpreter"
        yield context.differ(check, "missing", found=None, reason=reason)
        return
    python = environment.python
    found = {
        "implementation": python.implementation,
        "version": python.version,
        "path": python.executable,
        "sha256": python.sha256,
    }[check.subject]
    yield context.compare(check, found)


def _venv(check: Check, context: Context) -> Iterator[CheckResult]:
    """Check that the prefix is an isolated environment of the locked interpreter (PEP 405)."""
    settings = context.facts.environment.settings
    if settings is None:
        yield context.differ(check, "missing", found=None, reason="there is no such file")
        return
    interpreter = context.target.interpreter
    wanted = {
        "home": interpreter.path.rpartition("/")[0],
        "include-system-site-packages": "false",
        "version": interpreter.version,
    }
    differing = {key: value for key, value in wanted.items() if settings.get(key) != value}
    if not differing:
        yield context.passed(check)
        return
    yield context.differ(
        check,
        "changed",
        found=", ".join(f"{key} = {settings.get(key, '(absent)')}" for key in differing),
        expected=", ".join(f"{key} = {value}" for key, value in differing.items()),
    )


_EVALUATORS: dict[Kind, Evaluator] = {
    "os": _os,
    "libc": _libc,
    "architecture": _architecture,
    "interpreter": _interpreter,
    "venv": _venv,
    "deb": packages.evaluate_deb,
    "extra-debs": packages.evaluate_extra_debs,
    "conda": conda.evaluate_conda,
    "extra-conda": conda.evaluate_extra_conda,
    "wheel": packages.evaluate_wheel,
    "extra-wheels": packages.evaluate_extra_wheels,
    "variable": environment.evaluate_variable,
    "user": environment.evaluate_user,
    "gpu-library": gpu.evaluate_library,
    "gpu-driver": gpu.evaluate_driver,
    "gpu-devices": gpu.evaluate_devices,
    "gpu-vendor": gpu.evaluate_vendor,
    "gpu-import": gpu.evaluate_import,
    "gpu-kernels": gpu.evaluate_kernels,
}
