"""Files of conda for a first spec: named in it where they can be taken whole, else written into it.

An environment.yml, or a conda-lock.yml.
"""

import re
import shlex
from collections.abc import Callable
from typing import Final

from envbuild.discovery.commands.build_state import SOURCES, BuildState
from envbuild.discovery.commands.conda import take_channel, take_conda_python, take_match_spec
from envbuild.discovery.commands.pip import read_pip
from envbuild.discovery.commands.shell_words import ShellWord
from envbuild.discovery.container.environment_variables import take_variable
from envbuild.discovery.content import FileContent, Taken
from envbuild.discovery.environments.conda_lists import OTHER_SYSTEMS, RUNTIME
from envbuild.discovery.environments.yaml_nodes import YamlNode, list_of, read_yaml, table_of
from envbuild.files.sizes import counted
from envbuild.spec.conda_files import CondaFileContent, read_conda_file
from envbuild.spec.problems import near

PATTERNS: Final = (
    "conda-lock.y*ml", "environment.y*ml", "conda/environment.y*ml", "envs/environment.y*ml",
    "environments/environment.y*ml", "env/environment.y*ml", "docker/environment.y*ml",
    "requirements/environment.y*ml", "binder/environment.y*ml", ".binder/environment.y*ml", "env.y*ml",
    "conda.y*ml", "conda[-_]env*.y*ml", "environment[-_.]*.y*ml", "*[-_.]environment.y*ml", "*[-_]env.y*ml",
    "envs/*.y*ml", "environments/*.y*ml", "conda/*.y*ml", "docker/conda/*.y*ml", "docker/*env*.y*ml",
    "env/*.y*ml", "conda[-_]env*/*.y*ml", "install/*env*.y*ml", "setup/*env*.y*ml",
    "configs/*environment*.y*ml",
)  # fmt: skip
"""Where files of conda lie, the best first."""

_KEYS: Final = ("name", "channels", "dependencies", "variables", "prefix", "platforms", "category")
_LINUX: Final = "linux-64"
_DASHES: Final = 2
"""Between name, version and build of a package's file."""

_SELECTOR: Final = re.compile(r"#\s*\[([^\]]*)\]\s*$")


def read_conda_environment(text: str, file: str, *, exists: Callable[[str], bool]) -> FileContent:
    """Return what an environment.yml or a conda-lock.yml gives."""
    content = FileContent()
    state = BuildState(content, file, exists, copied={SOURCES: "."})
    # paths in such a file are relative to its own folder
    state.workdir = f"{SOURCES}/{file.rpartition('/')[0]}".rstrip("/")
    root = read_yaml(text, file, content)
    if root is None or content.left:
        if not content.left:
            content.leave(file, "is empty", "name packages in it, or remove it")
        if root is None:
            return content
    document = table_of(root, file, content)
    if "package" in document and "metadata" in document:
        _lock(text, file, document, state)
        return content
    if "dependencies" not in document:
        content.leave(file, "has no `dependencies`: it is no environment of conda", "it is not taken")
        return content
    _names(document, content)
    whole = _whole(text, file, document) if not content.left else None
    if whole is None or not _named(whole, state):
        _inline(text, document, state)
    _note_taken(content, file)
    return content


# --- environment.yml ----------------------------------------------------------------------------


def _names(document: dict[str, YamlNode], content: FileContent) -> None:
    name = document.get("name")
    if name and name.text and name.text not in {"base", "root"}:
        content.names.append(name.text)


def _whole(text: str, file: str, document: dict[str, YamlNode]) -> CondaFileContent | None:
    """Return what the spec's own reader makes of the file; None where it has something to say against it."""
    for item in document["dependencies"].items or ():
        members = item.members or {}
        if (members and set(members) != {"pip"}) or any(
            node.items is None or any(entry.text is None for entry in node.items) for node in members.values()
        ):
            return None
    whole = _spec_content(text, file)
    if whole is None:
        return None
    others = [package for package in whole.packages if OTHER_SYSTEMS.fullmatch(package.name)]
    return None if whole.problems or others else whole


