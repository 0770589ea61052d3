"""`envbuild run`."""

from typing import Annotated

import typer

from envbuild.cli.again import From, Into, Yes
from envbuild.cli.containers import (
    Copies,
    CopyOut,
    Cpus,
    Env,
    EnvFile,
    Memory,
    Mounts,
    Network,
    NoData,
    NoMount,
    NoRecord,
    Publish,
    ShmSize,
    Tty,
    User,
    Workdir,
    finish,
    passed_variables,
)
from envbuild.cli.options import (
    EngineOption,
    Frozen,
    Gpus,
    LockFirst,
    Offline,
    PlatformOption,
    Quiet,
    SpecPath,
    Variant,
    Verbose,
)


def run(
    *,
    command: Annotated[
        list[str] | None, typer.Argument(help="Command to run, after `--`.", show_default=False)
    ] = None,
    source: From = None,
    into: Into = None,
    yes: Yes = False,
    copy: Copies = None,
    copy_out: CopyOut = None,
    env: Env = None,
    env_file: EnvFile = None,
    no_mount: NoMount = False,
    no_data: NoData = False,
    mount: Mounts = None,
    publish: Publish = None,
    network: Network = None,
    shm_size: ShmSize = None,
    workdir: Workdir = None,
    user: User = None,
    memory: Memory = None,
    cpus: Cpus = None,
    gpus: Gpus = "auto",
    tty: Tty = None,
    spec: SpecPath = None,
    variant: Variant = None,
    platform: PlatformOption = None,
    engine: EngineOption = None,
    frozen: Frozen = False,
    lock: LockFirst = False,
    no_record: NoRecord = False,
    offline: Offline = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a command in the locked image.

    The spec's folder is mounted at the working directory, and what the command creates there is
    yours.  The image is built first when it is not there; exits with the command's own code.
    With --from it starts a run again that a tracker has recorded, after showing what that takes.
    """
    from envbuild.cli.project import project_of
    from envbuild.errors import UsageError
    from envbuild.workflows.containers.options import RunOptions
    from envbuild.workflows.containers.run import prepare_run

    if source is None and not command:
        raise UsageError("`run` needs a command", hint="give one after `--`, or --from a recorded run")
    for option, given in (("--into", into is not None), ("--yes", yes)):
        if given and source is None:
            raise UsageError(f"{option} goes with --from")
    options = RunOptions(
        copies=tuple(copy or ()),
        copy_out=tuple(copy_out or ()),
        env=passed_variables(env or (), quiet=quiet),
        env_files=tuple(env_file or ()),
        mount=not no_mount,
        data=not no_data,
        mounts=tuple(mount or ()),
        ports=tuple(publish or ()),
        network=network,
        shm_size=shm_size,
        workdir=workdir,
        user=user,
        memory=memory,
        cpus=cpus,
        gpus=gpus,
        tty=tty,
        variant=variant,
        platform=platform,
        engine=engine,
        frozen=frozen,
        lock=lock,
        record=not no_record,
    )
    if source is not None:
        from envbuild.cli.again import run_again

        run_again(
            source,
            command or (),
            options,
            spec=spec,
            into=into,
            yes=yes,
            offline=offline,
            quiet=quiet,
            verbose=verbose,
        )
    words = command or []
    finish(
        lambda machine: prepare_run(project_of(spec, frozen=frozen), words, options, machine=machine),
        offline=offline,
        quiet=quiet,
        verbose=verbose,
    )
