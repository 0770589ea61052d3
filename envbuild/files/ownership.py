"""Whose files a search may take up: those that another user put into a folder above are not."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

NAMESPACE_VARIABLE: Final = "ENVBUILD_NAMESPACE"
"""Set where envbuild started itself again as root of a user namespace."""

OVERFLOW_UID: Final = 65_534
"""Owner that a user namespace shows for users it does not map: root outside, and all others."""


def untrusted_owner(path: Path, environment: Mapping[str, str] = os.environ) -> int | None:
    """Return the owner of ``path`` if it is a user whose files are not to be taken up; None: it may be.

    Trusted are the user of this process, root, who ran ``sudo``, and the owner of the current folder: whoever
    works there trusts that user already.  A link counts as well as what it leads to.  A file that does not
    exist belongs to nobody.
    """
    trusted = {os.geteuid(), 0, Path().stat().st_uid}
    sudo = environment.get("SUDO_UID", "")
    if os.geteuid() == 0 and sudo.isdecimal():
        trusted.add(int(sudo))
    if environment.get(NAMESPACE_VARIABLE):
        # the same search was checked outside, where root and the other users could be told apart
        trusted.add(OVERFLOW_UID)
    for follow in (False, True):
        try:
            owner = path.stat(follow_symlinks=follow).st_uid
        except FileNotFoundError:
            continue
        if owner not in trusted:
            return owner
    return None
