"""Wheels of an environment that envbuild carries in itself: ``envbuild-runtime``, where the spec asks for it.

No index is asked for it, so that no index can put another in its place.  A lock keeps the version it has
until that is upgraded: a new release of envbuild makes no lock stale.
"""

from collections.abc import Iterable

from envbuild.errors import SpecError
from envbuild.lock.model import Wheel
from envbuild.resolve.reuse import PreviousTarget
from envbuild.runtime.carried import REQUIRES_PYTHON, newest_wheel
from envbuild.runtime.names import CARRIED, PROJECT
from envbuild.spec.request import VariantRequest


def carried_wheels(
    request: VariantRequest, wheels: Iterable[Wheel], previous: PreviousTarget | None
) -> tuple[Wheel, ...]:
    """Return what envbuild adds to the resolved ``wheels`` of a target.

    :raises SpecError: one of ``wheels`` requires it of an index.
    """
    if any(wheel.name == PROJECT for wheel in wheels):
        raise SpecError(
            f"a package requires `{PROJECT}`, which comes with envbuild and never from an index",
            hint="find out which one, and ask its authors to leave it out; [experiments] installs it",
        )
    if request.experiments is None or request.experiments.runtime is None:
        return ()
    if previous is not None and previous.carried and not previous.upgrade.touches([PROJECT]):
        return previous.carried
    newest = newest_wheel()
    return (
        Wheel(
            name=PROJECT,
            version=newest.version,
            file=newest.file,
            size=newest.size,
            sha256=newest.sha256,
            index=CARRIED,
            requires_python=REQUIRES_PYTHON,
            license="Apache-2.0",
        ),
    )
