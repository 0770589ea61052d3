"""Which Python an image runs, found the way its own PATH would find it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from envbuild.errors import SpecError
from envbuild.lock.model import Interpreter
from envbuild.platforms import DEFAULT_PATH
from envbuild.resolve.base.image_files import ImageFiles
from envbuild.resolve.base.layer_scan import Program
from envbuild.resolve.base.system_files import InstalledDeb, upstream_version

MINORS: Final = tuple(f"3.{number}" for number in range(40))
"""Python releases that are looked for where a name does not say which it is."""

PROVIDED_BY_IMAGE: Final = "image"

_LIBRARY_FOLDERS: Final = ("lib", "lib64", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu")
_PATCHLEVEL = re.compile(r'^#define\s+PY_VERSION\s+"([^"]+)"', re.MULTILINE)
_MINOR = re.compile(r"3\.[0-9]+")


@dataclass(frozen=True, slots=True)
class _InterpreterCandidate:
    path: str
    """Without links."""

    program: Program
    version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InterpreterSearch:
    """What is known of an image when its Python is looked for."""

    files: ImageFiles
    environment: Mapping[str, str]
    """Of the image's configuration."""

    debs: Sequence[InstalledDeb]

    def find(self, python: str, *, image: str) -> Interpreter:
        """Return the interpreter that ``python`` (``3.11`` or ``3.11.9``) asks for.

        :raises SpecError: ``image`` has no such Python; the hint names those it has.
        """
        found = self.look_for(python)
        if found is None:
            raise self._lacking(python, image)
        return found

    def look_for(self, python: str) -> Interpreter | None:
        """Return the interpreter that ``python`` asks for, or None where there is none.

        ``pythonX.Y`` is looked for in every folder of the PATH, then ``python3`` and ``python``.
        """
        for _, found in self._named(python):
            if found.program.is_elf and found.version and python in {_minor(found.version), found.version}:
                owner = self._owner(found.path)
                return Interpreter(
                    version=found.version,
                    path=found.path,
                    provider=f"deb {owner.name}" if owner else PROVIDED_BY_IMAGE,
                    sha256=found.program.sha256,
                )
        return None

    def _lacking(self, python: str, image: str) -> SpecError:
        others = list(self._all())
        script = next((path for path, found in self._named(python) if not found.program.is_elf), None)
        if script and not others:
            return SpecError(
                f"`{script}` of `{image}` is a script, not an interpreter",
                hint="choose an image whose PATH leads to Python itself",
            )
        there = ", ".join(f"{other.version or 'of an unknown version'} ({other.path})" for other in others)
        hint = f"it has Python {there}" if there else "it has no Python on its PATH"
        return SpecError(
            f"`{image}` has no Python {python}",
            hint=f"{hint}; ask for another `python`, or choose another `base.image`",
        )

    def _named(self, python: str) -> Iterator[tuple[str, _InterpreterCandidate]]:
        """Yield what programs of the PATH could be ``python`` by their name, each with where it was found."""
        for name in (f"python{_minor(python)}", "python3", "python"):
            for folder in self._folders():
                if found := self._look_at(f"{folder}/{name}"):
                    yield f"{folder}/{name}", found

    def _folders(self) -> tuple[str, ...]:
        path = self.environment.get("PATH", DEFAULT_PATH)
        return tuple(folder.rstrip("/") for folder in path.split(":") if folder.startswith("/"))

    def _look_at(self, path: str) -> _InterpreterCandidate | None:
        found = self.files.program(path)
        if found is None:
            return None
        real, program = found
        names = (real.rpartition("/")[2], path.rpartition("/")[2])
        named = next((match[0] for name in names if (match := _MINOR.search(name))), None)
        for minor in (named,) if named else MINORS:
            for version in self._witnesses(real, program, minor):
                if version and _minor(version) == minor:
                    return _InterpreterCandidate(real, program, version)
        return _InterpreterCandidate(real, program, None)

    def _witnesses(self, real: str, program: Program, minor: str) -> Iterator[str | None]:
        """Yield what speaks for a full version of the interpreter, the best witness first.

        The bytes that run are the best: its own, or its library's.  Then come its package and its headers,
        and last the variable of the official images: whatever is built on them inherits it, right or wrong.
        """
        prefix = real.rpartition("/")[0].rpartition("/")[0]
        yield _only(program.versions, minor)
        for folder in _LIBRARY_FOLDERS:
            library = self.files.program(f"{prefix}/{folder}/libpython{minor}.so.1.0")
            if library:
                yield _only(library[1].versions, minor)
        owner = self._owner(real)
        yield upstream_version(owner.version) if owner else None
        header = self.files.text(f"{prefix}/include/python{minor}/patchlevel.h")
        match = _PATCHLEVEL.search(header or "")
        yield match[1] if match else None
        yield self.environment.get("PYTHON_VERSION")

    def _owner(self, path: str) -> InstalledDeb | None:
        """Return the package whose file ``path`` is.

        Packages may list a path of before /usr was merged, so both spellings count.
        """
        spellings = {path, path.removeprefix("/usr")}
        for deb in self.debs:
            if not deb.name.startswith(("python3", "libpython3")):
                continue
            for name in (deb.name, f"{deb.name}:{deb.architecture}"):
                listed = self.files.text(f"/var/lib/dpkg/info/{name}.list")
                if listed and not spellings.isdisjoint(listed.split("\n")):
                    return deb
            sums = self.files.text(f"/var/lib/dpkg/status.d/{deb.name}.md5sums") or ""
            # a line is a sum, two spaces, and a path without leading slash
            if not spellings.isdisjoint(f"/{line.partition('  ')[2]}" for line in sums.split("\n")):
                return deb
        return None

    def _all(self) -> Iterator[_InterpreterCandidate]:
        """Yield every interpreter on the PATH, each once."""
        seen = set()
        for folder in self._folders():
            for name in ("python3", "python", *(f"python{minor}" for minor in MINORS)):
                found = self._look_at(f"{folder}/{name}")
                if found and found.program.is_elf and found.path not in seen:
                    seen.add(found.path)
                    yield found


def _only(versions: Sequence[str], minor: str) -> str | None:
    """Return the one version of this release; of two, neither is to be trusted."""
    matching = [version for version in versions if _minor(version) == minor]
    return matching[0] if len(matching) == 1 else None


def _minor(version: str) -> str:
    match = _MINOR.match(version)
    return match[0] if match else ""
