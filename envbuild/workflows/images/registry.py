"""The image of a target in its registry, asked for before anything is built or fetched."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from envbuild.errors import NetworkError, UsageError
from envbuild.workflows.machine import Machine

if TYPE_CHECKING:
    from envbuild.image.engine import BuildRequest, BuiltImage, Engine
    from envbuild.image.registry_image import RegistryImage
    from envbuild.lock.model import Lock, Target
    from envbuild.remote.registry.client import RegistryClient
    from envbuild.remote.registry.transport import Patience


def find_pushed(
    lock: "Lock", target: "Target", machine: Machine, *, pushes: bool = False
) -> "RegistryImage | None":
    """Return the image of a target that its registry has; None: it has none.

    Its labels were compared with the lock, and nothing else was.  With ``pushes`` a registry that answers
    only who may push is asked as one who does.

    :raises VerificationError: the tag names another image there.
    :raises NetworkError: the registry is out of reach or refuses.
    :raises IntegrityError: an answer of the registry is not what its digest says.
    """
    from envbuild.image.built_image import registry_image
    from envbuild.remote.registry.auth import LoginError
    from envbuild.remote.registry.transport import PATIENT

    try:
        return registry_image(lock, target, registry_client(machine, PATIENT))
    except LoginError:
        if not pushes:
            raise
    # some registries refuse to say that a repository is not there, unless the login asks to push
    return registry_image(lock, target, registry_client(machine, PATIENT, pushes=True))


@dataclass(frozen=True, slots=True)
class RegistryAnswer:
    """What a registry said of the image of a target."""

    image: "RegistryImage | None" = None
    answered: bool = False
    """False: it was not asked, or did not answer; whether it has the image is not known."""


def ask_registry(lock: "Lock", target: "Target", machine: Machine) -> RegistryAnswer:
    """Ask the registry for the image of a target, with a short patience; note why it did not answer.

    Nobody is asked without a repository, and offline.

    :raises VerificationError: the tag names another image there.
    :raises IntegrityError: an answer of the registry is not what its digest says.
    """
    if not lock.request.repository or machine.offline:
        return RegistryAnswer()
    from envbuild.image.built_image import registry_image
    from envbuild.remote.registry.transport import SHORT_PATIENCE

    try:
        found = registry_image(lock, target, registry_client(machine, SHORT_PATIENCE))
    except NetworkError as error:
        machine.progress.on_note(f"going on without the registry: {error.message}")
        return RegistryAnswer()
    return RegistryAnswer(found, answered=True)


def pull_pushed(request: "BuildRequest", engine: "Engine", machine: Machine) -> "BuiltImage | None":
    """Pull the image of a target into an engine that lacks it, if its registry has it and answers soon.

    :raises VerificationError: the tag names another image there.
    :raises NetworkError: the registry has the image, and does not give it.
    :raises IntegrityError: the registry sent something else than its digests say.
    """
    found = ask_registry(request.lock, request.target, machine).image
    if found is None:
        return None
    engine.pull(found)
    machine.progress.on_note(
        f"pulled {found.pinned}, not verified: `envbuild verify` compares it with the lock"
    )
    return engine.find_target(replace(request, any_engine=True))


def registry_client(machine: Machine, patience: "Patience", *, pushes: bool = False) -> "RegistryClient":
    """Return a reader of registries that keeps documents in the cache folder."""
    from envbuild.cache.folders import DOCUMENTS
    from envbuild.remote.registry.client import RegistryClient
    from envbuild.remote.registry.transport import RegistryTransport

    return RegistryClient(
        transport=RegistryTransport(environment=machine.environment, patience=patience),
        documents=DOCUMENTS.path(machine.cache),
        actions="pull,push" if pushes else "pull",
    )


def require_repository(lock: "Lock", what: str) -> None:
    """Return if the spec names a repository; ``what`` cannot be done without one: ``push to``.

    :raises UsageError: it names none.
    """
    if not lock.request.repository:
        raise UsageError(
            f"the spec names no repository to {what}",
            hint="name `repository` under [image] in the spec and lock again",
        )


def require_network(machine: Machine, what: str) -> None:
    """Return unless the machine is offline.

    :raises UsageError: it is; ``what`` asks a registry.
    """
    if machine.offline:
        raise UsageError(f"{what} asks a registry, and --offline asks nobody")
