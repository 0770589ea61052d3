"""What lies in the cache folder: the one table of its subfolders, from which all others take theirs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Pruning = Literal["files", "entries", "owner"]
"""How a folder is pruned; whatever the unit, what was not used for longest goes first.

``files``: its files one by one, by the use that envbuild notes (:func:`envbuild.files.last_use.note_use`).
``entries``: what lies directly in it, each as a whole; other programs keep it, and note no use.
``owner``: by rules of the room that keeps it.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFolder:
    """One subfolder of the cache folder."""

    name: str
    """A single name below the cache folder."""

    label: str
    """For people; what ``envbuild cache info`` calls it."""

    pruned: Pruning

    format: int | None = None
    """Goes up when the same thing would be kept otherwise, so that nothing older is believed.

    None where other names in the folder say so.
    """

    by_user_namespace: bool = False
    """Whether there is one for each id map, ``name-…``: the owners of its files mean something else there."""

    former: tuple[str, ...] = ()
    """Where earlier releases kept the same: patterns below the cache folder, pruned file by file."""

    def path(self, cache: Path, *, namespace: str = "") -> Path:
        """Return the folder below ``cache``; it need not exist."""
        folder = cache / (f"{self.name}-{namespace}" if namespace else self.name)
        return folder if self.format is None else folder / str(self.format)

    def is_called(self, name: str) -> bool:
        """Return whether ``name`` below the cache folder is this folder or one of its variants."""
        return name == self.name or (self.by_user_namespace and name.startswith(f"{self.name}-"))


APT_LISTS: Final = CacheFolder(name="apt", label="package lists", pruned="entries")
ARCHITECTURES: Final = CacheFolder(
    name="architectures",
    label="GPU architectures of wheels",
    pruned="files",
    format=1,
    former=("architectures/[0-9a-f][0-9a-f]",),
)
ARTIFACTS: Final = CacheFolder(name="sha256", label="artifacts", pruned="owner")
BASES: Final = CacheFolder(name="bases", label="layers of image bases", pruned="owner")
CONDA_LISTS: Final = CacheFolder(name="conda", label="conda package lists", pruned="entries")
DOCUMENTS: Final = CacheFolder(
    name="documents",
    label="manifests and configurations",
    pruned="files",
    former=("images/documents",),
)
IMAGES: Final = CacheFolder(name="images", label="images of the local engine", pruned="owner")
LAYERS: Final = CacheFolder(name="layers", label="image layers", pruned="owner")
PARTIALS: Final = CacheFolder(name="partial", label="partial downloads", pruned="owner")
PUSHED: Final = CacheFolder(name="pushed", label="where layers were pushed", pruned="files")
ROOTS: Final = CacheFolder(name="roots", label="private roots", pruned="owner")
SCANS: Final = CacheFolder(
    name="scans", label="scans of base layers", pruned="files", format=1, former=("layers/*.json",)
)
STAGED: Final = CacheFolder(name="contexts", label="staged artifacts", pruned="owner", former=(".hashing-*",))
TREES: Final = CacheFolder(name="trees", label="file lists for verify", pruned="files", format=1)
UNPACKED: Final = CacheFolder(
    name="unpacked", label="unpacked layers", pruned="owner", by_user_namespace=True
)
WHEEL_METADATA: Final = CacheFolder(name="metadata", label="wheel metadata", pruned="files")
WHEEL_TREES: Final = CacheFolder(
    name="wheel-trees", label="file lists of wheels", pruned="files", format=1, former=("layers/trees",)
)

LAYOUT: Final = (
    APT_LISTS,
    ARCHITECTURES,
    ARTIFACTS,
    BASES,
    CONDA_LISTS,
    DOCUMENTS,
    IMAGES,
    LAYERS,
    PARTIALS,
    PUSHED,
    ROOTS,
    SCANS,
    STAGED,
    TREES,
    UNPACKED,
    WHEEL_METADATA,
    WHEEL_TREES,
)
"""All of them; beside them lie only :data:`USE_LOCK` and :data:`TAG`."""

USE_LOCK: Final = "use.lock"
"""The lock of the whole cache folder: see :mod:`envbuild.cache.use`."""

FOLDER_LOCK: Final = "lock"
"""The file in a folder that is pruned as a whole, which whoever uses that folder locks."""

TAG: Final = "CACHEDIR.TAG"
"""Keeps backups out (https://bford.info/cachedir/)."""
