"""The vendored folder: files laid there by hand or by another tool, found by their names."""

from collections.abc import Iterator
from pathlib import Path

from envbuild.digest import CHUNK
from envbuild.errors import EnvbuildError, IntegrityError
from envbuild.store.artifact import Artifact
from envbuild.store.partial import Partial


def files_named_as(artifact: Artifact, folder: Path) -> Iterator[Path]:
    """Yield the files of ``folder`` that have one of the artifact's names."""
    for name in dict.fromkeys((artifact.filename, *artifact.other_names)):
        path = folder / name
        if path.name == name and path.is_file():
            yield path


def copy_vendored(artifact: Artifact, folder: Path, partial: Partial) -> EnvbuildError | None:
    """Fill ``partial`` from the first file of the artifact's name that has its sha256.

    Returns None when one had, else why not; ``partial`` is empty then.

    :raises OSError: ``partial`` refused bytes.
    """
    refused: EnvbuildError | None = None
    for path in files_named_as(artifact, folder):
        try:
            stream = path.open("rb")
        except OSError as error:
            refused = EnvbuildError(f"{path} cannot be read: {error.strerror}")
            continue
        partial.restart()
        with stream:
            while chunk := stream.read(CHUNK):
                partial.append(chunk)
        if partial.sha256 == artifact.sha256:
            return None
        refused = IntegrityError(
            f"{path} is not the locked file: sha256 expected {artifact.sha256}, got {partial.sha256}"
        )
        partial.restart()
    return refused
