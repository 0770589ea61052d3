"""What other projects take from this one for CI: valid by the published schemas, with options that exist."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from envbuild.cli.app import app
from envbuild.lock.codec import dumps
from tests.rig.hostile import COMMANDS, HOSTILE, harm_in
from tests.rig.locks import sample_lock
from tests.rig.paths import CHECKOUT
from tests.rig.program import SPEC

CI = CHECKOUT / "templates" / "ci"
SCHEMAS = {
    "vendor.github-actions": CHECKOUT / "action.yml",
    "vendor.github-workflows": CI / "drift.yml",
    "vendor.gitlab-ci": CI / "gitlab.yml",
}
CALL = re.compile(r"envbuild ((?:lock|build|verify|status|diff|devcontainer)\b[^'\"&|>\n]*)")


@pytest.mark.slow
@pytest.mark.parametrize(("schema", "path"), SCHEMAS.items(), ids=SCHEMAS)
def test_the_published_schema_accepts_it(schema: str, path: Path):
    subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
        check=True,
        capture_output=True,
    )


@pytest.mark.slow
def test_pre_commit_accepts_the_hooks():
    subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-manifest", str(CHECKOUT / ".pre-commit-hooks.yaml")],
        check=True,
        capture_output=True,
    )


def calls() -> list[tuple[str, str]]:
    files = [CHECKOUT / "action.yml", CHECKOUT / ".pre-commit-hooks.yaml", *sorted(CI.iterdir())]
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


LOCK, CONTAINER = "envbuild-lock-check", "envbuild-devcontainer-check"


@pytest.mark.parametrize(
    ("hook", "path", "matches"),
    [
        (LOCK, "envbuild.lock", True),
        (LOCK, "envs/train/envbuild.toml", True),
        (LOCK, "requirements-dev.txt", True),
        (LOCK, "envs/train/requirements/dev.txt", True),
        (LOCK, "environment.yml", True),
        (LOCK, "conda-lock.yml", True),
        (LOCK, "packages.txt", True),
        (LOCK, "src/envbuild_lock.py", False),
        (LOCK, "README.md", False),
        (CONTAINER, "envs/train/envbuild.lock", True),
        (CONTAINER, "pyproject.toml", True),
        (CONTAINER, ".devcontainer/devcontainer.json", True),
        (CONTAINER, "envs/train/.devcontainer/gpu/devcontainer-lock.json", True),
        (CONTAINER, ".devcontainer/Dockerfile", True),
        (CONTAINER, ".devcontainer/editable.py", True),
        (CONTAINER, "Dockerfile", False),
    ],
)
def test_a_hook_looks_at_what_it_compares(hook: str, path: str, matches: bool):
    hooks = {hook["id"]: hook for hook in yaml.safe_load((CHECKOUT / ".pre-commit-hooks.yaml").read_text())}

    assert bool(re.search(hooks[hook]["files"], path)) is matches


def test_hooks_run_at_the_root_and_look_at_all_specs():
    hooks = yaml.safe_load((CHECKOUT / ".pre-commit-hooks.yaml").read_text())

    assert all("--all" in shlex.split(hook["entry"]) and not hook["pass_filenames"] for hook in hooks)


def test_what_is_installed_is_what_a_variable_names():
    texts = [path.read_text() for path in (CHECKOUT / "action.yml", *sorted(CI.iterdir()))]
    installed = [word for text in texts for word in re.findall(r"pip install (?:--\S+ )*(\S+)", text)]

    assert len(installed) == 5
    assert all(word.startswith('"$') for word in installed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("", ""),
        ("origin/main", "there is no revision `origin/main` here (`fetch-depth: 0` fetches all)"),
        ("HEAD", "The same images."),
        ("HEAD~1", "the locks could not be compared"),
    ],
)
@pytest.mark.parametrize("every", ["false", "true"])
def test_the_action_s_summary_says_what_it_could_not_compare_with(
    tmp_path: Path, revision: str, said: str, every: str
):
    (tmp_path / "README").write_text("")
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "--message", "before the lock")
    (tmp_path / "envbuild.lock").write_text(dumps(sample_lock()))
    (tmp_path / "envbuild.toml").write_text(SPEC)
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "--message", "the lock")
    steps = yaml.safe_load((CHECKOUT / "action.yml").read_text())["runs"]["steps"]
    (script,) = (step["run"] for step in steps if step["name"] == "Write the summary")
    summary = tmp_path / "summary"

    subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        env={
            **os.environ,
            "SPEC": ".",
            "ALL": every,
            "COMPARE_WITH": revision,
            "RUNNER_TEMP": str(tmp_path),
            "GITHUB_STEP_SUMMARY": str(summary),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        },
        check=True,
        capture_output=True,
    )

    assert said in summary.read_text()
    assert bool(summary.read_text().strip()) is bool(said)


@pytest.mark.slow
@pytest.mark.parametrize("text", [HOSTILE, *COMMANDS, "a\n\n# b", "a | b", "![a](http://b)", "@team", "<b>"])
def test_the_action_s_summary_is_no_markdown_of_an_image(tmp_path: Path, text: str):
    failed = {"outcome": "failed", "title": text, "expected": text, "found": None}
    report = {"image": "train:1", "results": [failed]}
    (tmp_path / "envbuild-verify.json").write_text(json.dumps(report))
    steps = yaml.safe_load((CHECKOUT / "action.yml").read_text())["runs"]["steps"]
    (script,) = (step["run"] for step in steps if step["name"] == "Write the summary")
    summary = tmp_path / "summary"
    places = {"RUNNER_TEMP": str(tmp_path), "GITHUB_STEP_SUMMARY": str(summary)}

    subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
        env={"PATH": os.environ["PATH"], "SPEC": ".", "ALL": "", "COMPARE_WITH": "", **places},
        check=True,
    )

    said = summary.read_text()
    assert harm_in(said) == []
    assert said.count("\n") == 7
    # letters, digits and what HTML writes all others as
    assert re.fullmatch(r"(\| <code>([^\W_]|&#\d+;)*</code> ){3}\|", said.splitlines()[-1])


RECORDER = """#!/bin/bash
printf '%s\\n' "$*" >>"$CALLS"
case "$1 $*" in
  build*--json*--all*|build*--all*--json*) echo '[{"reference": "a:1", "pushed": null}, {"spec": "b"}]' ;;
  build*--json*) echo '{"reference": "a:1", "pushed": "sha256:1"}' ;;
