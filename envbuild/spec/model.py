"""The spec as tables and keys: what ``envbuild.toml`` may hold, field by field.

Doc strings here become the descriptions in the JSON schema.  Rules for single values are in ``rules.py``;
what several tables must agree on is in ``checks.py``.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from packaging.utils import canonicalize_name
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from envbuild.platforms import PlatformName
from envbuild.spec import conda_rules, rules
from envbuild.spec.problems import RefusedError
from envbuild.spec.requirements import normalized_requirement
from envbuild.spec.tables.data import DataTable
from envbuild.spec.tables.experiments import ExperimentsTable
from envbuild.spec.tables.table import SpecTable


def _unless_off(value: Any, handler: Callable[[Any], Any]) -> Any:
    return value if value is False else handler(value)


@dataclass(frozen=True)
class Switch:
    """Marks a table of a variant that ``false`` switches off."""

    table: type[SpecTable]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Let ``False`` pass both ways, the rest to the table: errors carry no trace of a union."""
        table = handler.generate_schema(self.table)
        return core_schema.no_info_wrap_validator_function(
            _unless_off,
            table,
            serialization=core_schema.wrap_serializer_function_ser_schema(_unless_off, schema=table),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Say the same to editors."""
        return {"anyOf": [handler(schema), {"const": False, "description": "switches the table off"}]}


def _one_name_each(value: Any) -> Any:
    if isinstance(value, dict):
        for name, count in Counter(canonicalize_name(key) for key in value).items():
            if count > 1:
                raise RefusedError(f"`{name}` is there {count} times in different spellings")
    return value


def _text(pattern: str, example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]})


Name = Annotated[str, AfterValidator(rules.name), _text(rules.NAME, "train")]
PythonVersion = Annotated[str, AfterValidator(rules.python), _text(rules.PYTHON, "3.11")]
Platform = Annotated[PlatformName, BeforeValidator(rules.platform)]
Day = Annotated[
    date,
    BeforeValidator(rules.snapshot),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-11-01"]}),
]
Image = Annotated[str, AfterValidator(rules.image), _text(rules.IMAGE, "python:3.11-slim-bookworm")]
Distribution = Annotated[
    str,
    AfterValidator(rules.distribution),
    WithJsonSchema({"type": "string", "enum": list(rules.DISTRIBUTIONS)}),
]
Repository = Annotated[
    str, AfterValidator(rules.repository), _text(rules.REPOSITORY, "registry.example.com/ml/train")
]
Requirement = Annotated[str, AfterValidator(normalized_requirement)]
SystemPackage = Annotated[str, AfterValidator(rules.system_package), _text(rules.DEBIAN_PACKAGE, "git")]
Variable = Annotated[str, AfterValidator(rules.variable), _text(rules.VARIABLE, "HF_HOME")]
User = Annotated[str, AfterValidator(rules.user), _text(rules.USER, "app")]
Workdir = Annotated[str, AfterValidator(rules.workdir), _text(rules.ABSOLUTE, "/workspace")]
IndexName = Annotated[str, AfterValidator(rules.index_name), _text(rules.INDEX_NAME, "pytorch")]
IndexUrl = Annotated[
    str, AfterValidator(rules.index_url), _text(rules.INDEX_URL, "https://index.example.com/simple")
]
PageUrl = Annotated[
    str, AfterValidator(rules.page_url), _text(rules.INDEX_URL, "https://files.example.com/wheels.html")
]
Cuda = Annotated[str, AfterValidator(rules.cuda), _text(rules.CUDA, "12.6")]
GpuTarget = Annotated[str, AfterValidator(rules.gpu_target), _text(rules.GPU_TARGET, "sm_90")]
Registry = Annotated[
    str, AfterValidator(rules.registry), _text(rules.REGISTRY, "registry.example.com/docker-hub")
]
GpuDriver = Annotated[str, AfterValidator(rules.gpu_driver), _text(rules.GPU_DRIVER, ">=535")]
CondaChannel = Annotated[str, AfterValidator(conda_rules.channel), _text(conda_rules.CHANNEL, "conda-forge")]
CondaSpec = Annotated[
    str, AfterValidator(conda_rules.match_spec), _text(conda_rules.MATCH_SPEC, "pytorch-gpu >=2.6")
]
CondaName = Annotated[str, AfterValidator(conda_rules.package_name), _text(conda_rules.NAME, "graphviz")]
CondaCuda = Annotated[str, AfterValidator(conda_rules.cuda), _text(conda_rules.CUDA, "12.6")]
Feature = Annotated[str, AfterValidator(rules.feature), _text(rules.FEATURE, "./tools")]
DistributionName = Annotated[str, AfterValidator(rules.distribution_name)]
Line = Annotated[str, AfterValidator(rules.plain)]
EnvironmentValue = Annotated[str, AfterValidator(rules.environment_value)]
Word = Annotated[str, AfterValidator(rules.filled)]


class BaseTable(SpecTable):
    """What the image stands on: exactly one of the two keys."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["image"]}, {"required": ["packages"]}]}
    )

    image: Image | None = None
    """Image reference with a tag; the lock pins its digest for each platform."""

    packages: Distribution | None = None
    """Distribution to bootstrap from its own packages, no registry needed."""

    @model_validator(mode="after")
    def _exactly_one(self) -> "BaseTable":
        if (self.image is None) == (self.packages is None):
            given = "neither is" if self.image is None else "both are"
            raise RefusedError(
                f"needs exactly one of `image` and `packages`; {given} there",
                hint="leave [base] out to get the default image of your Python"
                if self.image is None
                else None,
            )
        return self


