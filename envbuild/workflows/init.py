"""A first spec from what a folder holds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.errors import EnvbuildError, Problem, SpecError, UsageError
from envbuild.workflows.project import SPEC_NAME

if TYPE_CHECKING:
    from envbuild.spec.init_files import Discovery, Taken


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


def init_project(folder: Path, options: InitOptions | None = None) -> InitResult:
    """Write a spec into ``folder`` from the requirement files that are there; overwrite nothing.

    :raises UsageError: ``folder`` is not a folder, or an option has no usable value.
    :raises EnvbuildError: there is a spec already.
    """
    from envbuild.spec import rules
    from envbuild.spec.init_files import discover
    from envbuild.spec.init_pyproject import RequirementLists

    options = options or InitOptions()
    _require_free(folder)
    if options.name:
        _check("--name", rules.name, options.name)
    if options.python:
        _check("--python", rules.python, options.python)
    wanted = RequirementLists(
        extras=options.extras,
        groups=options.groups,
        all_extras=options.all_extras,
        all_groups=options.all_groups,
    )
    found = discover(folder, wanted, name=options.name, python=options.python)
    spec = folder / SPEC_NAME
    text = _text(found)
    problems = _problems(text, folder)
    with spec.open("x", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
    return InitResult(spec=spec, taken=tuple(found.taken), left=tuple(found.left), problems=problems)


def _require_free(folder: Path) -> None:
    """Raise if ``folder`` has a spec, or is not a folder."""
    from envbuild.spec.load import find_spec

    if not folder.is_dir():
        raise UsageError(f"`{folder}` is not a folder")
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

    files = sorted({taken.file for taken in found.taken})
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
