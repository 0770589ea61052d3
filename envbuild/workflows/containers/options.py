"""Options of `envbuild run` and `envbuild shell`, and the container that they come to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from envbuild.errors import UsageError
from envbuild.workflows.containers.terminal import terminal_variables
from envbuild.workflows.containers.texts import (
    parse_copy_out,
    parse_cpus,
    parse_mount,
    parse_port,
    parse_size,
    parse_workdir,
    read_env_file,
)
from envbuild.workflows.engines import ENGINES, EngineName
from envbuild.workflows.lock import refuse_frozen_update
from envbuild.workflows.options import paths_of, refuse_other

if TYPE_CHECKING:
    from envbuild.image.container_options import ContainerOptions
    from envbuild.workflows.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of a run.  Texts have the forms of the command line.

    :raises UsageError: a field has a value that it cannot have, or a folder to mount does not exist.
    """

    copies: tuple[Path, ...] = ()
    """Files and folders that are copied into the working directory first.  Any iterable of paths will do.
    The folder of the spec is not mounted then."""

    copy_out: tuple[str, ...] = ()
    """``PATH`` or ``PATH:LOCAL``: what is copied from the container when the command has ended."""

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables besides the image's own."""

    env_files: tuple[Path, ...] = ()
    """Files of variables, in docker's format; ``env`` goes first."""

    mount: bool = True
    """Whether the folder of the spec is mounted at the working directory."""

    data: bool = True
    """Whether the locked data is mounted, once it is as it is locked."""

    mounts: tuple[str, ...] = ()
    """``SOURCE:TARGET[:ro]``, or ``type=bind,source=SOURCE,target=TARGET,readonly``."""

    ports: tuple[str, ...] = ()
    """``CONTAINER``, ``HOST:CONTAINER`` or ``ADDRESS:HOST:CONTAINER``: what this network reaches."""

    network: str | None = None
    """``none``, ``host``, or a network of the engine."""

    shm_size: str | None = None
    """Size of /dev/shm, such as ``8g``."""

    workdir: str | None = None
    """Absolute path to start in; None: where the current folder is in the container."""

    user: str | None = None
    """Name or ``UID[:GID]`` in the image; None: the caller if something is mounted, else the image's."""

    memory: str | None = None
    """What all processes together may use, such as ``16g``."""

    cpus: str | None = None
    """How many CPUs' time all processes together may use, such as ``2.5``."""

    gpus: str = "auto"
    """GPUs for the container: ``auto``, ``all``, ``none``, a number, ``device=0,1``."""

    tty: bool | None = None
    """Whether the command gets a terminal; None: when standard input and output are one."""

    variant: str | None = None
    platform: str | None = None
    engine: EngineName | None = None
    frozen: bool = False

    lock: bool = False
    """Bring a lock that is missing or out of date up to date first."""

    record: bool = True
    """Whether the container is told what is known of the run; a spec may say that nothing is recorded."""

    def __post_init__(self) -> None:
        refuse_frozen_update(frozen=self.frozen, update=self.lock)
        refuse_other("engine", self.engine, ENGINES)
        object.__setattr__(self, "copies", paths_of("copies", self.copies))
        object.__setattr__(self, "env_files", paths_of("env_files", self.env_files))
        for name in ("copy_out", "mounts", "ports"):
            object.__setattr__(self, name, _texts_of(name, getattr(self, name)))
        if not isinstance(self.env, Mapping):
            # its values may be secret
            raise UsageError(
                f"`env` cannot be a {type(self.env).__name__}", hint='give a mapping: {"NAME": "VALUE"}'
            )
        # before anything is built
        container = container_options(self, None, "/workspace", "/workspace", tty=False)
        if self.network == "none" and self.ports:
            raise UsageError("--publish needs a network, and --network none gives none")
        if self.network == "host":
            for port in container.ports:
                if port.host not in {None, port.container}:
                    raise UsageError(
                        f"--publish {port.host}:{port.container}: with --network host the port stays "
                        f"{port.container}",
                        hint="leave --network host out, or publish nothing: all ports are there",
                    )

    @property
    def mounts_folder(self) -> bool:
        """Whether the folder of the spec is mounted: what is copied would be copied into it."""
        return self.mount and not self.copies

    def unseen(self, words: Sequence[str], folder: Path | None) -> tuple[str, ...]:
        """Return the words of a command that name files here, and nothing in a container with ``folder``."""
        here = Path.cwd()
        if folder is not None and here.is_relative_to(folder):
            return ()
        copied = {path.resolve().name for path in self.copies} if Path() not in self.copies else set(words)
        return tuple(
            word
            for word in words[1:]
            if word not in copied and not word.startswith(("/", "-")) and "\0" not in word and _is_file(word)
        )


