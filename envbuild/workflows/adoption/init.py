"""A first spec from what a folder holds."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.errors import EnvbuildError, Problem, SpecError, UsageError
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import SPEC_NAME

if TYPE_CHECKING:
    from envbuild.discovery.content import Taken
    from envbuild.discovery.folder import Discovery, HasWheels, Pinned


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOptions:
    """Options of writing a first spec."""

    name: str | None = None
    """Name of the environment; None: the project's."""

    python: str | None = None
    """Version of Python; None: as the files say."""

    extras: tuple[str, ...] = ()
    """Extras of ``pyproject.toml`` to take too."""

    groups: tuple[str, ...] = ()
    """Groups of ``pyproject.toml`` to take too."""

    all_extras: bool = False
    all_groups: bool = False

    base: str | None = None
    """Image to stand on; None: as the files say, else the default one."""

    gpu: bool = False
    """Whether it computes on GPUs."""

    template: str | None = None
    """A spec from nothing, by the name of a template; no file is read then."""

    from_environment: Path | None = None
    """An environment of this machine to take the packages of; no file is read then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitResult:
    """A spec that was written."""

    spec: Path
    taken: "tuple[Taken, ...]"
    """What each file gave."""

    left: tuple[Problem, ...]
    """What was not taken, with its place and what can be done."""

    problems: tuple[Problem, ...]
    """What keeps the spec from being locked, as far as that shows without asking an index or a registry."""

    def document(self) -> dict[str, object]:
        """Return the result as plain JSON values."""
        return {
            "spec": str(self.spec),
            "taken": [{"file": taken.file, "what": taken.what} for taken in self.taken],
            "left": [
                {"where": problem.where, "message": problem.message, "hint": problem.hint}
                for problem in (*self.left, *self.problems)
            ],
        }


def init_project(
    path: Path, options: InitOptions | None = None, *, machine: Machine | None = None
) -> InitResult:
    """Write a spec from what a folder holds, or from one script or lock; overwrite nothing.

    The spec is written into the folder, or beside the file.  ``machine`` tells whether indexes may be asked
    which Python has wheels of what is pinned; None: they are not asked.

    :raises UsageError: ``path`` is neither a folder nor a file, or an option has no usable value.
    :raises EnvbuildError: there is a spec already.
    :raises SpecError: nothing could be taken; nothing is written then.
    """
    options = options or InitOptions()
    folder, file = _place(path)
    _require_free(folder)
    _check_options(options)
    found = _found(folder, file, options, machine)
    if not found.tables:
        raise _nothing_taken(folder, file, found.left)
    spec = folder / SPEC_NAME
    text = _text(found)
    problems = _problems(text, folder)
    with spec.open("x", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
    return InitResult(spec=spec, taken=tuple(found.taken), left=tuple(found.left), problems=problems)


def _place(path: Path) -> tuple[Path, str | None]:
    """Return the folder to look at and to write to, and the file of it that was named, if one was."""
    if path.is_file():
        return path.parent, path.name
    if not path.is_dir():
        raise UsageError(f"`{path}` is not a folder")
    return path, None


def _check_options(options: InitOptions) -> None:
    from envbuild.spec import rules

    for option, rule, value in (
        ("--name", rules.name, options.name),
        ("--python", rules.python, options.python),
        ("--base", rules.image, options.base),
    ):
        if value:
            _check(option, rule, value)
    if options.template and options.from_environment:
        raise UsageError(
            "--template reads nothing, so there is no environment to read", hint="drop one of them"
        )


def _found(folder: Path, file: str | None, options: InitOptions, machine: Machine | None) -> "Discovery":
    from envbuild.discovery.combine import combine
    from envbuild.discovery.content import Taken
    from envbuild.discovery.environment import read_environment
    from envbuild.discovery.folder import Discovery, DiscoveryOptions, discover, from_content
    from envbuild.discovery.pyproject import RequirementLists
    from envbuild.discovery.templates import template

    if options.template:
        tables = template(options.template, gpu=options.gpu)
        taken = [Taken(f"template {options.template}", "the whole spec")]
        tables = {"name": options.name or _usable_name(folder), **tables}
        found = Discovery(tables | ({"python": options.python} if options.python else {}), taken)
    elif options.from_environment:
        content = combine([read_environment(options.from_environment)])
        found = from_content(content, folder, DiscoveryOptions(name=options.name, python=options.python))
    else:
        if file is not None:
            _require_known(file)
        wanted = RequirementLists(
            extras=options.extras,
            groups=options.groups,
            all_extras=options.all_extras,
            all_groups=options.all_groups,
            **({"python": options.python} if options.python else {}),
        )
        asked = DiscoveryOptions(
            wanted=wanted,
            name=options.name,
            python=options.python,
            file=file,
            has_wheels=_has_wheels(machine),
        )
        found = discover(folder, asked)
    if found.tables and options.base:
        found.tables["base"] = {"image": options.base}
    if found.tables and options.gpu:
        found.tables.setdefault("gpu", {})
    return found


def _usable_name(folder: Path) -> str:
    return re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "environment"


def _require_known(file: str) -> None:
    from envbuild.spec.foreign.read import KNOWN, is_foreign_lock
    from envbuild.spec.manifests.read import is_manifest

    if not (is_manifest(file) or is_foreign_lock(file) or file.endswith((".in", ".yml", ".yaml"))):
        raise UsageError(
            f"`{file}` is neither a script, an environment.yml nor a known lock", hint=f"a lock is {KNOWN}"
        )


def _nothing_taken(folder: Path, file: str | None, left: "Iterable[Problem]") -> SpecError:
    from envbuild.discovery.folder import LOOKED_FOR

    return SpecError(
        f"nothing of `{file or folder}` can be taken; nothing was written",
        problems=[problem for problem in left if problem.where],
        hint=f"looked for {LOOKED_FOR}; `envbuild init --template pytorch` writes a spec from nothing",
    )


def _require_free(folder: Path) -> None:
    """Raise if ``folder`` has a spec."""
    from envbuild.spec.load import find_spec

    try:
        present = find_spec(folder)
    except SpecError:
        present = folder / SPEC_NAME
        if not present.exists():
            return
    raise EnvbuildError(f"{present} is there already", hint="nothing was written; edit it, or move it away")


def _check(option: str, rule: Callable[[str], str], value: str) -> None:
    from envbuild.spec.problems import RefusedError

    try:
        rule(value)
    except RefusedError as error:
        raise UsageError(f"{option}: {error.message}", hint=error.hint) from error


def _text(found: "Discovery") -> str:
    import tomli_w

    files = sorted({taken.file.partition(":")[0] for taken in found.taken if taken.file != "the index"})
    source = f" from {', '.join(files)}" if files else ""
    return f"# Written by `envbuild init`{source}.\n" + tomli_w.dumps(found.tables)


def _problems(text: str, folder: Path) -> tuple[Problem, ...]:
    """Return what keeps the spec from being locked, as far as that shows without asking anybody."""
    from envbuild.spec.consistency import contradictions
    from envbuild.spec.load import parse_toml
    from envbuild.spec.normalize import normalize
    from envbuild.spec.validation import validate

    validated = validate(parse_toml(text, SPEC_NAME), prefix="")
    problems = (*validated.problems, *contradictions(validated, prefix=""))
    if problems:
        return problems
    try:
        normalize(validated.spec, folder)
    except SpecError as error:
        return error.problems
    return ()


def _has_wheels(machine: Machine | None) -> "HasWheels | None":
    """Return what asks this machine's index whether pins have wheels for a Python; None: it is not asked."""
    if machine is None or machine.offline:
        return None

    def has_wheels(pins: "Sequence[Pinned]", python: str) -> bool | None:
        from envbuild.remote.index.client import PythonIndex
        from envbuild.remote.index.configuration import read_client_configuration
        from envbuild.resolve.python.pinned_files import all_have_wheels

        if len(pins) > _MOST_PINS:
            return None
        try:
            index = PythonIndex(read_client_configuration(machine.environment), retries=0)
            try:
                return all_have_wheels(index, pins, python)
            finally:
                index.close()
        except EnvbuildError:
            return None  # nobody answers: the choice does without

    return has_wheels


_MOST_PINS = 500
"""Pages of an index that are asked for to choose a Python."""
