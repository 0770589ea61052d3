"""A stored image against its lock: every file and the whole configuration, and no process of the image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from envbuild.digest import sha256_bytes
from envbuild.formats.json_text import parse_json
from envbuild.image.local.reference import Reference
from envbuild.image.stored.image import StoredImage
from envbuild.lock.model import Lock, Target
from envbuild.oci.file_tree import merge_layers
from envbuild.oci.layer_listing import LayerListing
from envbuild.render import labels
from envbuild.verify.checks.report import CheckResult, Coverage, Profile, Proof
from envbuild.verify.checks.target import LockedTarget
from envbuild.verify.configuration import MAKERS, compare_configuration, expected_configuration
from envbuild.verify.files.accounting import GROUP, Comparison, account_files
from envbuild.verify.files.expected_files import ExpectedFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvidence:
    """What the stored image says, without a word of its own."""

    results: tuple[CheckResult, ...]
    coverage: Coverage
    proof: Proof | None = None

    @property
    def held(self) -> bool:
        """Whether nothing failed."""
        return not any(result.outcome == "failed" for result in self.results)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredComparison:
    """A stored image, and all it is compared with."""

    lock: Lock
    target: Target
    locked: LockedTarget
    image: StoredImage
    listings: tuple[LayerListing, ...]
    """Of the image's layers, bottom first."""

    expected: ExpectedFiles = field(default_factory=ExpectedFiles)
    """The files of the locked artifacts."""

    carried: Mapping[str, str] = field(default_factory=dict)
    """sha256 (hexadecimal) by path of the lock and the probe that the image carries."""

    reference: Reference | None = None
    no_reference: str | None = None
    """Why there is no reference."""

    base: Mapping[str, Any] | None = None
    """The configuration of an image base, if it is at hand."""

    exact: bool = False
    """Whether the image must be what the lock makes, by digest or by tree."""

    profile: Profile = "image"
    require_complete: bool = False


def compare_stored(comparison: StoredComparison) -> StoredEvidence:
    """Return the differences of a stored image, and how much of it was compared."""
    target, image = comparison.target, comparison.image
    facts = image.facts
    made = parse_json(comparison.reference.config) if comparison.reference else None
    configuration = compare_configuration(
        expected_configuration(comparison.lock, target, comparison.base, reference=made),
        facts,
        document=image.document,
        profile=comparison.profile,
    )
    source = comparison.lock.base(target).image
    locked_layers = source.diff_ids if source else ()
    has_base = bool(locked_layers) and facts.diff_ids[: len(locked_layers)] == locked_layers
    files, coverage = account_files(
        Comparison(
            target=comparison.locked,
            image=merge_layers(comparison.listings),
            expected=comparison.expected,
            reference=merge_layers(comparison.reference.listings) if comparison.reference else None,
            no_reference=comparison.no_reference,
            base=merge_layers(comparison.listings[: len(locked_layers)]) if has_base else None,
            base_layers=len(locked_layers) if has_base else 0,
            carried=comparison.carried,
            profile=comparison.profile,
        )
    )
    results = (*configuration, *files)
    proof: Proof | None = None
    if comparison.exact and comparison.reference is not None:
        exact, proof = _exactness(comparison, comparison.reference, results)
        results = (*results, exact)
    return StoredEvidence(
        results=(*results, _coverage_result(coverage, results, required=comparison.require_complete)),
        coverage=coverage,
        proof=proof,
    )


def _exactness(
    comparison: StoredComparison, reference: Reference, results: tuple[CheckResult, ...]
) -> tuple[CheckResult, Proof | None]:
    """Return whether the image is exactly the lock's.

    The configuration names the layers by digest, so one digest stands for the whole image.
    """
    wanted, found = sha256_bytes(reference.config), sha256_bytes(comparison.image.config)
    title = "exactly what the lock makes"
    if wanted == found:
        return _result("exact", title, "passed", found=f"by digest: configuration sha256:{found}"), "digest"
    if any(result.outcome in {"failed", "skipped"} for result in results):
        return _result("exact", title, "failed", found="not so: see the other differences"), None
    maker = MAKERS.get(comparison.image.facts.labels.get(labels.ENGINE, ""))
    if maker is not None and maker.same_bytes:
        return (
            _result(
                "exact",
                title,
                "failed",
                expected=f"configuration sha256:{wanted}",
                found=f"sha256:{found}",
                reason="the files are the same, but not the layers: its engine always makes the same",
            ),
            None,
        )
    return _result("exact", title, "passed", found="by tree: every file, and the configuration"), "tree"


def _coverage_result(coverage: Coverage, results: tuple[CheckResult, ...], *, required: bool) -> CheckResult:
    """Return whether all of the image was compared: every path, and every field of the configuration."""
    title = "every path accounted for"
    fields = sum(result.outcome == "skipped" for result in results)
    if not coverage.not_covered and not fields:
        return _result("coverage", title, "passed", found=f"{coverage.paths:,} paths")
    missed = []
    if coverage.not_covered:
        missed.append(f"{coverage.uncovered:,} of {coverage.paths:,} paths not covered: {coverage.reason}")
    if fields:
        missed.append(f"{fields} fields of the configuration not compared")
    found = (
        f"{coverage.uncovered:,} of {coverage.paths:,} not covered" if coverage.uncovered else "incomplete"
    )
    return _result(
        "coverage", title, "failed" if required else "skipped", found=found, reason="; ".join(missed)
    )


def _result(
    key: str,
    title: str,
    outcome: Any,
    *,
    expected: str | None = None,
    found: str | None = None,
    reason: str | None = None,
) -> CheckResult:
    return CheckResult(
        id=key,
        group=GROUP,
        title=title,
        outcome=outcome,
        expected=expected,
        found=found,
        reason=reason,
        evidence="stored",
    )
