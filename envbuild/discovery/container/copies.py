"""``COPY`` and ``ADD``: which files of the folder lie where in the image, so that later steps find them."""

import posixpath
import re
from collections.abc import Sequence
from typing import Final

from envbuild.discovery.commands.build_state import FROM_HINT, BuildState
from envbuild.discovery.commands.variables import expand
from envbuild.discovery.container.syntax import Instruction, exec_form
from envbuild.errors import Problem

_DECLARING: Final = (
    "requirement", "pyproject.toml", "setup.py", "setup.cfg", "environment", "pipfile", "poetry.lock",
    "uv.lock",
    "pdm.lock", "conda", "constraints", "readme", "license", "manifest.in", "version", "pip.conf", "apt.txt",
    "packages.txt", ".python-version", "reqs", "deps", "env.y",
)  # fmt: skip
"""How names of files begin, or what is in them, that only say what to install."""

_INSTALLERS: Final = ("uv", "micromamba", "poetry", "pixi", "tini", "dumb-init")
"""Programs that are copied out of images of their own, and that envbuild does without."""

_OF_ENVIRONMENTS: Final = re.compile(
    r"site-packages|/usr/local/?$|/usr/local/(?:bin|lib)|/usr/lib/python|\.local|venv|/install|/opt/conda|/envs?/"
    r"|wheel|requirement|/opt/python|/app/?$|__pypackages__"
)
"""What is in paths of Python environments, wheels and lists of requirements that stages make."""

PROJECT_HINT: Final = "mount it when a container starts; copying the project is a later feature ([project])"


def read_copy(instruction: Instruction, state: BuildState, stages: Sequence[str]) -> None:
    """Take a ``COPY`` or an ``ADD``; ``stages`` are the names of stages it may copy from."""
    words = exec_form(instruction.arguments.text) or instruction.arguments.text.split()
    expanded = [expand(word.strip("\"'"), state.variables) for word in words]
    where = state.place(instruction.line)
    shown = instruction.source
    unknown = next((word.unknown for word in expanded if word.unknown), None)
    if instruction.heredocs or unknown or len(expanded) < 2:  # noqa: PLR2004
        why = "writes a file" if instruction.heredocs else f"`{unknown or 'a destination'}` is not known here"
        state.content.leave(where, f"`{shown}`: {why}", "mount the file when a container starts")
        return
    *sources, destination = [word.text for word in expanded]
    origin = instruction.flag("from")
    if origin is not None:
        _from_elsewhere(instruction, (sources, destination), state, stages)
        return
    if any("://" in source or source.startswith("git@") for source in sources):
        state.content.leave(where, f"`{shown}` downloads a file", "fetch or mount it when a container starts")
        return
    for source in sources:
        _note(source, destination, state, several=len(sources) > 1)
    others = [source for source in sources if not _declares(source, state)]
    if others:
        problem = Problem(where, f"`{shown}`: the project is not part of the image", PROJECT_HINT)
        state.content.left.append(problem)
        state.copied_reports.append((problem, [state.in_context(source) for source in others]))


def _from_elsewhere(
    instruction: Instruction, paths: tuple[Sequence[str], str], state: BuildState, stages: Sequence[str]
) -> None:
    """Report what is copied out of another image, or of a stage where it is no Python environment."""
    sources, destination = paths
    origin, shown = instruction.flag("from") or "", instruction.source
    where = state.place(instruction.line)
    if origin.lower() in stages:
        if any(source.rstrip("/*") in state.wheel_folders for source in sources):
            state.wheel_folders.add(state.absolute(destination))
        elif state.is_final and not all(map(_OF_ENVIRONMENTS.search, sources)):
            message = f"`{shown}`: what stage `{origin}` makes is not part of the image"
            state.content.leave(where, message, f"mount it when a container starts; {FROM_HINT}")
    elif not _is_installer(origin, sources):
        hint = "name a package that has it in [system] packages"
        state.content.leave(where, f"`{shown}` copies out of another image", hint)


def forget_reports(state: BuildState) -> None:
    """Take back reports of files that a step installs from, or bounds versions with."""
    content = state.content
    used = {*content.files, *content.tables.get("pip", {}).get("constraints", ())}
    needless = [problem for problem, sources in state.copied_reports if used.issuperset(sources)]
    content.left = [problem for problem in content.left if problem not in needless]


def _note(source: str, destination: str, state: BuildState, *, several: bool) -> None:
    """Note where the files of ``source`` lie from now on."""
    path = state.in_context(source)
    target = state.absolute(destination)
    if any(mark in path for mark in "*?["):
        state.copied[target] = posixpath.dirname(path) or "."
    elif not state.has(path):
        state.copied[target] = path
        return
    else:
        # a folder that is there takes a file into it, even without a slash
        state.copied[posixpath.join(target, posixpath.basename(path))] = path
        if not several and not destination.endswith("/") and destination not in {".", "./"}:
            state.copied[target] = path


def _declares(source: str, state: BuildState) -> bool:
    """Return whether a file only says what to install."""
    path = state.in_context(source)
    name = posixpath.basename(path).lower()
    is_one = any(part in path.lower() for part in _DECLARING)
    return is_one and (
        state.has(path) or any(mark in path for mark in "*?[") or "." in name or "requirement" in path
    )


def _is_installer(image: str, sources: Sequence[str]) -> bool:
    names = {posixpath.basename(source.rstrip("/")) for source in sources}
    return names <= {*_INSTALLERS, "uvx"} or "/uv" in image
