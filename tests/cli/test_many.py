"""Several specs below one folder."""

import gc
import json
import os
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from envbuild.lock.codec import dumps
from tests.rig.index import PackageIndex, make_wheel
from tests.rig.locks import sample_lock
from tests.rig.program import SPEC, Program


@pytest.fixture
def specs(program: Program) -> Program:
    """Return a program above three specs, two of them with a lock that answers."""
    for name in ("envs/a", "envs/b", "envs/c"):
        folder = program.folder / name
        folder.mkdir(parents=True)
        (folder / "envbuild.toml").write_text(SPEC)
        if name != "envs/c":
            (folder / "envbuild.lock").write_text(dumps(sample_lock()))
    for hidden in (".venv/envbuild.toml", "envs/node_modules/x/envbuild.toml"):
        path = program.folder / hidden
        path.parent.mkdir(parents=True)
        path.write_text("never read")
    (program.folder / "pyproject.toml").write_text('[project]\nname = "x"\n')
    return program


def test_all_are_checked_and_told_in_one_table(specs: Program):
    answer = specs("lock", "--all", "--check")

    assert (answer.code, answer.stdout) == (4, "")
    assert (
        answer.stderr
        == """\

envs/c
error: there is no envbuild.lock

hint: run `envbuild lock -f envs/c`

spec
envs/a  ok      answers the spec
envs/b  ok      answers the spec
envs/c  failed  there is no envbuild.lock
"""
    )


def test_a_program_gets_each_of_them(specs: Program):
    answer = specs("lock", "--all", "--check", "--json", "--quiet")

    document = json.loads(answer.stdout)
    assert answer.code == 4
    assert [(entry["spec"], entry["ok"], entry["exit-code"]) for entry in document] == [
        ("envs/a", True, 0),
        ("envs/b", True, 0),
        ("envs/c", False, 4),
    ]
    assert document[0]["targets"][0]["wheels"] == 3


def test_the_worst_exit_code_wins(specs: Program):
    (specs.folder / "envs" / "a" / "envbuild.toml").write_text("python = 3\n")

    answer = specs("lock", "--all", "--check")

    assert answer.code == 4
    assert "envs/a  failed" in answer.stderr


def test_what_the_system_refuses_one_does_not_stop_the_others(specs: Program):
    (specs.folder / "envs/b/envbuild.lock").unlink()
    (specs.folder / "envs/b/envbuild.lock").mkdir()

    answer = specs("lock", "--all", "--check")

    assert "envs/a  ok      answers the spec" in answer.stderr
    assert "envs/b  failed  envs/b/envbuild.lock: is a directory" in answer.stderr


def test_a_folder_is_named_with_spec(specs: Program):
    assert "envs/c" not in specs("lock", "--all", "--check", "--spec", "envs/a").stderr


@pytest.mark.parametrize(
    "text",
    [
        '[tool.envbuild]\nname = "x"\npython = "3.11"\n',
        '[ tool.envbuild ]\nname = "x"\npython = "3.11"\n',
        '[tool."envbuild"]\nname = "x"\npython = "3.11"\n',
        '[tool]\nenvbuild = { name = "x", python = "3.11" }\n',
        'tool.envbuild.name = "x"\ntool.envbuild.python = "3.11"\n',
        '[tool.envbuild.pip]\npackages = []\n[tool.envbuild]\nname = "x"\npython = "3.11"\n',
    ],
)
def test_a_table_of_a_project_file_counts_however_it_is_written(program: Program, text: str):
    (program.folder / "pyproject.toml").write_text(text)

    answer = program("lock", "--all", "--check")

    assert (answer.code, answer.stderr.splitlines()[-1]) == (4, ".     failed  there is no envbuild.lock")


