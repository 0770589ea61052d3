"""`envbuild rm`: images out of the engines of this machine."""

import os
import re
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envbuild.cache.folders import UNPACKED
from envbuild.errors import EngineError, EnvbuildError, UsageError
from envbuild.workflows.engines import ENGINES, EngineName, open_engine
from envbuild.workflows.images.listing import ImageList, ImagesOptions, ListedImage, list_images
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import refuse_other
from envbuild.workflows.project import Project

if TYPE_CHECKING:
    from envbuild.image.engine import Engine

_ID = re.compile(r"(?:sha256:)?[0-9a-f]{6,64}")
"""What may be the beginning of an ID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalOptions:
    """Which images are to be removed.

    :raises UsageError: they contradict each other, or a field has a value that it cannot have.
    """

    images: tuple[str, ...] = ()
    """Each ``repository:tag``, a tag alone, or the beginning of an ID of at least 6 digits."""

    unused: bool = False
    """Those of the project that its lock does not make any more."""

    every: bool = False
    """All that envbuild built, of whatever project."""

    engine: EngineName | None = None
    """None: all engines that hold them."""

    def __post_init__(self) -> None:
        refuse_other("engine", self.engine, ENGINES)
        if sum((bool(self.images), self.unused, self.every)) != 1:
            raise UsageError(
                "choose what to remove: images by name, --unused, or --all",
                hint="`envbuild images` lists them",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalResult:
    """What was removed, and what was not."""

    removed: tuple[ListedImage, ...]
    failed: tuple[tuple[ListedImage, EnvbuildError], ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "removed": [image.document() for image in self.removed],
            "failed": [image.document() | {"because": error.message} for image, error in self.failed],
        }


def images_to_remove(
    project: Project | None, options: RemovalOptions, *, machine: Machine | None = None
) -> tuple[ListedImage, ...]:
    """Return the images that ``options`` mean, by reference and engine.  Nothing is removed yet.

    A process that may not remove them starts again with the privileges, where the machine has a way.

    :raises UsageError: a name stands for several images, or ``unused`` without a project's lock.
    :raises EngineError: there is no such image, or the one engine that was asked for does not answer.
    """
    machine = machine or Machine()
    if options.unused:
        if project is None:
            raise UsageError(
                "--unused removes images that the lock no longer makes, and there is no spec here",
                hint="name one with --spec, or remove images by name",
            )
        from envbuild.workflows.project import read_project_lock

        # without a lock every image would be unused
        read_project_lock(project)
    listed = list_images(
        project, ImagesOptions(every=not options.unused, engine=options.engine), machine=machine
    )
    if options.images:
        chosen = {image for name in options.images for image in _matching(name, listed)}
    else:
        chosen = {image for image in listed.images if options.every or not image.is_current}
    if os.geteuid() != 0 and any(machine.cache.glob(f"{UNPACKED.name}*/")):
        # files of unpacked layers may belong to subordinate ids
        with ExitStack() as stack:
            for engine in _open(chosen, machine, stack).values():
                # without them it removes what it may
                with suppress(EngineError):
                    engine.require_privileges(machine.restart_as_root)
    return tuple(sorted(chosen, key=lambda image: (image.reference, image.engine)))


def remove_images(images: Sequence[ListedImage], *, machine: Machine | None = None) -> RemovalResult:
    """Remove images from their engines; one that cannot be removed does not keep the others.

    :raises EngineError: an engine does not answer any more.
    """
    machine = machine or Machine()
    removed: list[ListedImage] = []
    failed: list[tuple[ListedImage, EnvbuildError]] = []
    with ExitStack() as stack:
        engines = _open(images, machine, stack)
        for image in images:
            machine.progress.on_stage(f"removing {image.reference}")
            try:
                engines[image.engine].remove(image.reference)
            except EnvbuildError as error:
                failed.append((image, error))
            else:
                removed.append(image)
    return RemovalResult(removed=tuple(removed), failed=tuple(failed))


def _open(
    images: "Sequence[ListedImage] | set[ListedImage]", machine: Machine, stack: ExitStack
) -> "dict[EngineName, Engine]":
    names = sorted({image.engine for image in images})
    return {name: stack.enter_context(closing(open_engine(name, machine))) for name in names}


def _matching(name: str, listed: ImageList) -> list[ListedImage]:
    """Return the images that a person means by ``name``: one image, by all its names and in all engines."""
    images = listed.images
    found = [image for image in images if image.reference == name] or [
        image for image in images if image.tag == name
    ]
    if not found and _ID.fullmatch(name):
        start = f"sha256:{name.removeprefix('sha256:')}"
        found = [image for image in images if image.identifier.startswith(start)]
        if len({image.identifier for image in found}) > 1:
            raise UsageError(f"`{name}` is the beginning of several IDs", hint="give more digits of one")
    if not found:
        raise EngineError(
            f"no engine holds an image {name} that envbuild built",
            detail="\n".join(listed.unreachable) or None,
            hint="`envbuild images --all` lists them; `docker rmi` removes those of other programs",
        )
    return found
