"""Which engine a command means, and what its options refuse."""

import pytest

from envbuild.errors import UsageError
from envbuild.workflows.engines import choose_engine
from envbuild.workflows.options import parse_output
from envbuild.workflows.project import Project
from tests.rig.program import SPEC, Program


@pytest.mark.parametrize(
    ("option", "variable", "spec", "chosen"),
    [
        (None, None, None, "docker"),
        (None, None, "local", "local"),
        (None, "local", None, "local"),
        (None, "docker", "local", "docker"),
        ("local", "docker", None, "local"),
        ("docker", "local", "local", "docker"),
    ],
)
def test_option_wins_over_the_environment_and_that_over_the_spec(tmp_path, option, variable, spec, chosen):
    path = tmp_path / "envbuild.toml"
    path.write_text(SPEC + (f'[build]\nengine = "{spec}"\n' if spec else ""))
    assert choose_engine(option, Project(path), {"ENVBUILD_ENGINE": variable} if variable else {}) == chosen


def test_without_a_spec_it_is_docker(tmp_path):
    assert choose_engine(None, Project(tmp_path / "envbuild.toml"), {}) == "docker"


def test_unknown_engine_is_a_usage_error(locked: Program, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ENVBUILD_ENGINE", "podman")
    answer = locked("build")
    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr == "error: ENVBUILD_ENGINE names no engine: podman\n\nhint: engines: docker, local\n"


@pytest.mark.parametrize("options", [("--load",), ("--output", "oci:x"), ("--compression", "gzip")])
def test_options_of_the_local_engine_are_refused_with_the_other(locked: Program, options):
    answer = locked("build", *options)
    assert (answer.code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("error: --output, --load and --compression are the local engine's\n")


@pytest.mark.parametrize("text", ["layout", "oci:", "tar:x", ":x"])
def test_place_of_another_form_is_a_usage_error(text):
    with pytest.raises(UsageError) as caught:
        parse_output(text)
    assert caught.value.message == f"`{text}` is not a place for an image"


def test_archive_is_a_file(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        parse_output(f"archive:{tmp_path}")
    assert str(parse_output(f"oci:{tmp_path}")) == f"oci:{tmp_path}"


def test_engine_has_no_part_in_the_lock(locked: Program):
    locked.spec.write_text(SPEC + '[build]\nengine = "local"\n')
    assert locked("lock", "--check").code == 0
