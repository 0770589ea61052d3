"""``python -m envbuild.image.local.reference_worker``: makes a reference as root of a user namespace.

Reads what to assemble from standard input; writes the configuration of the image to standard output.
"""

import json
import sys
from pathlib import Path

from envbuild.errors import EnvbuildError
from envbuild.image.local.reference import assemble_reference
from envbuild.image.local.workers import request_of, write_error
from envbuild.image.stored.listings import ListingCache
from envbuild.store.store import Store


def main() -> int:
    """Assemble what standard input says; return the exit status."""
    order = json.load(sys.stdin)
    cache = Path(order["cache"])
    request = request_of(order, Store(cache))
    try:
        listings = ListingCache(cache, rereads=not request.use_cache)
        config = assemble_reference(request, listings, cache=cache)
    except EnvbuildError as error:
        return write_error(error)
    sys.stdout.buffer.write(config)
    return 0


if __name__ == "__main__":
    sys.exit(main())
