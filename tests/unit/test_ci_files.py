"""What other projects take from this one for CI: valid by the published schemas, with options that exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from envbuild.cli.app import app

ROOT = Path(__file__).parents[2]
CI = ROOT / "templates" / "ci"
SCHEMAS = {
    "vendor.github-actions": ROOT / "action.yml",
    "vendor.github-workflows": CI / "drift.yml",
    "vendor.gitlab-ci": CI / "gitlab.yml",
}
CALL = re.compile(r"envbuild ((?:lock|build|verify|status|diff|devcontainer)\b[^'\"&|>\n]*)")


@pytest.mark.parametrize(("schema", "path"), SCHEMAS.items(), ids=SCHEMAS)
def test_the_published_schema_accepts_it(schema: str, path: Path):
    subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
        check=True,
        capture_output=True,
    )


def test_pre_commit_accepts_the_hooks():
    subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml")],
        check=True,
        capture_output=True,
    )


def calls() -> list[tuple[str, str]]:
    files = [ROOT / "action.yml", ROOT / ".pre-commit-hooks.yaml", *sorted(CI.iterdir())]
    return [(path.name, match[1].strip()) for path in files for match in CALL.finditer(path.read_text())]


def test_there_are_calls_in_every_file():
    assert {name for name, _ in calls()} == {
        "action.yml",
        ".pre-commit-hooks.yaml",
        "drift.yml",
        "gitlab.yml",
        "Jenkinsfile",
    }


@pytest.mark.parametrize(("name", "call"), calls(), ids=[f"{name}: {call}" for name, call in calls()])
def test_only_options_that_exist_are_used(name: str, call: str):
    command, *words = shlex.split(call)
    known = {option for item in get_command(app).commands[command].params for option in item.opts}  # type: ignore[attr-defined]

    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize(
    ("path", "matches"),
    [
        ("envbuild.lock", True),
        ("envs/train/envbuild.toml", True),
        ("requirements-dev.txt", True),
        ("environment.yml", True),
        ("src/envbuild_lock.py", False),
        ("README.md", False),
    ],
)
def test_the_hook_looks_at_what_a_lock_answers(path: str, matches: bool):
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}

    assert bool(re.search(hooks["envbuild-lock-check"]["files"], path)) is matches
