"""conda-lock as a process: it reads the specs, calls a solver, and says which files were chosen."""

import contextlib
import importlib.util
import json
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from envbuild import process
from envbuild.cache.folders import CONDA_LISTS, LAST_USE
from envbuild.errors import EnvbuildError, NetworkError, NoSolutionError, SpecError
from envbuild.remote.channels import ChannelAddress
from envbuild.resolve.conda import solver
from envbuild.resolve.conda.failure import shortened
from envbuild.resolve.python.files import end_of_snapshot

_KEPT = re.compile(r"(?!CONDA_|MAMBA_|PIXI_|PYTHONDONTWRITEBYTECODE$)")
"""Settings of a conda on this machine would change its answer; without bytecode conda-lock takes 3 s more."""

LAST_LINES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaQuestion:
    """What is asked, once per target."""

    specs: tuple[str, ...]
    channels: tuple[ChannelAddress, ...]
    subdir: str
    virtual_packages: Mapping[str, str]
    program: str = "rattler"
    """``rattler``, or the name of a conda on this machine."""

    prefer: tuple[str, ...] = ()
    """``name version build`` to stay with where nothing speaks against them."""

    snapshot: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaAnswer:
    """What was chosen."""

    urls: tuple[str, ...]
    """Of the files, sorted."""

    records: tuple[Mapping[str, Any], ...] = field(default=())
    """Complete records of them, as repodata has them; none when a program of the machine solved."""


def solve(
    question: CondaQuestion, *, cache: Path, environment: Mapping[str, str], login_file: Path | None
) -> CondaAnswer:
    """Run conda-lock for one target.

    ``cache`` keeps repodata.  ``login_file`` holds the credentials of channels as rattler reads them.

    :raises NoSolutionError: nothing satisfies the specs; the solver's reason, shortened, is the detail.
    :raises NetworkError: a channel cannot be read.
    :raises SpecError: the solver asked for cannot be used.
    """
    import yaml  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="envbuild-conda-") as name:
        folder = Path(name)
        answer, lock = folder / "answer.json", folder / "conda-lock.yml"
        own = _process_environment(environment, cache, login_file) | {
            solver.ANSWER_VARIABLE: str(answer),
            solver.CHANNELS_VARIABLE: json.dumps({item.name: item.url for item in question.channels}),
        }
        if question.prefer:
            own[solver.LOCKED_VARIABLE] = str(_written(folder / "prefer.txt", "\n".join(question.prefer)))
        if question.snapshot:
            own[solver.NEWER_VARIABLE] = str(int(end_of_snapshot(question.snapshot).timestamp()) - 1)
        result = process.run(_arguments(question, folder, lock, environment), environment=own, folder=folder)
        said = _read_answer(answer)
        if not result.succeeded or (said is not None and not said["success"]):
            raise _failure(question, said, result)
        document = yaml.safe_load(lock.read_text(encoding="utf-8"))
        urls = tuple(sorted(entry["url"] for entry in document["package"]))
        records = tuple(said["records"]) if said else ()
        return CondaAnswer(urls=urls, records=tuple(record for record in records if record["url"] in urls))


def read_records(
    question: CondaQuestion,
    names: Iterable[str],
    *,
    cache: Path,
    environment: Mapping[str, str],
    login_file: Path | None,
    every_format: bool = False,
) -> tuple[Mapping[str, Any], ...]:
    """Return what the channels of ``question`` say of all packages called ``names``.

    Of a package in both formats that is the ``.conda``, unless ``every_format`` is wanted, which takes the
    whole repodata.

    :raises NetworkError: a channel cannot be read.
    """
    channels = [word for channel in question.channels for word in ("--channel", channel.url)]
    with tempfile.TemporaryDirectory(prefix="envbuild-conda-") as name:
        answer = Path(name) / "answer.json"
        own = _process_environment(environment, cache, login_file) | {
            solver.ANSWER_VARIABLE: str(answer),
            "CONDA_SUBDIR": question.subdir,
        }
        options = [*channels, *(["--every-format"] if every_format else [])]
        command = [sys.executable, "-m", solver.__name__, "records", *options, *sorted(set(names))]
        result = process.run(command, environment=own)
        said = _read_answer(answer)
    if said is None or not said["success"]:
        raise _failure(question, said, result)
    return tuple(said["records"])


