"""`envbuild shell`."""

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


def shell(
    *,
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
    """Open a shell in the locked image: bash, or else sh.

    It is given what `envbuild run` gives a command, and ends with the code of the shell.
    """
    from envbuild.cli.project import project_of
    from envbuild.workflows.containers.options import RunOptions
    from envbuild.workflows.containers.shell import prepare_shell

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
    finish(
        lambda machine: prepare_shell(project_of(spec, frozen=frozen), options, machine=machine),
        offline=offline,
        quiet=quiet,
        verbose=verbose,
    )
