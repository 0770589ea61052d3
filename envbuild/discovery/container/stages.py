"""The stages of a Dockerfile: which one is built, and which ones it takes something from."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from envbuild.discovery.commands.variables import expand
from envbuild.discovery.container.syntax import Instruction
from envbuild.discovery.content import FileContent

_FROM: Final = re.compile(r"(?P<image>\S+)(?:\s+[Aa][Ss]\s+(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]*))?")
_ARG: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:=(.*))?", re.DOTALL)
_REFERENCE: Final = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")
_PREDEFINED: Final = {
    "TARGETPLATFORM": "linux/amd64", "TARGETOS": "linux", "TARGETARCH": "amd64",
    "BUILDPLATFORM": "linux/amd64",
    "BUILDOS": "linux", "BUILDARCH": "amd64", "TARGETVARIANT": "", "BUILDVARIANT": "",
}  # fmt: skip
"""Arguments that BuildKit gives by itself, for the platform that is usual."""


@dataclass(slots=True)
class Stage:
    """One ``FROM`` and what follows it."""

    position: int
    line: int
    image: str
    """What it is made from: an image, or the name of an earlier stage."""

    name: str | None
    instructions: list[Instruction] = field(default_factory=list)
    parent: "Stage | None" = None

    @property
    def shown(self) -> str:
        """What messages call it."""
        return self.name or str(self.position)


@dataclass(slots=True)
class StagePlan:
    """What of a Dockerfile matters."""

    chain: list[Stage]
    """The stage that is built, after those it is made from."""

    sources: list[Stage]
    """Stages that it copies from, each after those it is made from."""

    arguments: dict[str, str | None]
    """Arguments before the first ``FROM``."""

    given: Mapping[str, str]
    """Arguments that the build is given, in place of defaults."""


def plan_stages(
    instructions: Sequence[Instruction],
    file: str,
    content: FileContent,
    *,
    given: Mapping[str, str],
    target: str | None,
) -> StagePlan | None:
    """Return the stages that matter; None where there is none.  What is wrong is reported.

    ``given`` are arguments of the build; ``target`` is the stage that is built, the last one unless named.
    """
    arguments: dict[str, str | None] = {**_PREDEFINED, **given}
    _report_loops(instructions, file, content)
    stages = _stages(instructions, arguments, given, file, content)
    if not stages:
        return None
    last = stages[-1]
    if target is not None:
        chosen = _find(stages, target.lower())
        if chosen is None:
            content.leave(file, f"it has no stage `{target}`", f"`{last.shown}` is taken")
        last = chosen or last
    chain, sources = _used_stages(stages, last)
    for stage in stages:
        if stage not in chain and stage not in sources:
            message = f"stage `{stage.shown}` is not part of `{last.shown}`, which is taken"
            content.leave(f"{file}:{stage.line}", message, "a variant of the spec can hold what it adds")
    return StagePlan(chain, sources, arguments, given)


def _stages(
    instructions: Sequence[Instruction],
    arguments: dict[str, str | None],
    given: Mapping[str, str],
    file: str,
    content: FileContent,
) -> list[Stage]:
    stages: list[Stage] = []
    for instruction in instructions:
        where = f"{file}:{instruction.line}"
        if instruction.keyword == "FROM":
            if stage := _stage(instruction, stages, arguments, where, content):
                stages.append(stage)
        elif stages:
            stages[-1].instructions.append(instruction)
        elif instruction.keyword == "ARG":
            declare(instruction, arguments, {}, given=given, where=where, content=content)
        else:
            content.leave(where, f"`{instruction.source}` stands before the first FROM", "move it below")
    return stages


def declare(
    instruction: Instruction,
    variables: dict[str, str | None],
    before_from: Mapping[str, str | None],
    *,
    given: Mapping[str, str],
    where: str,
    content: FileContent,
) -> None:
    """Take an ``ARG``: its default, or the value it has before the first ``FROM``."""
    for word in _words(instruction.arguments.text):
        match = _ARG.fullmatch(word)
        if match is None:
            content.leave(where, f"`ARG {word}` names no argument", "write `ARG NAME=value`")
        elif match[1] in given:
            variables[match[1]] = given[match[1]]
        elif match[2] is not None:
            value = expand(_unquoted(match[2]), variables)
            if value.unknown and value.unknown.startswith("a value"):
                content.leave(where, f"`ARG {match[1]}` becomes {value.unknown}", "shorten it")
            variables[match[1]] = None if value.unknown else value.text
        elif match[1] in before_from:
            variables[match[1]] = before_from[match[1]]
        elif match[1] in _PREDEFINED:
            variables[match[1]] = _PREDEFINED[match[1]]


def _stage(
    instruction: Instruction,
    stages: Sequence[Stage],
    arguments: dict[str, str | None],
    where: str,
    content: FileContent,
) -> Stage | None:
    match = _FROM.fullmatch(instruction.arguments.text.strip())
    if match is None:
        content.leave(where, f"`{instruction.source}` is no FROM", "write `FROM image:tag AS name`")
        return None
    image = expand(match["image"].strip("\"'"), arguments)
    if image.unknown or not image.text:
        what = f"`{image.unknown}` has no value here" if image.unknown else "it names nothing"
        hint = "give its ARG a default, before the first FROM; or name the base in [base]"
        content.leave(where, f"`{instruction.source}`: {what}", hint)
    text = "" if image.unknown else image.text
    parent = next((stage for stage in reversed(stages) if stage.name == text.lower()), None)
    name = match["name"].lower() if match["name"] else None
    return Stage(len(stages), instruction.line, text, name, parent=parent)


def _used_stages(stages: Sequence[Stage], last: Stage) -> tuple[list[Stage], list[Stage]]:
    """Return ``last`` after those it is made from, and the stages that something is copied from."""
    chain = _with_parents(last)
    sources: list[Stage] = []
    pending = list(chain)
    while pending:
        for name in _copied_from(pending.pop(0)):
            for stage in _with_parents(_find(stages, name)):
                if stage not in chain and stage not in sources:
                    sources.append(stage)
                    pending.append(stage)
    return chain, sources


def _with_parents(stage: Stage | None) -> list[Stage]:
    found: list[Stage] = []
    while stage is not None:
        found.insert(0, stage)
        stage = stage.parent
    return found


def _find(stages: Sequence[Stage], name: str) -> Stage | None:
    named = (stage for stage in reversed(stages) if name in {stage.name, str(stage.position)})
    return next(named, None)


def _copied_from(stage: Stage) -> Iterable[str]:
    for instruction in stage.instructions:
        if instruction.keyword == "COPY" and (name := instruction.flag("from")):
            yield name.lower()
        for flag, value in instruction.flags:
            if flag == "mount" and (match := re.search(r"(?:^|,)from=([^,]+)", value)):
                yield match[1].lower()


def _report_loops(instructions: Sequence[Instruction], file: str, content: FileContent) -> None:
    """Report arguments whose defaults refer to one another in a circle."""
    refers: dict[str, set[str]] = {}
    lines: dict[str, int] = {}
    for instruction in instructions:
        match = _ARG.fullmatch(instruction.arguments.text) if instruction.keyword == "ARG" else None
        if match and match[2] is not None:
            refers.setdefault(match[1], set()).update(set(_REFERENCE.findall(match[2])) - {match[1]})
            lines.setdefault(match[1], instruction.line)
    reported: set[str] = set()
    for name in refers:
        circle = _circle(name, refers)
        if circle and not reported.intersection(circle):
            reported.update(circle)
            shown = " → ".join([*circle, circle[0]])
            content.leave(
                f"{file}:{lines[name]}", f"ARG {shown} refer to one another", "give one of them a value"
            )


def _circle(start: str, refers: dict[str, set[str]]) -> list[str] | None:
    """Return the shortest way from ``start`` back to it, if there is one."""
    paths = [[start]]
    seen: set[str] = set()
    while paths:
        path = paths.pop(0)
        for name in sorted(refers.get(path[-1], ())):
            if name == start:
                return path
            if name not in seen:
                seen.add(name)
                paths.append([*path, name])
    return None


def _words(text: str) -> list[str]:
    """Split ``A=1 B="two words"`` at spaces outside quotes."""
    return re.findall(r"(?:[^\s\"']|\"(?:\\.|[^\"\\])*\"|'[^']*'|[\"'])+", text)


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text
