"""The image in a registry, read there and compared with its lock."""

from typing import TYPE_CHECKING

from envbuild.errors import VerificationError
from envbuild.workflows.machine import Machine
from envbuild.workflows.verification.image import ImageVerification
from envbuild.workflows.verification.options import VerifyOptions
from envbuild.workflows.verify import VerifyResult, result_line

if TYPE_CHECKING:
    from envbuild.image.registry_image import RegistryImage
    from envbuild.lock.model import Lock, Target


def verify_pushed(image: "RegistryImage", lock: "Lock", target: "Target", machine: Machine) -> str:
    """Compare an image, read in its registry, with the lock and return the verdict in a line.

    Every file and the configuration are compared, by the digest that the tag was resolved to.

    :raises VerificationError: it differs, or cannot be read.
    :raises NetworkError: the registry or an index is out of reach.
    :raises IntegrityError: an artifact, or a layer of the image, is not what its digest says.
    """
    options = VerifyOptions(image=f"registry:{image.pinned}", deep=True)
    subject, report = ImageVerification(lock, target, options, machine).from_outside(str(options.image))
    result = VerifyResult(subject=subject, report=report)
    if not result.succeeded:
        lines = [result_line(item) for item in report.results if item.outcome == "failed"]
        raise VerificationError(
            result.verdict,
            detail="\n".join(lines),
            hint="do not use this image; delete the tag in the registry, then build and push again",
        )
    return result.verdict
