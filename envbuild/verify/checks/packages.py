"""Debs against the dpkg database, wheels against the distributions in the prefix."""

from collections.abc import Iterator, Mapping

from envbuild.verify.checks.comparison import Context
from envbuild.verify.checks.facts import DebFacts, DistributionFacts
from envbuild.verify.checks.plan import Check
from envbuild.verify.checks.report import CheckResult
from envbuild.verify.checks.versions import normalize_version

INSTALLER = "envbuild"
"""What a build writes into each distribution's INSTALLER file (recording installed projects, PyPA)."""


def evaluate_deb(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare one package with dpkg's stanza of it."""
    if context.facts.debs is None:
        yield context.differ(check, "missing", found=None, reason="there is no dpkg database")
        return
    deb = context.found_debs.get(check.subject)
    if deb is None or _state(deb) in {"not-installed", "config-files"}:
        reason = None if deb is None else f"removed, dpkg says `{deb.status}`"
        yield context.differ(check, "missing", found=None, reason=reason)
    elif not _is_whole(deb):
        yield context.differ(
            check, "changed", found=f"{deb.version} ({deb.status})", reason="not completely installed"
        )
    else:
        yield context.compare(check, deb.version)


def evaluate_extra_debs(check: Check, context: Context) -> Iterator[CheckResult]:
    """Name each installed package that is not in the lock."""
    if context.facts.debs is None:
        yield context.skipped(check, "there is no dpkg database")
        return
    extras = [
        (key, deb)
        for key, deb in sorted(context.found_debs.items())
        if key not in context.locked_debs and _state(deb) not in {"not-installed", "config-files"}
    ]
    if not extras:
        yield context.passed(check)
    for key, deb in extras:
        yield context.unlocked(
            check, f"deb/{key}", title=deb.name, found=deb.version, reason="not in the lock"
        )


def evaluate_wheel(check: Check, context: Context) -> Iterator[CheckResult]:
    """Compare one distribution with what its metadata in the prefix says."""
    found = context.found_distributions.get(check.subject, [])
    if not found:
        yield context.differ(check, "missing", found=None)
        return
    if len(found) > 1:
        versions = ", ".join(sorted(item.version or "(no version)" for item in found))
        yield context.differ(check, "changed", found=versions, reason="installed more than once")
        return
    (distribution,) = found
    if distribution.version is None:
        reason = f"{distribution.path} has no metadata"
        yield context.differ(check, "changed", found="(no version)", reason=reason)
    elif normalize_version(distribution.version) != check.expected:
        yield context.differ(check, "changed", found=normalize_version(distribution.version))
    elif distribution.installer != INSTALLER:
        yield context.differ(
            check,
            "changed",
            found=f"{check.expected}, installed by {distribution.installer or 'an unknown program'}",
            expected=f"{check.expected}, installed by {INSTALLER}",
            reason="the version is the locked one, but its files need not be the locked wheel's",
        )
    else:
        yield context.passed(check)


def evaluate_extra_wheels(check: Check, context: Context) -> Iterator[CheckResult]:
    """Name each distribution that is not in the lock: in the prefix, or elsewhere on its import path."""
    locked = {wheel.name for wheel in context.target.wheels}
    brought = context.target.conda.distributions if context.target.conda else {}
    extras = [
        item
        for item in context.facts.distributions
        if item.name not in locked and not _is_brought(item, brought)
    ]
    outside = context.facts.outside_distributions
    if not extras and not outside:
        yield context.passed(check)
    for item in extras:
        yield _extra_wheel(check, context, item, "not in the lock")
    for item in outside:
        yield _extra_wheel(check, context, item, f"importable from {item.path}, outside the prefix")


def _is_brought(item: DistributionFacts, brought: Mapping[str, str]) -> bool:
    """Return whether a conda package brings the distribution, in this version."""
    return item.version is not None and brought.get(item.name) == normalize_version(item.version)


def _extra_wheel(check: Check, context: Context, item: DistributionFacts, reason: str) -> CheckResult:
    version = normalize_version(item.version) if item.version else "(no version)"
    return context.unlocked(check, f"wheel/{item.name}", title=item.name, found=version, reason=reason)


def _state(deb: DebFacts) -> str:
    return deb.status.rpartition(" ")[2]


def _is_whole(deb: DebFacts) -> bool:
    words = deb.status.split()
    return words[-1:] == ["installed"] and "reinstreq" not in words
