"""Cold builds of the local engine on a terminal: two threads fetch at once, wheels and Debian packages."""

import os

import pytest

from tests.rig.running import envbuild
from tests.rig.terminal import CTRL_C, Terminal, told

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.xdist_group("local-engine")]

NAME = f"live-{os.getpid()}"


@pytest.fixture(scope="module")
def project(tmp_path_factory, python_image):
    folder = tmp_path_factory.mktemp("live")
    (folder / "envbuild.toml").write_text(
        f'name = "{NAME}"\npython = "3.11"\nplatforms = ["linux/amd64"]\n'
        f'[base]\nimage = "{python_image.reference}"\n'
        '[system]\npackages = ["libgomp1"]\n[pip]\npackages = ["six"]\n'
    )
    cache = tmp_path_factory.mktemp("cache")
    envbuild("lock", folder=folder, environment={"ENVBUILD_CACHE_DIR": str(cache)})
    return folder


def cold_build(project, cache, *, columns=80):
    environment = {"ENVBUILD_CACHE_DIR": str(cache), "DOCKER_HOST": "unix:///nonexistent"}
    build = ("-m", "envbuild", "build", "--engine", "local")
    return Terminal(*build, columns=columns, folder=project, environment=environment)


@pytest.mark.parametrize("columns", [60, 200])
def test_a_build_leaves_its_result_and_nothing_else(project, tmp_path, columns):
    with cold_build(project, tmp_path, columns=columns) as terminal:
        assert terminal.end() == 0, terminal.lines
        built, *rest = terminal.lines
    reference = built.removeprefix("built ")
    assert reference in rest
    assert [line.startswith("next: envbuild verify") for line in rest if line != reference] == [True]
    assert reference.startswith(f"{NAME}:")
    assert any(text.startswith("installing 1 system package") for text in told(terminal.frames))
    assert all(len(frame) < columns for frame in terminal.frames)


def test_an_interrupt_leaves_one_word(project, tmp_path):
    with cold_build(project, tmp_path, columns=60) as terminal:
        terminal.wait_for(lambda: any("installing" in line for line in terminal.live))
        terminal.type(CTRL_C)
        assert terminal.end() == 130
        assert terminal.lines == ["interrupted"]
        assert not terminal.screen.cursor.hidden


@pytest.mark.long
@pytest.mark.parametrize("number", range(30))
def test_no_cold_build_fails(project, tmp_path, number):
    with cold_build(project, tmp_path, columns=(60, 80, 200)[number % 3]) as terminal:
        assert terminal.end() == 0, terminal.lines
        assert [line.split()[0] for line in terminal.lines] == ["built", terminal.lines[1], "next:"]
