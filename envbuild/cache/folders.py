"""What lies in the cache folder: the one table of its subfolders, from which all others take theirs."""

import re
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

    written: re.Pattern[str] | None = None
    """What envbuild writes there, by its whole path below the cache folder; nothing else is pruned.

    Of ``entries`` the paths of the entries.  The former places of all folders need one too.
    """

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

    def is_written(self, path: str) -> bool:
        """Return whether envbuild writes something of this path below the cache folder."""
        return self.written is not None and self.written.fullmatch(path) is not None


_DIGEST = "[0-9a-f]{64}"


def _files(folder: str, name: str) -> re.Pattern[str]:
    """Return a pattern of files, and of what a killed process left of one (:mod:`envbuild.files.atomic`)."""
    return re.compile(rf"(?:{folder})/(?:{name}|\.{name}\.\w{{8}})")


ANSWERS: Final = CacheFolder(
    name="answers",
    label="what locking found out",
    pruned="files",
    written=_files(r"answers/\d+/[0-9a-f]{2}", rf"{_DIGEST}\.json"),
    format=1,
)
APT_LISTS: Final = CacheFolder(
    name="apt", label="package lists", pruned="entries", written=re.compile("apt/[0-9a-f]{16}")
)
APT_PROGRAMS: Final = CacheFolder(
    name="apt-programs",
    label="the distributions' own apt",
    pruned="entries",
    written=re.compile(r"apt-programs/(?:[0-9a-f]{16}|\.unpacking-\w{8})"),
)
ARCHITECTURES: Final = CacheFolder(
    name="architectures",
    label="GPU architectures of wheels",
    pruned="files",
    written=_files(r"architectures/(?:\d+/)?[0-9a-f]{2}", _DIGEST),
    format=1,
    former=("architectures/[0-9a-f][0-9a-f]",),
)
ARTIFACTS: Final = CacheFolder(name="sha256", label="artifacts", pruned="owner")
BASES: Final = CacheFolder(name="bases", label="layers of image bases", pruned="owner")
BUILT_WHEELS: Final = CacheFolder(
    name="builds",
    label="what was built from source",
    pruned="files",
    written=_files(r"builds/\d+/[0-9a-f]{2}", rf"{_DIGEST}\.json"),
    format=1,
)
CONDA_LISTS: Final = CacheFolder(
    name="conda",
    label="conda package lists",
    pruned="entries",
    # py-rattler's names, and those that envbuild gives it and Python
    written=re.compile(
        r"conda/(?:[0-9a-f]{8}\.(?:json|info\.json|lock|shards-cache-v\d+)|shards-v\d+|\.tmp\w{6}"
        "|bytecode|whole|last-use)"
    ),
)
DATA_DIGESTS: Final = CacheFolder(
    name="digests",
    label="digests of data",
    pruned="files",
    written=_files(r"digests/\d+/[0-9a-f]{2}", rf"{_DIGEST}(?:-whole)?\.json"),
    format=1,
)
DOCUMENTS: Final = CacheFolder(
    name="documents",
    label="manifests and configurations",
    pruned="files",
    written=_files("documents|images/documents", _DIGEST),
    former=("images/documents",),
)
IMAGES: Final = CacheFolder(name="images", label="images of the local engine", pruned="owner")
LAYERS: Final = CacheFolder(name="layers", label="image layers", pruned="owner")
LISTINGS: Final = CacheFolder(
    name="listings",
    label="file lists of image layers",
    pruned="files",
    written=_files(r"listings/\d+/[0-9a-f]{2}", rf"{_DIGEST}\.json\.gz"),
    format=1,
)
PARTIALS: Final = CacheFolder(name="partial", label="partial downloads", pruned="owner")
PUSHED: Final = CacheFolder(
    name="pushed",
    label="where layers were pushed",
    pruned="files",
    written=_files("pushed", r"[^/]+\.json"),
)
REFERENCES: Final = CacheFolder(
    name="references",
    label="what verify expects of images",
    pruned="files",
    written=_files(r"references/\d+", rf"{_DIGEST}\.json"),
    format=1,
)
ROOTS: Final = CacheFolder(name="roots", label="private roots", pruned="owner")
SCANS: Final = CacheFolder(
    name="scans",
    label="scans of base layers",
    pruned="files",
    written=_files(r"scans/\d+|layers", rf"{_DIGEST}(?:\.\d+)?\.json"),
    format=1,
    former=("layers/*.json",),
)
STAGED: Final = CacheFolder(
    name="contexts",
    label="staged artifacts",
    pruned="owner",
    written=re.compile(r"\.hashing-\w{8}/[^/]+"),
    former=(".hashing-*",),
)
TREES: Final = CacheFolder(
    name="trees",
    label="file lists for verify",
    pruned="files",
    written=_files(r"trees/\d+/[0-9a-f]{2}", rf"{_DIGEST}(?:-[^/]+)?\.json\.gz"),
    format=1,
)
UNPACKED: Final = CacheFolder(
    name="unpacked", label="unpacked layers", pruned="owner", by_user_namespace=True
)
WHEEL_METADATA: Final = CacheFolder(
    name="metadata",
    label="wheel metadata",
    pruned="files",
    written=_files("metadata/[0-9a-f]{2}", _DIGEST),
)
WHEEL_TREES: Final = CacheFolder(
    name="wheel-trees",
    label="file lists of wheels",
    pruned="files",
    written=_files(r"wheel-trees/\d+|layers/trees", _DIGEST),
    format=1,
    former=("layers/trees",),
)

LAYOUT: Final = (
    ANSWERS,
    APT_LISTS,
    APT_PROGRAMS,
    ARCHITECTURES,
    ARTIFACTS,
    BASES,
    BUILT_WHEELS,
    CONDA_LISTS,
    DATA_DIGESTS,
    DOCUMENTS,
    IMAGES,
    LAYERS,
    LISTINGS,
    PARTIALS,
    PUSHED,
    REFERENCES,
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
"""The lock of the whole cache folder: see :mod:`envbuild.cache.use_lock`."""

FOLDER_LOCK: Final = "lock"
"""The file in a folder that is pruned as a whole, which whoever uses that folder locks."""

LAST_USE: Final = "last-use"
"""The file in a folder of entries that counts as the last use of all of them."""

TAG: Final = "CACHEDIR.TAG"
"""Keeps backups out (https://bford.info/cachedir/)."""
