"""Whether what `init` wrote is locked right, and whether what was locked can be imported.

Images of bases cannot be pulled where tests run, so the base becomes Debian made of packages, and the Python
its 3.11.  Packages of the distribution stay only where they were asked of a Debian, and conda is not asked.
Where the spec says a Python below 3.11, the pins may have no wheel for 3.11: then uv alone says whether what
the spec asks for has a solution.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import tomli_w

from envbuild.lock.codec import loads
from envbuild.spec.request import PipRequest
from tests.rig.corpus.environments import LOCK_PYTHON, CorpusEnvironment
from tests.rig.corpus.written_spec import WrittenSpec
from tests.rig.plain_uv import compile_with_uv
from tests.rig.running import envbuild
from tests.rig.specs import request_of

LOCK_BASE = "debian:bookworm"


def judge_lock(
    environment: CorpusEnvironment, written: WrittenSpec, variables: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Lock what `init` wrote and return what is wrong with it; nothing: the lock is right."""
    asked = _asked(written)
    if not asked.requirements:
        return ("nothing is asked for",)
    if environment.python_is_older:
        peer = compile_with_uv(asked.requirements, asked.constraints, python=environment.expected.python[0])
        return () if peer.versions else (f"uv finds no solution: {peer.failure}",)
    lay_lockable_spec(written)
    answer = envbuild("lock", folder=written.folder, check=False, environment=variables)
    if answer.returncode != 0:
        return (f"lock exited {answer.returncode}: {_error_in(answer.stderr)}",)
    return tuple(_judge_versions(environment, written))


def _judge_versions(environment: CorpusEnvironment, written: WrittenSpec) -> Iterator[str]:
    locked = locked_versions(written.folder / "envbuild.lock")
    yield from (f"{name} of a source is not locked" for name in environment.sources if name not in locked)
    if environment.versions:
        yield from _differences(environment.versions, locked, "the lock that is there")
        return
    asked = _asked(written)
    peer = compile_with_uv(asked.requirements, asked.constraints)
    if peer.failure:
        yield f"uv finds no solution, envbuild does: {peer.failure}"
    yield from _differences(peer.versions, locked, "uv")


def _asked(written: WrittenSpec) -> PipRequest:
    return next(iter(request_of(written.spec).variants.values())).pip


def lay_lockable_spec(written: WrittenSpec) -> None:
    """Replace what cannot be had where tests run, and let every package be built; see the module."""
    tables = dict(written.tables)
    image = tables.get("base", {}).get("image", "")
    if image and not re.match(r"(python|debian):", image):
        tables.pop("system", None)
    for table in ("gpu", "conda"):
        tables.pop(table, None)
    tables |= {"python": LOCK_PYTHON, "base": {"packages": LOCK_BASE}}
    tables["pip"] = {**tables.get("pip", {}), "build": "all"}
    tables["build"] = {"engine": "local"}
    written.spec.write_text(tomli_w.dumps(tables), encoding="utf-8")


def locked_versions(lock: Path) -> dict[str, str]:
    """Return the version of each distribution in a lock, the installer aside."""
    document = loads(lock.read_text("utf-8"))
    return {wheel.name: wheel.version for wheel in document.wheels_of(document.targets[0])}


def _error_in(stderr: str) -> str:
    """Return the error of what a command said, without its progress, on one line and cut off."""
    text = re.split(r"^(?=error)", stderr, maxsplit=1, flags=re.MULTILINE)[-1]
    return " ".join(text.split()[:60])


def _differences(wanted: Mapping[str, str], locked: Mapping[str, str], whose: str) -> Iterator[str]:
    for name, version in sorted(wanted.items()):
        if locked.get(name) != version:
            yield f"{name} {locked.get(name, 'is missing')}, {whose} has {version}"


def import_in_image(
    environment: CorpusEnvironment, written: WrittenSpec, variables: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Build what was locked with the local engine and import its modules; return what is wrong."""
    program = f"import {', '.join(environment.imports)}"
    for arguments in (("build",), ("run", "--", "python", "-c", program)):
        answer = envbuild(*arguments, folder=written.folder, check=False, environment=variables)
        if answer.returncode != 0:
            return (f"{arguments[0]} exited {answer.returncode}: {_error_in(answer.stderr)}",)
    return ()
