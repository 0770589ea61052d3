"""`envbuild images`: what the engines of this machine hold that envbuild built."""

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envbuild.errors import EngineError, LockError
from envbuild.workflows.engines import ENGINES, EngineName, open_engine
from envbuild.workflows.html import table
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import refuse_other
from envbuild.workflows.project import Project, read_project_lock
from envbuild.workflows.sizes import readable_size

if TYPE_CHECKING:
    from envbuild.image.engine import EngineImage
    from envbuild.lock.model import Lock

_COLUMNS = ("image", "environment", "variant", "platform", "engine", "size", "of the lock")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesOptions:
    """Options of a list of images.

    :raises UsageError: a field has a value that it cannot have.
    """

    every: bool = False
    """Images of all environments; else those of the project alone."""

    engine: EngineName | None = None
    """None: all engines; one that does not answer is then a note."""

    def __post_init__(self) -> None:
        refuse_other("engine", self.engine, ENGINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedImage:
    """One name of an image in one engine."""

    reference: str
    """``repository:tag``; the engine's ID where the image lost its name to another."""

    engine: EngineName
    name: str
    """Of the environment."""

    variant: str
    platform: str
    identifier: str
    """The engine's ID of the image: ``sha256:…``."""

    made_by: str
    """The engine that built it; a loaded or pulled image may be another engine's."""

    size: int
    """Bytes, as the engine counts them: packed by the local engine, unpacked by the Docker Engine."""

    used: float | None
    """When it was last used, in seconds since 1970; None: the engine does not say."""

    is_current: bool
    """Whether the project's lock makes it."""

    @property
    def tag(self) -> str:
        """What the reference ends in."""
        return self.reference.rpartition(":")[2]

    def document(self) -> dict[str, Any]:
        """Return the image as JSON values."""
        return {
            "reference": self.reference,
            "engine": self.engine,
            "name": self.name,
            "variant": self.variant,
            "platform": self.platform,
            "image": self.identifier,
            "made-by": self.made_by,
            "size": self.size,
            "used": _moment(self.used),
            "current": self.is_current,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageList:
    """Images of this machine, by reference and engine."""

    images: tuple[ListedImage, ...]

    others: int
    """How many of other environments there are, which were not asked for."""

    unreachable: tuple[str, ...]
    """Why engines could not be asked, in a sentence each."""

    def document(self) -> dict[str, Any]:
        """Return the list as JSON values."""
        return {
            "images": [image.document() for image in self.images],
            "others": self.others,
            "unreachable": list(self.unreachable),
        }

    def _repr_html_(self) -> str:
        """Return the list as an HTML table, for notebooks."""
        rows = [
            (
                image.reference,
                image.name,
                image.variant,
                image.platform,
                image.engine,
                readable_size(image.size),
                "yes" if image.is_current else "no",
            )
            for image in self.images
        ]
        return table("envbuild images", _COLUMNS, rows)


def list_images(
    project: Project | None, options: ImagesOptions | None = None, *, machine: Machine | None = None
) -> ImageList:
    """Return the images that the engines of this machine hold and envbuild built.

    Those of ``project`` alone unless ``options`` ask for all; without a project, all.

    :raises SpecError: the spec cannot be used.
    :raises EngineError: the one engine that was asked for does not answer.
    """
    options, machine = options or ImagesOptions(), machine or Machine()
    scope = _ProjectImages.of(project)
    found: list[ListedImage] = []
    unreachable: list[str] = []
    for name in (options.engine,) if options.engine else ENGINES:
        try:
            with closing(open_engine(name, machine)) as engine:
                held = engine.images()
        except EngineError as error:
            if options.engine:
                raise
            unreachable.append(f"{name}: {error.message}")
            continue
        found += [_listed(image, name, scope) for image in held]
    own = [image for image in found if scope.has(image)]
    shown = found if options.every else own
    return ImageList(
        images=tuple(sorted(shown, key=lambda image: (image.reference, image.engine))),
        others=len(found) - len(shown),
        unreachable=tuple(unreachable),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _ProjectImages:
    """What of all images is the project's."""

    name: str | None
    """Of its environment; None: there is no project, and all images are meant."""

    repository: str | None
    targets: frozenset[str]
    """Digests of the targets of its lock."""

    @classmethod
    def of(cls, project: Project | None) -> "_ProjectImages":
        if project is None:
            return cls(name=None, repository=None, targets=frozenset())
        lock = _lock_of(project)
        if lock is None:
            request = project.request
            return cls(name=request.name, repository=request.repository, targets=frozenset())
        from envbuild.lock.identity import target_digest

        targets = frozenset(target_digest(lock, target) for target in lock.targets)
        return cls(name=lock.request.name, repository=lock.request.repository, targets=targets)

    def has(self, image: ListedImage) -> bool:
        """Return whether an image is of the project: of its lock today, or of an earlier one."""
        if self.name is None or image.is_current:
            return True
        repository = image.reference.rpartition(":")[0]
        # two teams may call their environments the same; a repository is one team's
        return image.name == self.name and (not self.repository or repository in {self.repository, self.name})


def _lock_of(project: Project) -> "Lock | None":
    """Return the lock of a project; None: there is none, or it cannot be read, which `lock` says better."""
    try:
        return read_project_lock(project)
    except LockError:
        return None


def _listed(image: "EngineImage", engine: EngineName, own: _ProjectImages) -> ListedImage:
    from envbuild.image.built_image import is_image_of
    from envbuild.render import labels

    found = image.facts.labels
    digest = found.get(labels.TARGET, "")
    return ListedImage(
        reference=image.reference,
        engine=engine,
        name=found.get(labels.TITLE, ""),
        variant=found.get(labels.VARIANT, ""),
        platform=f"linux/{image.facts.architecture}",
        identifier=image.facts.identifier,
        made_by=found.get(labels.ENGINE, ""),
        size=image.facts.size,
        used=image.used,
        is_current=digest in own.targets and is_image_of(image.facts, digest),
    )


def _moment(seconds: float | None) -> str | None:
    """Return a time in UTC (RFC 3339)."""
    from datetime import UTC, datetime

    if seconds is None:
        return None
    return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
