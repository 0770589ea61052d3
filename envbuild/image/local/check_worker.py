"""``python -m envbuild.image.local.check_worker``: the second build of ``build --check``, in its own process.

Reads what to build from standard input.  Everything that must have no part in the result is different here:
the environment and the clock are the caller's business, the rest is below.
"""

import json
import os
import sys
from pathlib import Path

from envbuild.errors import EnvbuildError
from envbuild.image.local.build import assemble_image
from envbuild.image.local.check import REFERENCE
from envbuild.image.local.images import ImageStore
from envbuild.image.local.inputs import build_inputs
from envbuild.image.local.workers import request_of, write_error
from envbuild.store.store import Store


class _StoreWithoutTimes(Store):
    """The store, which notes no use of an artifact: the clock is wrong here."""

    def touch(self, sha256: str) -> None:
        """Do nothing."""


def main() -> int:
    """Build what standard input says; return the exit status."""
    order = json.load(sys.stdin)
    os.umask(0o077)
    folder = Path(order["folder"])
    request = request_of(order, _StoreWithoutTimes(Path(order["cache"])))
    try:
        inputs = build_inputs(
            request,
            folder,
            workers=order["workers"],
            arrange=lambda wheels: tuple(reversed(wheels)),
        )
        image = assemble_image(request.lock, request.target, inputs)
    except EnvbuildError as error:
        return write_error(error)
    ImageStore(folder).put(REFERENCE, image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
