"""Changes of a spec by a command: its comments, its order and its line ends stay."""

import os
from collections.abc import Iterable, MutableMapping
from pathlib import Path
from typing import Any, Final

from envbuild.errors import EnvbuildError

_PROJECT_FILE: Final = "pyproject.toml"
_MARK: Final = "\ufeff"


def set_builds(spec: Path, packages: Iterable[str]) -> None:
    """Write ``build = [...]`` of [pip] into a spec, in place of what is there.

    :raises EnvbuildError: [pip] is written in a way that cannot be edited.
    """
    from envbuild.files import atomic

    text = with_builds(read_exactly(spec), packages, name=spec.name)
    # a link stays one, and who may read the file may read it afterwards
    path = spec.resolve()
    atomic.write_text(path, text, mode=path.stat().st_mode & 0o7777)


def with_builds(text: str, packages: Iterable[str], *, name: str) -> str:
    """Return the text of a spec, the file ``name``, with ``build = [...]`` in [pip].

    :raises EnvbuildError: [pip] is written in a way that cannot be edited.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    mark = _MARK if text.startswith(_MARK) else ""
    try:
        document = tomlkit.parse(text.removeprefix(_MARK))
        path = ("tool", "envbuild", "pip") if name == _PROJECT_FILE else ("pip",)
        pip = _table(document, *path)
        if pip.get("build") == "all":
            _refuse_less(name, packages)
        pip["build"] = sorted(packages)
        edited = tomlkit.dumps(document)
    except (TOMLKitError, TypeError, AttributeError) as error:
        raise EnvbuildError(
            f"{name} cannot be edited: [pip] is no plain table", hint="add the line by hand"
        ) from error
    if 0 < text.count("\n") == text.count("\r\n"):
        # as all other lines end
        edited = edited.replace("\r\n", "\n").replace("\n", "\r\n")
    return mark + edited


def _refuse_less(name: str, packages: Iterable[str]) -> None:
    named = ", ".join(f'"{package}"' for package in sorted(packages))
    raise EnvbuildError(
        f'build = "all" of {name} does not count in a variant that has its own',
        hint=f"add to build in [pip] of the variant: {named}",
    )


def read_exactly(spec: Path) -> str:
    """Return the text of a spec with its own line ends."""
    return spec.read_bytes().decode()


def require_writable(spec: Path) -> None:
    """Raise where a spec cannot be changed: before long work, not after it.

    :raises EnvbuildError: it is read-only.
    """
    if not os.access(spec.resolve().parent, os.W_OK) or not os.access(spec, os.W_OK):
        raise EnvbuildError(f"{spec.name} cannot be written", hint="add the line by hand")


def _table(document: Any, *path: str) -> MutableMapping[str, Any]:
    import tomlkit

    table: Any = document
    for key in path:
        if key not in table:
            table[key] = tomlkit.table()
        table = table[key]
    if not isinstance(table, MutableMapping):
        raise TypeError(path[-1])
    return table
