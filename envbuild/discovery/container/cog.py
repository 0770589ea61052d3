"""cog.yaml: the environment of a model for Cog.  Format: Cog documentation, "cog.yaml reference"."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from envbuild.discovery.commands.build_state import SOURCES, BuildState
from envbuild.discovery.commands.indexes import report_unbound
from envbuild.discovery.commands.numbered_text import numbered
from envbuild.discovery.commands.pip import take_requirement, take_requirements_file
from envbuild.discovery.commands.shell_lines import read_shell
from envbuild.discovery.container.environment_variables import take_variable
from envbuild.discovery.content import FileContent, PythonEvidence, Taken
from envbuild.discovery.environments.yaml_nodes import YamlNode, list_of, read_yaml, table_of
from envbuild.files.sizes import counted
from envbuild.spec import rules
from envbuild.spec.problems import RefusedError, near

PATTERNS: Final = ("cog.yaml", "cog.yml")

_TOP: Final = {
    "image": "where Cog pushes; `repository` in [image] is where envbuild does",
    "predict": "the program that serves predictions is the project's: mount it when a container starts",
    "train": "the program that trains is the project's: mount it when a container starts",
    "concurrency": "it configures Cog's own server",
    "environment": None,
    "build": None,
    "tests": "it configures Cog's own tests",
    "weights": "fetch or mount weights when a container starts",
}
_BUILD: Final = {
    "gpu": None, "cuda": None, "cudnn": None, "python_version": None, "python_packages": None,
    "python_requirements": None, "system_packages": None, "run": None, "pre_install": None,
    "fast": "it configures Cog's own builds",
    "cog_runtime": "it configures Cog's own server",
    "sdk_version": "Cog's own package is not installed; name `cog` in [pip] packages if the code imports it",
}  # fmt: skip


def read_cog(text: str, file: str, *, exists: Callable[[str], bool]) -> FileContent:
    """Return what a cog.yaml asks for."""
    content = FileContent()
    state = BuildState(content, file, exists, workdir=SOURCES, copied={SOURCES: "."})
    document = table_of(read_yaml(text, file, content), file, content)
    build = table_of(document.get("build"), f"{file}: build", content)
    _report(document, _TOP, "", state)
    _report(build, _BUILD, "build.", state)
    _python(build, state)
    _gpu(build, state)
    _packages(build, state)
    for key in ("pre_install", "run"):
        for node in list_of(build.get(key), f"{file}: build.{key}", content):
            _run(node, state)
    for node in list_of(document.get("environment"), f"{file}: environment", content):
        name, equals, value = (node.text or "").partition("=")
        if equals:
            take_variable(name, value, state.place(node.line), state, {})
        else:
            content.leave(state.place(node.line), "an environment variable is `NAME=value`", "correct it")
    _note_taken(content, file)
    return content


def _report(
    table: Mapping[str, YamlNode], known: Mapping[str, str | None], path: str, state: BuildState
) -> None:
    for key, node in table.items():
        where = state.place(node.line)
        if key not in known:
            state.content.leave(where, f"`{path}{key}` is not known", near(key, known))
        elif hint := known[key]:
            state.content.leave(where, f"`{path}{key}` is not taken", hint)


def _python(build: Mapping[str, YamlNode], state: BuildState) -> None:
    node = build.get("python_version")
    if node is None:
        return
    if re.fullmatch(r"3(?:\.[0-9]+){1,2}", node.text or ""):
        state.content.pythons.append(PythonEvidence(node.text or "", state.place(node.line)))
    else:
        state.content.leave(state.place(node.line), "`build.python_version` is no version", 'write "3.11"')


def _gpu(build: Mapping[str, YamlNode], state: BuildState) -> None:
    gpu, cuda = build.get("gpu"), build.get("cuda")
    if gpu is None or not gpu.is_true:
        return
    table = state.content.tables.setdefault("gpu", {})
    table["cuda"] = "auto"
    if cuda and cuda.text:
        hint = f'`cuda = "{cuda.text}"` in [gpu] demands it; else wheels bring the CUDA they are built for'
        state.content.leave(state.place(cuda.line), f"CUDA {cuda.text} is not demanded", hint)


def _packages(build: Mapping[str, YamlNode], state: BuildState) -> None:
    content, file = state.content, state.file
    if (node := build.get("python_requirements")) and node.text:
        take_requirements_file(node.text, state, node.line)
    taken = []
    for item in list_of(build.get("python_packages"), f"{file}: build.python_packages", content):
        if item.text is None:
            content.leave(state.place(item.line), "a package is one value", "it is not taken")
        elif requirement := take_requirement(item.text, state, item.line):
            taken.append(requirement)
            report_unbound(content, [requirement], state.place(item.line))
    for item in list_of(build.get("system_packages"), f"{file}: build.system_packages", content):
        try:
            content.add("system", "packages", [rules.system_package(item.text or "")])
        except RefusedError as error:
            content.left.append(error.at(state.place(item.line)))


def _run(node: YamlNode, state: BuildState) -> None:
    """Take one command: text, or a table with ``command`` and the secrets it is given."""
    command = node
    if node.members is not None:
        command = node.members.get("command", YamlNode(node.line, ""))
        if "mounts" in node.members:
            hint = "what needs a login is configured on each machine"
            state.content.leave(state.place(node.line), "`mounts` of `build.run` is not taken", hint)
    if command.text is None:
        state.content.leave(state.place(node.line), "a command is one value", "it is not taken")
        return
    # a block scalar begins on the line below its sign
    first = command.line + 1 if "\n" in command.text else command.line
    read_shell(numbered(command.text, first), state)


def _note_taken(content: FileContent, file: str) -> None:
    what = [
        counted(len(items), noun)
        for table, noun in (("pip", "requirement"), ("system", "Debian package"))
        if (items := content.tables.get(table, {}).get("packages"))
    ]
    what += [f"installs from {', '.join(content.files)}"] if content.files else []
    what += ["GPUs"] if "gpu" in content.tables else []
    if what:
        content.taken.append(Taken(file, ", ".join(what)))
