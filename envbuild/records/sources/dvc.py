"""Runs of DVC: a revision of the repository, or an experiment by its name, read with git alone.

`envbuild_runtime.dvc.write()` writes the parameters ``envbuild-environment.yaml``; ``dvc.lock`` has the
commands of stages, and the digests of what they read and wrote.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from envbuild.errors import RecordError, UsageError
from envbuild.formats.json_text import parse_json
from envbuild.records.found import FoundRun
from envbuild.records.git import COMMIT, file_at, repository_root, run_git
from envbuild.records.model import record_of
from envbuild.records.sources.bounds import (
    LARGEST_FILE,
    nothing_recorded,
    numbers,
    parse_yaml,
    paths,
    texts,
)
from envbuild.records.sources.dvc_stages import StageCommand, stage_command

PARAMETERS: Final = ("envbuild-environment.yaml", "envbuild-environment.json")
LOCK: Final = "dvc.lock"
HOW: Final = (
    "a stage that `envbuild_runtime.dvc.write()` wrote parameters for has one: "
    "run `python -m envbuild_runtime dvc` in a stage, and commit what it writes"
)
_REVISION = re.compile(r"[A-Za-z0-9_][\w./@{}~^+-]{0,254}", re.ASCII)
_STAGE = re.compile(r"[\w.@-]{1,255}")
_TAKEN: Final = (
    "folder",
    "image",
    "lock",
    "name",
    "options",
    "platform",
    "tag",
    "target",
    "variables",
    "variant",
)
MOST_EXPERIMENTS: Final = 5000
MOST_DEPENDENCIES: Final = 50
SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Revision:
    """A commit of a repository, and the folder of it that is looked at."""

    root: Path
    folder: str
    commit: str
    environment: Mapping[str, str]

    def read(self, name: str) -> object:
        """Return the value of a file of the folder, JSON or YAML; None: the commit has none there.

        :raises RecordError: it is neither, or too large.
        """
        path = name if self.folder == "." else f"{self.folder}/{name}"
        content = file_at(self.root, self.commit, path, self.environment, limit=LARGEST_FILE)
        return None if content is None else _parsed(content, f"{name} of {self.commit[:12]}")


def find_dvc(name: str, environment: Mapping[str, str], folder: Path) -> FoundRun:
    """Return the run of ``REVISION`` or ``REVISION:STAGE`` of the repository of ``folder``.

    :raises UsageError: it is no revision, or the stage must be named.
    :raises RecordError: there is no repository, revision, stage or record, or one that cannot be used.
    """
    text, _, wanted = name.partition(":")
    if not _REVISION.fullmatch(text) or ".." in text or (wanted and not _STAGE.fullmatch(wanted)):
        raise UsageError(f"dvc:{name} names no revision", hint="dvc:REVISION or dvc:REVISION:STAGE")
    folder = folder.resolve()
    root = repository_root(folder)
    if root is None:
        raise RecordError(
            "this folder is in no git repository", hint="change to the folder of dvc.yaml first"
        )
    revision = _Revision(
        root=root,
        folder=folder.relative_to(root).as_posix(),
        commit=_commit(root, text, environment),
        environment=environment,
    )
    source = f"dvc:{name}"
    stages = _table(_table(revision.read(LOCK)).get("stages"))
    parameters = next(
        (_table(found) for path in PARAMETERS if (found := revision.read(path)) is not None), {}
    )
    if not parameters.get("target"):
        looked = [f"{path} of {revision.commit[:12]}" for path in PARAMETERS]
        raise nothing_recorded(source, looked, HOW)
    stage = _stage(stages, wanted, source)
    entry = _table(stages.get(stage)) if stage else {}
    ran = _command(entry.get("cmd"), parameters)
    variables = {**_table(parameters.get("variables")), **ran.variables}
    record = record_of(
        {
            **{key: value for key, value in parameters.items() if key in _TAKEN},
            "version": 1,
            "git": {"commit": revision.commit, "dirty": False, "folder": _spec_folder(revision, parameters)},
            "data": [{"name": key, "digest": value} for key, value in _table(parameters.get("data")).items()],
            **ran.document(),
            **({"variables": variables} if variables else {}),
        },
        where=source,
    )
    outs = [item.get("path") for item in _tables(entry.get("outs"))]
    return FoundRun(
        source=source,
        record=record,
        place=f"{PARAMETERS[0]} and {LOCK} of {revision.commit[:12]}",
        name=f"stage {stage}" if stage else None,
        parameters=texts(_flat(entry.get("params"))),
        metrics=numbers(_metrics(revision, outs)),
        artifacts=paths(outs),
        missing=(
            *(() if stage else (f"the command of a stage: {LOCK} has none",)),
            *ran.missing,
            *_not_reproduced(revision, entry),
        ),
    )


def _spec_folder(revision: _Revision, parameters: Mapping[str, Any]) -> str:
    """Return the folder of the spec, beside whose lock it lies: a pipeline may lie in another one."""
    path = _table(parameters.get("lock")).get("path")
    return str(PurePosixPath(path).parent) if isinstance(path, str) and path else revision.folder


def _commit(root: Path, name: str, environment: Mapping[str, str]) -> str:
    """Return the commit of a revision, or of an experiment of that name."""
    listed = run_git(
        root,
        ["for-each-ref", "--format=%(objectname) %(refname)", f"--count={MOST_EXPERIMENTS}", "refs/exps"],
        environment,
        timeout=SECONDS,
    )
    named = {line.partition(" ")[0] for line in listed.stdout.splitlines() if line.rpartition("/")[2] == name}
    if len(named) > 1:
        raise RecordError(f"several experiments are called {name}", hint="name the commit of one")
    words = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    found = next(iter(named), None) or run_git(root, words, environment, timeout=SECONDS).stdout.strip()
    if not COMMIT.fullmatch(found):
        raise RecordError(
            f"the repository has no revision and no experiment `{name}`",
            hint="`git fetch`, or `dvc exp pull`, brings those of others",
        )
    return found


def _stage(stages: Mapping[str, Any], wanted: str, source: str) -> str | None:
    if wanted and wanted not in stages:
        raise RecordError(
            f"{LOCK} has no stage `{wanted}`", hint=f"its stages: {', '.join(sorted(map(str, stages))[:20])}"
        )
    # what writes the parameters is no run itself
    others = [
        name
        for name, entry in stages.items()
        if not any(item.get("path") in PARAMETERS for item in _tables(_table(entry).get("outs")))
    ]
    if not wanted and len(others) > 1:
        raise UsageError(
            f"{LOCK} has {len(others)} stages",
            hint=f"name one: {', '.join(f'{source}:{name}' for name in sorted(map(str, others))[:20])}",
        )
    return wanted or next(iter(others), None)


def _command(cmd: object, parameters: Mapping[str, Any]) -> StageCommand:
    """Return what a stage runs as a container is given it; without a stage, what the parameters tell."""
    if cmd is None:
        recorded = parameters.get("command")
        return StageCommand(command=recorded if isinstance(recorded, list) else None)
    return stage_command(
        [line for line in (cmd if isinstance(cmd, list) else [cmd]) if isinstance(line, str)]
    )


def _not_reproduced(revision: _Revision, entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files that a stage read otherwise than the commit has them: it was not reproduced since."""
    for item in _tables(entry.get("deps"))[:MOST_DEPENDENCIES]:
        path, locked = item.get("path"), item.get("md5")
        if item.get("hash") != "md5" or not isinstance(path, str) or not isinstance(locked, str):
            continue
        place = path if revision.folder == "." else f"{revision.folder}/{path}"
        content = file_at(revision.root, revision.commit, place, revision.environment, limit=LARGEST_FILE)
        if content is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != locked:
            yield f"the {path} of the run: the commit has another one, `dvc repro` was not run since"


def _metrics(revision: _Revision, outs: Sequence[object]) -> Iterator[tuple[str, object]]:
    for path in outs:
        if isinstance(path, str) and path.endswith(".json") and "metric" in path.rpartition("/")[2]:
            yield from _flat(_metric_file(revision, path))


def _metric_file(revision: _Revision, path: str) -> object:
    try:
        return revision.read(path)
    except RecordError:
        # a run can be had again without its results
        return None


def _flat(value: object, name: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """Yield the values of nested tables by their dotted names."""
    if isinstance(value, dict) and depth < 8:  # noqa: PLR2004 - deeper than anybody's
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else str(key), depth + 1)
    elif name:
        yield name, value


def _parsed(content: bytes, where: str) -> object:
    with contextlib.suppress(ValueError):
        return parse_json(content)
    try:
        return parse_yaml(content)
    except ValueError as error:
        raise RecordError(f"{where} cannot be read: {error}") from error


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
