"""Which files say what a project needs, besides requirements files and ``pyproject.toml``: the name tells."""

import re
from collections.abc import Callable

from envbuild.spec.manifests.content import ManifestContent
from envbuild.spec.manifests.pipfile import read_pipfile
from envbuild.spec.manifests.script import read_script
from envbuild.spec.manifests.settings_ini import read_settings_ini
from envbuild.spec.manifests.setup_cfg import read_setup_cfg
from envbuild.spec.manifests.setup_py import read_setup_py

_READERS: dict[str, Callable[[str, str], ManifestContent]] = {
    "setup.cfg": read_setup_cfg,
    "Pipfile": read_pipfile,
    "settings.ini": read_settings_ini,
}
_WITH_EXTRAS = re.compile(r"(?P<file>.+?)\[(?P<extras>[A-Za-z0-9._, -]*)\]")


def split_extras(entry: str) -> tuple[str, tuple[str, ...]]:
    """Return the file of ``setup.py[dev,test]``, and the extras or groups that are taken too."""
    match = _WITH_EXTRAS.fullmatch(entry)
    if match is None:
        return entry, ()
    return match["file"], tuple(part.strip() for part in match["extras"].split(",") if part.strip())


def is_manifest(entry: str) -> bool:
    """Return whether an entry of ``[pip] requirements`` names such a file."""
    file = split_extras(entry)[0]
    return file.rpartition("/")[2] in _READERS or file.endswith(".py")


def read_manifest(text: str, file: str, python: str = "3.12") -> ManifestContent:
    """Return what ``file`` with this ``text`` says a project needs."""
    name = file.rpartition("/")[2]
    if name == "setup.py":
        return read_setup_py(text, file, python)
    return _READERS.get(name, read_script)(text, file)
