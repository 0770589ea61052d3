"""Lists of packages: those in the spec and in a project file, and the files they name.

Each knows what it holds, and gives its file's text with a package more, less, or asked for otherwise.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from envbuild.spec.conda_files import read_conda_file
from envbuild.spec.conda_rules import parse_match_spec
from envbuild.spec.direct_references import is_direct, parse_direct
from envbuild.spec.edits import line_files, toml_lists
from envbuild.spec.edits.toml_layout import TomlPath
from envbuild.spec.load import parse_toml
from envbuild.spec.problems import RefusedError, field_path
from envbuild.spec.requirement_files import requirement_lines
from envbuild.spec.requirements import normalized_requirement
from envbuild.spec.rules import system_package

if TYPE_CHECKING:
    from packaging.markers import Marker

Kind = Literal["pip", "apt", "conda"]
KINDS: tuple[Kind, ...] = ("pip", "apt", "conda")

ReadFile = Callable[[str], str]
"""Text of a file of the spec's folder; raises :class:`RefusedError`."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One package asked for in one list."""

    name: str
    """Normalised, as the lock has it."""

    text: str
    """As written."""

    where: str
    """Such as ``pip.packages[2]`` or ``requirements.txt:3``."""

    position: int
    """In its list: of the item, the line, or the word."""

    marker: str | None = None
    """Of a Python requirement, in its one spelling."""


