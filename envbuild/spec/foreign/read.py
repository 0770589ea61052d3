"""Which format a lock of another tool has: its name tells."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from typing import Any

from envbuild.errors import Problem, SpecError
from envbuild.spec.foreign.pdm_lock import read_pdm_lock
from envbuild.spec.foreign.pins import ForeignLock
from envbuild.spec.foreign.pipfile_lock import read_pipfile_lock
from envbuild.spec.foreign.poetry_lock import read_poetry_lock
from envbuild.spec.foreign.pylock import read_pylock
from envbuild.spec.foreign.requirement_export import read_requirement_export
from envbuild.spec.foreign.uv_lock import read_uv_lock
from envbuild.spec.load import parse_toml

_TOML: tuple[tuple[str, Callable[[Mapping[str, Any], str], ForeignLock]], ...] = (
    ("uv.lock", read_uv_lock),
    ("*.py.lock", read_uv_lock),
    ("poetry.lock", read_poetry_lock),
    ("pdm.lock", read_pdm_lock),
    ("pylock.toml", read_pylock),
    ("pylock.*.toml", read_pylock),
)
_TEXT: tuple[tuple[str, Callable[[str, str], ForeignLock]], ...] = (
    ("pipfile.lock", read_pipfile_lock),
    ("*.txt", read_requirement_export),
    ("requirements*.lock", read_requirement_export),
)
KNOWN = "uv.lock, poetry.lock, pdm.lock, Pipfile.lock, pylock.toml, or a requirements file with pins"


def is_foreign_lock(file: str) -> bool:
    """Return whether a file's name is that of a lock that can be read."""
    return any(fnmatch(_base(file), pattern) for pattern, _ in (*_TOML, *_TEXT))


def read_foreign_lock(text: str, file: str) -> ForeignLock:
    """Return what the lock ``file`` with this ``text`` holds; what is wrong with it is in its problems."""
    name = _base(file)
    for pattern, read_text in _TEXT:
        if fnmatch(name, pattern):
            return read_text(text.removeprefix("\ufeff"), file)
    for pattern, read in _TOML:
        if fnmatch(name, pattern):
            try:
                return read(parse_toml(text, file), file)
            except SpecError as error:
                return ForeignLock(problems=list(error.problems) or [Problem(file, error.message)])
    return ForeignLock(problems=[Problem(file, "is no lock of a known tool", f"it can be {KNOWN}")])


def _base(file: str) -> str:
    return file.rpartition("/")[2].lower()
