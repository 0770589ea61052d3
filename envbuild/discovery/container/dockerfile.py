"""Dockerfiles: what of their steps a spec can say is taken, every other line is reported.

The last stage is the image.  Of stages it copies from, Python packages are taken; packages of the
distribution there only built something.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from envbuild.discovery.commands.build_state import FROM_HINT, BuildState, unread
from envbuild.discovery.commands.shell_lines import read_command_words, read_shell
from envbuild.discovery.container.base_images import is_for_python, read_base_image, surroundings_of
from envbuild.discovery.container.base_pins import settle_base_pins
from envbuild.discovery.container.copies import forget_reports, read_copy
from envbuild.discovery.container.environment_variables import read_env
from envbuild.discovery.container.stages import Stage, declare, plan_stages
from envbuild.discovery.container.start import ContainerStart, take_start, take_workdir, words_of
from envbuild.discovery.container.syntax import (
    KEYWORDS,
    MOST_INSTRUCTIONS,
    Instruction,
    exec_form,
    read_instructions,
)
from envbuild.discovery.content import FileContent, Taken
from envbuild.files.sizes import counted

PATTERNS: Final = (
    "Dockerfile", "Containerfile", "docker/Dockerfile", ".devcontainer/Dockerfile", "docker/*.Dockerfile",
    "Dockerfile.*", "*.Dockerfile", "dockerfiles/Dockerfile*",
)  # fmt: skip
"""Where Dockerfiles lie, the best first."""

LONGEST: Final = 1_000_000
"""Characters of a file that is read."""

_REPORTED: Final = {
    "LABEL": "labels of images are envbuild's; `docker build --label` on top adds yours",
    "EXPOSE": "ports are opened when a container starts: `--publish`",
    "VOLUME": "volumes are mounted when a container starts: `--volume`",
    "HEALTHCHECK": "health checks are configured when a container starts: `--health-cmd`",
    "ONBUILD": "steps of images that build on this one belong in their own Dockerfile",
    "STOPSIGNAL": "the signal is chosen when a container starts: `--stop-signal`",
    "MAINTAINER": "labels of images are envbuild's; `docker build --label` on top adds yours",
}
_SCRIPT: Final = re.compile(r"(?:(?:/bin/)?(?:ba)?sh\s+(?:-[a-z]+\s+)*)?<<-?\s*[\"']?[\w.-]+[\"']?")
"""All of a ``RUN`` whose here-document is a script of a shell."""

_INTERPRETER: Final = re.compile(r"#!\s*(?:/usr/bin/env\s+)?(\S+)")
_SHELLS: Final = frozenset({"sh", "bash", "dash", "zsh"})
_CONDA_SHELLS: Final = frozenset({"conda", "mamba", "micromamba", "_dockerfile_shell.sh"})


@dataclass(slots=True)
class _BuiltStage:
    """A stage, as far as its instructions were read."""

    state: BuildState
    arguments: dict[str, str | None]
    """Those before the first ``FROM``."""

    given: Mapping[str, str]
    stages: list[str]
    """Names of stages that something may be copied from."""

    base_pins: list[str] = field(default_factory=list)
    """Requirements that the base stands for."""

    start: ContainerStart = field(default_factory=ContainerStart)


def read_dockerfile(
    text: str,
    file: str,
    *,
    exists: Callable[[str], bool],
    read: Callable[[str], str | None] = unread,
    arguments: Mapping[str, str] = MappingProxyType({}),
    target: str | None = None,
    context: str = ".",
) -> FileContent:
    """Return what a Dockerfile asks for.

    ``exists`` tells whether the folder has a file of a name, ``read`` gives its text.  ``arguments`` take the
    place of the defaults of ``ARG``; ``target`` is the stage that is built, the last one unless it is named;
    ``context`` the folder that ``COPY`` copies from.
    """
    content = FileContent()
    if len(text) > LONGEST:
        content.leave(file, f"is longer than {LONGEST} characters", "it is not read")
        return content
    plan = plan_stages(
        _known_instructions(text, file, content), file, content, given=arguments, target=target
    )
    if plan is None:
        content.leave(file, "has no FROM", "it is not a Dockerfile")
        return content
    used = sorted((*plan.sources, *plan.chain), key=lambda stage: stage.position)
    names = [name for stage in used for name in (stage.shown, str(stage.position))]
    built: dict[int, _BuiltStage] = {}
    common = BuildState(content, file, exists, read, context=context)
    for stage in used:
        fresh = _fresh(common, is_final=stage in plan.chain)
        current = _BuiltStage(fresh, plan.arguments, plan.given, names)
        _begin(stage, current, built.get(stage.parent.position) if stage.parent else None)
        for instruction in stage.instructions:
            _step(instruction, current)
        built[stage.position] = current
    last, first = built[plan.chain[-1].position], built[plan.chain[0].position]
    take_start(last.start, last.state)
    forget_reports(common)
    settle_base_pins(first.base_pins, content, f"{file}:{plan.chain[0].line}", read)
    if not is_for_python(plan.chain[0].image) and not (content.files or content.pythons):
        content.tables.clear()
    _note_taken(content, file)
    return content


def _fresh(common: BuildState, *, is_final: bool) -> BuildState:
    """Return the state of a new stage, which shares what holds for all of them."""
    return BuildState(
        common.content,
        common.file,
        common.exists,
        common.read,
        exported=common.exported,
        wheel_folders=common.wheel_folders,
        copied_reports=common.copied_reports,
        context=common.context,
        is_final=is_final,
    )


def _known_instructions(text: str, file: str, content: FileContent) -> list[Instruction]:
    """Return the instructions Docker has; others are reported."""
    instructions = list(read_instructions(text))
    if len(instructions) == MOST_INSTRUCTIONS:
        content.leave(file, f"has more than {MOST_INSTRUCTIONS} instructions", "the rest is not read")
    for instruction in instructions:
        where = f"{file}:{instruction.line}"
        if instruction.keyword not in KEYWORDS:
            content.leave(where, f"`{instruction.source}` is no instruction", "correct it")
        elif not instruction.is_complete:
            content.leave(where, f"`{instruction.source}`: its here-document does not end", "end it")
    return [item for item in instructions if item.keyword in KEYWORDS]


def _begin(stage: Stage, current: _BuiltStage, before: _BuiltStage | None) -> None:
    """Begin a stage with what the one it is made from ended with, or with an image."""
    state = current.state
    if before:
        ended = before.state
        state.variables, state.workdir = dict(ended.variables), ended.workdir
        state.copied, state.cloned = dict(ended.copied), dict(ended.cloned)
        state.environments, state.accounts = set(ended.environments), dict(ended.accounts)
        state.distribution_python = ended.distribution_python
        current.start = before.start
    elif stage.image:
        # of a stage that only builds something the base is of no matter, its Python is
        into = state.content if state.is_final else FileContent()
        state.workdir, state.variables = surroundings_of(stage.image)
        state.distribution_python = read_base_image(stage.image, state.place(stage.line), into)
        current.base_pins = list(into.tables.get("pip", {}).get("packages", ()))
        if not state.is_final:
            state.content.pythons += into.pythons


def _step(instruction: Instruction, current: _BuiltStage) -> None:
    """Take one instruction."""
    state, keyword = current.state, instruction.keyword
    if keyword in _REPORTED and state.is_final:
        where = state.place(instruction.line)
        state.content.leave(where, f"`{instruction.source}` is not taken", _REPORTED[keyword])
    elif keyword in {"USER", "WORKDIR", "CMD", "ENTRYPOINT"}:
        current.start = _started(instruction, current)
    elif take := _TAKEN.get(keyword):
        take(instruction, current)


def _started(instruction: Instruction, current: _BuiltStage) -> ContainerStart:
    """Return how containers start after one more instruction."""
    text, line, start = instruction.arguments.text, instruction.line, current.start
    if instruction.keyword == "USER":
        return replace(start, user=text.strip().strip("\"'"), user_line=line)
    if instruction.keyword == "WORKDIR":
        return replace(start, workdir=take_workdir(instruction, current.state) or start.workdir)
    if instruction.keyword == "CMD":
        return replace(start, command=words_of(text), command_line=line)
    # an ENTRYPOINT takes back the CMD of what the stage is made from
    return replace(start, entrypoint=words_of(text), command=(), command_line=line)


def _env(instruction: Instruction, current: _BuiltStage) -> None:
    read_env(instruction.arguments, current.state, is_final=current.state.is_final)


def _arg(instruction: Instruction, current: _BuiltStage) -> None:
    state = current.state
    where = state.place(instruction.line)
    given, content = current.given, state.content
    declare(instruction, state.variables, current.arguments, given=given, where=where, content=content)


def _copy(instruction: Instruction, current: _BuiltStage) -> None:
    read_copy(instruction, current.state, current.stages)


def _run(instruction: Instruction, current: _BuiltStage) -> None:
    state, where = current.state, current.state.place(instruction.line)
    for flag, value in instruction.flags:
        if flag == "mount":
            _mount(value, state, where)
    text = instruction.arguments.text.strip()
    words = exec_form(text)
    if words is not None:
        read_command_words(words, instruction.line, state)
    elif not instruction.heredocs:
        read_shell(instruction.arguments, state)
    elif _SCRIPT.fullmatch(text):
        _script(instruction, state, where)
    else:
        state.content.leave(where, f"`{instruction.source}`: a here-document is not read", FROM_HINT)


def _script(instruction: Instruction, state: BuildState, where: str) -> None:
    """Read the here-document of ``RUN <<EOF``, unless another program than a shell runs it."""
    body = instruction.heredocs[0].body
    interpreter = _INTERPRETER.match(body.text)
    if interpreter and interpreter[1].rpartition("/")[2] not in _SHELLS:
        state.content.leave(where, f"`{interpreter[1]}` runs a script while building", FROM_HINT)
        return
    read_shell(body, state)


def _mount(value: str, state: BuildState, where: str) -> None:
    """Note files that a step sees without a ``COPY``; caches are of no matter."""
    parts = dict(part.partition("=")[::2] for part in value.split(","))
    kind = parts.get("type", "bind")
    if kind in {"cache", "tmpfs"} or "from" in parts:
        return
    target = parts.get("target") or parts.get("dst") or parts.get("destination")
    if kind == "bind" and target:
        source = parts.get("source") or parts.get("src") or "."
        state.copied[state.absolute(target)] = state.in_context(source)
        return
    hint = "what needs a login is configured on each machine; see ENVBUILD_INDEX_<NAME>_USERNAME"
    state.content.leave(where, f"`--mount=type={kind}` is not taken", hint)


def _shell(instruction: Instruction, current: _BuiltStage) -> None:
    state = current.state
    words = exec_form(instruction.arguments.text) or [""]
    if words[:1] == [] or words[0].rpartition("/")[2] not in _SHELLS | _CONDA_SHELLS:
        message = f"`{instruction.source}`: lines of this shell are read as those of sh"
        state.content.leave(state.place(instruction.line), message, "look at the lines after it")


_TAKEN: Final[dict[str, Callable[[Instruction, _BuiltStage], None]]] = {
    "RUN": _run, "ENV": _env, "ARG": _arg, "COPY": _copy, "ADD": _copy, "SHELL": _shell,
}  # fmt: skip


def _note_taken(content: FileContent, file: str) -> None:
    tables = content.tables
    image = tables.get("base", {}).get("image")
    counts = [
        counted(len(items), noun)
        for table, noun in (("system", "Debian package"), ("pip", "requirement"), ("conda", "conda package"))
        if (items := tables.get(table, {}).get("packages"))
    ]
    files = [f"installs from {', '.join(content.files)}"] if content.files else []
    gpu = ["GPUs"] if "gpu" in tables else []
    settings = ["settings of containers"] if any(tables.get("image", {}).values()) else []
    what = [*([f"base {image}"] if image else []), *gpu, *counts, *files, *settings]
    if what:
        content.taken.append(Taken(file, ", ".join(what)))
