"""``settings.ini`` of nbdev projects, which their ``setup.py`` reads its dependencies from."""

import configparser
from collections.abc import Mapping

from envbuild.errors import Problem
from envbuild.spec.manifests.content import AnyRequirement, ManifestContent, WrittenRequirement


def read_settings_ini(text: str, file: str) -> ManifestContent:
    """Return what a settings.ini of nbdev says."""
    content = ManifestContent()
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text.removeprefix("\ufeff"))
    except configparser.Error as error:
        line = getattr(error, "lineno", None)
        content.problems.append(Problem(f"{file}:{line}" if line else file, "is not an INI file"))
        return content
    values = parser.defaults()
    content.name = values.get("lib_name")
    if python := values.get("min_python"):
        content.pythons.append((f">={python}", True, file))
    content.dependencies = [
        *_requirements(values, "requirements", file),
        *_requirements(values, "pip_requirements", file),
    ]
    if development := _requirements(values, "dev_requirements", file):
        content.extras["dev"] = development
    return content


def _requirements(values: Mapping[str, str], key: str, file: str) -> list[AnyRequirement]:
    """Return the requirements of one key: words, of which none but a marker holds a space."""
    return [
        WrittenRequirement.at(f"{file}: {key}", word.strip())
        for line in values.get(key, "").splitlines()
        for word in ([line] if ";" in line else line.split())
        if word.strip()
    ]
