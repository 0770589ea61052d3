"""Images of a Docker Engine: what it says of them, how they get into it and out of it."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import docker.errors

from envbuild.errors import EngineError, NetworkError
from envbuild.image.docker.connection import DockerConnection, cleaned_up, engine_errors
from envbuild.image.docker.load import Holdings
from envbuild.image.engine import EngineImage
from envbuild.image.facts import ImageFacts
from envbuild.oci.reference import DEFAULT_REGISTRY, parse_reference
from envbuild.progress import Progress
from envbuild.remote.registry.credentials import DEFAULT_REGISTRY_KEY, DockerConfig
from envbuild.render import labels

_CONFLICT: Final = 409

MOST_ASKED = 50
"""Images asked for their layers, newest first, before one is loaded."""


class DockerImages(DockerConnection):
    """The images a Docker Engine holds."""

    def find(self, reference: str) -> ImageFacts | None:
        """Return what the engine says of a local image, or None when it has none of that name.

        :raises EngineError: the engine does not answer.
        """
        with engine_errors():
            try:
                attributes = self.client.api.inspect_image(reference)  # type: ignore[no-untyped-call]
            except docker.errors.ImageNotFound:
                return None
        return _facts(attributes)

    def push_name(self, reference: str, *, progress: Progress) -> None:
        """Push a local image.

        Credentials are the docker client's own.

        :raises NetworkError: the registry refused or could not be reached, or the client's configuration
            cannot be read.
        """
        repository, _, tag = reference.rpartition(":")
        login = self._login(repository)
        with engine_errors():
            for message in self.client.api.push(
                repository, tag=tag, stream=True, decode=True, auth_config=login
            ):
                if "error" in message:
                    raise NetworkError(
                        f"{repository} rejected the image",
                        hint="check the repository, and `docker login` for its registry",
                        detail=str(message["error"]),
                    )
                if message.get("status", "").startswith(("Pushed", "Layer already exists")):
                    progress.on_stage(f"{message['status']} {message.get('id', '')}")

    def pull_digest(self, reference: str, digest: str, *, progress: Progress) -> None:
        """Pull the image ``digest`` of the repository of ``reference``, and keep it as ``reference`` too.

        Credentials are the docker client's own.

        :raises NetworkError: the registry refused or could not be reached, or the client's configuration
            cannot be read.
        """
        repository, _, tag = reference.rpartition(":")
        login, pinned = self._login(repository), f"{repository}@{digest}"
        with engine_errors():
            try:
                for message in self.client.api.pull(pinned, stream=True, decode=True, auth_config=login):
                    if "error" in message:
                        raise _not_pulled(repository, str(message["error"]))
                    if message.get("status") == "Pull complete":
                        progress.on_stage(f"pulled {message.get('id', '')}")
            except docker.errors.APIError as error:
                raise _not_pulled(repository, str(error.explanation or error)) from error
            # the name by digest stays, as after `docker pull`: removing it would take the tag along
            self.client.api.tag(pinned, repository, tag)

    def images(self) -> tuple[EngineImage, ...]:
        """Return the images that say envbuild built them, each by all its names.

        :raises EngineError: the engine does not answer.
        """
        with engine_errors():
            listed = self.client.api.images(filters={"label": labels.TARGET})
        found: list[EngineImage] = []
        for identifier in sorted({str(entry["Id"]) for entry in listed}):
            with engine_errors():
                try:
                    attributes = self.client.api.inspect_image(identifier)  # type: ignore[no-untyped-call]
                except docker.errors.ImageNotFound:
                    # removed meanwhile
                    continue
            names = [name for name in attributes.get("RepoTags") or () if not name.startswith("<none>")]
            facts = _facts(attributes)
            found += [EngineImage(reference=name, facts=facts) for name in names or [facts.identifier]]
        return tuple(sorted(found, key=lambda image: (image.reference, image.facts.identifier)))

    def holdings(self) -> Holdings:
        """Return what the engine has that an image of the local engine could share.

        :raises EngineError: the engine does not answer.
        """
        with engine_errors():
            status = dict(entry for entry in self.client.info().get("DriverStatus") or () if len(entry) == 2)  # noqa: PLR2004
            listed = self.client.api.images(filters={"label": f"{labels.ENGINE}=local"})
            newest = sorted(listed, key=lambda entry: -int(entry.get("Created") or 0))[:MOST_ASKED]
            found = [self.find(str(entry["Id"])) for entry in newest]
        return Holdings(
            chains=tuple(facts.diff_ids for facts in found if facts is not None),
            by_digest=status.get("driver-type") == "io.containerd.snapshotter.v1",
            is_here=self.is_here,
        )

    def load(self, chunks: Iterable[bytes]) -> None:
        """Take an archive of an image.

        :raises EngineError: the engine does not answer, or refuses it.
        """
        with engine_errors():
            for message in self.client.api.load_image(chunks):  # type: ignore[no-untyped-call]
                if "error" in message:
                    raise EngineError("the engine refused the archive", detail=str(message["error"])[:500])

    def save(self, reference: str) -> Iterator[bytes]:
        """Yield an archive of an image.

        :raises EngineError: the engine does not answer, or has no such image.
        """
        with engine_errors():
            yield from self.client.api.get_image(reference)

    def pull_as(self, name: str, digest: str, reference: str) -> None:
        """Pull ``name@digest`` and keep it as ``reference`` alone.

        :raises EngineError: the engine does not answer, or cannot pull.
        """
        repository, _, tag = reference.rpartition(":")
        pinned = f"{name}@{digest}"
        with engine_errors():
            # the registry is this process, which asks nobody who he is
            for message in self.client.api.pull(pinned, stream=True, decode=True, auth_config={}):
                if "error" in message:
                    raise EngineError("the engine could not pull", detail=str(message["error"])[:500])
            with cleaned_up(lambda: self.client.api.remove_image(pinned)):
                self.client.api.tag(pinned, repository, tag)

    def remove(self, reference: str) -> None:
        """Remove a name, and with the last name the image.

        :raises EngineError: there is no such image, a container uses it, or the engine does not answer.
        """
        with engine_errors():
            try:
                self.client.api.remove_image(reference)
            except docker.errors.APIError as error:
                if error.status_code != _CONFLICT:
                    raise
                raise EngineError(
                    f"{reference} is used by a container of the engine",
                    hint=f"`docker ps --all --filter ancestor={reference}` shows it; remove it first",
                    detail=str(error.explanation or error),
                ) from error

    def discard(self, reference: str) -> None:
        """Remove a name, and with the last name the image, if there is one and no container uses it.

        :raises EngineError: the engine does not answer.
        """
        with engine_errors(), contextlib.suppress(docker.errors.APIError):
            self.client.api.remove_image(reference)

    def _login(self, repository: str) -> dict[str, str]:
        """Return the credentials for a repository's registry as the engine's API takes them; empty: none.

        Docker's SDK would look for them through the variables of the process.
        """
        registry = parse_reference(repository).registry
        found = DockerConfig(self.environment).credentials_for(registry)
        if found is None:
            return {}
        login = {
            "username": found.username,
            "password": found.password,
            "identitytoken": found.identity_token,
            "registrytoken": found.registry_token,
            # an engine gives credentials to no other registry
            "serveraddress": DEFAULT_REGISTRY_KEY if registry == DEFAULT_REGISTRY else registry,
        }
        return {key: value for key, value in login.items() if value}


def _not_pulled(repository: str, reason: str) -> NetworkError:
    return NetworkError(
        f"{repository} did not give the image",
        hint="check the repository, and `docker login` for its registry",
        detail=reason,
    )


def _facts(attributes: Mapping[str, Any]) -> ImageFacts:
    config = attributes.get("Config") or {}
    return ImageFacts(
        identifier=attributes["Id"],
        architecture=attributes["Architecture"],
        env=tuple(config.get("Env") or ()),
        user=config.get("User") or "",
        workdir=config.get("WorkingDir") or "",
        command=tuple(config.get("Cmd") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        labels=dict(config.get("Labels") or {}),
        diff_ids=tuple((attributes.get("RootFS") or {}).get("Layers") or ()),
        size=int(attributes.get("Size") or 0),
        names=tuple(sorted(map(str, attributes.get("RepoDigests") or ()))),
        settings=config,
    )
