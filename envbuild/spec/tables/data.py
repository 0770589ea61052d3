"""``[[data]]``: data and models that runs of the environment read."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, WithJsonSchema, model_validator

from envbuild.spec import rules
from envbuild.spec.problems import RefusedError, alternatives
from envbuild.spec.tables import data_rules
from envbuild.spec.tables.table import SpecTable


def _text(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


DataName = Annotated[str, AfterValidator(data_rules.name), _text(data_rules.NAME, "images")]
DataPath = Annotated[str, AfterValidator(data_rules.path)]
DataTarget = Annotated[str, AfterValidator(data_rules.target), _text(data_rules.TARGET, "/data/images")]
DataSha256 = Annotated[str, AfterValidator(data_rules.sha256)]
DvcPointer = Annotated[str, AfterValidator(data_rules.dvc), _text(data_rules.DVC, "data/images.dvc")]
DataUrl = Annotated[
    str, AfterValidator(data_rules.url), _text(data_rules.URL, "https://files.example.com/images.tar")
]
HubRepository = Annotated[
    str, AfterValidator(data_rules.repository), _text(data_rules.REPOSITORY, "owner/name")
]
HubRevision = Annotated[str, AfterValidator(data_rules.revision), _text(data_rules.REVISION, "main")]
HubPattern = Annotated[str, AfterValidator(data_rules.pattern)]
S3Address = Annotated[str, AfterValidator(data_rules.s3), _text(data_rules.S3, "s3://bucket/images")]
DataLine = Annotated[str, AfterValidator(rules.filled)]

SOURCES: Final[tuple[Literal["dvc", "url", "huggingface", "s3"], ...]] = ("dvc", "url", "huggingface", "s3")
"""Keys that say where data can be fetched; at most one."""


class DataTable(SpecTable):
    """Data or a model, locked by digest; never part of the image."""

    name: DataName
    """Name of the data."""

    path: DataPath | None = None
    """File or folder on each machine, relative to the spec or absolute; absent: `data/` and the name."""

    target: DataTarget | None = None
    """Where `envbuild run` mounts it, read-only; absent: `/data/` and the name."""

    version: DataLine | None = None
    """Its version, for people."""

    license: DataLine | None = None
    """Its licence: an SPDX expression, or a name."""

    dvc: DvcPointer | None = None
    """Pointer of DVC: a `.dvc` file, or `dvc.lock:OUTPUT`."""

    url: DataUrl | None = None
    """Address of one file, without credentials."""

    sha256: DataSha256 | None = None
    """What the file at `url` must be; absent: what it is when it is first locked."""

    huggingface: HubRepository | None = None
    """Repository of the Hugging Face Hub."""

    type: Literal["dataset", "model", "space"] | None = None
    """Kind of that repository; absent: `dataset`."""

    revision: HubRevision | None = None
    """Branch, tag or commit of that repository, locked as a commit; absent: `main`."""

    files: tuple[HubPattern, ...] = ()
    """Patterns of the files wanted of that repository; absent: all."""

    s3: S3Address | None = None
    """Object, or prefix of several, in a bucket."""

    @model_validator(mode="after")
    def _one_source(self) -> "DataTable":
        given = [key for key in SOURCES if getattr(self, key) is not None]
        if len(given) > 1:
            raise RefusedError(f"has {len(given)} sources", hint=f"keep one of {alternatives(given)}")
        if self.sha256 is not None and self.url is None:
            raise RefusedError("`sha256` is that of the file at `url`, and there is none")
        hub = [key for key in ("type", "revision") if getattr(self, key) is not None]
        hub += ["files"] if self.files else []
        if hub and self.huggingface is None:
            raise RefusedError(
                f"`{hub[0]}` is about a repository of the Hugging Face Hub, and there is none",
                hint='name it: huggingface = "owner/name"',
            )
        return self
