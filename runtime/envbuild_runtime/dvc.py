"""DVC: the environment as a small file of parameters, which a stage depends on.

DVC has no hook for runs; it has files.  This one holds what a result depends on and what is the same on every
machine: which target of which lock, command, data, seeds.  (The commit is the one that holds the file.)
``dvc.lock``, ``dvc exp show`` and ``dvc params diff`` show what a stage names of it::

    stages:
      environment:
        cmd: python -m envbuild_runtime dvc
        always_changed: true
        outs:
        - envbuild-environment.yaml:
            cache: false
      train:
        cmd: python train.py
        deps:
        - train.py
        params:
        - envbuild-environment.yaml:
          - target
          - variables
        metrics:
        - metrics.json:
            cache: false

The first stage writes the file at each `dvc repro`, and only if it changed: `train` then runs again when the
environment is another one, and only then.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

from envbuild_runtime import facts, guard, texts

FILE = "envbuild-environment.yaml"

_OF_RECORD = (
    *("command", "folder", "mounted", "mounts", "name", "options", "platform", "redacted", "variable-names"),
    *("variables", "variant"),
)


_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_WORDS = frozenset({"false", "n", "no", "null", "off", "on", "true", "y", "yes"})
"""Keys that are no strings in YAML 1.1 unless quoted."""

_LAST_SHORT = 0xFFFF


@guard.guarded("the environment is not written for DVC")
def write(path: str | os.PathLike[str] = FILE, *, machine: bool = False) -> bool:
    """Write the environment to a YAML or JSON file, by the name's ending; return whether it is there now.

    With ``machine`` it also says CPU, GPUs, driver and libraries: for a file under ``metrics:``, as a stage
    that depends on these runs again on each other machine.  A file that says the same already is left alone.
    Nothing is raised: where it cannot be done there is a warning, and the run goes on.
    """
    name = os.fsdecode(path)
    content = values(facts.environment(), machine=machine)
    text = texts.pretty(content) if name.endswith(".json") else to_yaml(content)
    texts.write_if_changed(name, text.encode())
    return True


def values(environment: dict[str, Any], *, machine: bool = False) -> dict[str, Any]:
    """Return what the file holds."""
    target, run = environment.get("target", {}), environment.get("run", {})
    found = {name: run[name] for name in _OF_RECORD if run.get(name)}
    found.update({name: target[name] for name in ("name", "platform", "tag", "variant") if target.get(name)})
    found["target"] = target.get("digest")
    found["lock"] = environment.get("lock")
    found["image"] = environment.get("image")
    found["data"] = {
        str(entry.get("name")): entry.get("digest") for entry in texts.dicts(environment.get("data"))
    }
    if machine:
        for name in ("blas", "driver", "gpus", "python", "switches", "threads"):
            found[name] = environment.get(name)
        cpu = environment.get("cpu", {})
        found["cpu"] = {name: cpu[name] for name in ("level", "model", "quota", "usable") if name in cpu}
    known = {name: value for name, value in found.items() if value not in (None, {}, [])}
    # a stage that names a parameter fails where the file lacks it: these are there even if there are none
    return dict(sorted({"variables": {}, **known}.items()))


def to_yaml(value: dict[str, Any]) -> str:
    """Return a mapping of plain JSON values as YAML: keys sorted and quoted where need be, a line each."""
    return "".join(f"{line}\n" for line in _lines(value, "")) or "{}\n"


def _lines(value: dict[str, Any], indent: str) -> list[str]:
    lines = []
    for name, part in sorted(value.items()):
        key = name if _PLAIN_KEY.fullmatch(name) and name.lower() not in _WORDS else _scalar(name)
        if isinstance(part, dict) and part:
            lines += [f"{indent}{key}:", *_lines(part, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {_scalar(part)}")
    return lines


def _scalar(value: Any) -> str:
    """Return a value on one line: JSON, which is YAML, but for characters that YAML wants escaped."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= _LAST_SHORT else f"\\U{code:08x}"
