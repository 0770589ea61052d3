"""What may differ from the reference in a sound image: the whole list, by path.

docs/explanation/verify.md has the same list.  An entry names one path; no entry is a pattern.
"""

from collections.abc import Sequence
from typing import Final

from envbuild.oci.layer_listing import DERIVED, UNCHECKED_DIGEST, FileRecord
from envbuild.verify.checks.target import LockedTarget
from envbuild.verify.files.claims import Claim, agrees

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


def may_be_absent(path: str, wanted: FileRecord) -> bool:
    """Return whether that nothing is at ``path``, where ``wanted`` should be, is no difference."""
    return wanted.kind == "f" and path in MAY_BE_ABSENT


def is_personal(
    target: LockedTarget, path: str, wanted: FileRecord, found: FileRecord, owners: list[Claim]
) -> bool:
    """Return whether a change is one that a dev container makes for its person.

    The locked user's files may have another owner, the environment may be made writable for it
    (``render/devcontainer/editable.py``), configuration files are for people to edit, and what packages'
    scripts wrote, such as account files and lists of packages, is written again where packages are added.
    Programs and libraries are no such thing, whoever brings them.
    """
    if found.kind != wanted.kind or _gains_privileges(wanted, found):
        return False
    if owners:
        return is_personal_to_owners(target, path, found, owners)
    if path.endswith(".pyc") and dict(found.attributes).get(UNCHECKED_DIGEST) == wanted.content:
        return found.mode in {wanted.mode, wanted.mode | _WRITABLE}
    if path == target.interpreter.path or path.startswith((f"{target.prefix}/", "/etc/envbuild")):
        same = found._replace(mode=wanted.mode, uid=wanted.uid, gid=wanted.gid) == wanted
        return same and found.mode in {wanted.mode, wanted.mode | _WRITABLE}
    # programs and libraries, of a base for example, are nothing that scripts write
    return not path.startswith(_CODE) or path.endswith(_CACHES)


def is_personal_to_owners(
    target: LockedTarget, path: str, found: FileRecord, owners: Sequence[Claim]
) -> bool:
    """Return whether ``found`` is what a dev container makes of a file that artifacts bring.

    A configuration file may be edited, and the environment may be made writable.
    """
    if found.kind == "f" and not found.mode & _SET_ID and any(claim.entry.conffile for claim in owners):
        return True
    return path.startswith(f"{target.prefix}/") and any(
        agrees(claim.entry, found) and found.mode == claim.entry.mode | _WRITABLE and not found.attributes
        for claim in owners
    )


def _gains_privileges(wanted: FileRecord, found: FileRecord) -> bool:
    """Return whether a file may do more than the locked one: by its mode, or by attributes."""
    stored = tuple(item for item in found.attributes if not item[0].startswith(DERIVED))
    return bool(found.mode & ~wanted.mode & _SET_ID) or stored not in {(), wanted.attributes}
