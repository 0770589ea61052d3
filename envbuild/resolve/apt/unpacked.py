"""apt's programs from the distribution's own packages, unpacked into one folder of the cache.

They need no installation: the loader and the libraries lie beside them, and apt is told in its configuration
where everything else is.  So any user can run them on any Linux, whatever its C library, without a namespace.
The packages are named in the catalogue and looked up in the signed lists; no script of theirs is run.
"""

import mmap
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from envbuild import process
from envbuild.cache.notes import read_note, try_note
from envbuild.catalog.distributions import Distribution, distributions
from envbuild.digest import canonical_json, sha256_bytes, sha256_file
from envbuild.errors import EnvbuildError, IntegrityError, NetworkError, ToolMissingError
from envbuild.files.disk import disk_errors
from envbuild.files.last_use import note_use
from envbuild.formats.apt_sources_list import parse_stanzas
from envbuild.formats.deb import DebArchive, DebError
from envbuild.formats.deb822 import stanzas
from envbuild.platforms import Platform, host
from envbuild.process import ProcessResult, ProgramTimeoutError
from envbuild.progress import SILENT, Progress
from envbuild.remote.address import Address
from envbuild.remote.apt import MIRROR_VARIABLE, AptSettings, distribution_keyrings
from envbuild.remote.debian.list_names import list_name, release_address
from envbuild.remote.debian.lists import kept_release
from envbuild.remote.debian.signature import ArchiveKeys
from envbuild.resolve.apt.archives import AptArchives, archives_of_distribution
from envbuild.resolve.apt.programs import LARGEST_OUTPUT, PROGRAMS, OpenLists, RunningApt, WayName
from envbuild.resolve.apt.root import AptRoot
from envbuild.store.artifact import Artifact
from envbuild.store.fetch import fetch_all
from envbuild.store.store import Store

HOLDER: Final = "sleep"
"""A program that does nothing, for the container that apt is run in."""

_LIBRARY = re.compile(
    r"(?:usr/)?lib/[a-z0-9_]+-linux-gnu/(?P<name>[A-Za-z0-9_.+-]+\.so(?:\.[A-Za-z0-9_.+-]+)*)"
)
_PROGRAM = re.compile(rf"(?:usr/)?bin/(?P<name>{'|'.join((*PROGRAMS, HOLDER))})")
TABLES: Final = ("cputable", "tupletable")
"""dpkg's tables of architectures, which apt reads."""

_TABLE = re.compile(rf"usr/share/dpkg/(?P<name>{'|'.join(TABLES)})")
METHOD_SCRIPT: Final = "method-"
"""What the scripts are called that start apt's methods; after it comes the method."""

_METHODS: Final = {"copy": "copy", "file": "file", "http": "copy", "https": "copy"}
"""Which of the tree's methods stands for an address of each kind: nothing is fetched."""

_METHOD = re.compile(r"usr/lib/apt/methods/(?P<name>copy|file)")
_LOADERS: Final = {"amd64": "ld-linux-x86-64.so.2", "arm64": "ld-linux-aarch64.so.1"}
_SCRIPT: Final = """#!/bin/sh
here=${{0%/*}}
exec "$here/{loader}" --inhibit-cache --library-path "$here" "$here/{method}"
"""

_WHOLE: Final = "whole"
"""A file that is written last: the folder holds everything."""

_FORMAT: Final = 1
"""Goes up when a tree is made otherwise of the same packages."""

_LARGEST_FILE: Final = 1 << 26
_NAME_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class AptTree:
    """A folder with apt's programs and their libraries, side by side."""

    folder: Path
    platform: Platform

    @property
    def identity(self) -> str:
        """A short name of its content."""
        return self.folder.name

    def command(self, program: str | Path, *, folder: str | None = None) -> tuple[str, ...]:
        """Return the words that start one of apt's programs, here or where the tree lies in ``folder``."""
        place = folder or str(self.folder)
        # before it prints an address, apt starts the program that would fetch it: here one that cannot
        method = "" if folder else METHOD_SCRIPT
        settings = {
            **{f"Dir::dpkg::{name}": f"{place}/{name}" for name in TABLES},
            **{f"Dir::Bin::Methods::{name}": f"{place}/{method}{used}" for name, used in _METHODS.items()},
        }
        options = (part for name, value in settings.items() for part in ("-o", f"{name}={value}"))
        return (*self._loaded(program, place), *options)

    def holder(self, *, folder: str) -> tuple[str, ...]:
        """Return the words that start :data:`HOLDER`; the tree lies in ``folder``."""
        return self._loaded(HOLDER, folder)

    @property
    def loader(self) -> str:
        """Name of the loader in the tree."""
        return _LOADERS[self.platform.debian]

    def _loaded(self, program: str | Path, place: str) -> tuple[str, ...]:
        loader = f"{place}/{self.loader}"
        # without the cache of the machine's own libraries; those of the tree are found first
        return (loader, "--inhibit-cache", "--library-path", place, f"{place}/{program}")


