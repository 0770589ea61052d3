"""Lists of Debian packages: apt.txt (Binder), packages.txt (Streamlit), Aptfile (buildpacks)."""

import re
from collections.abc import Iterator
from typing import Final

from envbuild.discovery.content import FileContent, Taken
from envbuild.files.sizes import counted
from envbuild.spec import rules
from envbuild.spec.problems import RefusedError

PATTERNS: Final = (
    "apt.txt", "packages.txt", "Aptfile", "apt-packages.txt", "apt-requirements.txt", "system-packages.txt",
    "binder/apt.txt", ".binder/apt.txt",
)  # fmt: skip

LONGEST: Final = 200_000
"""Characters of a file that is read."""

_PIN_OF_PYTHON: Final = re.compile(r"[A-Za-z0-9._-]+(?:\[[^\]]*\])?\s*(?:==|>=|<=|~=)\s*[0-9]")


def read_system_list(text: str, file: str) -> FileContent:
    """Return what a list of Debian packages gives: the file itself, or what of it can be taken."""
    content = FileContent()
    if len(text) > LONGEST:
        content.leave(file, f"is longer than {LONGEST} characters", "it is not read")
        return content
    if any(_PIN_OF_PYTHON.match(line) for line in text.splitlines()):
        hint = f'`requirements = ["{file}"]` in [pip], if it is one of pip'
        content.leave(file, "is not a list of Debian packages: it has versions as Python writes them", hint)
        return content
    packages = list(_packages(text, file, content))
    what = counted(len(packages), "Debian package")
    if content.left:
        content.add("system", "packages", packages)
        what += ", written into the spec because of what is left out below"
    elif packages:
        content.add("system", "files", [file])
    content.taken.append(Taken(file, what))
    return content


def _packages(text: str, file: str, content: FileContent) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{file}:{number}"
        said = line.partition("#")[0].strip() if "://" not in line else line.strip()
        if said.startswith("#") or not said:
            continue
        if said.startswith((":repo:", "deb ", "deb-src ", "ppa:")):
            hint = "archives of packages besides the base's are a later feature"
            content.leave(where, "adds an archive of packages", hint)
        elif "://" in said or said.endswith(".deb"):
            hint = "only packages of the base's archive can be locked: name one of those"
            content.leave(where, "is a file, not a package", hint)
        else:
            yield from _words(said, where, content)


def _words(line: str, where: str, content: FileContent) -> Iterator[str]:
    for word in re.split(r"[\s,]+", line):
        try:
            if word:
                yield rules.system_package(word)
        except RefusedError as error:
            content.left.append(error.at(where))
