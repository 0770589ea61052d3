"""Data and models in a lock: what each is, by digest.

The digest is that of the manifest: one line ``sha256  path`` for each file, as ``sha256sum`` writes them.
The manifest itself lies beside the lock, in the folder ``envbuild.data``: a lock stays small and quick to
read however many files there are.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, NonNegativeInt, PositiveInt, StringConstraints

from envbuild.digest import OciDigest
from envbuild.spec.request import DataKind
from envbuild.spec.tables import data_rules
from envbuild.values import Value

MANIFEST_FOLDER = "envbuild.data"
"""Folder beside the lock that holds the manifests."""


class LockedData(Value):
    """Data or a model that runs read."""

    name: Annotated[str, StringConstraints(pattern=data_rules.NAME, max_length=data_rules.MOST_NAME)]
    kind: DataKind = "files"

    path: Annotated[str, AfterValidator(data_rules.path)]
    """File or folder on each machine: relative to the lock, or absolute."""

    target: Annotated[str, AfterValidator(data_rules.target)]
    """Absolute path in containers."""

    digest: OciDigest
    """Of the manifest's bytes."""

    size: NonNegativeInt
    """Bytes of all files."""

    files: PositiveInt
    """Number of files."""

    version: str | None = None
    license: str | None = None

    source: str | None = None
    """Pointer of DVC, address, repository, or object; None for ``files``.  Never with credentials."""

    repository_type: Literal["dataset", "model", "space"] | None = None

    revision: str | None = None
    """Commit of a repository, or the version of an object."""

    md5: str | None = None
    """What DVC calls it: of a file, or of the listing of a folder with ``.dir`` at the end."""

    @property
    def manifest_file(self) -> str:
        """File name of its manifest in the folder of manifests."""
        return manifest_file(self.name)

    @property
    def recorded(self) -> dict[str, str]:
        """What the record of a run says of it."""
        return {"name": self.name, "digest": self.digest, "target": self.target}


def manifest_file(name: str) -> str:
    """Return the file name of the manifest of the data called ``name``."""
    return f"{name}.sha256"
