"""What a shell offers: by the protocol of the completion scripts, and in a real bash."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from envbuild.workflows.configuration.settings import SETTINGS
from tests.rig.paths import CHECKOUT
from tests.rig.program import SPEC, Program

TWO = (
    SPEC.replace("[base]", 'platforms = ["linux/amd64", "linux/arm64"]\n\n[base]')
    + "[variants.cpu]\n[variants.gpu]\n"
)

Offer = Callable[..., list[str]]


@pytest.fixture
def offer(program: Program, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Return a function that completes the last word of a command line."""

    def complete(*words: str) -> list[str]:
        monkeypatch.setenv("_ENVBUILD_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", "\n".join(("envbuild", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        answer = program()
        monkeypatch.delenv("_ENVBUILD_COMPLETE")
        assert (answer.code, answer.stderr) == (0, "")
        return answer.stdout.split()

    return complete


@pytest.mark.parametrize("command", ["build", "verify", "run", "render", "devcontainer", "explain gpu"])
def test_variants_and_platforms_of_the_lock(locked: Program, offer: Offer, command: str):
    assert offer(*command.split(), "--variant", "") == ["default"]
    assert offer(*command.split(), "--platform", "linux/") == ["linux/amd64"]
    assert offer(*command.split(), "--platform", "x") == []


def test_those_of_the_spec_where_there_is_no_lock(program: Program, offer: Offer):
    program.spec.write_text(TWO)

    assert offer("build", "--variant", "") == ["cpu", "gpu"]
    assert offer("lock", "--platform", "linux/ar") == ["linux/arm64"]


def test_those_of_a_project_file(program: Program, offer: Offer):
    (program.folder / "pyproject.toml").write_text("[tool.envbuild.variants.cpu]\n")

    assert offer("build", "--variant", "") == ["cpu"]


def test_packages_of_the_lock(locked: Program, offer: Offer):
    names = offer("lock", "--upgrade-package", "")

    assert {"git", "numpy", "joblib", "scikit-learn"} <= set(names)
    assert names == sorted(set(names))
    assert offer("lock", "-P", "num") == ["numpy"]


def test_the_project_is_the_one_that_the_command_would_find(
    program: Program, offer: Offer, monkeypatch: pytest.MonkeyPatch
):
    program.spec.write_text(TWO)
    below = program.folder / "a/b"
    below.mkdir(parents=True)
    other = program.folder / "other.toml"
    other.write_text("[variants.other]\n")

    monkeypatch.chdir(below)
    assert offer("build", "--variant", "c") == ["cpu"]
    monkeypatch.chdir("/")
    assert offer("build", "--variant", "") == []
    assert offer("-C", str(program.folder), "-C", "a", "build", "--variant", "") == ["cpu", "gpu"]
    assert offer("build", "--spec", str(program.folder), "--variant", "") == ["cpu", "gpu"]
    assert offer("build", "-f", str(other), "--variant", "") == ["other"]
    assert offer("-C", str(program.folder), "build", "-f", "other.toml", "--variant", "") == ["other"]
    # a named folder is not left for one above
    assert offer("build", "-f", str(below), "--variant", "") == []


def test_engines_commands_and_keys(offer: Offer):
    assert offer("build", "--engine", "") == ["docker", "local"]
    assert offer("explain", "") == ["gpu"]
    assert offer("config", "get", "apt.m") == ["apt.mirror", "apt.mirrors"]
    assert len(offer("config", "unset", "")) < len(SETTINGS)


@pytest.mark.parametrize(
    "text",
    [
        "no TOML",
        "",
        "[targets]\n",
        "targets = 1\n",
        "[[targets]]\nvariant = 5\nplatform = 5\n",
        "variants = 5\nplatforms = 5\nwheels = 5\n",
        "[[wheels]]\n[[debs]]\nname = 5\n",
        "\x00",
    ],
)
def test_whatever_the_files_hold_nothing_is_said(program: Program, offer: Offer, text: str):
    program.spec.write_text(text)
    for has_lock in (False, True):
        if has_lock:
            program.lock.write_text(text)
        for words in (("build", "--variant"), ("build", "--platform"), ("lock", "-P")):
            assert offer(*words, "") == []


def test_what_is_not_one_word_is_not_offered(program: Program, offer: Offer):
    program.spec.write_text('[variants."a b"]\n[variants."c\\u001b[31m"]\n[variants."$(d)"]\n[variants.e]\n')

    assert offer("build", "--variant", "") == ["e"]


def test_files_that_cannot_be_read(program: Program, offer: Offer):
    program.spec.mkdir()
    os.mkfifo(program.lock)

    assert offer("build", "--variant", "") == []


def test_a_configuration_that_cannot_be_used_is_no_matter(
    locked: Program, offer: Offer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ENVBUILD_CONFIG", "/nonexistent")

    assert offer("build", "--variant", "") == ["default"]


@pytest.mark.parametrize(
    ("shell", "variables", "said"),
    [
        ("zsh", {"_TYPER_COMPLETE_ARGS": "envbuild build --variant "}, '"default"'),
        (
            "fish",
            {"_TYPER_COMPLETE_ARGS": "envbuild build --variant ", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
            "default",
        ),
    ],
)
def test_other_shells_by_their_protocol(
    locked: Program, monkeypatch: pytest.MonkeyPatch, shell: str, variables: dict[str, str], said: str
):
    for name, value in {"_ENVBUILD_COMPLETE": f"complete_{shell}", **variables}.items():
        monkeypatch.setenv(name, value)
    answer = locked()

    assert (answer.code, answer.stderr) == (0, "")
    assert said in answer.stdout


@pytest.mark.slow
def test_in_bash(locked: Program, tmp_path: Path):
    """The script that is printed for bash is what completes, and file names are left to bash itself."""
    script = tmp_path / "completion.bash"
    environment = {
        **os.environ,
        "PYTHONPATH": str(CHECKOUT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    words = ["envbuild", "--show-completion", "bash"]
    script.write_bytes(subprocess.run(words, check=True, capture_output=True, env=environment).stdout)
    asked = [("build", "--variant", "de"), ("lock", "-P", "joblib"), ("build", "--spec", "")]
    lines = [
        f"COMP_WORDS=(envbuild {' '.join(repr(word) for word in words)}); COMP_CWORD={len(words)}; "
        '_envbuild_completion envbuild; echo "${COMPREPLY[*]}"'
        for words in asked
    ]
    result = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(["set -u", f". '{script}'", "complete -p envbuild", *lines])],
        cwd=locked.folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "complete -o default -F _envbuild_completion envbuild",
        "default",
        "joblib",
        "",
    ]
