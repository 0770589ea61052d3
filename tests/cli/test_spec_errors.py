import pytest

from tests.rig.program import Program

NO_SPEC = """\
error: there is no spec here, or in a folder above: \
neither `envbuild.toml` nor [tool.envbuild] in `pyproject.toml`

hint: run `envbuild init`, or write `envbuild.toml`: a name and a Python version will do
"""

WRONG = {
    "unknown-key": (
        'name = "train"\npython = "3.11"\nplatform = ["linux/amd64"]\n',
        """\
error: `envbuild.toml` has a problem
  • platform: unknown key
    hint: did you mean `platforms`?
""",
    ),
    "unquoted-version": (
        'name = "train"\npython = 3.10\n',
        """\
error: `envbuild.toml` has a problem
  • python: must be a string, not a number
    hint: quote it: python = "3.10"
""",
    ),
    "duplicate-key": (
        'name = "train"\npython = "3.11"\npython = "3.12"\n',
        """\
error: `envbuild.toml` is not TOML
  • envbuild.toml:3: `python` is there twice
    hint: keep one of them
""",
    ),
    "duplicate-table": (
        'name = "train"\npython = "3.11"\n[pip]\n[system]\n[pip]\n',
        """\
error: `envbuild.toml` is not TOML
  • envbuild.toml:5: `[pip]` is there twice
    hint: keep one of them
""",
    ),
    "several": (
        'nam = "train"\npython = 3.10\nplatforms = ["linux/x86"]\n[system]\npackages = ["Git"]\n',
        """\
error: `envbuild.toml` has 5 problems
  • name: is missing
    hint: add `name = "train"` at the top
  • python: must be a string, not a number
    hint: quote it: python = "3.10"
  • platforms[0]: unknown platform `linux/x86`
    hint: one of `linux/amd64` or `linux/arm64`
  • system.packages[0]: `Git` is not a package name of the distribution
    hint: a name, or `name=version`: `git`
  • nam: unknown key
    hint: did you mean `name`?
""",
    ),
}


@pytest.mark.parametrize("command", [("lock",), ("lock", "--check"), ("build",), ("render",), ("verify",)])
def test_a_folder_without_a_spec_is_refused_by_every_command(program: Program, command: tuple[str, ...]):
    answer = program(*command)

    assert (answer.code, answer.stdout, answer.stderr) == (3, "", NO_SPEC)


@pytest.mark.parametrize(("spec", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_spec_is_refused_with_all_that_is_wrong(program: Program, spec: str, said: str):
    program.spec.write_text(spec)

    answer = program("lock")

    assert (answer.code, answer.stdout, answer.stderr) == (3, "", said)
    assert not program.lock.exists()


@pytest.mark.parametrize("command", [("lock", "--check"), ("build",), ("render",), ("verify",)])
def test_commands_that_read_the_lock_refuse_a_wrong_spec_too(locked: Program, command: tuple[str, ...]):
    spec, said = WRONG["unquoted-version"]
    locked.spec.write_text(spec)

    answer = locked(*command)

    assert (answer.code, answer.stdout, answer.stderr) == (3, "", said)


def test_a_frozen_lock_needs_no_valid_spec(locked: Program):
    locked.spec.write_text("nonsense")

    answer = locked("render", "--frozen")

    assert (answer.code, answer.stderr) == (0, "")
    assert "FROM scratch" in answer.stdout


def test_problems_of_a_project_file_name_the_table(program: Program):
    (program.folder / "pyproject.toml").write_text('[tool.envbuild]\nname = "train"\npython = 3.11\n')

    answer = program("lock")

    assert answer.code == 3
    assert answer.stderr == (
        "error: `pyproject.toml` has a problem\n"
        "  • tool.envbuild.python: must be a string, not a number\n"
        '    hint: quote it: python = "3.11"\n'
    )


def test_two_specs_in_a_folder_are_refused(locked: Program):
    (locked.folder / "pyproject.toml").write_text('[tool.envbuild]\nname = "train"\npython = "3.11"\n')

    answer = locked("lock")

    assert answer.code == 3
    assert answer.stderr == (
        "error: both `envbuild.toml` and [tool.envbuild] of `pyproject.toml` hold a spec\n"
        "\nhint: keep one of them\n"
    )
