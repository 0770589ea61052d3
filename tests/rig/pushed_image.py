"""The image of a lock in a registry on loopback, without any engine."""

from pathlib import Path

from envbuild.image.built_image import image_reference_for
from envbuild.image.compose import compose_image
from envbuild.lock.model import Lock
from envbuild.oci.image import OciImage
from envbuild.oci.push import push_image
from envbuild.oci.reference import parse_reference
from envbuild.remote.registry.transport import RegistryTransport
from envbuild.remote.registry.writer import RegistryWriter
from tests.rig.layers import LayerFolder
from tests.rig.locks import sample_lock


def lock_of(repository: str) -> Lock:
    """Return a small lock whose images are pushed to ``repository``."""
    request = sample_lock().request.model_copy(update={"repository": repository})
    return sample_lock().model_copy(update={"request": request})


def push_lock_image(lock: Lock, folder: Path, *, image: OciImage | None = None) -> OciImage:
    """Push the image of ``lock``, of one layer that ``folder`` keeps; or ``image`` under its tag."""
    folder.mkdir(exist_ok=True)
    blobs = LayerFolder(folder)
    made = compose_image(lock, lock.targets[0], [blobs.make({"opt/a": b"a", "opt/b": bytes(100_000)})])
    image = image or made
    reference = parse_reference(image_reference_for(lock, lock.targets[0]))
    writer = RegistryWriter(RegistryTransport(environment={}))
    push_image(image, reference, writer=writer, blobs=blobs, mounts={})
    return image
