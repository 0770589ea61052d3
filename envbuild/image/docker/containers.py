"""Containers of a Docker Engine: commands that run in images, and files read from images.

The engine may be remote: nothing here relies on it seeing this machine's folders.
"""

import contextlib
import io
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property, partial
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any

import docker.errors
from docker.models.containers import Container
from docker.types import LogConfig
from docker.utils import decode_json_header

from envbuild import process
from envbuild.errors import (
    CommandMissingError,
    CopyOutError,
    EngineError,
    EnvbuildError,
    RunError,
    UsageError,
)
from envbuild.image.accounts import GROUP, PASSWD, with_account
from envbuild.image.container_options import Account, ContainerOptions, CopyOut
from envbuild.image.copy_in import owned
from envbuild.image.copy_out import take_all, unpack_copy
from envbuild.image.docker.attached import (
    DETACH_KEYS,
    NOT_SEEN,
    ContainerUser,
    accounts_archive,
    container_options,
    container_user,
    folder_archive,
    is_at_or_below,
    is_missing_command,
    security_of,
)
from envbuild.image.docker.client_config import proxy_variables
from envbuild.image.docker.connection import cleaned_up, engine_errors, hint_for, no_client
from envbuild.image.docker.images import DockerImages
from envbuild.image.docker.mount_points import make_mount_points
from envbuild.image.docker.watching import watch
from envbuild.image.engine import ContainerOutcome, RunLimits, RunRequest
from envbuild.image.gpus import AUTO, NO_NVIDIA_GPUS, GpuAccess, gpu_options, gpu_refusal, group_here

STANDARD_INPUT = 0

GO_FOLDER = 1 << 31
GO_NO_FILE = GO_FOLDER | 1 << 27 | 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19
"""Bits of a file's mode as the engine describes it (Go's io/fs, FileMode): a folder; anything but a regular
file (ModeType: link, device, pipe, socket, character device, irregular)."""

MADE = 1
"""What the engine says of a path that a container has and its image has not."""

MOST_ACCOUNTS = 1 << 24
"""Bytes of /etc/passwd or /etc/group."""

TAR_OVERHEAD = 1 << 16
"""Bytes of headers and padding beside the content of one file in an archive."""


