"""The error of a second build that gave another image; both engines raise it."""

from collections.abc import Iterable

from envbuild.errors import Problem, VerificationError
from envbuild.oci.compare import Difference


def rebuild_differs(reference: str, differences: Iterable[Difference]) -> VerificationError:
    """Return the error that names every difference by layer, file and field."""
    return VerificationError(
        f"rebuilding {reference} gave a different image",
        problems=[
            Problem(
                ": ".join(part for part in (item.layer, item.path) if part),
                f"{item.field}: {item.one} the first time, {item.other} the second",
            )
            for item in differences
        ],
        hint="if another release of envbuild built it, build with --no-cache first; else it is a fault of "
        "envbuild, or of a package whose scripts write something else each time: report it",
    )