esac
[ "$1" != "$FAILS" ] || exit 7
"""
"""Stands for envbuild: writes down what it was called with."""

WAYS = {
    "one": ({}, ["lock --check --spec envs/a b", "build --spec envs/a b --pull", "verify --spec envs/a b"]),
    "all": (
        {"ALL": "true"},
        [
            "lock --check --spec envs/a b --all",
            "build --spec envs/a b --all --pull",
            "verify --spec envs/a b --all",
        ],
    ),
    "local": (
        {"ENGINE": "local"},
        [
            "lock --check --spec envs/a b",
            "build --spec envs/a b --engine local",
            "verify --spec envs/a b --engine local",
        ],
    ),
    "docker": (
        {"ENGINE": "docker"},
        [
            "lock --check --spec envs/a b",
            "build --spec envs/a b --pull --engine docker",
            "verify --spec envs/a b --engine docker",
        ],
    ),
}  # fmt: skip
"""What is asked for, and the calls without their options for progress and output."""


def scripts(system: str) -> str:
    """Return what a CI system runs, as one script."""
    if system == "action":
        steps = yaml.safe_load((CHECKOUT / "action.yml").read_text())["runs"]["steps"]
        wanted = ("Check the lock", "Build the image", "Verify the image")
        runs = [step["run"] for step in steps if step["name"] in wanted]
        return "\n".join(f"(\n{run}\n)" for run in runs)
    if system == "gitlab":
        jobs = yaml.safe_load((CI / "gitlab.yml").read_text())
        before = [
            line for line in jobs[".envbuild"]["before_script"] if "pip" not in line and "venv" not in line
        ]
        return "\n".join(
            "(\n" + "\n".join([*before, *jobs[job]["script"]]) + "\n)"
            for job in ("envbuild-lock", "envbuild-image")
        )
    found = re.search(r"sh \'\'\'\n(.*?)\'\'\'", (CI / "Jenkinsfile").read_text(), re.DOTALL)
    assert found
    return found[1].replace(".envbuild/bin/envbuild", "envbuild")


def run_ci(system: str, folder: Path, wanted: dict[str, str], *, fails: str = "") -> tuple[int, list[str]]:
    """Run the scripts with a program that only writes down its calls; return exit status and calls."""
    (folder / "bin").mkdir()
    (folder / ".envbuild").symlink_to(folder)
    program = folder / "bin/envbuild"
    program.write_text(RECORDER)
    program.chmod(0o755)
    names = {"SPEC": "envs/a b", "ALL": "false", **({"ENGINE": ""} if system == "action" else {}), **wanted}
    prefix = "" if system == "action" else "ENVBUILD_"
    variables = {f"{prefix}{name}": value for name, value in names.items()}
    result = subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", scripts(system)],
        cwd=folder,
        env={
            "PATH": f"{folder}/bin{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "CALLS": str(folder / "calls"),
            "FAILS": fails,
            "RUNNER_TEMP": str(folder),
            "GITHUB_OUTPUT": str(folder / "output"),
            **{name: "" for name in ("VARIANT", "PLATFORM", "PUSH", "DEEP") if system == "action"},
            **variables,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == "", result.stderr
    return result.returncode, (folder / "calls").read_text().splitlines()


def options_of(call: str) -> list[str]:
    """Return the words of a call, sorted, without those about progress, output and the engine's variable."""
    left = re.sub(r" --(json|progress plain|junit \S+)", "", call)
    return sorted(left.split())


@pytest.mark.parametrize("system", ["action", "gitlab", "jenkins"])
@pytest.mark.parametrize("way", WAYS)
def test_each_system_calls_the_program_alike(system: str, way: str, tmp_path: Path):
    wanted, expected = WAYS[way]
    status, calls = run_ci(system, tmp_path, wanted)
    if system != "action":
        # there it is the program's own variable
        expected = [re.sub(" --engine [a-z]+", "", call) for call in expected]

    assert status == 0
    assert [options_of(call) for call in calls] == [options_of(call) for call in expected]


@pytest.mark.parametrize("system", ["gitlab", "jenkins"])
@pytest.mark.parametrize(("every", "last"), [("false", "build"), ("true", "verify")])
def test_with_all_the_others_are_verified_after_a_failure(system: str, every: str, last: str, tmp_path: Path):
    status, calls = run_ci(system, tmp_path, {"ALL": every}, fails="build")

    assert status == 7
    assert calls[-1].split()[0] == last


def test_the_action_s_outputs(tmp_path: Path):
    assert run_ci("action", tmp_path, {"ALL": "true"})[0] == 0

    written = (tmp_path / "output").read_text()
    assert written.startswith(
        "image<<end of image\na:1\nend of image\ndigest<<end of digest\n\nend of digest\n"
    )


def _git(folder: Path, *words: str) -> None:
    names = {
        f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    subprocess.run(["git", *words], cwd=folder, check=True, env={**os.environ, **names})
