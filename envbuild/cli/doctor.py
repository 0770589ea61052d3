"""`envbuild doctor`."""

import typer

from envbuild.cli.options import AsJson, Quiet, SpecPath


def doctor(*, spec: SpecPath = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Check this machine for what envbuild needs.

    Engine, builder, apt, cache, index, registries, driver and GPUs.  Nothing is changed.  Exits with the code
    that a command would end with that needs what is broken.
    """
    from envbuild.cli.machine import command_machine
    from envbuild.cli.output import Output, aligned
    from envbuild.workflows.upkeep.doctor import examine_machine

    output = Output(quiet=quiet, as_json=as_json)
    result = examine_machine(spec, machine=command_machine())
    if as_json:
        output.document(result.document())
    else:
        marks = {"ok": "ok", "missing": "missing", "broken": "BROKEN", "none": "-"}
        for line in aligned([(marks[item.state], item.name, item.found) for item in result.findings]):
            output.data(line)
        for item in result.findings:
            if item.hint:
                output.say(f"{item.name}: {item.hint}")
    raise typer.Exit(result.exit_code)