class DockerContainers(DockerImages):
    """Runs commands in images."""

    def __init__(self, environment: Mapping[str, str] = os.environ, *, gpus: GpuAccess | None = None) -> None:
        """Use the engine that ``environment`` points at; ``gpus`` are for the containers it runs."""
        super().__init__(environment)
        self._gpus = gpus

    def run(self, request: RunRequest) -> ContainerOutcome:
        """Run a command in a fresh container without network and remove it, whatever happens.

        :raises LimitExceededError: it went beyond the request's limits.
        :raises EngineError: the engine does not answer, or does not start the command.
        """
        try:
            return self._run(request)
        except EngineError as error:
            if not request.gpus or not self._goes_without(error):
                raise
        return self._run(request)

    def _run(self, request: RunRequest) -> ContainerOutcome:
        with self._container(request, **_alone(request.limits)) as container:
            self._fill(container, request)
            return watch(container, request.limits)

    def run_attached(self, request: RunRequest) -> int:
        """Run a command on this terminal's streams and return its exit status; the container is removed.

        A container that did not start for want of GPUs nobody named starts without them; not when its input
        is a pipe, of which the first attempt may have taken a part.

        :raises RunError: the engine does not answer, or does not start the command.
        """
        position = _position_of_input() if request.stdin else None
        try:
            return self._run_attached(request)
        except RunError as error:
            is_taken = request.stdin and position is None and not os.isatty(STANDARD_INPUT)
            if is_taken or not self._goes_without(error):
                raise
        if position is not None:
            os.lseek(STANDARD_INPUT, position, os.SEEK_SET)
        return self._run_attached(request)

    def _run_attached(self, request: RunRequest) -> int:
        try:
            security = self._security if request.options.mounts or request.options.caller else frozenset()
            user = container_user(request.options, request.user, security)
            options = {**container_options(request.options, security), **user.options}
            stdin = request.stdin or request.options.tty
            request = replace(request, user=user.user, archive=_owned(request.archive, user))
            make_mount_points(request.options.mounts, request.workdir)
            with self._container(request, stdin_open=stdin, **options) as container:
                self._introduce(container, user, request)
                self._fill(container, request)
                arguments = ["docker", "start", "--attach", "--detach-keys", DETACH_KEYS]
                arguments += ["--interactive"] if stdin else []
                status = process.run_attached(
                    [*arguments, str(container.id)],
                    environment=self.environment,
                    # told itself, the client ends at once with 0, while the command still runs
                    tell=partial(_tell, container),
                    apart=not request.options.tty,
                )
                container.reload()
                _refuse_unstarted(container.attrs["State"], status)
                take_all(request.options.copy_out, partial(_take_back, container), exit_status=status)
                return status
        except process.ProgramMissingError as error:
            raise RunError(no_client().message, hint=no_client().hint) from error
        except EngineError as error:
            raise RunError(error.message, hint=error.hint, detail=error.detail) from error

    def require_options(self, options: ContainerOptions) -> None:
        """Return if containers can have ``options``.

        :raises UsageError: the engine is on another machine, and they mount folders of this one.
        :raises EngineError: the engine does not answer.
        """
        sources = [str(mount.source) for mount in options.mounts if mount.source is not None]
        if sources and not self.is_here:
            raise UsageError(
                f"the engine is on another machine, and cannot mount {sources[0]}", hint=NOT_SEEN
            )

    @cached_property
    def _security(self) -> frozenset[str]:
        with engine_errors():
            return security_of(self.client.info())

    def _introduce(self, container: Container, user: ContainerUser, request: RunRequest) -> None:
        """Make the user of a container known to it, with a home and a working directory to write to.

        The engine, as root, would write into what is mounted too: that stays as it is.
        """
        if user.account is None:
            return
        targets = [mount.target for mount in request.options.mounts]
        has_mounted = any(is_at_or_below(path, targets) for path in (PASSWD, GROUP))
        if not has_mounted and self._has_own_etc(container):
            before = [_content_of(container, path) for path in (PASSWD, GROUP)]
            files = with_account(before[0], before[1], user.account, own_home=user.own_home)
            if [files.passwd, files.group] != before:
                with_home = user.own_home or files.passwd != before[0]
                with_home = with_home and not is_at_or_below(files.home, targets)
                container.put_archive("/", accounts_archive(files, user.account, with_home=with_home))
        workdir = request.workdir
        if user.own_home and workdir and not is_at_or_below(workdir, targets):
            self._hand_over(container, workdir, user.account, request.image)

    def _has_own_etc(self, container: Container) -> bool:
        """Return whether /etc is a folder, or is not there: a link may lead into what is mounted."""
        return bool(self._stat(container, "/etc").get("mode", GO_FOLDER) & GO_FOLDER)

    def _hand_over(self, container: Container, workdir: str, account: Account, image: str) -> None:
        """Give a working directory to a user: the image's own, or one that was made for this container.

        Any other, such as /tmp, is as the image has it.
        """
        mode = self._stat(container, workdir).get("mode", 0)
        if not mode & GO_FOLDER:
            return
        facts = self.find(image)
        if facts is None or facts.workdir != workdir or workdir == "/":
            made = [change for change in container.diff() or () if change["Path"] == workdir]
            if not made or made[0]["Kind"] != MADE:
                return
        container.put_archive("/", folder_archive(workdir, account, mode=mode & 0o777))

    def read_file(self, reference: str, path: str, *, limit: int) -> bytes | None:
        """Return the content of a regular file of an image, or None when there is none at ``path``.

        A container is made and never started, so nothing of the image runs.  No link is followed: neither at
        ``path`` nor at a folder above it.

        :raises EngineError: there is no such image, or the file has more than ``limit`` bytes.
        """
        request = RunRequest(image=reference, command=("/",), gpus=False)
        with self._container(request, network_mode="none") as container:
            # the engine follows links in the folders above what it is asked for, and says so of none
            for folder in reversed(PurePosixPath("/", path).parents):
                if not self._stat(container, str(folder)).get("mode", 0) & GO_FOLDER:
                    return None
            described = self._stat(container, path)
            if described.get("mode", GO_NO_FILE) & GO_NO_FILE:
                return None
            if described.get("size", 0) > limit:
                raise EngineError(f"{path} in {reference} has more than {limit} bytes")
            chunks, _ = container.get_archive(path)
            with tarfile.open(
                fileobj=io.BytesIO(_bounded(chunks, limit + TAR_OVERHEAD)), mode="r|"
            ) as archive:
                for entry in archive:
                    content = archive.extractfile(entry) if entry.isreg() else None
                    return content.read() if content else None
        return None

    def _stat(self, container: Container, path: str) -> dict[str, int]:
        """Return mode (as Go has it) and size of what is at ``path``, a link itself; empty: there is nothing.

        The SDK asks for these only together with the content, which may be a whole system's.
        """
        api = self.client.api
        address = f"{api.base_url}/v{api.api_version}/containers/{container.id}/archive"
        with api.head(address, params={"path": path}, timeout=api.timeout) as answer:
            if answer.status_code == HTTPStatus.NOT_FOUND:
                return {}
            if not answer.ok:
                told = f"{answer.status_code} {answer.reason}"
                raise EngineError(f"the engine does not say what is at {path}", detail=told)
            header = answer.headers.get("X-Docker-Container-Path-Stat")
        described = decode_json_header(header) if header else {}
        return {name: int(described[name]) for name in ("mode", "size") if name in described}

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
    def _container(self, request: RunRequest, **options: Any) -> Iterator[Container]:
        given = dict(self._gpu_options[0] if request.gpus else {"environment": NO_NVIDIA_GPUS})
        own = {**request.env, **options.pop("environment", {}), **given.pop("environment", {})}
        with engine_errors():
            environment = {**proxy_variables(self.environment), **own}
            container = self.client.containers.create(
                request.image,
                entrypoint=list(request.command[:1]),
                command=list(request.command[1:]),
                user=request.user,
                working_dir=request.workdir,
                labels={"dev.envbuild.purpose": "run"},
                environment=environment,
                # of the process' own configuration
                use_config_proxy=False,
                **given,
                **options,
            )

            def remove() -> None:
                # killed where it still runs; volumes without a name are those that its image declares
                with contextlib.suppress(docker.errors.APIError):
                    container.remove(force=True, v=True)

            with cleaned_up(remove):
                yield container

    @staticmethod
    def _fill(container: Container, request: RunRequest) -> None:
        """Write the files of a request into a container that was not started: the API takes archives."""
        for path, content in sorted(request.files.items()):
            container.put_archive("/", _tar({path.lstrip("/"): content}))
        if request.archive is not None:
            workdir = request.workdir or container.attrs["Config"].get("WorkingDir") or "/"
            container.put_archive(workdir, request.archive)


