"""Containers of a Docker Engine that stay for several commands, one after the other.

The engine may be remote: files go in as tar archives, answers come out through its API.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import docker.errors
from docker.models.containers import Container
from docker.types import LogConfig

from envbuild.errors import EngineError
from envbuild.image.docker.connection import cleaned_up, engine_errors
from envbuild.image.docker.images import DockerImages
from envbuild.platforms import Platform, platform_of_machine
from envbuild.process import ProcessResult
from envbuild.progress import SILENT, Progress

MEMORY: Final = 2 << 30
"""Bytes that all processes of a container may use."""

PROCESSES: Final = 256

PURPOSE: Final = "dev.envbuild.purpose"
"""Label of containers and images that envbuild makes for itself."""

OUTPUT: Final = 1 << 28
"""Bytes of standard output, and as many of standard error, of one command."""

REMOVAL_SECONDS = 30
"""How long an engine may take to remove a container of its own accord."""


class HeldContainer:
    """A running container that takes files and commands."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def put(self, archive: Iterator[bytes]) -> None:
        """Unpack a tar at the root.  :raises EngineError: the engine does not take it."""
        api = self._container.client.api  # type: ignore[union-attr]
        address = f"{api.base_url}/v{api.api_version}/containers/{self._container.id}/archive"
        # the SDK's own call takes no iterator
        with (
            engine_errors(),
            api.put(address, params={"path": "/"}, data=archive, timeout=api.timeout) as answer,
        ):
            if answer.status_code != HTTPStatus.OK:
                raise EngineError("the engine did not take files", detail=answer.text[:500])

    def execute(
        self, command: Sequence[str], *, environment: Mapping[str, str], timeout: float
    ) -> ProcessResult:
        """Run a command as root and return what it said.  ``timeout`` is in seconds.

        :raises EngineError: it cannot be run; or it does not end in time, or says too much, and the container
            was stopped.
        """
        api = self._container.client.api  # type: ignore[union-attr]
        words, ended = [str(word) for word in command], threading.Event()

        def stop() -> None:
            ended.set()
            # the API has no way to end one command
            with contextlib.suppress(docker.errors.APIError, OSError):
                self._container.kill()

        timer = threading.Timer(timeout, stop)
        timer.daemon = True
        stdout, stderr = bytearray(), bytearray()
        with engine_errors():
            identifier = api.exec_create(
                self._container.id, words, environment=dict(environment), user="0", workdir="/"
            )["Id"]
            timer.start()
            attached = api.exec_start(identifier, stream=True, demux=True)
            try:
                for out, err in attached:
                    stdout += out or b""
                    stderr += err or b""
                    if max(len(stdout), len(stderr)) > OUTPUT:
                        stop()
                        raise EngineError(f"`{words[0]}` wrote more than {OUTPUT} bytes in a container")
            finally:
                timer.cancel()
                # Docker's SDK leaves the socket to the garbage collector
                response = getattr(attached, "_response", None)
                if response is not None:
                    with contextlib.suppress(OSError):
                        response.close()
            if ended.is_set():
                raise EngineError(f"`{words[0]}` did not finish within {timeout:.0f} seconds in a container")
            status = api.exec_inspect(identifier)["ExitCode"]
        return ProcessResult(
            arguments=tuple(words),
            exit_status=int(status),
            stdout_bytes=bytes(stdout),
            stderr_bytes=bytes(stderr),
        )


class DockerHolder(DockerImages):
    """Keeps containers without network for as long as they are needed."""

    def __init__(self, environment: Mapping[str, str] = os.environ, *, progress: Progress = SILENT) -> None:
        """Use the engine that ``environment`` points at."""
        super().__init__(environment)
        self._progress = progress

    def platform(self) -> Platform:
        """Return what its containers are.  :raises EngineError: it does not answer, or is of another kind."""
        with engine_errors():
            version = self.client.version()
        platform = platform_of_machine(str(version.get("Arch", "")))
        if version.get("Os") != "linux" or platform is None:
            raise EngineError("the Docker Engine's containers are not Linux on x86-64 or arm64")
        return platform

    def provide_base(self, reference: str) -> None:
        """Make the engine hold an image, by pulling it.

        :raises EngineError: the engine does not answer, or the image cannot be had.
        :raises NetworkError: the client's configuration with its logins cannot be read.
        """
        if self.find(reference) is not None:
            return
        self._progress.on_stage(f"pulling {reference.partition('@')[0]}")
        repository = reference.partition("@")[0]
        with engine_errors():
            for message in self.client.api.pull(
                reference, stream=True, decode=True, auth_config=self._login(repository)
            ):
                if "error" in message:
                    raise EngineError(
                        f"the engine could not pull {repository}", detail=str(message["error"])[:500]
                    )

    def provide_import(self, name: str, make: Callable[[], Iterator[bytes]]) -> None:
        """Make the engine hold the image ``name``, whose root file system is a tar.

        :raises EngineError: it does not take it.
        """
        if self.find(name) is not None:
            return
        repository, _, tag = name.rpartition(":")
        api = self.client.api
        with engine_errors():
            address = f"{api.base_url}/v{api.api_version}/images/create"
            wanted = {"fromSrc": "-", "repo": repository, "tag": tag, "changes": f"LABEL {PURPOSE}=apt"}
            with api.post(address, params=wanted, data=make(), timeout=api.timeout) as answer:
                text = answer.text
                if answer.status_code != HTTPStatus.OK or "errorDetail" in text:
                    raise EngineError("the engine did not take an image", detail=text[-500:])

    @contextlib.contextmanager
    def hold(self, image: str, command: Sequence[str]) -> Iterator[HeldContainer]:
        """Start a container without network whose ``command`` waits, and remove it afterwards.

        :raises EngineError: it does not start.
        """
        options: dict[str, Any] = {
            "network_mode": "none",
            "healthcheck": {"test": ["NONE"]},
            "log_config": LogConfig(type="none"),
            "hostname": "envbuild",
            "mem_limit": MEMORY,
            "memswap_limit": MEMORY,
            "pids_limit": PROCESSES,
            "security_opt": ["no-new-privileges"],
            "cap_drop": ["ALL"],
            # also when nobody is left to remove it
            "auto_remove": True,
        }
        with engine_errors():
            container = self.client.containers.create(
                image,
                entrypoint=list(command[:1]),
                command=list(command[1:]),
                user="0",
                working_dir="/",
                labels={PURPOSE: "apt"},
                use_config_proxy=False,
                **options,
            )

        def remove() -> None:
            try:
                container.remove(force=True, v=True)
            except docker.errors.APIError as error:
                if error.status_code == HTTPStatus.CONFLICT:
                    # its command has ended, and the engine is at it: wait, or it would still be listed
                    with contextlib.suppress(docker.errors.APIError, OSError):
                        container.wait(condition="removed", timeout=REMOVAL_SECONDS)

        with cleaned_up(remove):
            with engine_errors():
                container.start()
            yield HeldContainer(container)