class PackageList(Protocol):
    """Packages asked for one below the other, in a spec, a project file or a file of requirements."""

    @property
    def kind(self) -> Kind:
        """Whose packages."""

    @property
    def file(self) -> str:
        """Relative to the folder of the spec."""

    @property
    def group(self) -> str | None:
        """Dependency group whose list it is."""

    @property
    def label(self) -> str:
        """What messages call it."""

    def asked(self, read: ReadFile) -> tuple[Asked, ...]:
        """Return what is asked for here; what is not right is passed over."""

    def added(self, text: str, package: str) -> str:
        """Return ``text`` of its file with ``package`` behind all others.

        :raises RefusedError: this file is not edited.
        """

    def replaced(self, text: str, old: Asked, package: str) -> str:
        """Return ``text`` of its file with ``package`` in place of ``old``; raises as :meth:`added`."""

    def removed(self, text: str, old: Asked) -> str:
        """Return ``text`` of its file without ``old``; raises as :meth:`added`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlPackageList:
    """A list in a TOML file."""

    kind: Kind
    file: str
    path: TomlPath
    root: TomlPath = ()
    """Where the tables of the spec are, in its own file."""

    group: str | None = None
    prefix: str = ""
    """Goes before the path in messages: ``pyproject.toml: `` where that is not the spec."""

    is_standard: bool = False
    """Whether other tools read it too, which know requirements of PEP 508 alone."""

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.prefix}{field_path(self.path)}"

    def asked(self, read: ReadFile) -> tuple[Asked, ...]:
        """Return what is asked for here."""
        found = toml_lists.list_at(parse_toml(read(self.file), self.file), self.path) or ()
        items = (
            _asked(self.kind, item, f"{self.label}[{number}]", number)
            for number, item in enumerate(found)
            if isinstance(item, str)
        )
        return tuple(item for item in items if item)

    def added(self, text: str, package: str) -> str:
        """Return the file with one more."""
        return toml_lists.with_text(text, self.path, package, root=self.root)

    def replaced(self, text: str, old: Asked, package: str) -> str:
        """Return the file with another."""
        return toml_lists.with_text_replaced(text, self.path, old.position, package)

    def removed(self, text: str, old: Asked) -> str:
        """Return the file without one."""
        return toml_lists.without_text(text, self.path, old.position)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementsPackageList:
    """A requirements file."""

    file: str
    kind: Kind = "pip"
    group: None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.file

    def asked(self, read: ReadFile) -> tuple[Asked, ...]:
        """Return what is asked for here."""
        lines = enumerate(requirement_lines(read(self.file)))
        items = (
            _asked(self.kind, line.requirement, f"{self.file}:{line.place.first}", number)
            for number, line in lines
        )
        return tuple(item for item in items if item)

    def added(self, text: str, package: str) -> str:
        """Return the file with one more."""
        line_files.refuse_generated(text, self.file)
        return line_files.with_requirement(text, package)

    def replaced(self, text: str, old: Asked, package: str) -> str:
        """Return the file with another."""
        line_files.refuse_generated(text, self.file)
        line = list(requirement_lines(text))[old.position]
        return line_files.with_requirement_replaced(text, line, package)

    def removed(self, text: str, old: Asked) -> str:
        """Return the file without one."""
        line_files.refuse_generated(text, self.file)
        place = list(requirement_lines(text))[old.position].place
        return line_files.without_lines(text, place.first, place.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class WordsPackageList:
    """A file that lists packages of the distribution."""

    file: str
    kind: Kind = "apt"
    group: None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.file

    def asked(self, read: ReadFile) -> tuple[Asked, ...]:
        """Return what is asked for here."""
        words = enumerate(line_files.words_of(read(self.file)))
        items = (_asked("apt", word, f"{self.file}:{line}", number) for number, (line, word) in words)
        return tuple(item for item in items if item)

    def added(self, text: str, package: str) -> str:
        """Return the file with one more."""
        return line_files.with_word(text, package)

    def replaced(self, text: str, old: Asked, package: str) -> str:
        """Return the file with another."""
        line, word = line_files.words_of(text)[old.position]
        return line_files.with_word_replaced(text, line, word, package)

    def removed(self, text: str, old: Asked) -> str:
        """Return the file without one."""
        return line_files.without_word(text, *line_files.words_of(text)[old.position])


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignPackageList:
    """A file, or a table of another tool, that is read and never edited."""

    kind: Kind
    file: str
    packages: Callable[[str], Iterator[tuple[str, str | None]]]
    """From the text of the file: what it asks for, each with where it stands, if that is known."""

    line: str = "NAME"
    """What a person writes there."""

    under: str = ""
    """What to write it under."""

    group: str | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.file

    def asked(self, read: ReadFile) -> tuple[Asked, ...]:
        """Return what is asked for here."""
        text = read(self.file)
        items = []
        for number, (package, where) in enumerate(self.packages(text)):
            if found := _asked(self.kind, package, where or self.file, number):
                line = None if where else _line_naming(text, found.name)
                items.append(found if line is None else _moved(found, f"{self.file}:{line}"))
        return tuple(items)

    def added(self, text: str, package: str) -> str:  # noqa: ARG002 - it is never edited
        """Refuse, and say what to write.

        :raises RefusedError: always.
        """
        under = f" under {self.under}" if self.under else ""
        raise RefusedError(
            f"`{self.file}` is read, and not edited",
            hint=f"write `{self.line.replace('NAME', package)}` there{under} and run `envbuild lock`; "
            "or name the spec's file with --to, for a list of its own",
        )

    def replaced(self, text: str, old: Asked, package: str) -> str:  # noqa: ARG002 - as above
        """Refuse, and say what to write; raises as :meth:`added`."""
        raise RefusedError(
            f"`{old.name}` stands in `{self.file}`, which is read and not edited",
            hint=f"write `{self.line.replace('NAME', package)}` there ({old.where}) and run `envbuild lock`",
        )

    def removed(self, text: str, old: Asked) -> str:  # noqa: ARG002 - as above
        """Refuse, and say what to delete; raises as :meth:`added`."""
        raise RefusedError(
            f"`{old.name}` stands in `{self.file}`, which is read and not edited",
            hint=f"delete it there ({old.where}) and run `envbuild lock`",
        )


def conda_file_packages(kind: Kind) -> Callable[[str], Iterator[tuple[str, str | None]]]:
    """Return what reads the packages of ``kind`` from a file of conda."""

    def packages(text: str) -> Iterator[tuple[str, str | None]]:
        content = read_conda_file(text, "", subdirs=())
        for item in content.pip if kind == "pip" else content.packages:
            yield str(item), None

    return packages


def name_of(kind: Kind, package: str) -> str:
    """Return the name a package is known by in a lock.

    :raises RefusedError: ``package`` asks for none that can be locked.
    """
    if kind == "apt":
        return system_package(package).partition("=")[0]
    if kind == "conda":
        return parse_match_spec(package).name
    normalized = normalized_requirement(package)
    if is_direct(normalized):
        return canonicalize_name(parse_direct(normalized).name)
    return canonicalize_name(Requirement(normalized).name)


def standard_requirement(package: str) -> str:
    """Return a Python requirement as PEP 508 has it: an address with the name before it.

    :raises RefusedError: it has an address, and only the archive or repository there knows the name.
    """
    try:
        Requirement(package)
    except InvalidRequirement:
        reference = parse_direct(package)
    else:
        return package
    if reference.kind == "wheel" or "egg=" in package.partition("#")[2]:
        return str(reference)
    raise RefusedError(
        "has no name before its address, and other tools read this list too (PEP 508)",
        hint=f"write `{reference}`, or its right name before the `@`",
    )


def marker_of(package: str) -> str | None:
    """Return the marker of a Python requirement in its one spelling."""
    try:
        marker: Marker | None = Requirement(package).marker
    except InvalidRequirement:
        return None
    return str(marker) if marker else None


def _asked(kind: Kind, text: str, where: str, position: int) -> Asked | None:
    try:
        name = name_of(kind, text)
    except RefusedError:
        return None
    return Asked(name, text, where, position, marker_of(text) if kind == "pip" else None)


def _moved(asked: Asked, where: str) -> Asked:
    return Asked(asked.name, asked.text, where, asked.position, asked.marker)


def _line_naming(text: str, name: str) -> int | None:
    """Return the one line, from 1, that names a package; None when several do."""
    spelled = re.escape(name).replace(r"\-", "[-_.]+")
    pattern = re.compile(rf"(?<![\w.-]){spelled}(?![\w-])", re.IGNORECASE)
    lines = [
        number
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line.partition("#")[0])
    ]
    return lines[0] if len(lines) == 1 else None


def standard_packages(*path: str) -> Callable[[str], Iterator[tuple[str, str | None]]]:
    """Return what reads a list of a project file that another tool's tables say."""

    def packages(text: str) -> Iterator[tuple[str, str | None]]:
        from envbuild.spec.manifests.tool_tables import standard_tables  # noqa: PLC0415

        table: Any = standard_tables(parse_toml(text, "pyproject.toml"))
        for item in toml_lists.list_at(table, path) or ():
            if isinstance(item, str):
                where = getattr(item, "where", None)
                yield str(item), where or None

    return packages


def manifest_packages(
    file: str, extras: tuple[str, ...], python: str
) -> Callable[[str], Iterator[tuple[str, str | None]]]:
    """Return what reads the packages of a manifest: ``setup.py``, ``setup.cfg``, ``Pipfile``, a script."""

    def packages(text: str) -> Iterator[tuple[str, str | None]]:
        from envbuild.spec.manifests.read import read_manifest  # noqa: PLC0415
        from envbuild.spec.pip_files import chosen_of  # noqa: PLC0415

        requirements, _ = chosen_of(read_manifest(text, file, python), extras, [], "")
        for item in requirements:
            if isinstance(item, str):
                yield str(item), item.where or None

    return packages