def _no_toml(folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.envbuild\nname = "x"\n')


def _two_specs(folder: Path) -> None:
    (folder / "envbuild.toml").write_text(SPEC)
    (folder / "pyproject.toml").write_text('[tool.envbuild]\nname = "x"\n')


def _leads_nowhere(folder: Path) -> None:
    (folder / "envbuild.toml").symlink_to("gone")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "envbuild.toml")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_no_toml, "`pyproject.toml` is not TOML"),
        (
            _two_specs,
            "both `envs/d/envbuild.toml` and [tool.envbuild] of `envs/d/pyproject.toml` hold a spec",
        ),
        (_leads_nowhere, "`envbuild.toml` does not exist"),
        (_pipe, "`envbuild.toml` is not a regular file"),
    ],
)
@pytest.mark.parametrize("command", [("lock", "--check"), ("build", "--engine", "local", "--offline")])
def test_a_folder_whose_spec_cannot_be_read_does_not_stop_the_others(
    specs: Program, make: Callable[[Path], None], said: str, command: tuple[str, ...]
):
    folder = specs.folder / "envs/d"
    folder.mkdir()
    (folder / "envbuild.lock").write_text(dumps(sample_lock()))
    make(folder)

    answer = specs(*command, "--all")

    assert answer.code != 0
    assert said in answer.stdout + answer.stderr
    assert "envs/a" in answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 3, "error: there is no spec below `.`"),
        (("--spec", "nowhere"), 3, "error: there is no spec below `nowhere`"),
        (("--spec", "a.toml"), 2, "error: --all looks below a folder"),
    ],
)
def test_nothing_to_work_on(program: Program, arguments: tuple[str, ...], code: int, message: str):
    (program.folder / "a.toml").write_text(SPEC)

    answer = program("lock", "--all", *arguments)

    assert answer.code == code
    assert answer.stderr.startswith(message)


def test_several_locks_are_made_at_once(
    program: Program, package_index: PackageIndex, monkeypatch: pytest.MonkeyPatch
):
    """The base is locked; Python packages are asked of a real index, through the real uv."""
    for name in ("installer", "joblib", "numpy", "polars", "scikit-learn"):
        version = {"installer": "1.1.0", "numpy": "2.3.4"}.get(name, "1.9")
        make_wheel(package_index.folder, name, version, files={f"{name.replace('-', '_')}.py": ""})
    monkeypatch.setenv("PIP_INDEX_URL", package_index.index_url)
    for number in range(4):
        folder = program.folder / f"e{number}"
        folder.mkdir()
        asked = '"polars"' if number % 2 else '"numpy", "polars"'
        (folder / "envbuild.toml").write_text(SPEC.replace('"numpy>=2", "scikit-learn"', asked))
        (folder / "envbuild.lock").write_text(dumps(sample_lock()))

    answer = program("lock", "--all")

    assert answer.code == 0, answer.stderr
    texts = [(program.folder / f"e{number}" / "envbuild.lock").read_text() for number in range(4)]
    assert texts[0] == texts[2]
    assert texts[1] == texts[3]
    assert "polars-1.9" in texts[0]
    program.folder.joinpath("envbuild.toml").write_text((program.folder / "e1/envbuild.toml").read_text())
    program.lock.write_text(dumps(sample_lock()))
    assert program("lock").code == 0
    assert program.lock.read_text() == texts[1]


def test_specs_of_one_name_are_not_baked_into_one_image(specs: Program):
    (specs.folder / "envs/c/envbuild.toml").unlink()

    answer = specs("export", "bake", "--all", "--output", "out")

    assert (answer.code, answer.stdout) == (3, "")
    assert answer.stderr == (
        "error: several images would have one name in the bake file\n"
        "  • train-default-amd64: is default on linux/amd64 of envs/a and default on linux/amd64 of envs/b\n"
        "    hint: give their specs, or variants, names that differ\n"
    )
    assert not (specs.folder / "out").exists()


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_verify_of_all_writes_one_report(specs: Program):
    answer = specs("verify", "--all", "--host", "--junit", "report.xml")

    gc.collect()
    root = ET.parse(specs.folder / "report.xml").getroot()  # noqa: S314 - our own
    assert answer.code == 4, answer.stderr
    assert [(suite.get("name"), suite.get("errors")) for suite in root] == [
        ("envs/a: train (default, linux/amd64)", "0"),
        ("envs/b: train (default, linux/amd64)", "0"),
        ("envs/c", "1"),
    ]
    assert (
        root.findtext(".//error")
        == "there is no envbuild.lock in envs/c\nhint: run `envbuild lock -f envs/c`"
    )


def test_verify_of_all_takes_no_image(specs: Program):
    answer = specs("verify", "train:1", "--all", "--junit", "report.xml")

    assert answer.code == 2
    assert answer.stderr == "error: --all verifies the images of all locks: it takes no image\n"
    assert not (specs.folder / "report.xml").exists()
