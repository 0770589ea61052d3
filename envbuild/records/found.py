"""What a tracker knows of a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from envbuild.records.model import RunRecord
from envbuild.visible import visible


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRun:
    """A run as its tracker gives it back.  Values are anybody's, bounded in number and length."""

    source: str
    """As a person names it, without credentials: ``mlflow:RUN_ID``."""

    record: RunRecord
    place: str
    """Where the record was found, in words."""

    name: str | None = None
    status: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The last value of each."""

    artifacts: tuple[str, ...] = ()
    """Paths of files and folders that the tracker keeps, sorted."""

    attached: Callable[[str, int], bytes | None] = lambda _path, _limit: None
    """Returns a file that the tracker keeps with the run, by its path, of at most so many bytes; None: it has
    none.  May raise :class:`~envbuild.errors.NetworkError`."""

    missing: tuple[str, ...] = ()
    """What this tracker does not know of the run, in words."""

    @property
    def public_source(self) -> str:
        """The source as a record may have it: of a folder elsewhere the last part of its path alone."""
        tracker, _, name = self.source.partition(":")
        path = PurePosixPath(name)
        if tracker in {"tensorboard", "wandb"} and (path.is_absolute() or ".." in path.parts):
            name = path.name
        return visible(f"{tracker}:{name}", limit=500)
