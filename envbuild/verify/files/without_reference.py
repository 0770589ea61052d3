"""One path of an image, judged by the locked artifacts and the base's layers where there is no reference."""

import re
from dataclasses import dataclass
from typing import Final

from envbuild.oci.layer_listing import FileRecord
from envbuild.verify.checks.target import LockedTarget
from envbuild.verify.files.claims import Claim, agrees
from envbuild.verify.files.describe import DIGITS, KIND_WORDS, describe_change, describe_record

SYSTEM_FOLDERS: Final = (
    "/boot/",
    "/opt/",
    "/usr/",
    "/etc/ld.so.conf.d/",
    "/etc/profile.d/",
    "/etc/ld.so.preload",
)
"""Where programs, libraries and what is loaded into every process lie: files here belong to a package."""

_SCRIPTED: Final = re.compile(
    r".*\.pyc|.*/__pycache__|/usr/share/(?:info|mime|applications|icons|glib-2\.0|emacs|fonts|dict)/.*"
    r"|/usr/lib/.*\.cache|/usr/lib/locale/.*|/usr/lib/systemd/.*|/usr/local/man|/usr/share/.*/conf\.d/.*"
)
"""Files that packages' scripts write in those folders.  They are never accounted for: this only tells a path
that nobody can judge from one that should not be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is known of one path: where it comes from, how it differs, or neither: it is not covered."""

    origin: str | None = None
    difference: tuple[str | None, str] | None = None
    """(expected, found) in words; nothing is expected of what should not be there."""


NOT_COVERED: Final = Verdict()

BASE: Final = "layers of the base"
LOCK: Final = "the lock"
"""What besides artifacts can say where a path comes from."""

_SET_USER_ID: Final = 0o4000


def judge_carried(sha256: str, found: FileRecord) -> Verdict:
    """Return whether ``found`` is the file of this digest, as the build lays it down."""
    wanted = found._replace(kind="f", mode=0o644, uid=0, gid=0, content=sha256, attributes=())
    return Verdict(origin=LOCK) if found == wanted else Verdict(difference=describe_change(wanted, found))


def judge_path(
    target: LockedTarget, path: str, found: FileRecord, owners: list[Claim], base: FileRecord | None
) -> Verdict:
    """Return what artifacts and base say of ``found`` at ``path``."""
    if owners:
        return _judge_claimed(found, owners, base)
    if base is not None:
        # a package's script may have changed it since
        return Verdict(origin=BASE) if base == found else NOT_COVERED
    prefix = f"{target.prefix}/"
    if path.startswith(prefix):
        return _judge_prefix(target, path.removeprefix(prefix), found)
    if found.kind != "d" and _is_unexpected(target, path, found):
        return Verdict(difference=(None, describe_record(found)))
    return NOT_COVERED


def _is_unexpected(target: LockedTarget, path: str, found: FileRecord) -> bool:
    """Return whether neither a build nor packages' scripts write a file there that no artifact brings."""
    if path.startswith((f"{target.workdir}/", f"/home/{target.user.name}/")):
        # a build leaves both empty
        return True
    if target.base.image is not None or not path.startswith(SYSTEM_FOLDERS):
        return False
    is_alternative = found.kind == "l" and (found.content or "").startswith("/etc/alternatives/")
    return not is_alternative and not _SCRIPTED.fullmatch(path)


def _judge_claimed(found: FileRecord, owners: list[Claim], base: FileRecord | None) -> Verdict:
    agreeing = [claim for claim in owners if agrees(claim.entry, found)]
    if not agreeing:
        if base == found:
            return Verdict(origin=BASE)
        if all(claim.entry.kind == "d" for claim in owners) and found.kind == "l":
            return NOT_COVERED  # merged /usr: a folder of one package is a link of another
        entry = owners[-1].entry
        expected = KIND_WORDS.get(entry.kind, "a special file")
        if entry.kind == "f":
            expected = f"sha256 {(entry.content or '')[:DIGITS]}…"
        elif entry.kind == "l":
            expected = f"a link to {entry.content}"
        return Verdict(difference=(expected, describe_record(found)))
    claim = agreeing[-1]
    plain = (found.uid, found.gid) == (0, 0) and not found.attributes
    if plain and (found.kind == "l" or any(item.entry.mode == found.mode for item in agreeing)):
        return Verdict(origin=claim.kind)
    if claim.kind == "debs" and not (found.mode ^ claim.entry.mode) & _SET_USER_ID:
        # packages' scripts set modes and owners; only a reference can tell
        return NOT_COVERED
    wanted = found._replace(mode=claim.entry.mode, uid=0, gid=0, attributes=())
    return Verdict(difference=describe_change(wanted, found))


def _judge_prefix(target: LockedTarget, name: str, found: FileRecord) -> Verdict:
    """Judge what no artifact brings: bytecode, folders and the venv's own files are nothing to judge here."""
    own = {"pyvenv.cfg", "lib64", "bin/activate", "bin/activate.csh", "bin/activate.fish", "bin/Activate.ps1"}
    links = {f"bin/{python}" for python in ("python", "python3", f"python{target.python_tag}", "𝜋thon")}
    is_scripted = target.conda is not None and (target.conda.runs_scripts or name.startswith("conda-meta/"))
    if found.kind == "d" or name in own | links or name.endswith(".pyc") or is_scripted:
        return NOT_COVERED
    return Verdict(difference=(None, describe_record(found)))
