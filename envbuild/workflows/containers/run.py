"""`envbuild run`: a command in the locked image."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from envbuild.errors import CommandMissingError, UsageError
from envbuild.workflows.build import build_request, ensure_image
from envbuild.workflows.containers.options import RunOptions, container_options, start_folder, variables
from envbuild.workflows.containers.record import (
    BegunRun,
    RepeatedRun,
    RunRecorder,
    recorded_variables,
    start_below,
)
from envbuild.workflows.containers.terminal import on_terminal, passes_input, terminal_variables
from envbuild.workflows.engines import engine_of
from envbuild.workflows.lock import lock_to_use
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project, choose_target
from envbuild.workflows.verify import gpu_access

if TYPE_CHECKING:
    from envbuild.image.engine import Engine, RunRequest
    from envbuild.lock.model import Lock, Target


@dataclass(frozen=True, slots=True)
class PreparedRun:
    """A command whose image is there."""

    engine: "Engine"
    request: "RunRequest"
    unseen: tuple[str, ...] = field(default=(), kw_only=True)
    """Words of the command that are files here, and that its container does not see."""

    def start(self) -> int:
        """Run the command on this process' streams and return its exit status.

        :raises CommandMissingError: the image has no such command; says what was probably meant.
        :raises CopyOutError: the command has ended, and something could not be copied back.
        :raises RunError: the engine does not start it.
        """
        with closing(self.engine):
            # a program whose standard output is closed has none at all
            if sys.stdout is not None and not sys.stdout.closed:
                sys.stdout.flush()
            try:
                return self.engine.run_attached(self.request)
            except CommandMissingError as error:
                from envbuild.workflows.containers.missing import missing_command

                raise missing_command(self.request.command, error) from error

    def explain(self, status: int) -> str | None:
        """Return why the command may have ended with ``status``, if files that it names tell."""
        if status == 0 or not self.unseen:
            return None
        from envbuild.workflows.containers.missing import unseen_files

        return unseen_files(self.unseen)


def run_command(
    project: Project,
    command: Sequence[str],
    options: RunOptions | None = None,
    *,
    machine: Machine | None = None,
) -> int:
    """Run ``command`` in the image of a project's lock, on this process' streams; return its exit status.

    The image is built first when the engine does not hold it.  The folder of the spec is mounted unless
    ``options`` say otherwise, and what the command creates in it belongs to the user of this process.

    :raises UsageError: ``command`` is one text or empty, a file to copy or to mount does not exist, or the
        engine has not what an option asks for.
    :raises EnvbuildError: the command could not be started; see :func:`envbuild.build_image`.
    """
    return prepare_run(project, command, options, machine=machine).start()


def prepare_run(
    project: Project,
    command: Sequence[str],
    options: RunOptions | None = None,
    *,
    machine: Machine | None = None,
    is_shell: bool = False,
    again: RepeatedRun | None = None,
) -> PreparedRun:
    """Return ``command`` ready to start, its image built if need be: progress is shown until then alone.

    With ``is_shell`` its prompt names the environment, unless the image or ``options`` have one of their own.
    The lock of ``again``, a recorded run that this one repeats, is used in place of the project's own.

    :raises UsageError: see :func:`run_command`.
    :raises EnvbuildError: see :func:`envbuild.build_image`.
    """
    from envbuild.image.copy_in import refuse_missing, tar_of
    from envbuild.image.engine import RunRequest
    from envbuild.workflows.data.mounts import MountedData, data_mounts

    options, machine = options or RunOptions(), machine or Machine()
    words = _words(command)
    # building an image to copy nothing into it would be in vain
    refuse_missing(options.copies)
    tty = on_terminal(options.tty)
    terminal = terminal_variables(machine.environment) if tty else {}
    env = variables(options, machine.environment, tty=tty)
    command_name = "shell" if is_shell else "run"
    lock = (
        again.lock
        if again
        else lock_to_use(
            project, frozen=options.frozen, update=options.lock, command=command_name, machine=machine
        )
    )
    target = choose_target(lock, variant=options.variant, platform=options.platform)
    workdir, folder = start_folder(options, project, target.workdir)
    with ExitStack() as stack:
        engine = engine_of(project, options.engine, machine, gpus=gpu_access(target, options.gpus))
        stack.enter_context(closing(engine))
        engine.require_privileges(machine.restart_as_root)
        # not before the program may have started again as root
        recorder = (
            RunRecorder(project, words, machine, again) if options.record and target.record is None else None
        )
        container = container_options(options, folder, target.workdir, workdir, tty=tty)
        taken = [mount.target for mount in container.mounts]
        data = data_mounts(project, lock, machine, taken=taken) if options.data else MountedData()
        engine.require_options(data.added_to(container))
        # both engines make the same environment, so an image that either made will do
        image = ensure_image(build_request(lock, target, machine, any_engine=True), engine, machine)
        owner = target.user
        archive = None
        if options.copies:
            left_out: list[str] = []
            archive = tar_of(options.copies, uid=owner.uid, gid=owner.gid, on_left_out=left_out.append)
            for link in left_out:
                machine.progress.on_note(f"--copy: {link} leads out of what is copied, and was left out")
        recorded: dict[str, str] = {}
        if recorder is not None:
            begun = BegunRun(
                command=None if is_shell else words,
                options=options,
                image=image,
                engine=engine.name,
                mounts=[mount for mount in container.mounts if folder is None or mount.source != folder],
                passed={name: value for name, value in env.items() if name not in terminal},
                mounted=folder is not None,
                folder=start_below(workdir, target.workdir) if folder is not None else None,
                is_here=engine.is_here,
            )
            recorded = recorded_variables(recorder, begun, data.recorded(lock), target, machine)
        # the command closes it
        stack.pop_all()
    prompt = _prompt(lock, target) if is_shell and "PS1" not in {*target.env, *env} else {}
    request = RunRequest(
        image=image.reference,
        command=words,
        user=options.user,
        workdir=workdir,
        env={**prompt, **env, **recorded},
        archive=archive,
        stdin=passes_input(),
        options=data.added_to(container),
    )
    return PreparedRun(engine, request, unseen=options.unseen(words, folder))


def _prompt(lock: "Lock", target: "Target") -> dict[str, str]:
    """Return what makes prompts of shells begin with the name of an environment.

    ``debian_chroot`` is where the start-up file of Debian's and Ubuntu's bash expects it; other shells read
    PS1, of which all understand this much.
    """
    is_default = target.variant == lock.request.default_variant
    name = lock.request.name if is_default else f"{lock.request.name}:{target.variant}"
    return {"debian_chroot": name, "PS1": f"({name}) ${{PWD}}\\$ "}


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
