"""The local engine: holds images in the cache folder and runs commands in them, with no daemon."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from envbuild.errors import EngineError
from envbuild.image.engine import ContainerOutcome, ImageFacts
from envbuild.image.local.images import ImageStore, facts_of
from envbuild.image.local.layers.steps import ROOTS
from envbuild.image.local.roots.private_root import PrivateRoot
from envbuild.image.local.roots.unpacked_layers import LayerTrees, PackedLayer
from envbuild.oci.blobs import Blobs, read_verified
from envbuild.oci.image import OciImage
from envbuild.oci.manifest import Descriptor

NETWORK_FILES: Final = ("/etc/hosts", "/etc/resolv.conf")
"""Files of this machine that a command with a network is shown: as engines do."""


class LocalEngine:
    """The images of one cache folder."""

    def __init__(
        self, cache: Path, *, blobs: Callable[[OciImage], Blobs], withheld: str | None = None
    ) -> None:
        """Use the images below ``cache``; ``blobs`` gives the bytes of an image's layers.

        ``withheld`` is why what runs gets no GPU, where one was wanted.
        """
        self.withheld = withheld
        self._images = ImageStore(cache)
        self._trees = LayerTrees(cache)
        self._scratch = cache / ROOTS
        self._blobs = blobs

    def find(self, reference: str) -> ImageFacts | None:
        """Return what is known of an image by name or digest, or None when there is none."""
        image = self._get(reference)
        return None if image is None else facts_of(image)

    def run(
        self,
        reference: str,
        command: Sequence[str],
        *,
        files: Mapping[str, bytes],
        user: str | None,
        gpus: bool = True,  # noqa: ARG002 - it has none to give
    ) -> ContainerOutcome:
        """Run ``command`` without network in a root of its own, which is then removed.

        :raises EngineError: there is no such image, or no private root can be made here.
        :raises EntryError: the command is not in the image.
        """
        with self._root(reference) as (root, facts):
            binds = {}
            for number, (path, content) in enumerate(sorted(files.items())):
                binds[path] = root.folder / str(number)
                binds[path].write_bytes(content)
                binds[path].chmod(0o644)
            return root.run(
                command,
                binds=binds,
                env=_variables(facts),
                user=user or facts.user or "0",
                workdir=facts.workdir or "/",
            )

    def run_attached(
        self,
        reference: str,
        command: Sequence[str],
        *,
        archive: bytes | None,
        workdir: str,
        env: Mapping[str, str],
        interactive: bool,
    ) -> int:
        """Run ``command`` on this terminal's streams, with this machine's network; return its exit status.

        ``archive`` is a tar laid into ``workdir`` first.

        :raises EngineError: there is no such image, or no private root can be made here.
        :raises EntryError: the command is not in the image.
        """
        with self._root(reference) as (root, facts):
            feed = None
            if archive is not None:
                feed = root.folder / "feed.tar"
                feed.write_bytes(archive)
            return root.run_attached(
                command,
                binds={path: Path(path) for path in NETWORK_FILES if Path(path).is_file()},
                env={**_variables(facts), **env},
                user=facts.user or "0",
                workdir=workdir,
                network=True,
                feed=feed,
                stdin=interactive,
            )

    @contextmanager
    def _root(self, reference: str) -> Iterator[tuple[PrivateRoot, ImageFacts]]:
        image = self._get(reference)
        if image is None:
            raise EngineError(f"the local engine has no image {reference}", hint="run `envbuild build`")
        blobs = self._blobs(image)
        packed = [
            PackedLayer(diff_id, partial(_read, blobs, layer))
            for diff_id, layer in zip(image.diff_ids, image.layers, strict=True)
        ]
        with self._trees.held(packed) as folders, PrivateRoot(folders, scratch=self._scratch) as root:
            yield root, facts_of(image)

    def _get(self, reference: str) -> OciImage | None:
        if not reference.startswith("sha256:"):
            return self._images.get(reference)
        found = (image for _, image in self._images.images() if image.descriptor.digest == reference)
        return next(found, None)


def _read(blobs: Blobs, layer: Descriptor) -> Iterator[bytes]:
    return read_verified(blobs.path(layer), layer)


def _variables(facts: ImageFacts) -> dict[str, str]:
    return dict(variable.partition("=")[::2] for variable in facts.env)
