"""`envbuild explain`."""

import typer

from envbuild.cli.options import AsJson, Frozen, PlatformOption, SpecPath, Variant

app = typer.Typer(help="Say why the lock is as it is.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def root() -> None:
    """Say why the lock is as it is."""


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
    from envbuild.catalog.active import catalog_in_force
    from envbuild.cli.output import Output
    from envbuild.resolve.gpu.report import explain_gpu, text_of
    from envbuild.workflows.project import choose_target, fresh_lock, open_project

    output = Output(as_json=as_json)
    lock = fresh_lock(open_project(spec, frozen=frozen), frozen=frozen)
    target = choose_target(lock, variant=variant, platform=platform)
    sections = explain_gpu(lock, target, catalog=catalog_in_force())
    if as_json:
        output.document(
            {
                "variant": target.variant,
                "platform": target.platform,
                "sections": [{"title": section.title, "lines": list(section.lines)} for section in sections],
                "gpu": target.gpu.model_dump(mode="json", by_alias=True) if target.gpu else None,
            }
        )
        return
    output.say(f"{lock.request.name}, {target.variant} on {target.platform}")
    output.data(text_of(sections))
