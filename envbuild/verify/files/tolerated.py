"""What may differ from the reference in a sound image: the whole list, by path and content.

docs/explanation/verify.md has the same list.  An entry names one path; no entry is a pattern.
"""

from typing import Final

from envbuild.oci.layer_listing import UNCHECKED_DIGEST, FileRecord
from envbuild.verify.checks.target import LockedTarget
from envbuild.verify.files.claims import Claim

MAY_BE_ABSENT: Final = frozenset({"/etc/hosts"})
"""Paths that a Docker Engine mounts over while it builds, so that a package's script does not make them.

Every engine mounts its own over them in the containers it starts.
"""

_WRITABLE: Final = 0o222
_SET_ID: Final = 0o6000

_CODE: Final = (
    "/bin/",
    "/boot/",
    "/lib",
    "/opt/",
    "/sbin/",
    "/usr/bin/",
    "/usr/lib",
    "/usr/local/",
    "/usr/sbin/",
    "/etc/ld.so.preload",
)
_CACHES: Final = (".cache", "/locale-archive")
"""Ends of what packages' scripts write among programs and libraries."""


def is_tolerated(path: str, wanted: FileRecord, found: FileRecord | None) -> bool:
    """Return whether ``found`` in place of ``wanted`` is no difference; None: nothing is at ``path``."""
    return found is None and wanted.kind == "f" and path in MAY_BE_ABSENT


def is_personal(
    target: LockedTarget, path: str, wanted: FileRecord, found: FileRecord, owners: list[Claim]
) -> bool:
    """Return whether a change is one that a dev container makes for its person.

    The locked user's files may have another owner, the environment may be made writable for it
    (``render/devcontainer/editable.py``), configuration files are for people to edit, and what packages'
    scripts wrote, such as account files and lists of packages, is written again where packages are added.
    Programs and libraries are no such thing, whoever brings them.
    """
    if owners:
        if any(claim.entry.conffile for claim in owners):
            return True
        opened = found._replace(mode=wanted.mode) == wanted and found.mode == wanted.mode | _WRITABLE
        return opened and path.startswith(f"{target.prefix}/")
    if path.endswith(".pyc") and dict(found.attributes).get(UNCHECKED_DIGEST) == wanted.content:
        return True
    if path == target.interpreter.path or path.startswith((f"{target.prefix}/", "/etc/envbuild")):
        same = found._replace(mode=wanted.mode, uid=wanted.uid, gid=wanted.gid) == wanted
        return same and found.mode in {wanted.mode, wanted.mode | _WRITABLE}
    if found.mode & ~wanted.mode & _SET_ID or found.attributes != wanted.attributes:
        return False
    # programs and libraries, of a base for example, are nothing that scripts write
    return not path.startswith(_CODE) or path.endswith(_CACHES)
