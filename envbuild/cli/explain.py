"""`envbuild explain`."""

import typer

from envbuild.cli.options import AsJson, Frozen, PlatformOption, SpecPath, Variant

app = typer.Typer(
    help="Explain how CUDA and the base image were chosen.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def root() -> None:
    """Explain how CUDA and the base image were chosen."""


@app.command()
def gpu(
    *,
    spec: SpecPath = None,
    variant: Variant = None,
    platform: PlatformOption = None,
    frozen: Frozen = False,
    as_json: AsJson = False,
) -> None:
    """Say what CUDA was derived from, and why the base was chosen.

    Reads the lock alone: no network, no engine, no GPU.
    """
    from envbuild.cli.output import Output
    from envbuild.cli.project import project_of
    from envbuild.workflows.explain import explain_gpu

    output = Output(as_json=as_json)
    project = project_of(spec, frozen=frozen)
    found = explain_gpu(project, variant=variant, platform=platform, frozen=frozen)
    if as_json:
        output.document(found.document())
        return
    output.say(f"{found.environment}, {found.variant} on {found.platform}")
    output.page(str(found))
