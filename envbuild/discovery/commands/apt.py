"""What ``apt-get`` and its like install: packages of the distribution, and what they say of Python."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from envbuild.discovery.commands.build_state import BuildState
from envbuild.discovery.commands.options import Argument, read_arguments
from envbuild.discovery.commands.shell_words import ShellWord
from envbuild.discovery.content import PythonEvidence
from envbuild.spec import rules
from envbuild.spec.problems import RefusedError

_WITH_VALUE: Final = ("-t", "--target-release", "--default-release", "-o", "--option", "-c", "--config-file")
_RELEASE: Final = frozenset({"-t", "--target-release", "--default-release"})
_NOTHING_TO_DO: Final = frozenset({
    "update", "clean", "autoclean", "autoremove", "upgrade", "dist-upgrade", "full-upgrade", "check", "list",
    "show", "policy", "search", "edit-sources", "download", "changelog",
})  # fmt: skip
_PYTHON: Final = re.compile(
    r"(?:lib)?python(?P<version>3(?:\.[0-9]+)?)(?:-(?:dev|venv|distutils|pip|full|minimal|lib2to3|gdbm|dbg))?"
)
_OF_PYTHON: Final = frozenset({
    "python-is-python3", "python3-setuptools", "python3-wheel", "python3-virtualenv", "virtualenv",
})  # fmt: skip
_MODULE: Final = re.compile(r"python3?-(?P<module>[a-z0-9.+-]+)")
_LIBRARIES: Final = {"python3-tk": "tk"}
"""Modules of Python itself that the distribution has in packages of their own, and what they load."""


_OF_NVIDIA: Final = re.compile(
    r"cuda(?:-.*)?|lib(?:cudnn|cublas|nccl|npp|cufft|curand|cusolver|cusparse|nvinfer|nvrtc|nvjpeg|cusparselt)"
    r"[0-9-].*|nvidia-(?:cuda-toolkit|container-toolkit|driver-.*|utils-.*)|tensorrt.*|datacenter-gpu-manager"
)
"""Packages of NVIDIA's own archive: what [gpu] and wheels stand for."""


def read_apt(words: Sequence[ShellWord], state: BuildState) -> str | None:
    """Take what an ``apt-get`` command asks for.  Returns why it cannot be taken, None where it was."""
    arguments = list(read_arguments(words[1:], _WITH_VALUE))
    plain = [argument for argument in arguments if argument.option is None]
    action = plain[0].text if plain else ""
    if not action or action in _NOTHING_TO_DO:
        return None
    if action in {"remove", "purge"}:
        _forget(plain[1:], state)
        return None
    if action == "build-dep":
        return "what a source package needs to be built is not known here"
    if action not in {"install", "satisfy", "reinstall"}:
        return f"`{action}` is not understood"
    for argument in arguments:
        if argument.option in _RELEASE:
            hint = "the base's sources decide it; name a base of that release in [base]"
            state.content.leave(state.place(argument.line), f"`{argument.option} {argument.text}`", hint)
    _install(plain[1:], state)
    return None


def take_system_packages(names: Sequence[str], state: BuildState, line: int) -> None:
    """Take packages of the distribution that stand in a list."""
    _install([Argument(None, ShellWord(name, line), line) for name in names], state)


def _install(packages: Sequence[Argument], state: BuildState) -> None:
    taken = []
    for argument in packages:
        where = state.place(argument.line)
        if argument.value and argument.value.unknown:
            state.content.leave(
                where,
                f"`{argument.value.unknown}` has no value here",
                "name its packages in [system] packages",
            )
        elif not _is_brought(argument, state) and (package := _package(argument.text, where, state)):
            taken.append(package)
    if state.is_final:
        state.content.add("system", "packages", taken)
    elif taken:
        hint = f"if a source must be built with them: `build-packages = {_list(taken)}` in [pip]"
        where = state.place(packages[0].line)
        state.content.leave(where, f"only in a stage that builds: {', '.join(taken)}", hint)


def _package(text: str, where: str, state: BuildState) -> str | None:
    if text.endswith((".deb", "/.")) or text.startswith(("/", "./", "~")):
        state.content.leave(where, f"`{text}` is a file", "only packages of the base's archive can be locked")
        return None
    if text.endswith(("-", "+")) and re.fullmatch(rules.DEBIAN_PACKAGE, text[:-1]) and text[-1] == "-":
        return None  # apt: `name-` is not to be installed
    try:
        return rules.system_package(text)
    except RefusedError as error:
        state.content.left.append(error.at(where))
        return None


def _is_brought(argument: Argument, state: BuildState) -> bool:
    """Take a package of Python or CUDA for what it says: envbuild brings these itself."""
    name = argument.text.partition("=")[0]
    where = state.place(argument.line)
    if name in _OF_PYTHON:
        return True
    if match := _PYTHON.fullmatch(name):
        version = match["version"] if "." in match["version"] else state.distribution_python
        if version:
            evidence = PythonEvidence(version, where)
            state.content.pythons += [evidence] if evidence not in state.content.pythons else []
        return True
    if name in _LIBRARIES:
        state.content.add("system", "packages", [_LIBRARIES[name]] if state.is_final else [])
        return True
    if _OF_NVIDIA.fullmatch(name):
        hint = "[gpu] and wheels bring CUDA; `image` in [gpu] says how much of it the base has"
        state.content.leave(where, f"`{name}` is of NVIDIA's archive", hint)
        return True
    if match := _MODULE.fullmatch(name):
        module = match["module"]
        state.content.leave(
            where,
            f"`{name}` is for the distribution's own Python, which the environment does not see",
            f'`packages = ["{module}"]` in [pip], if it has that name on the index',
        )
        return True
    return False


def _forget(packages: Sequence[Argument], state: BuildState) -> None:
    """Leave out what an earlier step installed and this one removes."""
    names = {argument.text.partition("=")[0] for argument in packages}
    taken = state.content.tables.get("system", {}).get("packages", [])
    taken[:] = [package for package in taken if package.partition("=")[0] not in names]


def _list(items: Sequence[str]) -> str:
    return f"[{', '.join(_quoted(items))}]"


def _quoted(items: Sequence[str]) -> Iterator[str]:
    return (f'"{item}"' for item in items)
