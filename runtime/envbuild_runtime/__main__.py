"""``python -m envbuild_runtime``: what is known of this environment, for people and programs."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Sequence

import envbuild_runtime
from envbuild_runtime import texts


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was asked for and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m envbuild_runtime", description="Say which environment this is: text, JSON, or a card."
    )
    parser.add_argument("--json", action="store_true", help="all facts as JSON")
    parser.add_argument("--version", action="version", version=envbuild_runtime.__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("card", help="a short card of the run, as Markdown")
    dvc = commands.add_parser("dvc", help="write the file of parameters for DVC")
    dvc.add_argument("path", nargs="?", help="default: envbuild-environment.yaml; .json gives JSON")
    dvc.add_argument("--machine", action="store_true", help="CPU, GPUs, driver and libraries too")
    options = parser.parse_args(arguments)
    if options.command == "dvc":
        from envbuild_runtime import dvc as hook

        hook.write(options.path or hook.FILE, machine=options.machine)
        # it warned; a stage that only takes notes fails no pipeline
        return 0
    if options.command == "card":
        text = envbuild_runtime.card()
    elif options.json:
        text = texts.pretty(envbuild_runtime.environment())
    else:
        text = "".join(f"{line}\n" for line in lines(envbuild_runtime.environment()))
    sys.stdout.write(text)
    return 0


def lines(value: Any, name: str = "") -> list[str]:
    """Return facts as lines of names and values; lists of words on one line."""
    if isinstance(value, dict):
        return [
            line
            for key, part in sorted(value.items())
            for line in lines(part, f"{name}.{key}" if name else str(key))
        ]
    if isinstance(value, list) and any(isinstance(part, dict) for part in value):
        return [line for position, part in enumerate(value) for line in lines(part, f"{name}.{position}")]
    shown = " ".join(str(part) for part in value) if isinstance(value, list) else str(value)
    shown = "".join(character if character.isprintable() else "?" for character in shown)
    return [f"{name:<28} {shown}"]


if __name__ == "__main__":
    sys.exit(main())