class PipTable(SpecTable):
    """Python distributions."""

    requirements: tuple[Word, ...] = ()
    """Requirements files, relative to the spec, with their `-r` and `-c` includes."""

    packages: tuple[Requirement, ...] = ()
    """Requirements as PEP 508 writes them: `torch>=2.6`, `fastapi[standard]`."""

    constraints: tuple[Word, ...] = ()
    """Constraints files, relative to the spec: they bound versions and ask for nothing."""

    project: bool = False
    """Take `[project] dependencies` of the pyproject.toml beside the spec, without the project itself."""

    extras: tuple[Word, ...] = ()
    """Extras of that pyproject.toml: `[project.optional-dependencies]`."""

    groups: tuple[Word, ...] = ()
    """Groups of that pyproject.toml: `[dependency-groups]` (PEP 735)."""

    resolver: Literal["uv", "pip-tools"] = "uv"
    """What resolves the requirements."""

    indexes: dict[IndexName, IndexUrl] = Field(default_factory=dict)
    """Further package indexes: simple-API address by a name of your choice, never with credentials."""

    find_links: dict[IndexName, PageUrl] = Field(default_factory=dict, alias="find-links")
    """Pages that list files of many packages, by a name of your choice; packages are bound in `sources`."""

    sources: Annotated[dict[DistributionName, Word], BeforeValidator(_one_name_each)] = Field(
        default_factory=dict
    )
    """Package → name of the one index or page it may come from; `default` is the client's own."""

    locks: tuple[Word, ...] = ()
    """Locks of other tools, relative to the spec (`uv.lock`, `poetry.lock`, …), whose versions are kept."""

    unpinned: tuple[DistributionName, ...] = ()
    """Packages whose versions those locks do not decide."""

    build: Annotated[
        tuple[DistributionName, ...] | Literal["all"],
        WithJsonSchema(
            {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string", "const": "all"}]}
        ),
    ] = ()
    """Packages that may be built from source, by name, or `all`; others are installed from wheels alone."""

    wheels_only: bool = Field(default=False, alias="wheels-only")
    """Take the newest version that has a wheel, even where a source would give a newer one."""

    build_packages: tuple[SystemPackage, ...] = Field(default=(), alias="build-packages")
    """Packages of the distribution that builds need, besides a C compiler; not part of the image."""

    build_constraints: tuple[Requirement, ...] = Field(default=(), alias="build-constraints")
    """Bounds on what packages are built with: `setuptools<81`."""


class SystemTable(SpecTable):
    """Packages of the distribution, installed without recommended ones."""

    packages: tuple[SystemPackage, ...] = ()
    """Names, or `name=version`."""

    files: tuple[Word, ...] = ()
    """Files that list packages, relative to the spec; `#` starts a comment."""


class CondaTable(SpecTable):
    """conda packages; with them the environment lies in /opt/conda, its Python is conda's."""

    channels: tuple[CondaChannel, ...] = ()
    """Channels, the first one first: a package comes from the first channel that has it (strict priority)."""

    packages: tuple[CondaSpec, ...] = ()
    """Match specs: `pytorch-gpu`, `numpy >=2,<3`, `blas * openblas`, `nvidia::cuda-version =12.6`."""

    files: tuple[Word, ...] = ()
    """Files of conda, relative to the spec: an environment.yml, or a conda-lock.yml to take over."""

    solver: Literal["rattler", "micromamba", "mamba", "conda"] = "rattler"
    """What solves: envbuild's own solver, or a program of the machine that locks."""

    cuda: CondaCuda | None = None
    """CUDA the machines of this environment can run, the virtual package `__cuda`; absent: from [gpu]."""

    link_scripts: tuple[CondaName, ...] = Field(default=(), alias="link-scripts")
    """Packages whose post-link script may run in the build, without a network; others are refused."""


class ImageSettings(SpecTable):
    """How containers of the image start."""

    env: dict[Variable, EnvironmentValue] = Field(default_factory=dict)
    """Environment variables."""

    prepend: dict[Variable, tuple[Line, ...]] = Field(default_factory=dict)
    """Folders to put before the base's own value of a variable such as `PATH`, the first one first."""

    @model_validator(mode="after")
    def _one_way_each(self) -> "ImageSettings":
        for name, value in self.env.items():
            if re.search(rf"\${name}(?![A-Za-z0-9_])", value):
                raise RefusedError(
                    f"`env.{name}` holds `${name}`, which is not expanded",
                    hint=f'folders before the base\'s own value: prepend = {{ {name} = ["…"] }}',
                )
            if name in self.prepend:
                raise RefusedError(
                    f"`{name}` is in `env` and in `prepend`",
                    hint="`env` replaces the base's own value: keep one",
                )
        return self

    user: User = "app"
    """Account the image runs as; made if the base lacks it, its uid fixed in the lock."""

    workdir: Workdir = "/workspace"
    """Absolute folder containers start in."""

    command: tuple[Word, ...] = Field(default=("python",), min_length=1)
    """Program and arguments a container runs when told nothing else; a variant's replaces it."""


class ImageTable(ImageSettings):
    """The image: where it goes, and how its containers start."""

    repository: Repository | None = None
    """Registry and repository `--push` sends to, without a tag."""


class DeterminismTable(SpecTable):
    """What makes runs repeatable."""

    seed: int | None = Field(default=None, ge=0, le=4294967295)
    """Value of `PYTHONHASHSEED` in the image; it also makes cuBLAS repeatable (`CUBLAS_WORKSPACE_CONFIG`)."""


class GpuTable(SpecTable):
    """GPUs the environment computes on."""

    vendor: Literal["nvidia", "amd"] = "nvidia"
    """Who makes them."""

    cuda: Cuda = "auto"
    """CUDA `major.minor` the environment must run on; `auto`: what the locked wheels were built for."""

    targets: tuple[GpuTarget, ...] = ()
    """The fleet: names of GPUs (`T4`, `A100`), or compute capabilities (`sm_90`); checked at lock time."""

    driver: GpuDriver | None = None
    """Oldest driver on that fleet, such as `>=535`."""

    image: Literal["auto", "slim", "base", "runtime", "cudnn-runtime", "devel"] = "auto"
    """What of CUDA the base brings; `auto`: no more than the wheels lack.  Only without [base]."""

    registry: Registry | None = None
    """Registry that mirrors Docker Hub, which matched bases come from in its place.  Only without [base]."""


class BuildTable(SpecTable):
    """How images are built; never part of the lock."""

    engine: Literal["docker", "local"] = "docker"
    """What builds the image: a Docker Engine, or envbuild itself without any daemon."""


class DevContainerTable(SpecTable):
    """What `envbuild devcontainer` writes; never part of the lock."""

    gpu: Literal["optional", "required", "none"] | None = None
    """What a host must have; absent: a GPU is optional where the environment has use for one."""

    editable: bool | None = None
    """Whether installed packages can be edited in it; absent: if its user is root, who could anyway."""

    features: dict[Feature, dict[Word, str | bool]] = Field(default_factory=dict)
    """Dev container features with their options; pinned by digest in `devcontainer-lock.json`."""

    extensions: tuple[Word, ...] = ()
    """Extensions of VS Code, by identifier, besides Python's."""


class Overlay(SpecTable):
    """A variant: changes laid over the spec.

    Scalars replace, lists append, tables merge key by key, and `false` instead of a table switches it off.
    `base` and `image.command` are one choice each, so they are replaced whole.
    """

    python: PythonVersion | None = None
    """Python of this variant."""

    snapshot: Day | None = None
    """Day of this variant."""

    base: Annotated[BaseTable | Literal[False] | None, Switch(BaseTable)] = None
    """Replaces the base; `false` goes back to the default image."""

    pip: Annotated[PipTable | Literal[False] | None, Switch(PipTable)] = None
    """Laid over [pip]."""

    system: Annotated[SystemTable | Literal[False] | None, Switch(SystemTable)] = None
    """Laid over [system]."""

    gpu: Annotated[GpuTable | Literal[False] | None, Switch(GpuTable)] = None
    """Laid over [gpu]; `false` makes it an environment for CPUs."""

    conda: Annotated[CondaTable | Literal[False] | None, Switch(CondaTable)] = None
    """Laid over [conda]."""

    image: Annotated[ImageSettings | Literal[False] | None, Switch(ImageSettings)] = None
    """Laid over [image]; `repository` is the same for all variants."""

    determinism: Annotated[DeterminismTable | Literal[False] | None, Switch(DeterminismTable)] = None
    """Laid over [determinism]."""

    experiments: Annotated[ExperimentsTable | Literal[False] | None, Switch(ExperimentsTable)] = None
    """Laid over [experiments]."""

    devcontainer: Annotated[DevContainerTable | Literal[False] | None, Switch(DevContainerTable)] = None
    """Laid over [devcontainer]."""


class Spec(SpecTable):
    """What a team wants from its environment; `envbuild lock` says exactly what that is."""

    name: Name
    """Name of the environment and of its local image."""

    python: PythonVersion
    """Python version, quoted: a minor release, or a patch release when that matters."""

    platforms: tuple[Platform, ...] = Field(default=("linux/amd64",), min_length=1)
    """Platforms the lock covers."""

    snapshot: Day | None = None
    """Nothing published after this day (UTC) is considered, Python index and system archive alike."""

    default_variant: Name = "default"
    """Variant used when none is named; if [variants] has none of that name, the spec without any overlay."""

    base: BaseTable | None = None
    """What the image stands on; absent: the slim image of the wanted Python."""

    pip: PipTable = PipTable()
    """Python distributions."""

    system: SystemTable = SystemTable()
    """Packages of the distribution."""

    gpu: GpuTable | None = None
    """GPUs the environment computes on; absent: none."""

    conda: CondaTable | None = None
    """conda packages."""

    image: ImageTable = ImageTable()
    """The image."""

    determinism: DeterminismTable = DeterminismTable()
    """What makes runs repeatable."""

    experiments: ExperimentsTable | None = None
    """What trackers of experiments are told; absent: the environment, and nothing is installed for it."""

    data: tuple[DataTable, ...] = ()
    """Data and models that runs read."""

    build: BuildTable = BuildTable()
    """How images are built."""

    devcontainer: DevContainerTable = DevContainerTable()
    """What a dev container of the environment is like."""

    variants: dict[Name, Overlay] = Field(default_factory=dict)
    """Variants by name."""