def _is_file(word: str) -> bool:
    try:
        return Path(word).is_file()
    except OSError:
        # such as a text that is too long for a name
        return False


def _texts_of(field_name: str, values: Iterable[str]) -> tuple[str, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise UsageError(f"`{field_name}` cannot be {values!r}", hint="give a list of texts")
    found = tuple(values)
    if not all(isinstance(item, str) for item in found):
        raise UsageError(f"`{field_name}` holds something that is not text", hint="give a list of texts")
    return found


def variables(options: RunOptions, environment: Mapping[str, str], *, tty: bool) -> dict[str, str]:
    """Return the variables of a container besides its image's own.

    :raises UsageError: a file of variables cannot be read.
    """
    found = terminal_variables(environment) if tty else {}
    for path in options.env_files:
        found |= read_env_file(path, environment)
    return {**found, **options.env}


def start_folder(options: RunOptions, project: "Project", workdir: str) -> tuple[str, Path | None]:
    """Return where a command starts, and the folder of this machine at ``workdir``, the image's.

    From a folder below that of the spec it starts in the same one.

    :raises UsageError: nothing can be mounted at ``workdir``.
    """
    folder = project.folder.resolve() if options.mounts_folder else None
    if folder is not None and workdir == "/":
        raise UsageError(
            "the working directory of the image is /, where nothing can be mounted",
            hint="use --no-mount, or set `workdir` under [image] in the spec and lock again",
        )
    if options.workdir is not None:
        return parse_workdir(options.workdir), folder
    here = Path.cwd()
    if folder is not None and here.is_relative_to(folder):
        return str(PurePosixPath(workdir, here.relative_to(folder).as_posix())), folder
    return workdir, folder


def container_options(
    options: RunOptions, folder: Path | None, mounted_at: str, workdir: str, *, tty: bool
) -> "ContainerOptions":
    """Return the container of ``options``: ``folder`` is mounted, and the command starts in ``workdir``.

    :raises UsageError: a text is not understood, or what is to be mounted does not exist.
    """
    from envbuild.image.accounts import caller, numeric_account
    from envbuild.image.container_options import ContainerOptions, Mount

    here = Path.cwd()
    own = [parse_mount(text, here) for text in options.mounts]
    targets = [mount.target for mount in own]
    if twice := sorted({target for target in targets if targets.count(target) > 1}):
        raise UsageError(f"--mount: two mounts are to be at {twice[0]}")
    if folder is not None and mounted_at not in targets:
        own.append(Mount(target=mounted_at, source=folder))
    if options.workdir is not None:
        parse_workdir(options.workdir)
    shares = any(mount.source is not None for mount in own)
    return ContainerOptions(
        mounts=tuple(own),
        caller=caller() if shares and options.user is None else None,
        account=numeric_account(options.user) if options.user else None,
        tty=tty,
        network=options.network,
        ports=tuple(map(parse_port, options.ports)),
        shm_size=None if options.shm_size is None else parse_size("--shm-size", options.shm_size),
        memory=None if options.memory is None else parse_size("--memory", options.memory),
        cpus=None if options.cpus is None else parse_cpus(options.cpus),
        copy_out=tuple(parse_copy_out(text, workdir=workdir, folder=here) for text in options.copy_out),
    )
