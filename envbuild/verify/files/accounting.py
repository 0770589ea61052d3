"""Every path of an image is accounted for, is a difference, or is named as not covered.

With a reference each path must be exactly the reference's; the artifacts then say where it comes from, and
must agree.  Without one the artifacts and the layers of an image base are all there is: what they do not say
is not covered.
"""

import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from packaging.utils import canonicalize_name

from envbuild.oci.file_tree import FileTree
from envbuild.oci.layer_listing import FileRecord
from envbuild.verify.checks.comparison import Difference, outcome_of
from envbuild.verify.checks.report import CheckResult, Coverage, Profile
from envbuild.verify.checks.target import LockedTarget
from envbuild.verify.files.claims import KINDS, Claim, Claims, LockedArtifact, agrees, artifacts_of
from envbuild.verify.files.describe import DIGITS, KIND_WORDS, describe_change, describe_record
from envbuild.verify.files.expected_files import ExpectedFiles
from envbuild.verify.files.tolerated import is_personal, is_personal_to_owners, may_be_absent
from envbuild.verify.files.without_reference import BASE, LOCK, judge_carried, judge_path

GROUP = "files"

REFERENCE = "the reference"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What an image's files are compared with."""

    target: LockedTarget
    image: FileTree
    expected: ExpectedFiles
    """The files of the locked artifacts."""

    reference: FileTree | None
    """The tree that the local engine makes of the lock; None: it cannot be made here."""

    no_reference: str | None = None
    """Why not."""

    base: FileTree | None = None
    """The tree of an image base, if the image has its layers."""

    base_layers: int = 0
    """How many layers those are."""

    carried: Mapping[str, str] = field(default_factory=dict)
    """sha256 (hexadecimal) by path of what the build lays into the image besides packages."""

    profile: Profile = "image"


def account_files(comparison: Comparison) -> tuple[tuple[CheckResult, ...], Coverage]:
    """Return the differences of an image's files, a result for each artifact, and the coverage."""
    ledger = _Ledger(comparison)
    if comparison.reference is not None:
        ledger.compare_with_reference(comparison.reference.records)
    else:
        ledger.compare_with_artifacts()
    ledger.judge_oddities()
    return (*ledger.artifact_results(), *ledger.results), ledger.coverage()