def _spec_content(text: str, file: str) -> CondaFileContent | None:
    """Return what the spec's own reader makes of a file; None where it cannot make anything of it."""
    try:
        return read_conda_file(text, file, subdirs=(_LINUX,))
    except (ValueError, TypeError, AttributeError, RecursionError):
        # values of kinds that such files never have: a day that is none, a number in place of a list
        return None


def _named(whole: CondaFileContent, state: BuildState) -> bool:
    """Name the file in the spec, if it asks for packages of conda."""
    content = state.content
    if all(package.name in {"python", "pip"} for package in whole.packages):
        return False
    for package in whole.packages:
        if package.name == "python":
            take_conda_python(package.version, state.file, state)
    content.add("conda", "files", [state.file])
    others = [package for package in whole.packages if package.name not in {"python", "pip"}]
    counts = [counted(len(others), "conda package"), counted(len(whole.pip), "requirement")]
    if not whole.channels:
        content.add("conda", "channels", ["conda-forge"])
        counts.append("conda-forge, as it names no channel")
    content.taken.append(Taken(state.file, ", ".join(counts)))
    return True


def _inline(text: str, document: dict[str, YamlNode], state: BuildState) -> None:
    """Write what the file asks for into the spec itself, and report what cannot be."""
    content, file = state.content, state.file
    for key, node in document.items():
        if key not in _KEYS:
            content.leave(state.place(node.line), f"`{key}` is not known", near(key, _KEYS))
    _packages(document, text.splitlines(), state, has_defaults=_channels(document, state))
    for name, node in table_of(document.get("variables"), f"{file}: variables", content).items():
        if node.text is None:
            content.leave(state.place(node.line), f"`{name}` is no text", "quote it")
        else:
            take_variable(name, node.text.replace("$", "\\$"), state.place(node.line), state, {})
    _settle_channels(content)


def _packages(
    document: dict[str, YamlNode], lines: list[str], state: BuildState, *, has_defaults: bool
) -> None:
    """Take the packages, of conda and of pip."""
    content, file = state.content, state.file
    dropped: list[str] = []
    for item in list_of(document.get("dependencies"), f"{file}: dependencies", content):
        if item.members is not None:
            _sections(item, state)
        elif item.text is None:
            content.leave(state.place(item.line), "is no package", "it is not taken")
        elif not _is_elsewhere(item.text, lines[item.line - 1], item.line, state):
            package = _portable(item.text, dropped) if has_defaults else item.text
            if package:
                take_match_spec(package, state, item.line)
    if dropped:
        names = ", ".join(dropped)
        message = f"of `defaults` alone, and left out or taken without their build: {names}"
        content.leave(file, message, "conda-forge has others of its own")


def _channels(document: dict[str, YamlNode], state: BuildState) -> bool:
    """Take the channels; return whether ``defaults`` is named, whose builds no other channel has."""
    has_defaults = False
    for node in list_of(document.get("channels"), f"{state.file}: channels", state.content):
        if node.text is None:
            state.content.leave(state.place(node.line), "is no channel", "it is not taken")
        elif node.text == "defaults":
            has_defaults = True
            hint = "conda-forge is taken in its place; name the channels you mean"
            state.content.leave(state.place(node.line), "`defaults` stands for several channels", hint)
            take_channel("conda-forge", state, node.line)
        else:
            take_channel(node.text, state, node.line)
    return has_defaults


def _portable(text: str, dropped: list[str]) -> str | None:
    """Return what another channel than ``defaults`` can have of a pinned package; None: nothing."""
    match = re.fullmatch(r"([^=\s:]+)(=+[^=\s]+)(=[^=\s]+)?", text)
    if match is None:
        return text
    if RUNTIME.fullmatch(match[1]):
        dropped.append(match[1])
        return None
    if match[3] and not re.search(r"cuda|cpu|gpu", match[3]):
        dropped.append(match[1])
        return f"{match[1]}{match[2]}"
    return text


