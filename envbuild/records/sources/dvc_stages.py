"""Stages of DVC: what a command runs in the image, and whether what it read is what the commit has.  Pure."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from envbuild.records.redaction import redacted
from envbuild.records.switches import is_switch

_FLAGS: Final = frozenset(
    {
        *("--no-mount", "--no-data", "--no-record", "--frozen", "--lock", "--offline", "--tty", "--no-tty"),
        *("-q", "--quiet", "-v", "--verbose", "-qv", "-vq"),
    }
)
"""Options of `run` that take no value; but for ``--no-mount`` they say nothing of the run itself."""

_PLACES: Final = frozenset({"-f", "--spec", "--engine", "--variant", "--platform"})
"""Options whose values the record has otherwise, or that each machine chooses for itself."""

_SHORT: Final = {"-e": "--env", "-w": "--workdir", "-u": "--user", "-p": "--publish", "-c": "--copy"}
_RECORDED: Final = ("--network", "--shm-size", "--memory", "--cpus", "--workdir", "--gpus", "--user")


@dataclass(slots=True)
class StageCommand:
    """What a stage runs, as a record has it."""

    command: list[str] | None = None
    """None: it cannot be told."""

    redacted: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    """Switches that were passed."""

    variable_names: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    mounted: bool = True
    missing: list[str] = field(default_factory=list)
    """What is not taken over, in words."""

    def document(self) -> dict[str, Any]:
        """Return the part of a record that the stage gives."""
        found: dict[str, Any] = {
            "command": self.command,
            "redacted": self.redacted if self.command else None,
            "variable-names": sorted(set(self.variable_names)),
            "options": self.options,
        }
        return {key: value for key, value in found.items() if value} | {"mounted": self.mounted}


def stage_command(lines: Sequence[str]) -> StageCommand:
    """Return what the lines of a stage's ``cmd`` run in the image.

    A line that calls `envbuild run` is one of the machine outside; others are run by a shell inside.
    """
    if not any(_calls_envbuild(line) for line in lines):
        return _with_command(StageCommand(), ["sh", "-ec", "\n".join(lines)])
    words = _words(lines[0]) if len(lines) == 1 else None
    if words is None or words[:2] != ["envbuild", "run"]:
        return StageCommand(
            missing=["the command: the stage is a line of the shell outside; give one after `--`"]
        )
    return _inside(words[2:])


def _inside(words: list[str]) -> StageCommand:
    found = StageCommand()
    while words:
        word = words.pop(0)
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            words.insert(0, word)
            break
        name, equals, value = word.partition("=")
        if not word.startswith("--") and len(word) > len("-e") and word[:2] in _SHORT:
            # as in -eNAME=VALUE
            name, equals, value = word[:2], "=", word[2:].removeprefix("=")
        name = _SHORT.get(name, name)
        if name in _FLAGS:
            found.mounted = found.mounted and name != "--no-mount"
            continue
        if not equals:
            value = words.pop(0) if words else ""
        _take(found, name, value)
    if not words:
        found.missing.append("the command: the stage has none that can be told; give one after `--`")
        return found
    return _with_command(found, words)


def _take(found: StageCommand, name: str, value: str) -> None:
    if name == "--env":
        variable, equals, text = value.partition("=")
        if equals and is_switch(variable, text):
            found.variables[variable] = text
        else:
            found.variable_names.append(variable)
    elif name in _RECORDED:
        found.options[name.removeprefix("--")] = value
    elif name not in _PLACES:
        # its value may be a path of that machine
        found.missing.append(f"{name} of the stage: give it")


def _with_command(found: StageCommand, words: Sequence[str]) -> StageCommand:
    shown, hidden = redacted(words)
    found.command, found.redacted = list(shown), hidden
    return found


def _calls_envbuild(line: str) -> bool:
    return "envbuild run" in " ".join(line.split()) or line.split()[:1] == ["envbuild"]


def _words(line: str) -> list[str] | None:
    """Return the words of a line that needs no shell; None: it has variables, patterns or operators."""
    if any(character in line for character in "$`*?[~#\n"):
        return None
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    reader.commenters = ""
    try:
        words = list(reader)
    except ValueError:
        return None
    return None if any(word and set(word) <= set("();<>|&") for word in words) else words