def _process_environment(
    environment: Mapping[str, str], cache: Path, login_file: Path | None
) -> dict[str, str]:
    folder = CONDA_LISTS.path(cache)
    folder.mkdir(parents=True, exist_ok=True)
    # py-rattler notes no use of what it keeps there
    with contextlib.suppress(OSError):
        (folder / LAST_USE).touch()
    own = {key: value for key, value in environment.items() if _KEPT.match(key)}
    for name in (solver.LOCKED_VARIABLE, solver.NEWER_VARIABLE):
        own.pop(name, None)
    own |= {
        solver.CACHE_VARIABLE: str(folder),
        "NO_COLOR": "1",
        **bytecode_settings(importlib.util.find_spec("conda_lock"), folder / "bytecode"),
    }
    if login_file is not None:
        own["RATTLER_AUTH_FILE"] = str(login_file)
    return own


def bytecode_settings(program: ModuleSpec | None, folder: Path) -> dict[str, str]:
    """Return settings by which a Python keeps the bytecode of ``program`` in ``folder``, if it has none yet.

    Compiling conda-lock and what it imports takes some 4 s.  pip does so when it installs; uv does not, and
    nothing can be written beside the modules of an installation that belongs to somebody else.
    """
    origin = program.origin if program is not None else None
    if origin is not None and Path(importlib.util.cache_from_source(origin)).is_file():
        return {}
    return {"PYTHONPYCACHEPREFIX": str(folder)}


def _arguments(
    question: CondaQuestion, folder: Path, lock: Path, environment: Mapping[str, str]
) -> list[str | Path]:
    asked = {
        "channels": [channel.url for channel in question.channels],
        "dependencies": list(question.specs),
    }
    virtual = {"subdirs": {question.subdir: {"packages": dict(question.virtual_packages)}}}
    return [
        sys.executable, "-m", "conda_lock", "lock",
        "--conda", _program(question, folder, environment),
        "--no-mamba",
        "--platform", question.subdir,
        "--file", _written(folder / "environment.yml", json.dumps(asked)),
        "--virtual-package-spec", _written(folder / "virtual-packages.yml", json.dumps(virtual)),
        # without a file conda-lock would fetch one from the internet
        "--pypi_to_conda_lookup_file", _written(folder / "names.json", "{}"),
        "--lockfile", lock,
        "--log-level", "WARNING",
    ]  # fmt: skip


def _program(question: CondaQuestion, folder: Path, environment: Mapping[str, str]) -> Path:
    """Return an executable conda-lock can call: ours is a module, so a launcher is written."""
    if question.program != "rattler":
        found = shutil.which(question.program, path=environment.get("PATH"))
        if found is None:
            raise _wrong_solver(f"`{question.program}` is not on this machine's PATH")
        if question.snapshot:
            raise _wrong_solver(f"`{question.program}` cannot leave out what is newer than the snapshot")
        return Path(found)
    command = shlex.join([sys.executable, "-m", solver.__name__])
    launcher = _written(folder / "solver", f'#!/bin/sh\nexec {command} "$@"\n')
    launcher.chmod(0o700)
    return launcher


def _wrong_solver(message: str) -> SpecError:
    hint = 'leave it out, or write "rattler": envbuild has that solver with it'
    return SpecError.at("conda.solver", message, hint)


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _read_answer(path: Path) -> Mapping[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        answer: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return answer
    return None


def _failure(
    question: CondaQuestion, said: Mapping[str, Any] | None, result: process.ProcessResult
) -> EnvbuildError:
    if said is None or said["success"]:
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        detail = "\n".join(lines[-LAST_LINES:])
        if question.program != "rattler" and re.search(
            r"unsatisfiable|nothing provides|could not solve", detail, re.IGNORECASE
        ):
            return NoSolutionError(
                f"{question.program} found no solution for {question.subdir}", detail=detail
            )
        return EnvbuildError(f"conda-lock failed with exit status {result.exit_status}", detail=detail)
    message = str(said["message"])
    if said["error"] == "SolverError":
        return NoSolutionError(
            f"there is no solution for {question.subdir}",
            hint=_hint(message, question),
            detail=shortened(message),
        )
    for channel in question.channels:
        if channel.url in message or channel.name in message:
            return NetworkError(
                f"channel `{channel.name}` cannot be read",
                hint="check its name or address, and your credentials for it",
                detail=shortened(message),
            )
    return NetworkError("a channel cannot be read", detail=shortened(message))


def _hint(message: str, question: CondaQuestion) -> str | None:
    known = question.virtual_packages
    if "__cuda" in message and "__cuda" not in known:
        return "this variant has no CUDA: write `cuda` under [conda], or [gpu], where machines have it"
    if "__glibc" in message:
        return f"the base has glibc {known.get('__glibc', 'none')}: choose a newer base, or older packages"
    if "No candidates were found" in message:
        names = ", ".join(f"`{channel.name}`" for channel in question.channels)
        return f"check the name, and that one of the channels has it: {names}"
    return None