def _settle_channels(content: FileContent) -> None:
    """Leave out [conda] where only pip's packages are asked for; give it a channel where it has none."""
    conda = content.tables.get("conda", {})
    if not conda.get("packages"):
        content.tables.pop("conda", None)
    elif not conda.get("channels"):
        content.add("conda", "channels", ["conda-forge"])


def _is_elsewhere(text: str, line: str, number: int, state: BuildState) -> bool:
    """Report a package of another system than Linux, which is left out."""
    name = re.split(r"[\s=<>!~]", text.rpartition("::")[2], maxsplit=1)[0].lower()
    selector = _SELECTOR.search(line)
    system = selector[1] if selector else ""
    is_other = bool(OTHER_SYSTEMS.fullmatch(name)) or (
        bool(re.search(r"\b(?:win|osx|not linux)\b", system))
        and "not win" not in system
        and "not osx" not in system
    )
    if is_other:
        state.content.leave(state.place(number), f"`{name}` is not for Linux", "it is left out")
    elif selector:
        hint = "conda reads it as a comment, so the package is taken"
        state.content.leave(state.place(number), f"`[{system}]` beside `{name}` is a selector", hint)
    return is_other


def _sections(item: YamlNode, state: BuildState) -> None:
    for manager, node in (item.members or {}).items():
        if manager != "pip":
            state.content.leave(state.place(node.line), f"`{manager}` is not known", "only `pip` is")
            continue
        words: list[ShellWord] = []
        for entry in list_of(node, state.place(node.line), state.content):
            if entry.text is None:
                state.content.leave(state.place(entry.line), "is no requirement", "it is not taken")
                continue
            words += [ShellWord(word, entry.line) for word in _words(entry.text)]
        if words:
            command = (ShellWord("pip", item.line), ShellWord("install", item.line), *words)
            read_pip(command, state)


def _words(entry: str) -> list[str]:
    """Return an entry as words of a command: one requirement, or an option and its value."""
    plain = re.sub(r"(^|\s)#.*$", "", entry).strip()
    if not plain.startswith("-"):
        return [plain] if plain else []
    try:
        return shlex.split(plain)
    except ValueError:
        return [plain]


# --- conda-lock.yml ----------------------------------------------------------------------------


def _lock(text: str, file: str, document: dict[str, YamlNode], state: BuildState) -> None:
    """Name a conda-lock.yml in the spec: it is taken whole, or not at all."""
    content = state.content
    for key in ("package", "metadata"):
        node = document[key]
        if (node.items if key == "package" else node.members) is None:
            content.leave(f"{file}: {key}", f"is {node.kind}", "it is not a conda-lock.yml")
            return
    whole = _spec_content(text, file)
    if whole is None or any(pin.rpartition("/")[2].count("-") < _DASHES for pin in whole.pins):
        content.leave(file, "is not a conda-lock.yml that can be read", "lock it again")
        return
    for pin in whole.pins:
        name, release, _ = pin.rpartition("/")[2].rsplit("-", 2)
        if name == "python":
            # the patch release is the file's to say, and moves when it is locked again
            take_conda_python(f"={'.'.join(release.split('.')[:2])}", file, state)
    if whole.problems:
        content.left += whole.problems
        hint = "lock it again without what it names; or name in [conda] files what it was made from"
        content.leave(file, "not taken: a conda-lock.yml is taken whole or not at all", hint)
        return
    content.add("conda", "files", [file])
    counts = [counted(len(whole.pins), "conda package"), counted(len(whole.pip), "requirement")]
    content.taken.append(Taken(file, ", ".join(counts)))


def _note_taken(content: FileContent, file: str) -> None:
    if content.tables.get("conda", {}).get("files"):
        return
    counts = [
        counted(len(items), noun)
        for table, noun in (("conda", "conda package"), ("pip", "requirement"))
        if (items := content.tables.get(table, {}).get("packages"))
    ]
    counts += [f"installs from {', '.join(content.files)}"] if content.files else []
    if counts:
        why = (
            "written into the spec because of what is left out below"
            if content.left
            else "no conda is needed"
        )
        has_conda = "conda" in content.tables and not content.left
        content.taken.append(Taken(file, ", ".join([*counts, *([] if has_conda else [why])])))