def _tell(container: Container, number: int) -> bool:
    """Send a signal to the command of a container; return whether it arrived: it may not run yet."""
    try:
        with engine_errors():
            container.kill(signal=number)
    except EngineError:
        return False
    return True


def _owned(archive: bytes | None, user: ContainerUser) -> bytes | None:
    """Return files to copy as those of a command's user, where that is not the image's own."""
    if archive is None or user.account is None:
        return archive
    return owned(archive, uid=user.account.uid, gid=user.account.gid)


def _refuse_unstarted(state: Mapping[str, Any], status: int) -> None:
    """Return if a container was started.

    :raises CommandMissingError: its command is not in it, or is not executable.
    :raises RunError: it was not, for another reason.
    """
    # still created: the client did not come as far as to ask for it, and has said why
    if not state.get("Error") and state.get("Status") != "created":
        return
    told = str(state.get("Error") or f"the docker client ended with {status}")
    error = CommandMissingError if is_missing_command(told) else RunError
    raise error("the command could not be started", detail=told, hint=hint_for(told))


def _take_back(container: Container, wanted: CopyOut) -> None:
    """Copy a file or folder from a container to this machine.

    :raises CopyOutError: it is not there, or cannot be written here.
    """
    try:
        chunks, _ = container.get_archive(wanted.path)
    except docker.errors.NotFound as error:
        raise CopyOutError(
            f"the command left no {wanted.path}", hint="check the path of --copy-out"
        ) from error
    unpack_copy(chunks, wanted)


def _content_of(container: Container, path: str) -> bytes:
    """Return the content of a small file of a container; nothing where there is no such file."""
    try:
        chunks, _ = container.get_archive(path)
    except docker.errors.NotFound:
        return b""
    with tarfile.open(fileobj=io.BytesIO(_bounded(chunks, MOST_ACCOUNTS)), mode="r|") as archive:
        for entry in archive:
            content = archive.extractfile(entry) if entry.isreg() else None
            return content.read() if content else b""
    return b""


def _alone(limits: RunLimits | None) -> dict[str, Any]:
    """Return the options of a container whose command nobody watches."""
    options: dict[str, Any] = {
        "network_mode": "none",
        # the image's own check of its health would be one more process of it
        "healthcheck": {"test": ["NONE"]},
        # what it writes is read here; the engine would keep a copy on its disk
        "log_config": LogConfig(type="none"),
    }
    if limits is not None:
        # where the engine's machine cannot bound memory or processes, the engine warns and goes on
        options |= {
            # else each has one of its own, and what is built can have it in it; the local engine has this too
            "hostname": "envbuild",
            "mem_limit": limits.memory,
            # memory and swap together: no swap
            "memswap_limit": limits.memory,
            "pids_limit": limits.processes,
            "security_opt": ["no-new-privileges"],
        }
    return options


def _bounded(chunks: Iterable[bytes], limit: int) -> bytes:
    """Return all of ``chunks``.  :raises EngineError: they are more than ``limit`` bytes."""
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > limit:
            raise EngineError(f"the engine sent more than {limit} bytes of one file")
    return bytes(data)


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
