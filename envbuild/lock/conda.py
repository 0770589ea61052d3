"""What a lock holds of conda packages: one entry a file, and how an environment of them is laid down."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, StringConstraints

from envbuild.digest import Sha256
from envbuild.values import Value

CondaFile = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+!-]*\.(?:conda|tar\.bz2)$")]
"""A conda package's file name (``name-version-build`` and its format); never a path."""

CondaSubdir = Literal["linux-64", "linux-aarch64", "noarch"]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Script = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._+~/-]+$")]

CONDA_PREFIX = "/opt/conda"
"""Where the environment lives in an image with conda packages."""


class CondaPackage(Value):
    """One conda package file."""

    name: str
    version: str
    build: str
    """Build string: ``py311h64a7726_0``, ``cuda126_h1``."""

    build_number: int

    channel: str
    """Channel as the spec writes it: its name, or its address without credentials."""

    subdir: CondaSubdir
    file: CondaFile

    size: PositiveInt
    """Bytes."""

    sha256: Sha256
    md5: Md5 | None = None
    """As the channel states it; conda-lock.yml files want it."""

    hash_source: Literal["index", "computed"] = "index"
    """Who said the sha256: the channel, or envbuild after fetching the file because the channel gave none."""

    timestamp: datetime | None = None
    """When it was built, as the channel states it, UTC."""

    noarch: Literal["generic", "python"] | None = None

    depends: tuple[str, ...] = ()
    """Match specs, in the package's own order."""

    constrains: tuple[str, ...] = ()
    """Match specs that hold for packages which happen to be there."""

    license: str | None = None

    site_packages: str | None = None
    """Of a Python interpreter: folder below the prefix for modules, where it is not the usual one."""

    distributions: tuple[str, ...] = ()
    """Python distributions it brings, ``name==version``, sorted: what pip's packages find installed."""

    env: dict[str, str] = Field(default_factory=dict)
    """What activating it sets in ``/opt/conda``, by name; references are ``${NAME:-WORD}`` or ``${PATH}``."""

    env_unread: tuple[str, ...] = ()
    """``script:line`` of its activation that could not be worked out without running it."""

    link_scripts: tuple[Script, ...] = ()
    """Scripts of it that a build runs once all packages are laid down."""

    @property
    def path(self) -> str:
        """Path below the channel's address."""
        return f"{self.subdir}/{self.file}"

    @property
    def key(self) -> str:
        """How targets refer to it."""
        return f"{self.channel}/{self.path}"
