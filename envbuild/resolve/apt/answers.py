"""Answers of apt that are kept between runs: with the same lists the same question has the same answer.

apt decides without chance or clock.  So an answer is known by all that goes into it: what the archives
signed, apt's version and its whole configuration, this release of envbuild, and the question itself.
"""

from collections.abc import Callable
from typing import Any

from envbuild.cache.notes import read_note, try_note
from envbuild.digest import canonical_json, sha256_bytes
from envbuild.lock.model import Deb
from envbuild.resolve.apt.client import AptSession
from envbuild.version import __version__


def remembered(session: AptSession, question: Any, find: Callable[[], tuple[Deb, ...]]) -> tuple[Deb, ...]:
    """Return the packages that answer ``question``, as kept by an earlier run, or else as ``find`` says.

    ``question`` is plain JSON and holds all that ``find`` asks of ``session``.  Errors are not kept.
    """
    if session.answers is None:
        return find()
    name = sha256_bytes(canonical_json([__version__, session.inputs(), question]))
    note = session.answers / name[:2] / f"{name}.json"
    known = read_note(note, lambda document: tuple(Deb.model_validate(item) for item in document["debs"]))
    if known is None:
        known = find()
        try_note(note, {"debs": plain_debs(known)})
    return known


def plain_debs(debs: tuple[Deb, ...]) -> list[Any]:
    """Return packages as plain JSON."""
    return [deb.model_dump(mode="json", by_alias=True) for deb in debs]
