"""The Docker Engine: builds through ``docker buildx build``, everything else through Docker's Python SDK.

The SDK's own build speaks the classic builder, which knows no mounts (docker/docker-py#2230); so the build
itself is a process.  The engine may be remote: nothing here relies on it seeing this machine's folders.
"""

import contextlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import docker.errors
from docker.models.containers import Container

from envbuild import process
from envbuild.errors import BuildFailedError, EngineError, EnvbuildError, RunError
from envbuild.image.docker.buildkit import BuildLog
from envbuild.image.docker.connection import engine_errors, hint_for, no_client
from envbuild.image.docker.images import DockerImageStore
from envbuild.image.engine import BuildContext, ContainerOutcome
from envbuild.image.gpus import AUTO, NO_NVIDIA_GPUS, GpuAccess, gpu_options, gpu_refusal, group_here
from envbuild.progress import Progress

STANDARD_INPUT = 0


class DockerEngine(DockerImageStore):
    """Holds images, builds them and runs commands in them."""

    def __init__(self, environment: Mapping[str, str] = os.environ, *, gpus: GpuAccess | None = None) -> None:
        """Use the engine that ``environment`` points at; ``gpus`` are for the containers it runs."""
        super().__init__(environment)
        self._gpus = gpus

    def build(self, context: BuildContext, reference: str, *, use_cache: bool, progress: Progress) -> None:
        """Build ``context`` with BuildKit and load it under ``reference``.

        :raises EngineError: no engine, no buildx, or an engine too old.
        :raises BuildFailedError: a step failed; its last lines are the detail.
        """
        self.describe()
        self.describe_builder()
        log = BuildLog(progress.on_stage)
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
        attempt = partial(self._run, reference, command, files=files, user=user, gpus=gpus)
        try:
            return attempt()
        except EngineError as error:
            if not gpus or not self._goes_without(error):
                raise
        return attempt()

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
        attempt = partial(
            self._run_attached,
            reference,
            command,
            archive=archive,
            workdir=workdir,
            env=env,
            interactive=interactive,
            terminal=terminal,
        )
        position = _position_of_input() if interactive else None
        try:
            return attempt()
        except RunError as error:
            if (interactive and position is None) or not self._goes_without(error):
                raise
        if position is not None:
            os.lseek(STANDARD_INPUT, position, os.SEEK_SET)
        return attempt()

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


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