def flat_name(path: str) -> str | None:
    """Return what a file of a package is called in a tree, by its path; None: it is not needed."""
    found = (pattern.fullmatch(path) for pattern in (_LIBRARY, _PROGRAM, _TABLE, _METHOD))
    return next((match["name"] for match in found if match), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AptTrees:
    """The trees in the cache, each made of packages when it is first needed."""

    folder: Path
    """Where they lie."""

    store: Store
    settings: Callable[[], AptSettings]
    """Called when the archives that are locked are of no distribution of the catalogue."""

    vendor: Path | None = None
    offline: bool = False
    progress: Progress = SILENT

    def tools_of(self, archives: AptArchives, platform: Platform) -> tuple[str, AptArchives]:
        """Return whose apt decides on ``archives``, and where its packages come from.

        That is the distribution itself; the newest of the catalogue for one that is not in it.

        :raises ToolMissingError: no mirror of that is configured.
        """
        suites = {suite for source in archives.sources for suite in source.suites}
        for known, distribution in distributions().items():
            if distribution.suites[0] in suites:
                return known, replace(archives, architecture=platform.debian)
        name = list(distributions())[-1]
        try:
            others = archives_of_distribution(
                name, platform=platform, settings=self.settings(), snapshot=None
            )
        except NetworkError as error:
            raise ToolMissingError(
                f"{archives.name} is none of {' and '.join(distributions())}, "
                f"and no mirror of {name} is configured to take its apt from",
                hint=f"run `{MIRROR_VARIABLE}=ADDRESS envbuild lock` with the address of a mirror of {name}",
            ) from error
        return name, others

    @contextmanager
    def open(
        self, archives: AptArchives, root: AptRoot, platform: Platform, open_lists: OpenLists
    ) -> Iterator[AptTree]:
        """Yield the tree of the apt that decides on ``archives``, of programs for ``platform``.

        :raises ToolMissingError: see :meth:`tools_of`; or the archives do not have its packages.
        :raises NetworkError, IntegrityError: a package cannot be had, or is not the one that was signed.
        """
        name, tools = self.tools_of(archives, platform)
        # an image brings sources and keys of its own; what runs here must be the distribution's all the same
        keyrings = tuple(key.content for key in distribution_keyrings(name, settings=self.settings()))
        is_same = tools.key() == archives.key()
        with nullcontext(root) if is_same else open_lists(tools) as lists:
            packages = _remembered(distributions()[name], lists, tools.architecture, keyrings)
        tree = self._tree(packages, platform)
        note_use(tree.folder / _WHOLE)
        yield tree

    def _tree(self, packages: "Sequence[_Package]", platform: Platform) -> AptTree:
        content = [_FORMAT, sorted(package.sha256 for package in packages)]
        place = self.folder / sha256_bytes(canonical_json(content))[:_NAME_BYTES]
        tree = AptTree(folder=place, platform=platform)
        if (place / _WHOLE).is_file():
            return tree
        self.progress.on_stage("unpacking the distribution's own apt")
        with self.store.use():
            fetch_all(
                [package.artifact() for package in packages],
                store=self.store,
                vendor=self.vendor,
                offline=self.offline,
                progress=self.progress,
            )
            with disk_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=self.folder, prefix=".unpacking-") as scratch:
                    made = Path(scratch) / place.name
                    made.mkdir()
                    for package in packages:
                        _unpack(package, self.store, made)
                    for needed in (*PROGRAMS, HOLDER, *TABLES, *_METHODS.values(), tree.loader):
                        if not (made / needed).is_file():
                            raise ToolMissingError(f"the packages of the distribution's apt have no {needed}")
                    for method in sorted(set(_METHODS.values())):
                        script = made / f"{METHOD_SCRIPT}{method}"
                        script.write_text(_SCRIPT.format(loader=tree.loader, method=method), encoding="utf-8")
                        script.chmod(0o755)
                    (made / _WHOLE).write_bytes(b"")
                    _move(made, place)
        return tree


