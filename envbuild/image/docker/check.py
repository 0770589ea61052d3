"""Two images of a Docker Engine, compared to the last bit."""

from envbuild.errors import VerificationError
from envbuild.image.docker.images import DockerImages
from envbuild.image.docker.saved import read_saved
from envbuild.image.reproducibility import rebuild_differs
from envbuild.oci.compare import compare_images
from envbuild.store.stage import workspace
from envbuild.store.store import Store


def differences_of(engine: DockerImages, first: str, second: str, *, store: Store) -> VerificationError:
    """Return the error that names every difference between two images the engine holds."""
    with workspace(store) as folder:
        one = read_saved(engine.save(first), folder / "one")
        other = read_saved(engine.save(second), folder / "other")
        found = compare_images(one.image, other.image, read_one=one.chunks, read_other=other.chunks)
    return rebuild_differs(first, found)
