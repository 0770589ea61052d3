"""Commands and files that a container has not: what was probably meant."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from envbuild.errors import CommandMissingError

_MOUNT: Final = re.compile(r"[^:\s]+:/[^:\s]*(:r[ow])?")
"""What docker's -v takes."""


def missing_command(command: Sequence[str], error: CommandMissingError) -> CommandMissingError:
    """Return ``error`` with what was probably meant by ``command``."""
    return CommandMissingError(error.message, detail=error.detail, hint=_meant(command[0]))


def _meant(program: str) -> str:
    if _MOUNT.fullmatch(program):
        return f"-v is --verbose here; to mount a folder: --mount {program}"
    if any(character.isspace() for character in program):
        return f"a command is words, not one text: leave the quotes out, or use a shell: sh -c {program!r}"
    if _is_file(program):
        if program.endswith(".py"):
            return f"`{program}` is a file of this folder: python {program}"
        if "/" not in program:
            return f"`{program}` is a file of this folder: ./{program}, and it must be executable"
        return f"`{program}` is there: it must be executable, and begin with #! and a program of the image"
    return "the image has what the spec asks for: add the package that brings it with `envbuild add`"


def unseen_files(names: Sequence[str]) -> str:
    """Return in words that files of this folder are not in the container."""
    is_one = len(names) == 1
    return (
        f"{', '.join(names)} {'is' if is_one else 'are'} in this folder, which the container does not see: "
        "leave out --no-mount, or add --copy; a folder outside the spec's needs --mount"
    )


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False