@dataclass(frozen=True, slots=True)
class UnpackedApt:
    """Runs apt from a tree, as whoever runs envbuild."""

    trees: AptTrees
    name: WayName = "root"

    def prepare(self, archives: AptArchives) -> None:
        """Make sure that this machine runs such programs.  :raises ToolMissingError: it does not."""
        self.trees.tools_of(archives, _linux_host())

    @contextmanager
    def open(self, archives: AptArchives, root: AptRoot, open_lists: OpenLists) -> Iterator[RunningApt]:
        """Yield what runs its programs."""
        with self.trees.open(archives, root, _linux_host(), open_lists) as tree:
            environment = root.environment()

            def run(arguments: Sequence[str | Path], *, timeout: float) -> ProcessResult:
                program, *rest = arguments
                try:
                    return process.run(
                        (*tree.command(program), *rest),
                        environment=environment,
                        timeout=timeout,
                        output_limit=LARGEST_OUTPUT,
                    )
                except ProgramTimeoutError as error:
                    raise EnvbuildError(f"`{program}` did not finish within {timeout:.0f} seconds") from error
                except OSError as error:
                    raise ToolMissingError(
                        f"apt cannot be run from the cache folder: {(error.strerror or str(error)).lower()}",
                        hint="name a folder that programs may be run from in ENVBUILD_CACHE_DIR",
                    ) from error

            yield RunningApt(run)

    def describe(self) -> str:
        """Return the way in words.  :raises ToolMissingError: this machine does not run such programs."""
        return f"not installed; unpacked from the distribution's packages for {_linux_host().name}"

    def close(self) -> None:
        """Do nothing: trees stay in the cache."""


def _linux_host() -> Platform:
    platform = host()
    if sys.platform != "linux" or platform is None:
        raise ToolMissingError(
            "apt's programs run on Linux on x86-64 and arm64 alone",
            hint="start a Docker Engine (with Docker Desktop on macOS: `open -a Docker`), "
            "then run `envbuild lock` again",
        )
    return platform


@dataclass(frozen=True, slots=True, kw_only=True)
class _Package:
    """One package that a tree is made of, as a signed list has it."""

    name: str
    version: str
    path: str
    size: int
    sha256: str
    base: str
    """Address of its archive, with a slash at its end."""

    def artifact(self) -> Artifact:
        return Artifact(
            kind="deb",
            name=f"{self.name} {self.version}",
            filename=PurePosixPath(self.path).name,
            sha256=self.sha256,
            size=self.size,
            locate=lambda: [Address.of(self.base + self.path)],
        )


def _remembered(
    distribution: Distribution, root: AptRoot, architecture: str, keyrings: tuple[bytes, ...]
) -> "tuple[_Package, ...]":
    """Return what :func:`_packages` yields; from a note beside the lists while these are the same."""
    releases = sorted(root.lists.glob("*Release*"))
    question = [
        *(sha256_bytes(content) for content in keyrings),
        *(sha256_bytes(path.read_bytes()) for path in releases),
        *distribution.apt_packages,
    ]
    asked = sha256_bytes(canonical_json([architecture, question]))
    note = root.lists.parent / "apt-packages.json"

    def read(document: Any) -> tuple[_Package, ...]:
        if document["asked"] != asked:
            raise ValueError("of other lists")
        return tuple(_Package(**package) for package in document["packages"])

    known = read_note(note, read)
    if known is None:
        known = tuple(_packages(distribution, root, architecture, ArchiveKeys(keyrings)))
        try_note(note, {"asked": asked, "packages": [asdict(package) for package in known]})
    return known


