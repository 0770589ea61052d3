"""`envbuild describe`."""

from typing import Annotated

import typer

from envbuild.cli.options import Offline


def describe(
    *,
    run: Annotated[
        str,
        typer.Option(
            "--run",
            metavar="SOURCE",
            help="Recorded run: mlflow:RUN_ID, wandb:FOLDER, tensorboard:FOLDER or dvc:REVISION.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of Markdown.")] = False,
    offline: Offline = False,
) -> None:
    """Print the card of a recorded run.

    Markdown: environment, code, data, seeds, command, results, how to run it again, and a paragraph
    for an appendix.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output
    from envbuild.workflows.runs.describe import describe_run

    output = Output(as_json=as_json)
    described = describe_run(run, machine=command_machine(offline=offline))
    if as_json:
        output.document(described.document())
    else:
        output.page(described.card().rstrip("\n"))
