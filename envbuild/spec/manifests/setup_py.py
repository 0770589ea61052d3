"""``setup.py``: what is given to ``setup()``, as far as it shows without running it."""

import ast
import warnings
from contextlib import suppress
from typing import Any

from envbuild.errors import Problem
from envbuild.spec.manifests.content import (
    AnyRequirement,
    ManifestContent,
    UnusableRequirement,
    WrittenRequirement,
    classifier_pythons,
)
from envbuild.spec.manifests.static_python import StaticPython
from envbuild.spec.manifests.static_values import (
    FileText,
    FunctionReturn,
    LoopControl,
    Scope,
    TooMuchError,
    Unknown,
)
from envbuild.spec.problems import RefusedError

_HINT = "write them to a requirements file and name that in [pip] requirements"
_SETUP = frozenset({"setup", "setuptools.setup", "skbuild.setup", "distutils.core.setup", "core.setup"})
_MOST_CHARACTERS = 1_000_000


def read_setup_py(text: str, file: str, python: str = "3.12") -> ManifestContent:
    """Return what a setup.py gives to ``setup()`` with this Python on Linux; it is not run."""
    content = ManifestContent()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd in a stranger's file is not ours to say
            tree = ast.parse(text.removeprefix("\ufeff")[:_MOST_CHARACTERS])
    except SyntaxError as error:
        content.problems.append(Problem(f"{file}:{error.lineno or 1}", "is not Python 3"))
        return content
    except (ValueError, RecursionError, MemoryError):
        content.problems.append(Problem(file, "is not Python anybody would write"))
        return content
    found: dict[str, Any] = {}
    version = tuple(int(part) for part in python.split("."))
    reader = StaticPython(
        file.rpartition("/")[2], version, on_call=lambda call, scope: _setup(reader, call, scope, found)
    )
    with suppress(FunctionReturn, LoopControl, RecursionError, TooMuchError):
        reader.follow(tree.body, {})
    if found:
        _content(found, file, content)
    else:
        content.problems.append(Problem(file, "no call of setup() can be seen without running it", _HINT))
    return content


def _setup(reader: StaticPython, call: ast.Call, scope: Scope, found: dict[str, Any]) -> bool:
    if ast.unparse(call.func) not in _SETUP:
        return False
    for keyword in call.keywords:
        value = reader.value(keyword.value, scope)
        if keyword.arg:
            found[keyword.arg] = value
        elif isinstance(value, dict):
            found.update({str(key): item for key, item in value.items()})
        else:
            found.setdefault("install_requires", value)
    found.setdefault("name", None)
    return True


def _content(found: dict[str, Any], file: str, content: ManifestContent) -> None:
    name = found.get("name")
    content.name = name if isinstance(name, str) else None
    if isinstance(python := found.get("python_requires"), str):
        content.pythons.append((python, True, file))
    classifiers = found.get("classifiers")
    if isinstance(classifiers, list):
        content.pythons += classifier_pythons([str(item) for item in classifiers], file)
    content.dependencies, content.files = _listed(found.get("install_requires"), file, "install_requires")
    extras = found.get("extras_require")
    for extra, items in extras.items() if isinstance(extras, dict) else ():
        content.extras[str(extra)], files = _listed(items, file, f"extra `{extra}`")
        if files:
            content.extra_files[str(extra)] = files
    if isinstance(extras, Unknown):
        content.refuse(f"{file}:{extras.line}", f"its extras cannot be told: `{extras.what}`", _HINT)


def _listed(value: Any, file: str, what: str) -> tuple[list[AnyRequirement], list[str]]:
    requirements: list[AnyRequirement] = []
    files: list[str] = []
    items = value.splitlines() if isinstance(value, str) else value
    for item in items if isinstance(items, list) else [] if items is None else [items]:
        match item:
            case str():
                if item.strip():
                    requirements.append(WrittenRequirement.at(file, item.strip()))
            case FileText(file=named):
                folder, _, _ = file.rpartition("/")
                files.append(f"{folder}/{named}" if folder else named)
            case Unknown(line=line, what=text):
                error = RefusedError(f"{what} cannot be told without running it: `{text}`", hint=_HINT)
                requirements.append(UnusableRequirement(f"{file}:{line}", error))
            case list() if not any(isinstance(part, list) for part in item):
                inner, more = _listed(item, file, what)
                requirements += inner
                files += more
            case None:
                continue
            case _:
                error = RefusedError(f"{what} holds what is no requirement")
                requirements.append(UnusableRequirement(file, error))
    return requirements, list(dict.fromkeys(files))
