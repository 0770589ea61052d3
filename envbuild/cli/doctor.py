"""`envbuild doctor`."""

import typer

from envbuild.cli.options import AsJson, Quiet, SpecPath


def doctor(*, spec: SpecPath = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Show what this machine has of all that envbuild needs.

    Engine, builder, apt, cache, index, registries, driver and GPUs.  Nothing is changed.  Exits with the code
    that a command would end with that needs what is broken.
    """
    from envbuild.cli.output import Output, aligned
    from envbuild.verify.doctor import document, exit_code_of
    from envbuild.workflows.upkeep.doctor import examine

    output = Output(quiet=quiet, as_json=as_json)
    findings, facts = examine(spec)
    if as_json:
        output.document(document(findings, facts))
    else:
        marks = {"ok": "ok", "missing": "missing", "broken": "BROKEN", "none": "-"}
        for line in aligned([(marks[item.state], item.name, item.found) for item in findings]):
            output.data(line)
        for item in findings:
            if item.hint:
                output.say(f"{item.name}: {item.hint}")
    raise typer.Exit(exit_code_of(findings))
