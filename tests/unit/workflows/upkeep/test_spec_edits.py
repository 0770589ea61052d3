"""Edits of a spec change one line, and nothing that the file was besides."""

import tomllib
from pathlib import Path

import pytest

from envbuild.errors import EnvbuildError, SourcesNeededError
from envbuild.workflows import lock as locking
from envbuild.workflows.lock import LockOptions, lock_project
from envbuild.workflows.machine import Machine
from envbuild.workflows.project import Project
from envbuild.workflows.upkeep.spec_edits import set_builds, with_builds


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('[pip]\npackages = ["a"]  # x\n', '[pip]\npackages = ["a"]  # x\nbuild = ["a"]\n'),
        ('[pip]\nbuild = ["b"]\npackages = []\n', '[pip]\nbuild = ["a"]\npackages = []\n'),
        ('pip = { packages = ["a"] }\n', 'pip = { packages = ["a"], build = ["a"]}\n'),
        ('pip.packages = ["a"]\n', 'pip.packages = ["a"]\npip.build = ["a"]\n'),
        ('name = "x"\n', 'name = "x"\n\n[pip]\nbuild = ["a"]\n'),
        ("[pip]\r\nx = 1\r\n\r\n[image]\r\n", '[pip]\r\nx = 1\r\nbuild = ["a"]\r\n\r\n[image]\r\n'),
        ("\ufeff[pip]\n", '\ufeff[pip]\nbuild = ["a"]\n'),
        ("[pip]\n[variants.gpu.pip]\n", '[pip]\nbuild = ["a"]\n[variants.gpu.pip]\n'),
        ("[variants.gpu.pip]\npackages=[]\n", '[variants.gpu.pip]\npackages=[]\n\n[pip]\nbuild = ["a"]\n'),
    ],
    ids=["table", "replaced", "inline", "dotted", "none", "windows", "mark", "variant", "variant alone"],
)  # fmt: skip
def test_one_line_changes(before: str, after: str) -> None:
    got = with_builds(before, ["a"], name="envbuild.toml")
    assert tomllib.loads(got.removeprefix("\ufeff"))["pip"]["build"] == ["a"]
    assert got == after


@pytest.mark.parametrize(
    "before",
    [
        '[tool.envbuild]\nname = "x"\n[tool.other]\ny = 1\n',
        '[tool.envbuild]\nname = "x"\n[tool.other]\ny = 1\n[tool.envbuild.pip]\npackages = []\n',
        '[tool.envbuild]\nname = "x"\npip = { packages = [] }\n',
        "[tool.envbuild.pip]\npackages = []\n[tool.other]\ny = 1\n[tool.envbuild.image]\nz = 1\n",
    ],
    ids=["none", "out of order", "inline", "split"],
)
def test_a_project_file_keeps_all_else(before: str) -> None:
    got = tomllib.loads(with_builds(before, ["a"], name="pyproject.toml"))
    assert got["tool"]["envbuild"]["pip"].pop("build") == ["a"]
    wanted = tomllib.loads(before)
    wanted["tool"]["envbuild"].setdefault("pip", {})
    assert got == wanted


@pytest.mark.parametrize("text", ["pip = 1\n", "[[pip]]\n", "[pip\n"], ids=["number", "list", "no TOML"])
def test_what_cannot_be_edited_is_told(text: str) -> None:
    with pytest.raises(EnvbuildError) as caught:
        with_builds(text, ["a"], name="envbuild.toml")
    assert caught.value.message == "envbuild.toml cannot be edited: [pip] is no plain table"


def test_all_is_not_made_less() -> None:
    with pytest.raises(EnvbuildError) as caught:
        with_builds('[pip]\nbuild = "all"\n', ["a", "b"], name="envbuild.toml")
    assert caught.value.hint == 'add to build in [pip] of the variant: "a", "b"'


def test_a_link_and_a_mode_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "envbuild.toml"
    real.write_text("[pip]\n")
    real.chmod(0o600)
    link.symlink_to(real)
    set_builds(link, ["a"])
    assert link.readlink() == real
    assert (real.read_text(), real.stat().st_mode & 0o777) == ('[pip]\nbuild = ["a"]\n', 0o600)


def test_a_spec_that_is_edited_meanwhile_keeps_the_edits(
    project: Project, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = []

    def once(tried: Project, *_: object) -> object:
        allowed.append(tried.request.variants["default"].pip.build)
        if not allowed[-1]:
            raise SourcesNeededError("needed", packages=("langdetect",))
        project.spec.write_text(project.spec.read_text() + "# a word written meanwhile\n")
        raise EnvbuildError("it does not build")

    monkeypatch.setattr(locking, "_lock_once", once)
    before = project.spec.read_text()
    with pytest.raises(EnvbuildError):
        lock_project(project, LockOptions(add_builds=True), machine=machine)
    assert allowed == [(), ("langdetect",)]
    assert project.spec.read_text() == before + "# a word written meanwhile\n"
