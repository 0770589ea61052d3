"""The graph of a target, from the text of a lock.

The fields that a graph needs are read and checked without the models of the whole lock, whose import takes
longer than the answer.  A text that is not as expected is given to :func:`envbuild.lock.codec.loads`, which
says what is wrong with it.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from envbuild.errors import LockInvalidError
from envbuild.lock.graph.conda import conda_constraints, conda_edges, conda_requests
from envbuild.lock.graph.debs import DebSet, parse_relations
from envbuild.lock.graph.model import (
    TABLES,
    LockedPackage,
    PackageConstraint,
    PackageGraph,
    PackageKey,
    RequestedPackage,
    RequirementEdge,
    by_end,
)
from envbuild.lock.versions import READ_VERSIONS
from envbuild.platforms import PLATFORMS, marker_environment
from envbuild.runtime.names import CARRIED

T = TypeVar("T")
Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GraphTarget:
    """A target whose graph can be read."""

    variant: str
    platform: str
    _lock: "_LockTables"
    _table: Table

    def graph(self) -> PackageGraph:
        """Return the graph of this target.

        :raises LockError: the lock is not valid.
        """
        return self._lock.checked(lambda: _TargetGraph(self._lock, self._table).build())


@dataclass(frozen=True, slots=True)
class LockedTargets:
    """The targets of a lock, in its order."""

    default_variant: str
    targets: tuple[GraphTarget, ...]


def read_targets(text: str) -> LockedTargets:
    """Return the targets of a lock.

    :raises LockVersionError: it is written in a format version that this release does not read.
    :raises LockInvalidError: it is not valid.
    """
    lock = _LockTables(text)
    return lock.checked(lock.targets)


class _LockTables:
    """The tables of a lock."""

    def __init__(self, text: str) -> None:
        self._text = text
        try:
            document = tomllib.loads(text)
        except (ValueError, RecursionError):
            document = {}
        self.document: Table = document
        self._by_key: dict[tuple[str, str], dict[str, Table]] = {}

    def checked(self, read: Callable[[], T]) -> T:
        """Return what ``read`` does; where it fails, say what is wrong with the lock.

        :raises LockError: something is.
        """
        try:
            _require_version(self.document)
            return read()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            from envbuild.lock.codec import loads  # noqa: PLC0415 - takes longer than all else here

            loads(self._text)
            raise LockInvalidError(
                "the lock cannot be read", hint="delete it and run `envbuild lock`", detail=str(error)
            ) from error

    def targets(self) -> LockedTargets:
        return LockedTargets(
            default_variant=_text(_table(self.document, "request"), "default-variant"),
            targets=tuple(
                GraphTarget(_text(target, "variant"), _text(target, "platform"), self, target)
                for target in _tables(self.document, "targets")
            ),
        )

    def rows(
        self, table: str, key: Callable[[Table], str] = lambda row: _text(row, "file")
    ) -> dict[str, Table]:
        """Return the rows of a table by their keys."""
        return {key(row): row for row in _tables(self.document, table)}


class _TargetGraph:
    """The graph of one target, as it is put together."""

    def __init__(self, lock: _LockTables, target: Table) -> None:
        self._target = target
        self._lock = lock
        self._debs = lock.rows("debs")
        self._wheels = lock.rows("wheels")
        self._base = lock.rows("bases", lambda row: _text(row, "key"))[_text(target, "base")]
        variants = _table(_table(lock.document, "request"), "variants")
        self._request = _table(variants, _text(target, "variant"))
        self._interpreter = _table(target, "interpreter")
        self._platform = PLATFORMS[_platform(target)]
        self._environment = marker_environment(self._platform, _text(self._interpreter, "version"))
        self._packages: dict[PackageKey, LockedPackage] = {}
        self._requested: list[RequestedPackage] = []
        self._edges: list[RequirementEdge] = []
        self._constraints: list[PackageConstraint] = []
        self._builds: dict[str, tuple[PackageKey, ...]] = {}

    def build(self) -> PackageGraph:
        self._add_debs()
        conda = self._add_conda()
        self._add_wheels(conda)
        self._add_python()
        self._add_tools()
        self._add_builds()
        gpu = _table(self._target, "gpu")
        providers: dict[str, list[str]] = {}
        for library in _tables(gpu, "libraries"):
            providers.setdefault(_text(library, "provider"), []).append(_text(library, "name"))
        forward, backward = by_end(self._edges)
        image, packages = _table(self._base, "image"), _table(self._base, "packages")
        return PackageGraph(
            variant=_text(self._target, "variant"),
            platform=_text(self._target, "platform"),
            base=_text(image, "reference") if image else _text(packages, "distribution"),
            interpreter=_text(self._interpreter, "provider"),
            packages=self._packages,
            requested=tuple(
                sorted(self._requested, key=lambda one: (TABLES.index(one.table), one.requirement))
            ),
            requires=forward,
            required_by=backward,
            constraints=tuple(self._constraints),
            gpu_runtime=_runtime(gpu) if "runtime" in gpu else None,
            gpu_providers={name: tuple(sorted(set(found))) for name, found in sorted(providers.items())},
            builds=dict(sorted(self._builds.items())),
        )

    # --- Debian packages --------------------------------------------------------------------------

    def _add_debs(self) -> None:
        there, image = DebSet(), _table(self._base, "image")
        laid = [self._debs[key] for key in _texts(self._target, "debs")]
        newer = {_text(row, "name") for row in laid}
        base = [self._debs[key] for key in _texts(_table(self._base, "packages"), "debs")]
        rows: list[tuple[LockedPackage, Table]] = [(self._deb(row), row) for row in laid]
        # a package of the base that is laid on it again is a newer version
        rows += [(self._deb(row, base=True), row) for row in base if _text(row, "name") not in newer]
        for listed in _texts(self._base, "debs"):
            name, _, rest = listed.partition("=")
            version, _, architecture = rest.rpartition(":")
            if name not in newer:
                package = LockedPackage(
                    kind="deb", name=self._deb_name(name, architecture), version=version, part="base"
                )
                rows.append((package, {}))
        for package, row in rows:
            self._packages[package.key] = package
            there.add(package, _texts(row, "provides"))
        for package, row in rows:
            depends = _texts(row, "depends")
            if image:
                # an image does not say what its packages provide
                for name in there.unanswered(depends):
                    there.add(self._add(LockedPackage(kind="deb", name=name, version=None, part="base")))
            self._edges.extend(there.edges(package.key, depends))
        for text in _texts(_table(self._request, "system"), "packages"):
            (relation,) = parse_relations(text.partition("=")[0], ",")
            for package, via in there.answers(relation):
                bound = f"= {text.partition('=')[2]}" if "=" in text else ""
                self._ask("system", text, package.key, via=via, bound=bound)

    def _deb(self, row: Table, *, base: bool = False) -> LockedPackage:
        return LockedPackage(
            kind="deb",
            name=self._deb_name(_text(row, "name"), _text(row, "architecture")),
            version=_text(row, "version"),
            size=_number(row, "size"),
            part="base" if base else "environment",
            archive=_text(row, "archive"),
        )

    def _deb_name(self, name: str, architecture: str) -> str:
        return name if architecture in {self._platform.debian, "all"} else f"{name}:{architecture}"

    # --- conda and wheels -------------------------------------------------------------------------

    def _add_conda(self) -> dict[str, tuple[PackageKey, str]]:
        """Add the conda packages; return the Python distributions that they bring."""
        rows = self._lock.rows(
            "conda", lambda row: "/".join(_text(row, name) for name in ("channel", "subdir", "file"))
        )
        names: dict[str, PackageKey] = {}
        depends: dict[PackageKey, tuple[str, ...]] = {}
        constrains: dict[str, tuple[str, ...]] = {}
        provided: dict[str, tuple[PackageKey, str]] = {}
        for row in (rows[key] for key in _texts(self._target, "conda")):
            package = self._add(
                LockedPackage(
                    kind="conda",
                    name=_text(row, "name"),
                    version=_text(row, "version"),
                    build=_text(row, "build"),
                    size=_number(row, "size"),
                )
            )
            names[package.name] = package.key
            depends[package.key] = _texts(row, "depends")
            constrains[package.label] = _texts(row, "constrains")
            for line in _texts(row, "distributions"):
                provided[line.partition("==")[0]] = (package.key, line)
        self._edges.extend(conda_edges(depends, names))
        self._requested.extend(conda_requests(_texts(_table(self._request, "conda"), "packages"), names))
        self._constraints.extend(conda_constraints(constrains, names))
        return provided

    def _add_wheels(self, provided: dict[str, tuple[PackageKey, str]]) -> None:
        pip = _table(self._request, "pip")
        files, requirements = _texts(self._target, "wheels"), _texts(pip, "requirements")
        if not files and not requirements:
            return
        from envbuild.lock.graph.model import normalized  # noqa: PLC0415
        from envbuild.lock.graph.wheels import WheelSet, upper_bound, wheel_edges  # noqa: PLC0415

        rows = [self._wheels[file] for file in files]
        keys = {normalized(_text(row, "name")): self._add(_wheel(row)).key for row in rows}
        wheels = WheelSet(
            requires={normalized(_text(row, "name")): _texts(row, "requires") for row in rows},
            keys=keys,
            provided={normalized(name): end for name, end in provided.items()},
            environment=self._environment,
        )
        requested, edges = wheel_edges(requirements, wheels)
        for row in rows:
            if row.get("index") == CARRIED:
                self._ask("experiments", "runtime", keys[normalized(_text(row, "name"))])
        self._requested.extend(requested)
        self._edges.extend(edges)
        from envbuild.lock.requires_dist import holds, parse_requirement  # noqa: PLC0415

        for text in _texts(pip, "constraints"):
            constraint = parse_requirement(text)
            end, bound = wheels.end(normalized(constraint.name)), upper_bound(constraint)
            if end and bound and holds(constraint, self._environment, ""):
                self._constraints.append(
                    PackageConstraint(target=end[0], by="[pip] constraints", requirement=text, bound=bound)
                )

    # --- Python, tools, builds --------------------------------------------------------------------

    def _add_python(self) -> None:
        kind, _, name = _text(self._interpreter, "provider").partition(" ")
        asked = _text(self._request, "python")
        if kind == "conda":
            self._ask("python", asked, ("environment", "conda", name))
        elif kind == "deb":
            self._ask("python", asked, ("environment", "deb", name))
            # laid on an image base is the whole of it, not the smallest part alone
            whole = self._packages.get(("environment", "deb", name.removesuffix("-minimal")))
            if whole and whole.name != name and whole.part == "environment":
                self._ask("python", asked, whole.key)

    def _add_tools(self) -> None:
        installer = _table(self._target, "conda-installer")
        files = [_text(self._target, "installer"), *([_text(installer, "wheel")] if installer else [])]
        for file in files:
            self._add(_wheel(self._wheels[file], part="tool"))

    def _add_builds(self) -> None:
        wheels = set(_texts(self._target, "wheels"))
        builders = self._lock.rows("builders", lambda row: _text(row, "key"))
        sources = [row for row in _tables(self._lock.document, "sources") if _text(row, "wheel") in wheels]
        used: dict[PackageKey, list[str]] = {}
        found: dict[PackageKey, LockedPackage] = {}
        for source in sources:
            name = _text(self._wheels[_text(source, "wheel")], "name")
            with_wheels = self._build_wheels(_texts(source, "requires"))
            debs = _texts(builders[_text(source, "builder")], "debs")
            with_debs = [self._build_deb(self._debs[file]) for file in debs]
            for package in (*with_wheels, *with_debs):
                found[package.key] = package
                used.setdefault(package.key, []).append(name)
            self._builds[name] = tuple(package.key for package in (*with_wheels, *with_debs))
        for key, package in found.items():
            self._packages[key] = LockedPackage(
                kind=package.kind,
                name=package.name,
                version=package.version,
                size=package.size,
                part="build",
                archive=package.archive,
                built_for=tuple(sorted(set(used[key]))),
            )

    def _build_wheels(self, files: tuple[str, ...]) -> tuple[LockedPackage, ...]:
        if not files:
            return ()
        from envbuild.lock.graph.model import normalized  # noqa: PLC0415
        from envbuild.lock.graph.wheels import build_edges  # noqa: PLC0415

        rows = [self._wheels[file] for file in files]
        packages = tuple(_wheel(row, part="build") for row in rows)
        by_name = {
            normalized(package.name): (package.key, _texts(row, "requires"))
            for package, row in zip(packages, rows, strict=True)
        }
        self._edges.extend(build_edges(by_name, self._environment))
        return packages

    def _build_deb(self, row: Table) -> LockedPackage:
        deb = self._deb(row)
        return LockedPackage(
            kind="deb", name=deb.name, version=deb.version, size=deb.size, part="build", archive=deb.archive
        )

    def _add(self, package: LockedPackage) -> LockedPackage:
        self._packages[package.key] = package
        return package

    def _ask(
        self, table: Any, requirement: str, target: PackageKey, *, via: str = "", bound: str = ""
    ) -> None:
        if target in self._packages:
            self._requested.append(
                RequestedPackage(table=table, requirement=requirement, target=target, via=via, bound=bound)
            )


def _wheel(row: Table, *, part: Any = "environment") -> LockedPackage:
    return LockedPackage(
        kind="wheel",
        name=_text(row, "name"),
        version=_text(row, "version"),
        size=_number(row, "size"),
        part=part,
    )


def _runtime(gpu: Table) -> str:
    name = {"nvidia": "CUDA", "amd": "ROCm"}[_text(gpu, "vendor")]
    return f"{name} {_text(gpu, 'runtime')}"


def _platform(target: Table) -> Any:
    return _text(target, "platform")


def _require_version(document: Table) -> None:
    if document.get("version") not in READ_VERSIONS:
        raise ValueError("another format version")


def _text(table: Table, key: str) -> str:
    value = table[key]
    if not isinstance(value, str):
        raise TypeError(f"`{key}` is not text")
    return value


def _number(table: Table, key: str) -> int:
    value = table[key]
    if not isinstance(value, int):
        raise TypeError(f"`{key}` is not a number")
    return value


def _texts(table: Table, key: str) -> tuple[str, ...]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TypeError(f"`{key}` is not a list of texts")
    return tuple(values)


def _table(table: Table, key: str) -> Table:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise TypeError(f"`{key}` is not a table")
    return value


def _tables(table: Table, key: str) -> Iterator[Table]:
    values = table.get(key, [])
    if not isinstance(values, list):
        raise TypeError(f"`{key}` is not a list")
    for value in values:
        if not isinstance(value, dict):
            raise TypeError(f"`{key}` holds something that is not a table")
        yield value
