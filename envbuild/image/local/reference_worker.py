"""``python -m envbuild.image.local.reference_worker``: makes a reference as root of a user namespace.

Reads what to assemble from standard input; writes the configuration of the image to standard output.
"""

import base64
import json
import sys
from pathlib import Path

from envbuild.errors import EnvbuildError
from envbuild.image.engine import BuildRequest
from envbuild.image.local.reference import assemble_reference
from envbuild.image.local.workers import StageLines, write_error
from envbuild.image.stored.listings import ListingCache
from envbuild.lock.codec import loads
from envbuild.lock.target_choice import select_target
from envbuild.store.store import Store
from envbuild.store.target_artifacts import TargetArtifacts


def main() -> int:
    """Assemble what standard input says; return the exit status."""
    order = json.load(sys.stdin)
    lock = loads(order["lock"])
    target = select_target(lock, variant=order["variant"], platform=order["platform"], host=None)
    cache = Path(order["cache"])
    artifacts = TargetArtifacts(
        lock, target, store=Store(cache), progress=StageLines(), offline=order["offline"]
    )
    probe = base64.b64decode(order["probe"])
    request = BuildRequest(
        lock=lock,
        target=target,
        artifacts=artifacts,
        probe=lambda: probe,
        compression=order["compression"],
        use_cache=order["use-cache"],
    )
    try:
        listings = ListingCache(cache, rereads=not request.use_cache)
        config = assemble_reference(request, listings, cache=cache)
    except EnvbuildError as error:
        return write_error(error)
    sys.stdout.buffer.write(config)
    return 0


if __name__ == "__main__":
    sys.exit(main())
