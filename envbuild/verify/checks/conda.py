"""conda packages against the records in ``conda-meta``: version, build, and the file they came from."""

from collections.abc import Iterator

from envbuild.verify.checks.comparison import Context
from envbuild.verify.checks.plan import Check
from envbuild.verify.checks.report import CheckResult


def evaluate_conda(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare one package with what its record says."""
    found = [record for record in context.facts.conda if record.name == check.subject]
    if not found:
        yield context.differ(check, "missing", found=None)
        return
    if len(found) > 1:
        shown = ", ".join(f"{record.version} {record.build}" for record in found)
        yield context.differ(check, "changed", found=shown, reason="there are several records of it")
        return
    (record,) = found
    described = f"{record.version} {record.build}"
    locked = next(package for package in context.conda_packages if package.name == check.subject)
    if described != check.expected:
        yield context.differ(check, "changed", found=described)
    elif record.sha256 != locked.sha256:
        yield context.differ(
            check,
            "changed",
            found=f"{described} (sha256 {(record.sha256 or 'unknown')[:12]})",
            expected=f"{described} (sha256 {locked.sha256[:12]})",
            reason="the version is the locked one, but it came from another file",
        )
    else:
        yield context.passed(check)


def evaluate_extra_conda(check: Check, context: Context) -> Iterator[CheckResult]:
    """Name each record of a package that is not in the lock."""
    locked = {package.name for package in context.conda_packages}
    extras = [record for record in context.facts.conda if record.name not in locked]
    if not extras:
        yield context.passed(check)
    for record in extras:
        yield context.unlocked(
            check,
            f"conda/{record.name}",
            title=record.name,
            found=f"{record.version} {record.build}",
            reason="not in the lock",
        )
