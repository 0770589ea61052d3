"""The record of a run: its form as JSON, read strictly, since it comes from trackers that anybody writes to.

What is not known is absent.  docs/reference/run-record.md explains each key.
"""

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Final

from pydantic import AfterValidator, ConfigDict, Field, PositiveInt, StringConstraints, ValidationError

from envbuild.digest import OciDigest, Sha256, canonical_json
from envbuild.errors import Problem, RecordError
from envbuild.formats.json_text import parse_unambiguous_json
from envbuild.values import Value
from envbuild.visible import visible

VERSION: Final = 1
LARGEST: Final = 64 << 10
"""Bytes of a record; a variable of Linux holds twice as much."""

MOST_WORDS: Final = 4096
MOST_ITEMS: Final = 256
LONGEST_LINE: Final = 1000
MOST_PROBLEMS: Final = 10


def _require_shown(text: str) -> str:
    if visible(text, limit=None) != text:
        raise ValueError("has characters that cannot be shown")
    return text


def _require_word(text: str) -> str:
    if "\0" in text:
        raise ValueError("has a NUL")
    return text


def _require_inside(path: str) -> str:
    _require_shown(path)
    if path.startswith("/") or "\\" in path or ".." in PurePosixPath(path).parts:
        raise ValueError("must be a relative path without `..`")
    return path


def _require_absolute(path: str) -> str:
    _require_shown(path)
    if not path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise ValueError("must be an absolute path without `..`")
    return path


Line = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_LINE), AfterValidator(_require_shown)
]
Word = Annotated[str, AfterValidator(_require_word)]
InsidePath = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_LINE), AfterValidator(_require_inside)
]
AbsolutePath = Annotated[
    str, StringConstraints(min_length=1, max_length=LONGEST_LINE), AfterValidator(_require_absolute)
]
Commit = Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,255}$")]


class RecordPart(Value):
    """A table of a record: a key that this version does not know is left out."""

    # a default for what a record lacks would be a fact that nobody recorded
    model_config = ConfigDict(extra="ignore", strict=True)


class RecordedLock(RecordPart):
    """The lock that a run used."""

    sha256: Sha256
    """Of the file's bytes."""

    path: InsidePath = "envbuild.lock"
    """Below the root of the git repository."""


class RecordedImage(RecordPart):
    """The image of a run, as its engine knew it."""

    reference: Line | None = None
    digest: OciDigest | None = None
    """Of its manifest where the engine tells it, else the engine's own ID of the image."""

    engine: Line | None = None
    repository: Line | None = None
    """Where it is pushed to."""


class RecordedGit(RecordPart):
    """Where the code of a run was in git."""

    commit: Commit
    dirty: bool | None = None
    """Whether tracked files differed from the commit; None: not known."""

    remote: Line | None = None
    """Without credentials."""

    folder: InsidePath = "."
    """The spec's folder below the root of the repository."""


class RecordedOptions(RecordPart):
    """Options of `run` that were given, as texts."""

    network: Line | None = None
    shm_size: Line | None = None
    gpus: Line | None = None
    memory: Line | None = None
    cpus: Line | None = None
    user: Line | None = None
    workdir: Line | None = None


class RecordedMount(RecordPart):
    """A mount that was asked for; what it was on the machine is not recorded."""

    target: AbsolutePath
    read_only: bool = False


class RecordedData(RecordPart):
    """An entry of data that the lock had."""

    name: Line
    digest: OciDigest
    target: AbsolutePath | None = None


class RecordedOrigin(RecordPart):
    """The run that this one repeats."""

    source: Line


class RunRecord(RecordPart):
    """What envbuild knows of one run."""

    version: PositiveInt = VERSION
    name: Line | None = None
    variant: Line | None = None
    platform: Line | None = None
    target: OciDigest | None = None
    tag: Line | None = None
    format: PositiveInt | None = None
    """Of the recipe."""

    lock: RecordedLock | None = None
    image: RecordedImage | None = None
    git: RecordedGit | None = None
    command: Annotated[tuple[Word, ...], Field(min_length=1, max_length=MOST_WORDS)] | None = None
    """None: a shell, or longer than a record may be."""

    redacted: bool = False
    """Whether something in the command was replaced by ``***``."""

    folder: InsidePath | None = None
    """Where the command started, below the mounted folder."""

    mounted: bool | None = None
    """Whether the spec's folder was mounted."""

    options: RecordedOptions | None = None
    variables: Annotated[dict[VariableName, Line], Field(max_length=MOST_ITEMS)] = Field(default_factory=dict)
    """Switches of seeds, threads and determinism."""

    variable_names: Annotated[tuple[VariableName, ...], Field(max_length=MOST_ITEMS)] = ()
    """Names of the other variables that were passed; their values are recorded nowhere."""

    mounts: Annotated[tuple[RecordedMount, ...], Field(max_length=MOST_ITEMS)] = ()
    data: Annotated[tuple[RecordedData, ...], Field(max_length=MOST_ITEMS)] = ()
    gpus: Annotated[tuple[Line, ...], Field(max_length=MOST_ITEMS)] = ()
    driver: Line | None = None
    again: RecordedOrigin | None = None

    def document(self) -> dict[str, Any]:
        """Return the record as plain JSON values; what is not known is absent."""
        found = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        if not self.redacted:
            del found["redacted"]
        return {key: value for key, value in found.items() if value not in ({}, [])}

    def text(self) -> str:
        """Return the record as one line of JSON with sorted keys."""
        return canonical_json(self.document()).decode()


def read_record(text: str | bytes, *, where: str) -> RunRecord:
    """Return the record that ``text`` holds; ``where`` says for people where it was found.

    Keys that this version does not know are ignored.

    :raises RecordError: it is too large, no JSON, of a newer version, or a field cannot be what it is.
    """
    if len(text) > LARGEST:
        raise RecordError(f"{where}: the record of the run has more than {LARGEST >> 10} KiB")
    try:
        found = parse_unambiguous_json(text)
    except ValueError as error:
        raise RecordError(f"{where}: the record of the run is not JSON: {error}") from error
    return record_of(found, where=where)


def record_of(found: object, *, where: str) -> RunRecord:
    """Return the record of plain JSON values; see :func:`read_record`.

    :raises RecordError: see there.
    """
    if not isinstance(found, dict):
        raise RecordError(f"{where}: the record of the run is no table")
    version = found.get("version")
    if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
        raise RecordError(
            f"{where}: the record of the run has version {version}, and this envbuild knows {VERSION}",
            hint="use a newer envbuild",
        )
    if version is None:
        raise RecordError(f"{where}: the record of the run has no `version`")
    try:
        # lists are tuples in JSON alone
        return RunRecord.model_validate_json(canonical_json(found))
    except (ValueError, TypeError, RecursionError) as error:
        # of the last three: what YAML has and JSON has not
        problems = tuple(_problems(error)) if isinstance(error, ValidationError) else ()
        raise RecordError(f"{where}: the record of the run is not valid", problems=problems) from error


def _problems(error: ValidationError) -> list[Problem]:
    # values are left out: they may be anything
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return [
        Problem(_field(item["loc"]), re.sub(r"^Value error, ", "", item["msg"]))
        for item in found[:MOST_PROBLEMS]
    ]


def _field(path: tuple[int | str, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{visible(part, limit=60)}"
    return text.lstrip(".")
