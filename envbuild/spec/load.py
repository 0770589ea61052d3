"""Finding a spec and reading it: ``envbuild.toml``, or ``[tool.envbuild]`` of a ``pyproject.toml``."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from envbuild.errors import Problem, SpecError
from envbuild.spec.files import read_text
from envbuild.spec.problems import RefusedError, WrittenFloat, kind_of

if TYPE_CHECKING:
    from envbuild.spec.model import Spec
    from envbuild.spec.validation import Validated

SPEC_FILE = "envbuild.toml"
PROJECT_FILE = "pyproject.toml"
PROJECT_TABLE = "tool.envbuild"

_POSITION = re.compile(r" \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")
_TWICE = (
    "Cannot overwrite a value",
    "Cannot declare",
    "Duplicate inline table key",
    "Cannot mutate immutable",
    "Cannot redefine",
)


@dataclass(frozen=True, slots=True)
class SpecReading:
    """A spec as read, with everything found wrong in it so far."""

    path: Path
    validated: "Validated"
    problems: tuple[Problem, ...]
    prefix: str
    """Goes before each field path: ``tool.envbuild.`` in a project file."""

    @property
    def spec(self) -> "Spec":
        """The spec; without the wrong values when there are problems."""
        return self.validated.spec

    def checked(self) -> "Spec":
        """Return the spec if nothing was found wrong in it.

        :raises SpecError: something is; all problems at once.
        """
        refuse(self.path, self.problems)
        return self.spec


def find_spec(folder: Path) -> Path:
    """Return the file of ``folder`` that holds the spec.

    :raises SpecError: there is none, or there are two.
    """
    if not folder.is_dir():
        raise SpecError(f"`{folder}` does not exist")
    own, project = folder / SPEC_FILE, folder / PROJECT_FILE
    in_project = holds_table(project)
    if _is_there(own):
        if in_project:
            raise SpecError(
                f"both `{own}` and [{PROJECT_TABLE}] of `{project}` hold a spec",
                hint="keep one of them",
            )
        return own
    if in_project:
        return project
    raise no_spec("here")


def holds_spec(folder: Path) -> bool:
    """Return whether ``folder`` holds a spec; a project file without the table does not count."""
    return _is_there(folder / SPEC_FILE) or holds_table(folder / PROJECT_FILE)


def _is_there(path: Path) -> bool:
    """Whether something has that name; a folder, or a link to nothing, is for its reader to refuse."""
    return path.is_symlink() or path.exists()


def no_spec(where: str) -> SpecError:
    """Return the error of a spec that is not there; ``where`` says where it was looked for."""
    return SpecError(
        f"there is no spec {where}: neither `{SPEC_FILE}` nor [{PROJECT_TABLE}] in `{PROJECT_FILE}`",
        hint=f"run `envbuild init`, or write `{SPEC_FILE}`: a name and a Python version will do",
    )


def read_spec(path: Path, *, text: str | None = None) -> SpecReading:
    """Read the spec in ``path`` and say what is wrong with it; ``text`` counts in place of the file's own.

    :raises SpecError: it is missing, not TOML, or holds no spec.
    """
    # a command that only looks for the spec needs no model of it
    from envbuild.spec.consistency import contradictions  # noqa: PLC0415
    from envbuild.spec.validation import validate  # noqa: PLC0415

    table = _toml(path) if text is None else parse_toml(text, shown_name(path))
    prefix = ""
    if path.name == PROJECT_FILE:
        prefix = f"{PROJECT_TABLE}."
        table = _tool_table(table, path)
    validated = validate(table, prefix=prefix)
    problems = (*validated.problems, *contradictions(validated, prefix=prefix))
    return SpecReading(path, validated, problems, prefix)


def refuse(path: Path, problems: tuple[Problem, ...]) -> None:
    """Raise what is wrong with the spec in ``path``, if anything is.

    :raises SpecError: with all ``problems``.
    """
    if problems:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise SpecError(f"`{shown_name(path)}` has {count}", problems=problems)


def shown_name(path: Path) -> str:
    """Return a file's name as messages say it: with its folders where it was found above the current one."""
    return path.as_posix() if path.parts[:1] == ("..",) else path.name


def parse_toml(text: str, shown: str) -> dict[str, Any]:
    """Return the tables of a TOML text.  ``shown`` is what the problem calls the file.

    :raises SpecError: with the line, when it is not TOML; nothing of the line but a key is repeated.
    """
    try:
        return tomllib.loads(text.removeprefix("\ufeff"), parse_float=WrittenFloat.parse)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(
            f"`{shown}` is not TOML", problems=[_syntax_problem(str(error), text, shown)]
        ) from error
    except (RecursionError, ValueError) as error:  # ValueError: a number of thousands of digits
        raise SpecError(f"`{shown}` is not TOML anybody would write") from error


def _toml(path: Path) -> dict[str, Any]:
    try:
        text = read_text(path, shown=shown_name(path))
    except RefusedError as error:
        raise SpecError(error.message, hint=error.hint) from error
    return parse_toml(text, shown_name(path))


def _tool_table(document: dict[str, Any], path: Path) -> dict[str, Any]:
    tools = document.get("tool")
    if not isinstance(tools, dict) or "envbuild" not in tools:
        raise SpecError(
            f"`{shown_name(path)}` has no [{PROJECT_TABLE}]", hint=f"add the table, or write `{SPEC_FILE}`"
        )
    table = tools["envbuild"]
    if not isinstance(table, dict):
        problem = Problem(PROJECT_TABLE, f"must be a table, not {kind_of(table)}")
        raise SpecError(f"`{shown_name(path)}` has a problem", problems=[problem])
    return table


_SPEAKS_OF_IT = re.compile(r"""^\s*\[?\s*tool\s*\.\s*["']?envbuild\b""", re.MULTILINE)


def holds_table(path: Path) -> bool:
    """Return whether a project file holds a spec; one that is not TOML counts when it speaks of one."""
    try:
        text = read_text(path)
    except RefusedError:
        return False
    if "envbuild" not in text:
        return False
    try:
        document = tomllib.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return _SPEAKS_OF_IT.search(text) is not None
    tools = document.get("tool")
    return isinstance(tools, dict) and "envbuild" in tools


def _syntax_problem(complaint: str, text: str, shown: str) -> Problem:
    position = _POSITION.search(complaint)
    lines = text.rstrip().splitlines() or [""]
    number = int(position["line"]) if position and position["line"] else len(lines)
    message = complaint[: position.start()] if position else complaint
    line = lines[min(number, len(lines)) - 1]
    if message.startswith(_TWICE):
        inline = re.match(r"Duplicate inline table key '(.*)'", message)
        key = inline or re.match(r"\s*(\[+[^\]]*\]+|[^=#\s]+)", line)
        message = f"`{key[1]}` is there twice" if key else "a key is there twice"
        return Problem(f"{shown}:{number}", message, "keep one of them")
    return Problem(f"{shown}:{number}", f"{message[:1].lower()}{message[1:]}", _syntax_hint(line))


def _syntax_hint(line: str) -> str | None:
    key, equals, value = line.partition("=")
    if not equals and re.match(r"\s*[\w-]+\s*:", line):
        return "TOML writes `key = value`"
    if equals and re.match(r"\s*[A-Za-z<>=~0-9.]", value) and key.strip():
        return "text must be quoted"
    return None
