"""What a shell offers while a command line is typed: names out of the lock, else out of the spec.

A person waits for it at each press of a key, so files are read as plain TOML, without the checks that
commands make: what is offered is checked when the command runs.
"""

import itertools
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from envbuild.workflows.configuration.settings import NAME, SETTINGS
from envbuild.workflows.project import LOCK_NAME, SPEC_NAME

PROJECT_FILE: Final = "pyproject.toml"

MOST_BYTES: Final = 8_000_000
"""Size of a file that is read for this: a lock of 1,000 packages has 1 MB."""

_PACKAGES: Final = ("wheels", "debs", "conda")
"""Tables of a lock with packages."""


def variants_of(folders: Iterable[Path], spec: Path | None) -> tuple[str, ...]:
    """Return the variants of a project, sorted; ``folders`` are those of ``-C``."""
    return _names(folders, spec, "variant", lambda table: table.get("variants", {}))


def platforms_of(folders: Iterable[Path], spec: Path | None) -> tuple[str, ...]:
    """Return the platforms of a project, sorted; ``folders`` are those of ``-C``."""
    return _names(folders, spec, "platform", lambda table: table.get("platforms", ()))


def packages_of(folders: Iterable[Path], spec: Path | None) -> tuple[str, ...]:
    """Return the names of all locked packages, sorted; ``folders`` are those of ``-C``."""
    folder = _folder(folders, spec)
    if folder is None:
        return ()
    document = tomllib.loads(_read(folder / LOCK_NAME))
    return tuple(sorted({item["name"] for table in _PACKAGES for item in document.get(table, ())}))


def configuration_keys() -> tuple[str, ...]:
    """Return the keys of the user's configuration, as far as they are no names of the user's own."""
    keys = (".".join(itertools.takewhile(lambda part: part != NAME, item.path)) for item in SETTINGS)
    return tuple(dict.fromkeys(keys))


def _names(folders: Iterable[Path], spec: Path | None, field: str, of_spec: Any) -> tuple[str, ...]:
    folder = _folder(folders, spec)
    if folder is None:
        return ()
    try:
        # what targets there are stands before what they hold
        head = _read(folder / LOCK_NAME).partition("\n[[bases]]")[0]
        found = {target[field] for target in tomllib.loads(head)["targets"]}
    except (OSError, ValueError, KeyError):
        found = set(of_spec(_spec_table(folder, spec)))
    return tuple(sorted(found))


def _spec_table(folder: Path, spec: Path | None) -> dict[str, Any]:
    names = [spec.name] if spec is not None and spec.suffix == ".toml" else [SPEC_NAME, PROJECT_FILE]
    name = next(name for name in names if (folder / name).is_file())
    document = tomllib.loads(_read(folder / name))
    return document["tool"]["envbuild"] if name == PROJECT_FILE else document


def _folder(folders: Iterable[Path], spec: Path | None) -> Path | None:
    """Return the folder of the project that a command would find."""
    current = Path.cwd().joinpath(*folders)
    if spec is not None:
        named = current / spec
        return named.parent if named.is_file() else named
    return next((folder for folder in _upwards(current.resolve()) if _is_project(folder)), None)


def _upwards(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.parents


def _is_project(folder: Path) -> bool:
    if (folder / SPEC_NAME).is_file() or (folder / LOCK_NAME).is_file():
        return True
    project = folder / PROJECT_FILE
    return project.is_file() and "[tool.envbuild" in _read(project)


def _read(path: Path) -> str:
    if path.stat().st_size > MOST_BYTES or not path.is_file():
        raise OSError
    return path.read_text("utf-8")
