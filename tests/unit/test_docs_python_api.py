"""The page of the Python API shows what `import envbuild` offers, and its example prints what it says."""

import inspect
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import envbuild
from envbuild.progress import Progress
from tests.rig.paths import CHECKOUT
from tests.rig.program import Program
from tests.rig.repository import Repository
from tests.rig.running import python_block

PAGE = CHECKOUT / "docs/reference/python-api.md"
OUTPUT = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """Return a copy of an example's folder, committed in a repository."""
    folder = tmp_path / "sklearn"
    shutil.copytree(CHECKOUT / "examples/sklearn", folder)
    repository = Repository(Program(folder))
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.commit()
    return folder


@pytest.mark.slow
def test_the_first_example_prints_what_the_page_says(example: Path, tmp_path: Path):
    shown = python_block(PAGE, 0, folder=example, environment={"ENVBUILD_CACHE_DIR": str(tmp_path / "cache")})

    assert shown.stdout == OUTPUT.findall(PAGE.read_text("utf-8"))[0]


@pytest.mark.slow
def test_the_first_example_ends_as_the_command_would_when_the_lock_is_stale(example: Path):
    spec = example / "envbuild.toml"
    spec.write_text(spec.read_text().replace('"pandas"', '"polars"'))

    shown = python_block(PAGE, 0, folder=example, check=False)

    assert (shown.returncode, shown.stdout) == (4, "")
    assert shown.stderr == (
        "envbuild.lock is out of date with envbuild.toml\n"
        "pip.requirements: + polars, - pandas\nrun `envbuild lock`\n"
    )


def test_the_second_example_has_all_methods_of_a_progress():
    methods = {name for name, _ in inspect.getmembers(Progress, inspect.isfunction) if name.startswith("on_")}

    assert set(re.findall(r"^    def (on_\w+)\(", PAGE.read_text("utf-8"), re.MULTILINE)) == methods


@pytest.mark.parametrize("name", envbuild.__all__)
def test_every_public_name_is_there_and_on_the_page(name: str):
    assert getattr(envbuild, name) is not None
    assert re.search(rf"`(envbuild\.)?{name}`", PAGE.read_text("utf-8"))


def test_the_public_names_are_those_that_completion_offers():
    assert dir(envbuild) == sorted(envbuild.__all__)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'envbuild' has no attribute 'build'$"):
        envbuild.build  # noqa: B018


def test_importing_it_imports_nothing_heavy():
    bare, loaded = (
        subprocess.run(
            [sys.executable, "-I", "-c", text], capture_output=True, text=True, check=True, cwd=CHECKOUT
        ).stdout.split()
        for text in (
            "import sys, typing; print(*sys.modules)",
            "import sys; sys.path.insert(0, '.'); import envbuild; print(*sys.modules)",
        )
    )

    assert set(loaded) - set(bare) == {"envbuild", "envbuild.version"}
