"""A lock of another tool, taken over: a spec that names it, locked, with its versions kept."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.errors import EnvbuildError, NoSolutionError, Problem, UsageError
from envbuild.workflows.adoption.init import InitOptions, InitResult, init_project
from envbuild.workflows.lock import LockResult, lock_project
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import open_project

if TYPE_CHECKING:
    from envbuild.discovery.folder import Pinned
    from envbuild.resolve.resolvers import OpenResolvers
    from envbuild.spec.request import PipRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """A lock of another tool that was taken over."""

    init: InitResult
    """The spec that was written."""

    locked: LockResult
    kept: tuple[str, ...]
    """``name==version`` of each version that is the other lock's, sorted."""

    dropped: tuple[Problem, ...]
    """Versions of the other lock that could not be kept, and why."""

    def document(self) -> dict[str, object]:
        """Return the result as plain JSON values."""
        return {
            **self.init.document(),
            **self.locked.document(),
            "kept": list(self.kept),
            "dropped": [{"where": problem.where, "message": problem.message} for problem in self.dropped],
        }


def import_lock(
    path: Path,
    options: InitOptions | None = None,
    *,
    machine: Machine | None = None,
    resolvers: "OpenResolvers | None" = None,
) -> ImportResult:
    """Write a spec beside the lock at ``path`` that names it, and lock that with its versions.

    Versions that the indexes have no file of for the target are dropped: the spec says which.

    :raises UsageError: ``path`` is no lock of a known tool.
    :raises EnvbuildError: there is a spec already.
    :raises SpecError: the lock cannot be read.
    :raises NoSolutionError: its versions cannot be locked, and no missing file is the reason.
    :raises NetworkError: an index, archive or registry cannot be reached, or the machine is offline; nothing
        is written then.
    """
    machine = machine or Machine()
    _require_lock(path)
    init = init_project(path, options, machine=machine)
    dropped: tuple[Problem, ...] = ()
    try:
        locked = lock_project(open_project(init.spec), machine=machine, resolvers=resolvers)
    except NoSolutionError as error:
        dropped = _drop(init.spec, path.name, machine)
        if not dropped:
            error.hint = f"{init.spec} was written: `unpinned` in [pip] leaves versions to the requirements"
            raise
        locked = lock_project(open_project(init.spec), machine=machine, resolvers=resolvers)
    except EnvbuildError:
        init.spec.unlink(missing_ok=True)  # so that the same command can be given again
        raise
    return ImportResult(init=init, locked=locked, kept=_kept(locked), dropped=dropped)


def _require_lock(path: Path) -> None:
    from envbuild.spec.foreign.read import KNOWN, is_foreign_lock

    if not path.is_file():
        raise UsageError(f"`{path}` is not a file", hint="name the lock itself: uv.lock")
    if not is_foreign_lock(path.name):
        raise UsageError(f"`{path}` is no lock of a known tool", hint=f"it can be {KNOWN}")


def _drop(spec: Path, lock: str, machine: Machine) -> tuple[Problem, ...]:
    """Write into the spec which versions the lock does not decide: those without a file for the target."""
    import tomli_w

    from envbuild.files import atomic
    from envbuild.remote.index.client import PythonIndex
    from envbuild.resolve.python.pinned_files import unavailable
    from envbuild.spec.load import parse_toml

    project = open_project(spec)
    variant = project.request.variants[project.request.default_variant]
    index = PythonIndex.of_this_machine(machine.environment)
    try:
        missing = list(
            unavailable(index, _pins(variant.pip), variant.python, with_sources=bool(variant.pip.build))
        )
    except EnvbuildError:
        return ()
    finally:
        index.close()
    if missing:
        text = spec.read_text(encoding="utf-8")
        tables = parse_toml(text, spec.name)
        tables["pip"]["unpinned"] = [pin.name for pin, _ in missing]
        header = text.partition("\n")[0]
        atomic.write_text(spec, f"{header}\n{tomli_w.dumps(tables)}")
    return tuple(Problem(f"{lock}: {pin.name}", why) for pin, why in missing)


def _pins(pip: "PipRequest") -> "list[Pinned]":
    from envbuild.discovery.folder import Pinned
    from envbuild.discovery.manifests import pinned

    return [
        Pinned(name, version, pip.indexes.get(pip.sources.get(name, "")))
        for name, version in sorted(pinned(pip.constraints).items())
    ]


def _kept(locked: LockResult) -> tuple[str, ...]:
    variant = locked.lock.request.variants[locked.lock.request.default_variant]
    wanted = {f"{pin.name}=={pin.version}" for pin in _pins(variant.pip)}
    return tuple(sorted(wanted & {f"{wheel.name}=={wheel.version}" for wheel in locked.lock.wheels}))
