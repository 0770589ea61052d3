"""The files a conda package comes to in a prefix: where they lie, what is in them once the prefix is theirs.

The same decisions as py-rattler takes inside a build, without touching a disk; a test holds the two together.
Bytecode is left out: a build makes its own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from envbuild.errors import IntegrityError
from envbuild.formats.conda_package import CondaArchive, Replacement

PLAIN, EXECUTABLE = 0o644, 0o755

_ENTRY_POINT = re.compile(r"\s*(\S+)\s*=\s*([\w.]+)\s*:\s*([\w.]+)\s*")
_PROGRAM = """\
#!{interpreter}
# -*- coding: utf-8 -*-
import re
import sys

from {module} import {imported}

if __name__ == '__main__':
	sys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])
	sys.exit({function}())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaPython:
    """The Python of a prefix, as far as it decides where files go."""

    version: str
    """``3.11``."""

    site_packages: str
    """Below the prefix."""

    @classmethod
    def of(cls, version: str, site_packages: str | None = None) -> "CondaPython":
        """Return the Python of a full version; ``site_packages`` where it is not the usual folder."""
        minor = ".".join(version.split(".")[:2])
        return cls(version=minor, site_packages=site_packages or f"lib/python{minor}/site-packages")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixFile:
    """One file or link in a prefix."""

    path: str
    """Below the prefix."""

    kind: Literal["file", "link"]
    mode: int = PLAIN
    content: bytes = b""
    target: str = ""


def prefix_files(archive: CondaArchive, *, prefix: str, python: CondaPython) -> Iterator[PrefixFile]:
    """Yield what ``archive`` brings into ``prefix``, in the order of the archive, programs last.

    :raises IntegrityError: it is no package, a path leaves the prefix, or lies below a link of the package.
    """
    info = archive.info()
    is_python = info.index.get("noarch") == "python"
    links: set[str] = set()
    paths: list[str] = []
    for member in archive.files():
        path = _place(member.path, python) if is_python else member.path
        paths.append(path)
        if is_bytecode(path):
            continue
        if member.kind == "link":
            links.add(path)
            yield PrefixFile(path=path, kind="link", target=member.target)
            continue
        replacement = info.replacements.get(member.path)
        content = replaced(member.content, replacement, prefix) if replacement else member.content
        mode = EXECUTABLE if member.is_executable else PLAIN
        yield PrefixFile(path=path, kind="file", mode=mode, content=content)
    for path in paths:
        parents = path.split("/")
        if any("/".join(parents[:length]) in links for length in range(1, len(parents))):
            raise IntegrityError(
                f"{info.index.get('name')}: {path} lies below a link, outside the prefix perhaps"
            )
    for text in info.entry_points:
        yield _program(text, prefix, python)


def is_bytecode(path: str) -> bool:
    """Return whether ``path`` is bytecode beside its source, which a build makes itself."""
    return "/__pycache__/" in path and path.endswith(".pyc")


def replaced(content: bytes, replacement: Replacement, prefix: str) -> bytes:
    """Return a file's content with its placeholder replaced by ``prefix``.

    In a binary the rest of the string moves up and zeros fill it to its old length (conda-build, "Making
    packages relocatable").

    :raises IntegrityError: a binary has no room for the prefix.
    """
    placeholder, wanted = replacement.placeholder.encode(), prefix.encode()
    if replacement.mode == "text":
        return content.replace(placeholder, wanted)
    if len(wanted) > len(placeholder):
        raise IntegrityError(f"{prefix} is longer than the prefix a package has room for")

    def shortened(match: re.Match[bytes]) -> bytes:
        text = match[0].replace(placeholder, wanted)
        return text + b"\0" * (len(match[0]) - len(text))

    return re.sub(re.escape(placeholder) + rb"[^\0]*", shortened, content)


def _place(path: str, python: CondaPython) -> str:
    """Return where a path of a noarch Python package goes."""
    if path.startswith("site-packages/"):
        return f"{python.site_packages}/{path.removeprefix('site-packages/')}"
    if path.startswith("python-scripts/"):
        return f"bin/{path.removeprefix('python-scripts/')}"
    return path


def _program(text: str, prefix: str, python: CondaPython) -> PrefixFile:
    match = _ENTRY_POINT.fullmatch(text)
    if match is None or "/" in match[1]:
        raise IntegrityError(f"`{text}` is not an entry point")
    name, module, function = match.groups()
    content = _PROGRAM.format(
        interpreter=f"{prefix}/bin/python{python.version}",
        module=module,
        imported=function.partition(".")[0],
        function=function,
    )
    return PrefixFile(path=f"bin/{name}", kind="file", mode=EXECUTABLE, content=content.encode())
