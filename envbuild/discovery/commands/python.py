"""What calls of a Python interpreter and of ``git`` do for an environment."""

from collections.abc import Sequence

from envbuild.discovery.commands.build_state import FROM_HINT, BuildState
from envbuild.discovery.commands.other_programs import CommandRefusal
from envbuild.discovery.commands.pip import read_pip
from envbuild.discovery.commands.project import read_project_tool, take_project
from envbuild.discovery.commands.shell_words import ShellWord
from envbuild.spec.direct_references import without_credentials

_MODULES_OF_NO_MATTER = frozenset({"ensurepip", "compileall", "ipykernel", "site"})


def read_python(
    words: Sequence[ShellWord], state: BuildState, bounds: Sequence[str]
) -> CommandRefusal | str | None:
    """Take what ``python -m pip`` and the like ask for; what runs a program is refused."""
    texts = [word.text for word in words[1:]]
    if texts[:1] == ["-m"] and len(texts) > 1:
        return _module(texts[1], words[2:], state, bounds)
    if not texts or texts[0] in {"--version", "-V"} or texts[0].endswith("get-pip.py"):
        return None
    if texts[0].endswith("setup.py") and set(texts[1:]) & {"install", "develop"}:
        take_project(state, texts[0].rpartition("/")[0] or ".", words[0].line)
        return None
    return CommandRefusal("runs Python while building", FROM_HINT)


def read_virtualenv(words: Sequence[ShellWord], state: BuildState) -> None:
    """Note the folder of an environment: envbuild's own stands for it."""
    for word in words[1:]:
        if not word.text.startswith("-"):
            state.environments.add(state.absolute(word.text))


def read_uv(
    words: Sequence[ShellWord], state: BuildState, bounds: Sequence[str]
) -> CommandRefusal | str | None:
    """Take what ``uv`` asks for."""
    action = words[1].text if len(words) > 1 else ""
    if action == "pip":
        return read_pip(words[1:], state, bounds)
    if action == "venv":
        read_virtualenv(words[1:], state)
        return None
    if action in {"tool", "add", "build", "run"}:
        return f"`uv {action}` is not understood"
    return read_project_tool(words, state)


def read_git(words: Sequence[ShellWord], state: BuildState) -> CommandRefusal | None:
    """Note what is cloned: nothing in there is the project's own."""
    texts = [word.text for word in words[1:]]
    if texts[:1] in (["lfs"], ["config"], ["checkout"], ["reset"], ["-C"]) or not texts:
        return None
    with_value = {"-b", "--branch", "--depth", "-c", "--config", "-j", "--jobs", "-C"}
    after = texts[texts.index("clone") + 1 :] if "clone" in texts else []
    plain = [
        text
        for position, text in enumerate(after)
        if not text.startswith("-") and (position == 0 or after[position - 1] not in with_value)
    ]
    if not plain:
        return CommandRefusal("is not understood", FROM_HINT)
    address = without_credentials(plain[0])
    name = address.rstrip("/").rpartition("/")[2].removesuffix(".git")
    state.cloned[state.absolute(plain[1] if len(plain) > 1 else name)] = address
    hint = "mount it, or name a Python package of it in [pip] packages: `NAME @ git+https://…@COMMIT`"
    return CommandRefusal(f"fetches sources of {name}", hint)


def _module(
    module: str, words: Sequence[ShellWord], state: BuildState, bounds: Sequence[str]
) -> CommandRefusal | str | None:
    if module == "pip":
        return read_pip(words, state, bounds)
    if module in {"uv", "poetry", "pdm", "pipenv"}:
        return read_uv(words, state, bounds) if module == "uv" else read_project_tool(words, state)
    if module in {"venv", "virtualenv"}:
        read_virtualenv(words, state)
        return None
    if module == "spacy":
        hint = "write the wheel's address in [pip] packages: `NAME @ https://….whl`"
        return CommandRefusal("fetches a model, which no index has", hint)
    if module in _MODULES_OF_NO_MATTER:
        return None
    return CommandRefusal("runs Python while building", FROM_HINT)