def _packages(
    distribution: Distribution, root: AptRoot, architecture: str, keys: ArchiveKeys
) -> Iterator[_Package]:
    """Yield the newest of each package that holds apt, in the distribution's own suites.

    :raises ToolMissingError: one is in no list that ``keys`` signed.
    """
    lists = list(_lists(distribution, root, architecture, keys))
    for name in distribution.apt_packages:
        found = [package for base, path in lists for package in _look_up(name, base, path, architecture)]
        if not found:
            raise ToolMissingError(
                f"the archives of {distribution.os.pretty_name} for {architecture} do not have `{name}`, "
                "which its apt needs, in a list signed by its keys"
            )
        yield _newest(found)


def _lists(
    distribution: Distribution, root: AptRoot, architecture: str, keys: ArchiveKeys
) -> Iterator[tuple[str, Path]]:
    """Yield each list of suites that ``keys`` signed, and the address its files are below."""
    for source in parse_stanzas(root.sources.read_text(encoding="utf-8")):
        for uri in source.uris:
            for suite in source.suites:
                if suite not in distribution.suites or not kept_release(uri, suite, root.lists, keys):
                    continue
                for component in source.components:
                    for part in (architecture, "all"):
                        release = release_address(uri, suite)
                        path = root.lists / list_name(f"{release}{component}/binary-{part}/Packages")
                        if path.is_file() and path.stat().st_size:
                            yield f"{uri.rstrip('/')}/", path


def _look_up(name: str, base: str, path: Path, architecture: str) -> Iterator[_Package]:
    """Yield the stanzas of a package without reading the others: there are 60,000."""
    start = f"Package: {name}\n".encode()
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        position = content.find(start)
        while position >= 0:
            # lists of some archives do not begin with the name
            before = content.rfind(b"\n\n", 0, position)
            begin = 0 if before < 0 else before + 2
            end = content.find(b"\n\n", position)
            text = content[begin : len(content) if end < 0 else end].decode(errors="replace")
            if position == 0 or content[position - 1 : position] == b"\n":
                yield from _readable(text, name, base, architecture)
            position = content.find(start, position + 1)


def _readable(text: str, name: str, base: str, architecture: str) -> Iterator[_Package]:
    for fields in stanzas(text):
        digest, size, path = fields.get("SHA256", ""), fields.get("Size", ""), fields.get("Filename", "")
        is_whole = re.fullmatch("[0-9a-f]{64}", digest) and size.isdecimal() and int(size) > 0
        if fields.get("Package") == name and fields.get("Architecture") in {architecture, "all"} and is_whole:
            if not path or ".." in path.split("/") or path.startswith("/"):
                raise IntegrityError(f"the archive's list names `{name}` at a path outside of it")
            yield _Package(
                name=name,
                version=fields.get("Version", ""),
                path=path,
                size=int(size),
                sha256=digest,
                base=base,
            )


def _newest(found: Iterable[_Package]) -> _Package:
    # takes 0.1 s to import
    from debian.debian_support import Version  # noqa: PLC0415

    return max(found, key=lambda package: (Version(package.version), package.sha256))


def _unpack(package: _Package, store: Store, folder: Path) -> None:
    """Write the programs and libraries of a package into ``folder``.

    :raises IntegrityError: it is not the one in the list, or cannot be read.
    """
    path = store.place_of(package.sha256)
    if sha256_file(path) != package.sha256:
        raise IntegrityError(f"`{path.name}` in the cache is not {package.name} {package.version}")
    try:
        for entry, content in DebArchive(path).entries():
            name = flat_name(entry.name)
            if name is None:
                continue
            place = folder / name
            if content is not None and entry.size <= _LARGEST_FILE:
                place.unlink(missing_ok=True)
                with place.open("wb") as stream:
                    stream.writelines(content)
                place.chmod(0o755)
            elif entry.issym() and not os.path.lexists(place):
                target = PurePosixPath(entry.linkname).name
                if flat_name(f"lib/x-linux-gnu/{target}") == target != name:
                    place.symlink_to(target)
    except DebError as error:
        raise IntegrityError(f"{package.name} {package.version} cannot be unpacked: {error}") from error


def _move(made: Path, place: Path) -> None:
    """Give a tree its name, unless another process has made the same meanwhile."""
    try:
        made.replace(place)
    except OSError:
        if not (place / _WHOLE).is_file():
            raise
