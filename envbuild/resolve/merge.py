"""A merge of locks brought to a close: complete, without leftovers, refused when it does not hold together.

A resolver is not asked.  What one side removed and the other now needs is kept, what nobody needs any more
goes, and everything else stays as both sides had it.
"""

from collections.abc import Iterator

from envbuild.lock.merge import Merged, merge_locks
from envbuild.lock.merge_builds import tools_of_builds, without_idle_builds
from envbuild.lock.model import Lock, Target, Wheel
from envbuild.resolve.completeness import distributions_of, reach_wheels, unmet_requirements


def join_locks(base: Lock, ours: Lock, theirs: Lock) -> Merged:
    """Return what both sides made of ``base``, or what keeps the two apart."""
    merged = merge_locks(base, ours, theirs)
    if merged.lock is None:
        return merged
    joined = merged.lock
    for target in joined.targets:
        joined = _tidied(*_once(joined, target), (ours, theirs))
    # what a side could not show itself is not held against the merge: an image's base lists no Provides
    known = {*unmet_requirements(ours), *unmet_requirements(theirs)}
    unmet = tuple(problem for problem in unmet_requirements(joined) if problem not in known)
    return Merged(None, unmet) if unmet else Merged(joined, ())


def _once(lock: Lock, target: Target) -> tuple[Lock, Target]:
    """Return ``lock`` and its ``target`` without the wheels of what conda packages bring by now.

    One side added a conda package, the other a wheel of the same distribution: pip's packages go on top of
    conda's, never over them.  Whether conda's version will do is found out with all other requirements.
    """
    brought = distributions_of(lock, target)
    wheels = lock.wheels_of(target)
    kept = [wheel for wheel in wheels if wheel.name not in brought]
    return _with_wheels(lock, target, kept) if len(kept) < len(wheels) else (lock, target)


def _tidied(lock: Lock, target: Target, sides: tuple[Lock, Lock]) -> Lock:
    """Return ``lock`` with the wheels of one target completed from the sides and without leftovers."""
    parts = tuple(part for side in sides for part in _same_target(side, target))
    spare = {wheel.name: wheel for side, part in parts for wheel in side.wheels_of(part)}
    while found := reach_wheels(lock, target).missing & spare.keys():
        lock, target = _with_wheels(lock, target, [*lock.wheels_of(target), *(spare[name] for name in found)])
    needed = set().union(*(reach_wheels(side, part).names for side, part in parts))
    idle = needed - reach_wheels(lock, target).names
    if idle:
        kept = [wheel for wheel in lock.wheels_of(target) if wheel.name not in idle]
        lock, _ = _with_wheels(lock, target, kept)
    return lock


def _same_target(lock: Lock, target: Target) -> Iterator[tuple[Lock, Target]]:
    for other in lock.targets:
        if (other.variant, other.platform) == (target.variant, target.platform):
            yield lock, other


def _with_wheels(lock: Lock, target: Target, wheels: list[Wheel]) -> tuple[Lock, Target]:
    changed = target.model_copy(update={"wheels": tuple(sorted(wheel.file for wheel in wheels))})
    targets = tuple(changed if item == target else item for item in lock.targets)
    used = {file for item in targets for file in (*item.wheels, *(t.file for t in lock.tools_of(item)))}
    used |= tools_of_builds(lock, used)
    known = {wheel.file: wheel for wheel in (*wheels, *lock.wheels)} | {w.file: w for w in lock.wheels}
    changes = {"targets": targets, "wheels": tuple(known[file] for file in sorted(used))}
    return without_idle_builds(lock.model_copy(update=changes)), changed
