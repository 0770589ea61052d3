"""Paths of wheels below their index, without the host: what any mirror can be asked for."""

import re
from urllib.parse import urlsplit

_HASHED = re.compile(r"/(packages/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/[^/]+)$")
"""Files named by their BLAKE2 hash, the layout of the public index and of mirrors of it."""


def path_of(url: str, index_url: str) -> str | None:
    """Return the part of ``url`` that stays the same on a mirror, or None when none can be told.

    It always is the end of ``url``, so what comes before it is the address files are found below: of the
    hashed layout the part from ``packages/`` on, else what follows the index's address (less ``/simple``).
    """
    hashed = _HASHED.search(urlsplit(url).path)
    if hashed:
        return hashed[1]
    base = index_url.rstrip("/")
    for prefix in (base, base.removesuffix("/simple")):
        if url.startswith(f"{prefix}/") and urlsplit(prefix).netloc:
            return url.removeprefix(f"{prefix}/")
    return None
