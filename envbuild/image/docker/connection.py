"""The connection to a Docker Engine: where it is, what it says of itself, and its refusals as our errors."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property

import docker
import docker.errors
import requests.exceptions

from envbuild import process
from envbuild.errors import EngineError, EnvbuildError
from envbuild.image.docker.api import HERE, EngineClient
from envbuild.image.docker.client_config import endpoint_of, http_headers
from envbuild.image.gpus import gpu_refusal

MINIMUM_API = (1, 42)
"""Docker Engine 23.0, the first with BuildKit as its builder, named contexts and ``RUN --network``."""


class DockerConnection:
    """A Docker Engine, wherever DOCKER_HOST, DOCKER_CONTEXT or the current docker context points."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Use the engine that ``environment`` points at, not this process' own; it is not spoken to yet."""
        self.environment = dict(environment)

    @property
    def is_here(self) -> bool:
        """Whether it is on this machine, and sees its loopback interface and its devices."""
        return str(self.client.api.base_url) == HERE

    @cached_property
    def client(self) -> docker.DockerClient:
        """Docker's SDK, connected.

        :raises EngineError: there is nothing to connect to, or no such context.
        """
        with engine_errors():
            return EngineClient(
                endpoint_of(self.environment),
                headers=http_headers(self.environment),
                environment=self.environment,
            )

    def close(self) -> None:
        """Close the connection, if there is one; the next question opens another."""
        if "client" in vars(self):
            self.client.close()
            del self.client

    def describe(self) -> str:
        """Return engine, version and platform in words.

        :raises EngineError: it does not answer, or is too old.
        """
        with engine_errors():
            version = self.client.version()
        api = tuple(int(part) for part in str(version["ApiVersion"]).split("."))
        if api < MINIMUM_API:
            raise EngineError(
                f"Docker Engine {version['Version']} is too old",
                hint="23.0 or newer is needed: its BuildKit knows named contexts and steps without network",
            )
        return f"{version['Version']}, API {version['ApiVersion']}, {version['Os']}/{version['Arch']}"

    def describe_builder(self) -> str:
        """Return the version of the docker client's buildx plugin.

        :raises EngineError: there is no client, or no plugin.
        """
        try:
            result = process.run(["docker", "buildx", "version"], environment=self.environment, timeout=30)
        except process.ProgramMissingError as error:
            raise no_client() from error
        if not result.succeeded:
            raise EngineError(
                "the docker client has no buildx plugin",
                hint="install docker-buildx (docker-buildx-plugin in Docker's own repositories)",
            )
        return " ".join(result.stdout.split()[1:2]) or "of unknown version"


@contextlib.contextmanager
def engine_errors() -> Iterator[None]:
    """Turn what the SDK raises into errors of ours.

    :raises EngineError: the engine does not answer, or refuses.
    """
    try:
        yield
    except EnvbuildError:
        raise
    except docker.errors.ImageNotFound as error:
        raise EngineError(
            f"the engine has no such image: {error.explanation}", hint="run `envbuild build`"
        ) from error
    except docker.errors.APIError as error:
        told = str(error.explanation or error)
        raise EngineError("the engine refused", detail=told, hint=hint_for(told)) from error
    except docker.errors.InvalidArgument as error:
        raise EngineError("the engine's client refuses these options", detail=str(error)) from error
    except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
        detail = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        if "PermissionError" in detail:
            raise EngineError(
                "this user may not use the Docker Engine",
                hint="become a member of the group of its socket, usually `docker`, or use --engine local",
                detail=detail,
            ) from error
        raise EngineError(
            "no Docker Engine answers",
            hint="start it, name it in DOCKER_HOST, or use --engine local, which needs none",
            detail=detail,
        ) from error


@contextlib.contextmanager
def cleaned_up(clean_up: Callable[[], object]) -> Iterator[None]:
    """Call ``clean_up`` at the end.

    Where it fails after something else did, it is only a note on that error: an engine that went away fails
    twice, and the first time says why.
    """
    try:
        yield
    except BaseException as error:
        try:
            clean_up()
        except Exception as second:  # noqa: BLE001 - whatever it is, it comes second
            error.add_note(f"cleaning up afterwards failed too: {second}")
        raise
    clean_up()


def hint_for(refusal: str) -> str | None:
    """Return what can be done about a refusal, if that is known."""
    if gpu_refusal(refusal) is not None:
        return (
            "the engine's machine needs NVIDIA's driver and container toolkit (`nvidia-ctk runtime configure "
            "--runtime=docker`, then restart the engine); --gpus none does without"
        )
    return None


def no_client() -> EngineError:
    """Return the error of a machine without the docker client."""
    return EngineError(
        "the docker client is not installed", hint="install the docker client with its buildx plugin"
    )
