"""Pages of the documentation, followed as a reader follows them: files are written, commands are run.

A block with ``title="NAME"`` is a file to write.  A block of ``console`` holds commands after ``$ ``, and
some of what each prints; ``…`` stands for anything, digests and IDs may differ.  Other blocks are read only.
"""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<content>.*?)^```$", re.MULTILINE | re.DOTALL)
_TITLE = re.compile(r'title="(?P<name>[^"]+)"')
_DIGEST = re.compile(r"\b[0-9a-f]{12,64}\b")


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file that the reader is told to write."""

    name: str
    content: str


@dataclass(frozen=True, slots=True)
class PageCommand:
    """A command line, and lines that it prints."""

    line: str
    printed: tuple[str, ...]


def steps_of(page: str) -> tuple[PageFile | PageCommand, ...]:
    """Return what a page tells its reader to do, in order."""
    steps: list[PageFile | PageCommand] = []
    for block in _FENCE.finditer(page):
        title = _TITLE.search(block["info"])
        if title:
            steps.append(PageFile(title["name"], block["content"]))
        elif block["info"].split()[:1] == ["console"]:
            steps += _commands(block["content"])
    return tuple(steps)


def _commands(text: str) -> list[PageCommand]:
    commands: list[PageCommand] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            commands.append(PageCommand(line[2:], ()))
        elif commands and commands[-1].line.endswith("\\"):
            commands[-1] = PageCommand(f"{commands[-1].line[:-1].rstrip()} {line.strip()}", ())
        elif line.strip() and commands:
            last = commands[-1]
            commands[-1] = PageCommand(last.line, (*last.printed, line))
    return commands


def follow(page: Path, folder: Path, environment: Mapping[str, str], *, seconds: int = 900) -> None:
    """Do what ``page`` says in ``folder``, in one bash, and compare what is printed.

    A command must succeed, unless the page asks for its exit code next.
    """
    steps = steps_of(page.read_text(encoding="utf-8"))
    commands = [step for step in steps if isinstance(step, PageCommand)]
    assert commands, f"{page.name} runs nothing"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-c", _script(steps)],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    for number, command in enumerate(commands):
        found = re.search(
            rf"^=begin {number}=\n(?P<printed>.*?)^=end {number} (?P<code>\d+)=$",
            done.stdout,
            re.MULTILINE | re.DOTALL,
        )
        assert found is not None, f"{command.line}\nwas not run:\n{done.stdout[-4000:]}"
        expects_failure = commands[number + 1 : number + 2] and commands[number + 1].line == "echo $?"
        if not expects_failure:
            assert found["code"] == "0", f"$ {command.line}\n{found['printed']}exit code {found['code']}"
        _require(command, found["printed"])


def _script(steps: tuple[PageFile | PageCommand, ...]) -> str:
    lines, number = ["status=0"], 0
    for step in steps:
        if isinstance(step, PageFile):
            lines.append(f"mkdir -p \"$(dirname '{step.name}')\" && cat >'{step.name}' <<'=file='")
            lines.append(f"{step.content}=file=")
            continue
        # `echo $?` on a page asks for the code of the command before it
        lines += [f"echo '=begin {number}='", "(exit $status)", step.line, "status=$?"]
        lines.append(f'echo; echo "=end {number} $status="')
        number += 1
    return "\n".join(lines)


def _require(command: PageCommand, printed: str) -> None:
    """Require the lines that a page shows, in their order."""
    left = [_DIGEST.sub("<digest>", line.rstrip()) for line in printed.splitlines()]
    for line in command.printed:
        if line.strip() == "…":
            continue
        wanted = re.escape(_DIGEST.sub("<digest>", line.rstrip())).replace("…", ".*")
        place = next((index for index, other in enumerate(left) if re.fullmatch(wanted, other)), None)
        assert place is not None, f"$ {command.line}\nthe page shows: {line}\nprinted was:\n{printed}"
        left = left[place + 1 :]
