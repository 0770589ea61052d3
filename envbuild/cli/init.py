"""`envbuild init`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envbuild.cli.options import AsJson, Quiet, Verbose

if TYPE_CHECKING:
    from collections.abc import Callable

    from envbuild.cli.output import Output
    from envbuild.errors import Problem
    from envbuild.spec.init_files import Discovery


def init(
    *,
    folder: Annotated[
        Path, typer.Argument(help="Folder to look at and to write to.", show_default="here")
    ] = Path(),
    name: Annotated[
        str | None, typer.Option("--name", help="Name of the environment.", show_default="the project's")
    ] = None,
    python: Annotated[
        str | None, typer.Option("--python", help="Python version.", show_default="as the files say")
    ] = None,
    extra: Annotated[
        list[str] | None, typer.Option("--extra", help="Take this extra of pyproject.toml too.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="Take this group of pyproject.toml too.")
    ] = None,
    all_extras: Annotated[bool, typer.Option("--all-extras", help="Take every extra.")] = False,
    all_groups: Annotated[bool, typer.Option("--all-groups", help="Take every group.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Write a spec from what a folder holds.

    Reads requirements.txt, pyproject.toml, environment.yml, apt.txt; overwrites nothing.
    """
    from envbuild.cli.output import Output
    from envbuild.spec import rules
    from envbuild.spec.init_files import discover
    from envbuild.spec.init_pyproject import RequirementLists

    output = Output(quiet=quiet, verbose=verbose, as_json=as_json)
    _require_free(folder)
    if name:
        _checked("--name", rules.name, name)
    if python:
        _checked("--python", rules.python, python)
    wanted = RequirementLists(
        extras=tuple(extra or ()), groups=tuple(group or ()), all_extras=all_extras, all_groups=all_groups
    )
    found = discover(folder, wanted, name=name, python=python)
    spec = folder / "envbuild.toml"
    text = _text(found)
    problems = _problems(text, folder)
    with spec.open("x", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
    _tell(output, spec, found, problems)
    if problems:
        from envbuild.errors import SpecError

        raise SpecError(
            f"wrote {spec}, which cannot be locked as it is",
            problems=problems,
            hint="put these right by hand",
        )


def _require_free(folder: Path) -> None:
    """Raise if ``folder`` has a spec, or is none."""
    from envbuild.errors import EnvbuildError, SpecError, UsageError
    from envbuild.spec.load import find_spec

    if not folder.is_dir():
        raise UsageError(f"`{folder}` is not a folder")
    try:
        present = find_spec(folder)
    except SpecError:
        present = folder / "envbuild.toml"
        if not present.exists():
            return
    raise EnvbuildError(f"{present} is there already", hint="nothing was written; edit it, or move it away")


def _checked(option: str, rule: "Callable[[str], str]", value: str) -> None:
    from envbuild.errors import UsageError
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


def _problems(text: str, folder: Path) -> "tuple[Problem, ...]":
    """Return what keeps the spec from being locked, as far as that shows without asking anybody."""
    from envbuild.errors import SpecError
    from envbuild.spec.checks import contradictions
    from envbuild.spec.load import parse_toml
    from envbuild.spec.normalize import normalize
    from envbuild.spec.validation import validate

    validated = validate(parse_toml(text, "envbuild.toml"), prefix="")
    problems = (*validated.problems, *contradictions(validated, prefix=""))
    if problems:
        return problems
    try:
        normalize(validated.spec, folder)
    except SpecError as error:
        return error.problems
    return ()


def _tell(output: "Output", spec: Path, found: "Discovery", problems: "tuple[Problem, ...]") -> None:
    if output.as_json:
        output.document(
            {
                "spec": str(spec),
                "taken": [{"file": taken.file, "what": taken.what} for taken in found.taken],
                "left": [
                    {"where": problem.where, "message": problem.message, "hint": problem.hint}
                    for problem in (*found.left, *problems)
                ],
            }
        )
        return
    output.table([("took", taken.file, taken.what) for taken in found.taken])
    for problem in found.left:
        output.note(str(problem))
        if problem.hint:
            output.say(f"      {problem.hint}")
    if not problems:
        output.say(f"wrote {spec}; next: envbuild lock")
