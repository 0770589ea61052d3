"""``setup.cfg``: what setuptools reads of it.

Format: setuptools documentation, "Configuring setuptools using setup.cfg files".
"""

import configparser
import re

from envbuild.errors import Problem
from envbuild.spec.manifests.content import (
    AnyRequirement,
    ManifestContent,
    WrittenRequirement,
    classifier_pythons,
)

_FILE = re.compile(r"file:\s*(.+)", re.DOTALL)
_BOTH = re.compile(r"\s+#.*$")


def read_setup_cfg(text: str, file: str) -> ManifestContent:
    """Return what a setup.cfg says."""
    content = ManifestContent()
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text.removeprefix("\ufeff"))
    except configparser.Error as error:
        line = getattr(error, "lineno", None) or next(iter(getattr(error, "errors", ())), (None,))[0]
        content.problems.append(Problem(f"{file}:{line}" if line else file, "is not an INI file"))
        return content
    lines = text.splitlines()
    content.name = parser.get("metadata", "name", fallback=None)
    if python := parser.get("options", "python_requires", fallback=""):
        content.pythons.append((python.strip(), True, file))
    classifiers = parser.get("metadata", "classifiers", fallback="").splitlines()
    content.pythons += classifier_pythons([item.strip() for item in classifiers], file)
    wanted = parser.get("options", "install_requires", fallback="")
    content.dependencies, content.files = _requirements(wanted, lines, file)
    if parser.has_section("options.extras_require"):
        for extra, value in parser.items("options.extras_require"):
            content.extras[extra], files = _requirements(value, lines, file)
            if files:
                content.extra_files[extra] = files
    return content


def _requirements(value: str, lines: list[str], file: str) -> tuple[list[AnyRequirement], list[str]]:
    if found := _FILE.match(value.strip()):
        return [], [part.strip() for part in re.split(r"[,\n]", found[1]) if part.strip()]
    items = [
        plain
        for line in value.splitlines()
        if (plain := _BOTH.sub("", line).strip()) and not plain.startswith("#")
    ]
    parts = [part for item in items for part in (item.split(",") if _is_listed(item) else [item])]
    return [
        WrittenRequirement.at(f"{file}:{_line(part.strip(), lines)}", part.strip())
        for part in parts
        if part.strip()
    ], []


def _is_listed(item: str) -> bool:
    """Return whether a line holds several requirements: `a, b`, and not the bounds of one."""
    return "," in item and not re.search(r"[<>=!~;\[(]", item)


def _line(item: str, lines: list[str]) -> int:
    return next((number for number, line in enumerate(lines, start=1) if item in line), 1)
