"""What hooks attach to a run, as text: the same names and bytes for every tracker."""

from __future__ import annotations

import json
import os
import shlex
from typing import Any, Iterable

from envbuild_runtime import sources
from envbuild_runtime.guard import attempt

FOLDER = "envbuild"
"""Folder in a tracker, and first part of the names there."""

RUN_FILE = "run.json"
ENVIRONMENT_FILE = "environment.json"
LOCK_FILE = "lock.json"
CARD_FILE = "card.md"

LONGEST_CELL = 300
"""Characters of one value in the card."""

MOST_DATA = 50


def files(environment: dict[str, Any]) -> dict[str, bytes]:
    """Return what is attached, by file name: record, environment, the image's lock, the whole lock, card.

    Without a record, or outside an image, the file of it is absent.
    """
    found = {ENVIRONMENT_FILE: pretty(environment).encode(), CARD_FILE: card(environment).encode()}
    if "run" in environment:
        found[RUN_FILE] = pretty(environment["run"]).encode()
    lock = sources.target_lock()
    if lock is not None:
        found[LOCK_FILE] = lock.content
    whole = attempt(lambda: sources.whole_lock(environment.get("run")))
    if whole is not None:
        found[sources.WHOLE_LOCK] = whole
    return found


def write_files(environment: dict[str, Any], folder: str) -> list[str]:
    """Write `files` into a folder, made if need be; return their paths.  :raises OSError: when it cannot."""
    os.makedirs(folder, exist_ok=True)
    paths = []
    for name, content in sorted(files(environment).items()):
        path = os.path.join(folder, name)
        write_if_changed(path, content)
        paths.append(path)
    return paths


def write_if_changed(path: str, content: bytes) -> bool:
    """Write a whole file, or leave it alone if it holds that already; return whether it was written.

    Nobody sees half of it.  :raises OSError: when it cannot be written.
    """
    try:
        with open(path, "rb") as stream:
            if stream.read(len(content) + 1) == content:
                return False
    except OSError:
        pass
    # of a name that no tracker takes for one of its files
    unfinished = os.path.join(os.path.dirname(path), f".envbuild-runtime.{os.getpid()}.tmp")
    try:
        with open(unfinished, "wb") as stream:
            stream.write(content)
        os.replace(unfinished, path)
    except BaseException:
        if os.path.exists(unfinished):
            os.unlink(unfinished)
        raise
    return True


def pretty(value: Any) -> str:
    """Return JSON for people and programs: sorted keys, a line for each value, a newline at the end."""
    return json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n"


def code_block(text: str) -> str:
    """Return a text as a code block of Markdown; JSON stays JSON, for it is indented and no more."""
    return "".join(f"    {line}\n" for line in text.splitlines())


def card(environment: dict[str, Any]) -> str:
    """Return the card of a run as Markdown: what it ran in, and how to run it again."""
    target, record = environment.get("target", {}), environment.get("run", {})
    lines = [f"# Environment {code(target.get('name', 'unknown'))}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in _rows(environment) if value]
    data = dicts(environment.get("data"))[:MOST_DATA]
    if data:
        lines += ["", "## Data", "", "| name | digest | where |", "|---|---|---|"]
        rows = [[code(entry.get(key)) for key in ("name", "digest", "target")] for entry in data]
        lines += [f"| {' | '.join(row)} |" for row in rows]
    again = _again(record)
    if again:
        lines += ["", "## Again", "", *(f"    {line}" for line in again)]
        if record.get("redacted"):
            lines += ["", "Words of the command that looked like secrets are written as `***`."]
    return "\n".join(lines) + "\n"


def code(value: Any) -> str:
    """Return a value as code in a table of Markdown: one bounded line, whatever it holds."""
    text = _line(value)
    if not text:
        return ""
    ticks = "`"
    while ticks in text:
        ticks += "`"
    space = " " if text.startswith("`") or text.endswith("`") else ""
    escaped = text.replace("|", "\\|")
    return f"{ticks}{space}{escaped}{space}{ticks}"


def _rows(environment: dict[str, Any]) -> Iterable[tuple[str, str]]:
    target, record = environment.get("target", {}), environment.get("run", {})
    image, lock, git = (_dict(environment.get(name)) for name in ("image", "lock", "git"))
    cpu, python = environment.get("cpu", {}), environment.get("python", {})
    yield "target", code(target.get("digest"))
    yield "target of the record, which is another", code(target.get("recorded"))
    yield "tag", code(target.get("tag"))
    yield "variant", code(target.get("variant"))
    yield "platform", code(target.get("platform"))
    yield "image", _joined(image, "reference", "digest")
    yield "lock", _joined(lock, "path", "sha256")
    yield "commit", _joined(git, "commit") + (", with changes" if git.get("dirty") is True else "")
    yield "repository", _joined(git, "remote", "folder")
    yield "command", code(_command(record))
    yield "variables", _pairs(record.get("variables"))
    yield "options", _pairs(record.get("options"))
    yield "CPU", code(" ".join(filter(None, [str(cpu.get("model", "")), str(cpu.get("level", ""))])))
    yield (
        "CPUs",
        code(", ".join(f"{cpu[name]} {name}" for name in ("logical", "usable", "quota") if name in cpu)),
    )
    yield "GPUs", code(", ".join(str(gpu.get("name", "")) for gpu in environment.get("gpus", [])))
    yield "driver", code(environment.get("driver"))
    yield "Python", code(python.get("version"))
    yield "BLAS", code(", ".join(_library(library) for library in environment.get("blas", [])))
    yield "threads", _pairs(environment.get("threads"))
    yield "switches", _pairs(environment.get("switches"))


def _again(record: dict[str, Any]) -> list[str]:
    """Return the commands that start the run again: shell words, each on one line."""
    commit, command = _dict(record.get("git")).get("commit"), _command(record)
    if not command:
        return []
    folder = _dict(record.get("git")).get("folder")
    lines = [f"git checkout {shlex.quote(_line(commit))}"] if commit else []
    lines += [f"cd {shlex.quote(_line(folder))}"] if folder and folder != "." else []
    variant = record.get("variant")
    which = f" --variant {shlex.quote(_line(variant))}" if variant and variant != "default" else ""
    return [*lines, f"envbuild run{which} -- {_line(command)}"]


def _command(record: dict[str, Any]) -> str:
    words = record.get("command")
    return " ".join(shlex.quote(str(word)) for word in words) if isinstance(words, list) else ""


def _pairs(value: Any) -> str:
    return code(" ".join(f"{name}={_line(part)}" for name, part in sorted(_dict(value).items())))


def _joined(value: dict[str, Any], *names: str) -> str:
    return ", ".join(code(value[name]) for name in names if value.get(name))


def _library(facts: dict[str, Any]) -> str:
    parts = (facts.get("library"), facts.get("version"), f"({facts['file']})" if "file" in facts else None)
    return " ".join(str(part) for part in parts if part)


def _line(value: Any) -> str:
    text = " ".join(str("" if value is None else value).split())
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def dicts(value: Any) -> list[dict[str, Any]]:
    """Return the objects of a list; none if it is no list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