class _Ledger:
    """What is found path by path."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._target = comparison.target
        self._image = comparison.image.records
        self._base = comparison.base.records if comparison.base else {}
        # where links of the system lead is for the reference to say, if there is one
        measure = comparison.reference or comparison.image
        self._claims = Claims(comparison.target, comparison.expected, measure.records)
        self._accounted: Counter[str] = Counter()
        self._differing = 0
        self._missing = 0
        self._not_covered: list[str] = []
        self._spoiled: set[str] = set()
        """Artifacts one of whose files differs."""
        self.results: list[CheckResult] = []

    def compare_with_reference(self, reference: Mapping[str, FileRecord]) -> None:
        unexpected = [path for path in self._image if path not in reference]
        holders = {posixpath.dirname(path) for path in unexpected}
        for path, found in self._image.items():
            wanted = reference.get(path)
            if wanted is None:
                self._differing += 1
                # a folder is named by what is in it
                if path not in holders or found.kind != "d":
                    reason = "neither the lock nor a package's script brings it"
                    self._note(path, "extra", found=_whole(found), reason=reason)
            elif found == wanted:
                self._note_same(path, found)
            else:
                self._note_change(path, wanted, found)
        for path, wanted in reference.items():
            if path not in self._image and not may_be_absent(path, wanted):
                self._note_missing(path, KIND_WORDS[wanted.kind], reference)

    def compare_with_artifacts(self) -> None:
        for path, found in self._image.items():
            owners = self._owners(path)
            wanted = self._comparison.carried.get(path)
            if wanted is not None:
                verdict = judge_carried(wanted, found)
            else:
                verdict = judge_path(self._target, path, found, owners, self._base.get(path))
            if verdict.origin is not None:
                self._accounted[verdict.origin] += 1
            elif verdict.difference is None:
                self._not_covered.append(path)
            else:
                self._differing += 1
                expected, now = verdict.difference
                difference: Difference = "extra" if expected is None else "changed"
                if is_personal_to_owners(self._target, path, found, owners):
                    difference = "personal"
                if outcome_of(self._comparison.profile, difference) == "failed":
                    self._spoil(owners)
                self._note(path, difference, expected=expected, found=now, reason=self._reason(owners))
        for path, owners in self._claims.by_path.items():
            entry = owners[-1].entry
            if path not in self._image and entry.kind != "d" and not self._claims.is_excluded(path):
                self._note_missing(path, KIND_WORDS.get(entry.kind, "a special file"), {})
        for path in sorted(self._comparison.carried.keys() - self._image.keys()):
            self._note_missing(path, KIND_WORDS["f"], {})

    def judge_oddities(self) -> None:
        """Name what engines read in different ways; a base that was locked with it is used as it is."""
        for oddity in self._comparison.image.oddities:
            if oddity.layer >= self._comparison.base_layers:
                self._note(
                    oddity.path,
                    "changed",
                    found=f"{oddity.reason}, which engines read in different ways",
                    reason=f"layer {oddity.layer + 1}",
                )

    def artifact_results(self) -> Iterator[CheckResult]:
        """Yield that the files of an artifact are as locked, for each none of whose files differs."""
        owned: Counter[str] = Counter()
        brought: Counter[str] = Counter()
        for path, owners in self._claims.by_path.items():
            files = [claim.file for claim in owners if claim.entry.kind != "d"]
            brought.update(files)
            if path in self._image:
                owned.update(files)
        for name, item in artifacts_of(self._target) if self._claims.by_path else ():
            if item.file in self._spoiled and not owned[item.file]:
                yield self._gone(name, item, brought[item.file])
            elif item.file not in self._spoiled:
                yield CheckResult(
                    id=f"files/{name}",
                    group=GROUP,
                    title=f"files of {item.name} {item.version}",
                    outcome="passed",
                    found=f"{owned[item.file]} files",
                    evidence="stored",
                )

    def _gone(self, name: str, item: LockedArtifact, count: int) -> CheckResult:
        """Return that none of an artifact's files is there; of a wheel, which version is there instead."""
        other = None
        if name.startswith("wheel/"):
            other = next((found for found in self._distributions.get(item.name, ()) if found), None)
        title, expected = f"files of {item.name} {item.version}", None
        if other is not None:
            title, expected = item.name, item.version
        return CheckResult(
            id=f"files/{name}",
            group=GROUP,
            title=title,
            outcome=outcome_of(self._comparison.profile, "missing"),
            expected=expected,
            found=other or "missing",
            reason=f"none of its {count} files is there",
            evidence="stored",
        )

    @cached_property
    def _distributions(self) -> Mapping[str, list[str]]:
        """Versions by normalised name, as the names of folders say (recording installed projects, PyPA)."""
        found: dict[str, list[str]] = {}
        below = f"{self._target.site_packages}/"
        for path, record in self._image.items():
            if record.kind == "d" and path.startswith(below) and path.endswith(".dist-info"):
                name, _, version = path.removeprefix(below).removesuffix(".dist-info").partition("-")
                if "/" not in name:
                    found.setdefault(canonicalize_name(name), []).append(version)
        return found

    def coverage(self) -> Coverage:
        return Coverage(
            paths=len(self._image),
            accounted={name: self._accounted[name] for name in (*KINDS, BASE, LOCK, REFERENCE)},
            differing=self._differing,
            missing=self._missing,
            not_covered=tuple(self._not_covered),
            reason=self._comparison.no_reference if self._not_covered else None,
        )

    def _note_same(self, path: str, found: FileRecord) -> None:
        owners = self._owners(path)
        agreeing = [claim for claim in owners if agrees(claim.entry, found)]
        if agreeing:
            self._accounted[agreeing[-1].kind] += 1
        elif not owners or any(claim.kind != "wheels" for claim in owners):
            self._accounted[BASE if self._base.get(path) == found else REFERENCE] += 1
        else:
            # scripts of debs and of conda packages change files, which the reference shows; of wheels none do
            self._differing += 1
            self._spoil(owners)
            self._note(
                path,
                "changed",
                expected=f"sha256 {(owners[-1].entry.content or '')[:DIGITS]}…",
                found=describe_record(found),
                reason=f"{self._reason(owners)}; the kept layers of the local engine are as wrong: "
                "verify with --no-cache",
            )

    def _note_change(self, path: str, wanted: FileRecord, found: FileRecord) -> None:
        owners = self._owners(path)
        self._differing += 1
        difference: Difference = "changed"
        if is_personal(self._target, path, wanted, found, owners):
            difference = "personal"
        if outcome_of(self._comparison.profile, difference) == "failed":
            self._spoil(owners)
        expected, now = describe_change(wanted, found)
        self._note(path, difference, expected=expected, found=now, reason=self._reason(owners))

    def _note_missing(self, path: str, expected: str, reference: Mapping[str, FileRecord]) -> None:
        self._missing += 1
        owners = self._owners(path)
        self._spoil(owners)
        folder = posixpath.dirname(path)
        if folder in self._image or folder not in reference:
            # of a folder that is missing with all that was in it, the folder is named
            self._note(path, "missing", expected=expected, found="missing", reason=self._reason(owners))

    def _owners(self, path: str) -> list[Claim]:
        return self._claims.by_path.get(path, [])

    def _spoil(self, owners: list[Claim]) -> None:
        self._spoiled |= {claim.file for claim in owners}

    def _reason(self, owners: list[Claim]) -> str:
        names = sorted({self._claims.titles.get(claim.file, claim.file) for claim in owners})
        return f"files of {', '.join(names[:3])}" if names else "written by the build or a package's script"

    def _note(
        self,
        path: str,
        difference: Difference,
        *,
        expected: str | None = None,
        found: str,
        reason: str,
    ) -> None:
        self.results.append(
            CheckResult(
                id=f"file{path}",
                group=GROUP,
                title=path,
                outcome=outcome_of(self._comparison.profile, difference),
                expected=expected,
                found=found,
                reason=reason,
                evidence="stored",
            )
        )


def _whole(found: FileRecord) -> str:
    """Return all of a record that nobody expected, in words."""
    parts = [describe_record(found)]
    if found.kind != "l":
        parts.append(f"mode {found.mode:04o}")
    if (found.uid, found.gid) != (0, 0):
        parts.append(f"owner {found.uid}:{found.gid}")
    return ", ".join(parts)
