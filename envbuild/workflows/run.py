"""`envbuild run`: a command in the locked image."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from envbuild.errors import UsageError
from envbuild.workflows.build import build_request, ensure_image
from envbuild.workflows.engines import ENGINES, EngineName, engine_of
from envbuild.workflows.machine import Machine
from envbuild.workflows.options import paths_of, refuse_other
from envbuild.workflows.project import Project, choose_target, fresh_lock
from envbuild.workflows.verify import gpu_access

if TYPE_CHECKING:
    from envbuild.image.engine import Engine, RunRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options of a run.

    :raises UsageError: a field has a value that it cannot have.
    """

    copies: tuple[Path, ...] = ()
    """Files and folders that are copied into the working directory first.  Any iterable of paths will do."""

    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables besides the image's own."""

    gpus: str = "auto"
    """GPUs for the container: ``auto``, ``all``, ``none``, a number, ``device=0,1``."""

    variant: str | None = None
    platform: str | None = None
    engine: EngineName | None = None
    frozen: bool = False

    def __post_init__(self) -> None:
        refuse_other("engine", self.engine, ENGINES)
        object.__setattr__(self, "copies", paths_of("copies", self.copies))
        if not isinstance(self.env, Mapping):
            # its values may be secret
            raise UsageError(
                f"`env` cannot be a {type(self.env).__name__}", hint='give a mapping: {"NAME": "VALUE"}'
            )


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A command whose image is there."""

    engine: "Engine"
    request: "RunRequest"

    def start(self) -> int:
        """Run the command on this process' streams and return its exit status.

        :raises EngineError: the engine does not start it.
        """
        with closing(self.engine):
            # a program whose standard output is closed has none at all
            if sys.stdout is not None and not sys.stdout.closed:
                sys.stdout.flush()
            return self.engine.run_attached(self.request)


def run_command(
    project: Project,
    command: Sequence[str],
    options: RunOptions | None = None,
    *,
    machine: Machine | None = None,
) -> int:
    """Run ``command`` in the image of a project's lock, on this process' streams; return its exit status.

    The image is built first when the engine does not hold it.

    :raises UsageError: ``command`` is one text or empty, or a file to copy does not exist.
    :raises EnvbuildError: the command could not be started; see :func:`envbuild.build_image`.
    """
    return prepare_run(project, command, options, machine=machine).start()


def prepare_run(
    project: Project,
    command: Sequence[str],
    options: RunOptions | None = None,
    *,
    machine: Machine | None = None,
) -> PreparedRun:
    """Return ``command`` ready to start, its image built if need be: progress is shown until then alone.

    :raises UsageError: ``command`` is one text or empty, or a file to copy does not exist.
    :raises EnvbuildError: see :func:`envbuild.build_image`.
    """
    from envbuild.image.copy_in import refuse_missing, tar_of
    from envbuild.image.engine import RunRequest

    options, machine = options or RunOptions(), machine or Machine()
    words = _words(command)
    # building an image to copy nothing into it would be in vain
    refuse_missing(options.copies)
    lock = fresh_lock(project, frozen=options.frozen)
    target = choose_target(lock, variant=options.variant, platform=options.platform)
    with ExitStack() as stack:
        engine = engine_of(project, options.engine, machine, gpus=gpu_access(target, options.gpus))
        stack.enter_context(closing(engine))
        engine.require_privileges(machine.restart_as_root)
        # both engines make the same environment, so an image that either made will do
        image = ensure_image(build_request(lock, target, machine, any_engine=True), engine, machine)
        owner = target.user
        archive = tar_of(options.copies, uid=owner.uid, gid=owner.gid) if options.copies else None
        # the command closes it
        stack.pop_all()
    request = RunRequest(
        image=image.reference,
        command=words,
        workdir=target.workdir,
        env=options.env,
        archive=archive,
        # a program whose standard input is closed has none at all
        stdin=sys.stdin is not None and not sys.stdin.closed and not sys.stdin.isatty(),
    )
    return PreparedRun(engine, request)


def _words(command: Sequence[object]) -> tuple[str, ...]:
    if isinstance(command, str):
        raise UsageError(
            f"`command` is one text, not a list of words: {command!r}",
            hint=f"give a list of words; a shell reads a text: {['sh', '-c', command]}",
        )
    for word in command:
        if not isinstance(word, str):
            raise UsageError(f"`command` holds {word!r}, which is no text", hint="write it as a text")
    words = tuple(word for word in command if isinstance(word, str))
    if not words:
        raise UsageError("`command` is empty", hint='name a program and its arguments: ["python", "-V"]')
    return words


def variables_of(items: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of ``NAME=VALUE`` items; ``NAME`` alone passes the value of ``environment``.

    A name that ``environment`` lacks is left out, as docker does.
    """
    return dict(pair for item in items for pair in _variable(item, environment))


def _variable(item: str, environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    name, separator, value = item.partition("=")
    if separator:
        yield name, value
    elif name in environment:
        yield name, environment[name]
