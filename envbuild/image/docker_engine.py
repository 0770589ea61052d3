"""The Docker Engine: builds through ``docker buildx build``, everything else through Docker's Python SDK.

The SDK's own build speaks the classic builder, which knows no mounts (docker/docker-py#2230); so the build
itself is a process.  The engine may be remote: nothing here relies on it seeing this machine's folders.
"""

import contextlib
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import docker.errors
from docker.models.containers import Container

from envbuild import process
from envbuild.errors import BuildFailedError, EngineError, EnvbuildError, NetworkError, RunError
from envbuild.image.buildkit import BuildLog
from envbuild.image.docker_connection import DockerConnection, engine_errors, hint_for, no_client
from envbuild.image.engine import BuildContext, ContainerOutcome, ImageFacts
from envbuild.image.gpus import AUTO, NO_NVIDIA_GPUS, GpuAccess, gpu_options, gpu_refusal, group_here
from envbuild.image.load import Holdings
from envbuild.render import labels

STANDARD_INPUT = 0

MOST_ASKED = 50
"""Images asked for their layers, newest first, before one is loaded."""


class DockerEngine(DockerConnection):
    """Holds images, builds them and runs commands in them."""

    def __init__(self, environment: Mapping[str, str] = os.environ, *, gpus: GpuAccess | None = None) -> None:
        """Use the engine that ``environment`` points at; ``gpus`` are for the containers it runs."""
        super().__init__(environment)
        self._gpus = gpus

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

    def build(
        self, context: BuildContext, reference: str, *, use_cache: bool, on_event: Callable[[str], None]
    ) -> None:
        """Build ``context`` with BuildKit and load it under ``reference``.

        :raises EngineError: no engine, no buildx, or an engine too old.
        :raises BuildFailedError: a step failed; its last lines are the detail.
        """
        self.describe()
        self.describe_builder()
        log = BuildLog(on_event)
        arguments = [
            "docker", "buildx", "build",
            "--progress=rawjson",
            "--platform", context.platform,
            "--build-arg", f"SOURCE_DATE_EPOCH={context.epoch}",
            "--build-context", f"artifacts={context.artifacts}",
            # attestations carry the time of the build, and would change the digest of an unchanged image
            "--provenance=false", "--sbom=false",
            "--network=none",
            "--load",
            "--tag", reference,
            *(() if use_cache else ("--no-cache",)),
            str(context.folder),
        ]  # fmt: skip
        environment = self.environment | {"SOURCE_DATE_EPOCH": str(context.epoch)}
        try:
            result = process.run(arguments, environment=environment, on_stderr_line=log.feed)
        except process.ProgramMissingError as error:
            raise no_client() from error
        if not result.succeeded:
            step = log.failed_step
            raise BuildFailedError(
                f"the build failed at: {step}" if step else "the build failed",
                detail=log.evidence(),
                hint="the folder `envbuild render -o DIR` writes can be built by hand with the same result",
            )

    def run(
        self,
        reference: str,
        command: Sequence[str],
        *,
        files: Mapping[str, bytes],
        user: str | None,
        gpus: bool = True,
    ) -> ContainerOutcome:
        """Run ``command`` in a fresh container without network and remove it, whatever happens.

        :raises EngineError: the engine does not answer, or refuses to start the container.
        """
        try:
            return self._run(reference, command, files=files, user=user, gpus=gpus)
        except EngineError as error:
            if not gpus or not self._goes_without(error):
                raise
        return self._run(reference, command, files=files, user=user, gpus=gpus)

    def _run(
        self,
        reference: str,
        command: Sequence[str],
        *,
        files: Mapping[str, bytes],
        user: str | None,
        gpus: bool,
    ) -> ContainerOutcome:
        with self._container(reference, command, user=user, gpus=gpus, network_mode="none") as container:
            for path, content in sorted(files.items()):
                container.put_archive("/", _tar({path.lstrip("/"): content}))
            streams = container.attach(stream=True, demux=True, stdout=True, stderr=True)
            container.start()
            stdout, stderr = io.BytesIO(), io.BytesIO()
            for out, err in streams:
                stdout.write(out or b"")
                stderr.write(err or b"")
            status = int(container.wait()["StatusCode"])
        return ContainerOutcome(exit_status=status, stdout=stdout.getvalue(), stderr=stderr.getvalue())

    def run_attached(
        self,
        reference: str,
        command: Sequence[str],
        *,
        archive: bytes | None,
        workdir: str,
        env: Mapping[str, str],
        interactive: bool,
        terminal: bool = False,
    ) -> int:
        """Run ``command`` on this terminal's streams and return its exit status; the container is removed.

        ``archive`` is a tar laid into ``workdir`` first: sent through the API, so a remote engine works too.

        A container that did not start for want of GPUs nobody named starts without them; not when its input
        is a pipe, of which the first attempt may have taken a part.

        :raises RunError: the container could not be made or started.
        """
        options: dict[str, Any] = {
            "archive": archive,
            "workdir": workdir,
            "env": env,
            "interactive": interactive,
            "terminal": terminal,
        }
        position = _position_of_input() if interactive else None
        try:
            return self._run_attached(reference, command, **options)
        except RunError as error:
            if (interactive and position is None) or not self._goes_without(error):
                raise
        if position is not None:
            os.lseek(STANDARD_INPUT, position, os.SEEK_SET)
        return self._run_attached(reference, command, **options)

    def _run_attached(
        self,
        reference: str,
        command: Sequence[str],
        *,
        archive: bytes | None,
        workdir: str,
        env: Mapping[str, str],
        interactive: bool,
        terminal: bool,
    ) -> int:
        try:
            with self._container(
                reference,
                command,
                user=None,
                environment=dict(env),
                tty=terminal,
                stdin_open=interactive,
            ) as container:
                if archive is not None:
                    container.put_archive(workdir, archive)
                arguments = ["docker", "start", "--attach", *(["--interactive"] if interactive else [])]
                status = process.run_attached([*arguments, str(container.id)], environment=self.environment)
                container.reload()
                state = container.attrs["State"]
                if state.get("Error"):
                    told = str(state["Error"])
                    raise RunError("the command could not be started", detail=told, hint=hint_for(told))
                return status
        except process.ProgramMissingError as error:
            raise RunError(no_client().message, hint=no_client().hint) from error
        except EngineError as error:
            raise RunError(error.message, hint=error.hint, detail=error.detail) from error

    def push(self, reference: str, *, on_event: Callable[[str], None]) -> None:
        """Push a local image.

        Credentials are the docker client's own.

        :raises NetworkError: the registry refused or could not be reached.
        """
        repository, _, tag = reference.rpartition(":")
        with engine_errors():
            for message in self.client.api.push(repository, tag=tag, stream=True, decode=True):
                if "error" in message:
                    raise NetworkError(
                        f"{repository} did not take the image",
                        hint="check the repository, and `docker login` for its registry",
                        detail=str(message["error"]),
                    )
                if message.get("status", "").startswith(("Pushed", "Layer already exists")):
                    on_event(f"{message['status']} {message.get('id', '')}")

    def pull(self, reference: str, *, on_event: Callable[[str], None]) -> bool:
        """Pull an image, and return whether its registry has one of that name.

        Credentials are the docker client's own.

        :raises NetworkError: the registry refused or could not be reached.
        """
        repository, _, tag = reference.rpartition(":")
        with engine_errors():
            try:
                for message in self.client.api.pull(repository, tag=tag, stream=True, decode=True):
                    if "error" in message:
                        raise _not_pulled(repository, str(message["error"]))
                    if message.get("status") == "Pull complete":
                        on_event(f"pulled {message.get('id', '')}")
            except docker.errors.NotFound:
                return False
            except docker.errors.APIError as error:
                raise _not_pulled(repository, str(error.explanation or error)) from error
        return True

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
            for message in self.client.api.pull(pinned, stream=True, decode=True):
                if "error" in message:
                    raise EngineError("the engine could not pull", detail=str(message["error"])[:500])
            try:
                self.client.api.tag(pinned, repository, tag)
            finally:
                self.client.api.remove_image(pinned)

    def remove(self, reference: str) -> None:
        """Remove a name, and with the last name the image, unless a container uses it.

        :raises EngineError: the engine does not answer.
        """
        with engine_errors(), contextlib.suppress(docker.errors.APIError):
            self.client.api.remove_image(reference)

    @property
    def withheld(self) -> str | None:
        """Why containers get no GPU although some were wanted; None when they get them, or none were.

        :raises EngineError: the engine does not answer.
        """
        return self._gpu_options[1]

    @cached_property
    def _gpu_options(self) -> tuple[dict[str, Any], str | None]:
        if self._gpus is None:
            return {}, None
        with engine_errors():
            info = self.client.info()
        return gpu_options(self._gpus, info, is_here=self.is_here, group_of=group_here)

    def _goes_without(self, error: EnvbuildError) -> bool:
        """Return whether containers get no GPU from now on, since one did not start for want of it."""
        refusal = gpu_refusal(error.detail or "")
        if self._gpus is None or self._gpus.devices != AUTO or self.withheld or refusal is None:
            return False
        self._gpu_options = {"environment": NO_NVIDIA_GPUS}, f"the engine could not give one: {refusal}"
        return True

    @contextlib.contextmanager
    def _container(
        self, reference: str, command: Sequence[str], *, user: str | None, gpus: bool = True, **options: Any
    ) -> Iterator[Container]:
        given = dict(self._gpu_options[0] if gpus else {"environment": NO_NVIDIA_GPUS})
        environment = {**options.pop("environment", {}), **given.pop("environment", {})}
        with engine_errors():
            container = self.client.containers.create(
                reference,
                entrypoint=list(command[:1]),
                command=list(command[1:]),
                user=user,
                labels={"dev.envbuild.purpose": "run"},
                environment=environment,
                **given,
                **options,
            )
            try:
                yield container
            finally:
                with contextlib.suppress(docker.errors.APIError):
                    container.remove(force=True)


def _position_of_input() -> int | None:
    """Return where in standard input a reader is; None: what is read of it cannot be read again."""
    try:
        return os.lseek(STANDARD_INPUT, 0, os.SEEK_CUR)
    except OSError:
        return None


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
    )


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
