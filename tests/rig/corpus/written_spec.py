"""What `init` makes of an environment, compared with what is expected."""

import json
import re
import shutil
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from envbuild.errors import EnvbuildError
from envbuild.spec.request import VariantRequest
from tests.rig.corpus.environments import EXPECTED, CorpusEnvironment, ExpectedSpec
from tests.rig.paths import CHECKOUT
from tests.rig.program import Answer, Program
from tests.rig.specs import request_of


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenSpec:
    """What `init` did with an environment."""

    folder: Path
    answer: Answer
    tables: Mapping[str, Any]
    """The spec; empty: none was written."""

    report: Mapping[str, Any]

    @property
    def spec(self) -> Path:
        return self.folder / "envbuild.toml"

    @property
    def places(self) -> tuple[str, ...]:
        """Where things stand that were reported as not taken."""
        return tuple(str(item["where"]) for item in self.report.get("left", ()))


def write_spec(environment: CorpusEnvironment, folder: Path) -> WrittenSpec:
    """Copy an environment's files to ``folder``, which must not exist, and run `init` there."""
    shutil.copytree(environment.folder, folder, ignore=shutil.ignore_patterns(EXPECTED))
    program = Program(folder)
    answer = program("init", "--json", *_offline(), *environment.args, str(folder))
    return WrittenSpec(
        folder=folder,
        answer=answer,
        tables=tomllib.loads(program.spec.read_text("utf-8")) if program.spec.exists() else {},
        report=json.loads(answer.stdout) if answer.stdout.startswith("{") else {},
    )


@cache
def _offline() -> tuple[str, ...]:
    return ("--offline",) if "--offline" in Program(CHECKOUT)("init", "--help").stdout else ()


def judge_spec(environment: CorpusEnvironment, written: WrittenSpec) -> tuple[str, ...]:
    """Return what is wrong with what `init` did; nothing: it is complete."""
    if environment.expected.refused:
        return tuple(_judge_refusal(environment.expected, written))
    if written.answer.code != 0:
        stderr = written.answer.stderr.replace(str(written.folder), "project")
        said = [line for line in stderr.splitlines() if line.strip()]
        return (f"init exited {written.answer.code}: {' '.join(said[:2])}",)
    try:
        request = next(iter(request_of(written.spec).variants.values()))
    except EnvbuildError as error:
        return (f"the spec does not load: {with_problems(error)}",)
    return tuple(_judge_tables(environment.expected, request, written))


def with_problems(error: EnvbuildError) -> str:
    """Return an error and what it lists, on one line."""
    return "; ".join(map(str, (error, *error.problems)))


def _judge_refusal(expected: ExpectedSpec, written: WrittenSpec) -> Iterator[str]:
    if written.answer.code == 0:
        yield "init exited 0 though there is nothing it can take"
    if written.tables:
        yield "a spec was written though there is nothing to take"
    for place in expected.left:
        if place not in written.answer.stderr and not _is_reported(place, written.places):
            yield f"{place} is not reported"


def _judge_tables(expected: ExpectedSpec, request: VariantRequest, written: WrittenSpec) -> Iterator[str]:
    if expected.python and request.python not in expected.python:
        yield f"Python {request.python}, not {' or '.join(expected.python)}"
    yield from _judge_packages(expected, request)
    if expected.base is not None and (request.base.image or request.base.packages) != expected.base:
        yield f"base {request.base.image or request.base.packages}, not {expected.base}"
    if expected.gpu is not None and (request.gpu is not None) != expected.gpu:
        yield f"[gpu] is {'not ' if expected.gpu else ''}there"
    yield from _judge_image(expected, request)
    yield from _judge_indexes(expected, request, written)
    yield from _judge_report(expected, written)


def _judge_packages(expected: ExpectedSpec, request: VariantRequest) -> Iterator[str]:
    asked = request.pip.requirements
    yield from (f"{text} is not asked for" for text in expected.requirements if not _is_asked(text, asked))
    for text in expected.constraints:
        if not _is_asked(text, (*asked, *request.pip.constraints)):
            yield f"{text} does not constrain"
    yield from (f"{text} is asked for" for text in expected.absent if _is_asked(text, asked))
    packages = request.conda.packages if request.conda else ()
    names = {re.split(r"[\s=<>!]", package.rpartition("::")[2])[0] for package in packages}
    yield from (f"{name} is not asked of conda" for name in expected.conda if name not in names)
    system = {package.partition("=")[0] for package in request.system.packages}
    yield from (f"{name} is not asked of the distribution" for name in expected.system if name not in system)
    yield from (f"{name} is asked of the distribution" for name in expected.absent_system if name in system)


def _judge_image(expected: ExpectedSpec, request: VariantRequest) -> Iterator[str]:
    for variable, value in expected.env.items():
        if request.image.env.get(variable) != value:
            yield f"{variable} is {request.image.env.get(variable)!r}, not {value!r}"
    for variable, folders in expected.prepend.items():
        if not set(folders) <= set(request.image.prepend.get(variable, ())):
            yield f"{variable} is not prepended {', '.join(folders)}"


def _judge_indexes(expected: ExpectedSpec, request: VariantRequest, written: WrittenSpec) -> Iterator[str]:
    pip = written.tables.get("pip", {})
    addresses = {**pip.get("indexes", {}), **pip.get("find-links", {})}
    told = json.dumps(written.report.get("left", ()))
    for address in expected.indexes:
        if address not in addresses.values() and address not in told and "index" not in told:
            yield f"{address} is neither named nor reported"
    for package, address in expected.bound.items():
        index = request.pip.sources.get(package, "")
        if addresses.get(index) != address:
            yield f"{package} is not bound to {address}"


def _judge_report(expected: ExpectedSpec, written: WrittenSpec) -> Iterator[str]:
    named = _named_files(written.tables)
    yield from (f"the spec does not name {file}" for file in expected.named if file not in named)
    for place in expected.left:
        if not _is_reported(place, written.places):
            yield f"{place} is not reported"
    if expected.left_any and not any(_is_reported(place, written.places) for place in expected.left_any):
        yield f"none of {', '.join(expected.left_any)} is reported"


def _named_files(tables: Mapping[str, Any]) -> set[str]:
    pip = tables.get("pip", {})
    lists = [pip.get(key, ()) for key in ("requirements", "constraints", "locks")]
    lists += [tables.get(table, {}).get("files", ()) for table in ("conda", "system")]
    project = {"pyproject.toml"} if any(pip.get(key) for key in ("project", "extras", "groups")) else set()
    return {file for files in lists for file in files} | project


def _is_reported(place: str, places: Iterable[str]) -> bool:
    return any(where == place or where.startswith((f"{place}:", f"{place} ")) for where in places)


def _is_asked(wanted: str, requirements: Iterable[str]) -> bool:
    asked = Requirement(wanted)
    return any(_satisfies(text, asked) for text in requirements)


def _satisfies(text: str, wanted: Requirement) -> bool:
    try:
        found = Requirement(text)
    except InvalidRequirement:
        return False
    if canonicalize_name(found.name) != canonicalize_name(wanted.name):
        return False
    return bool(found.url and not wanted.specifier) or (
        wanted.extras <= found.extras and (not wanted.specifier or _meaning(found) == _meaning(wanted))
    )


def _meaning(requirement: Requirement) -> frozenset[str]:
    """Return the specifiers so that `<4` and `<4.0` are one."""
    return frozenset(
        text if specifier.operator in {"~=", "==="} else re.sub(r"(\.0)+$", "", text)
        for specifier in requirement.specifier
        for text in (str(specifier).replace(" ", ""),)
    )
