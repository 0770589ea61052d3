"""How the processes that are started to assemble an image speak to the one that started them."""

import sys
from typing import Final

from envbuild.errors import EnvbuildError
from envbuild.progress import SilentProgress

ERROR: Final = "error: "
"""What the line with the message of an error begins with."""


class StageLines(SilentProgress):
    """Writes each stage as a line to standard error, which the first process shows."""

    def on_stage(self, text: str) -> None:
        """Write the line."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def write_error(error: EnvbuildError) -> int:
    """Write an error to standard error; return the exit status."""
    lines = [f"{ERROR}{error.message}", *(f"  {problem}" for problem in error.problems)]
    lines += [error.detail] if error.detail else []
    sys.stderr.write("\n".join(lines) + "\n")
    return int(error.exit_code)
