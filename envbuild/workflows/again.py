"""``python -m envbuild.workflows.again``: the second build of `envbuild build --check`, in its own process.

Reads what to build from standard input.  Everything that must have no part in the result is different here:
the environment and the clock are the caller's business, the rest is below.
"""

import json
import os
import sys
from pathlib import Path

from envbuild.cache.location import cache_folder
from envbuild.cli.output import Activity, Output, error_text
from envbuild.errors import EnvbuildError
from envbuild.image.local.build import assemble_image
from envbuild.image.local.images import ImageStore
from envbuild.lock.codec import loads
from envbuild.lock.target_choice import select_target
from envbuild.store.store import Store
from envbuild.workflows.artifacts import Artifacts
from envbuild.workflows.check import REFERENCE
from envbuild.workflows.local import place_for


class _Unnoted(Store):
    """The store, which is not told of any use: the clock is wrong here."""

    def touch(self, sha256: str) -> None:
        """Do nothing."""


class _Talk(Activity):
    """Says each stage in a line."""

    def on_stage(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def main() -> int:
    """Build what standard input says; return the exit status."""
    order = json.load(sys.stdin)
    os.umask(0o077)
    lock = loads(order["lock"])
    target = select_target(lock, variant=order["variant"], platform=order["platform"], host=None)
    folder = Path(order["folder"])
    artifacts = Artifacts(lock, target, order["offline"], _Talk())
    artifacts.store = _Unnoted(cache_folder())
    try:
        place = place_for(
            artifacts,
            folder,
            compression=order["compression"],
            workers=order["workers"],
            arrange=lambda wheels: tuple(reversed(wheels)),
        )
        image = assemble_image(lock, target, place)
    except EnvbuildError as error:
        sys.stderr.write(error_text(error, Output()))
        return int(error.exit_code)
    ImageStore(folder).put(REFERENCE, image)
    return 0


if __name__ == "__main__":
    sys.exit(main())
