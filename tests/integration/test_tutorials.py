"""The tutorials, each followed as it is written: from a notebook to a result others can repeat.

Every one of them is a round trip with the real tracker: a run in the image, its record found again, the run
started from it, and the same bytes.  The local engine does it in `make test` with MLflow, the rest is long.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.pages import follow
from tests.rig.paths import CHECKOUT
from tests.rig.trackers import QUIET, mlflow_server, tracker_python
from tests.rig.user import PROGRAM

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.xdist_group("tutorials"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the local engine needs root"),
]

PAGES = CHECKOUT / "docs" / "tutorials"
COMMITTER = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com"))
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a real tracking server on SQLite."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as running:
        yield running.url


@pytest.fixture
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Return the variables of a reader's shell, who has envbuild, git and the trackers' own programs."""
    engine = request.param
    if engine == "docker":
        request.getfixturevalue("engine_host")
    binaries = (PROGRAM.parent, tracker_python().parent)
    own = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHONPATH"))
    }
    return {
        **own,
        **QUIET,
        **COMMITTER,
        "PATH": os.pathsep.join([*map(str, binaries), os.environ["PATH"]]),
        "HOME": str(tmp_path / "home"),
        # the client's plugins are there, buildx among them
        "DOCKER_CONFIG": os.environ.get("DOCKER_CONFIG", str(Path.home() / ".docker")),
        "ENVBUILD_ENGINE": engine,
        "ENVBUILD_CACHE_DIR": str(tmp_path / "cache"),
        # the command line of DVC looks for a newer release otherwise
        "CI": "true",
    }


def folder(tmp_path: Path) -> Path:
    """Return the reader's empty folder; the pages write beside it, too."""
    (tmp_path / "home").mkdir()
    place = tmp_path / "work" / "project"
    place.mkdir(parents=True)
    return place


ON_BOTH = pytest.mark.parametrize(
    "reader",
    ["local", pytest.param("docker", marks=(pytest.mark.engine, pytest.mark.long))],
    indirect=True,
)
LONG_ON_BOTH = pytest.mark.parametrize(
    "reader",
    [
        pytest.param("local", marks=pytest.mark.long),
        pytest.param("docker", marks=(pytest.mark.engine, pytest.mark.long)),
    ],
    indirect=True,
)


@ON_BOTH
def test_mlflow(reader: dict[str, str], server: str, tmp_path: Path) -> None:
    follow(PAGES / "mlflow.md", folder(tmp_path), reader | {"MLFLOW_TRACKING_URI": server})


@LONG_ON_BOTH
@pytest.mark.parametrize("tracker", ["wandb", "tensorboard", "dvc"])
def test_other_trackers(reader: dict[str, str], tracker: str, tmp_path: Path) -> None:
    follow(PAGES / f"{tracker}.md", folder(tmp_path), reader)


@pytest.mark.parametrize("reader", ["local"], indirect=True)
def test_the_page_about_data(reader: dict[str, str], tmp_path: Path) -> None:
    follow(CHECKOUT / "docs" / "how-to" / "use-data.md", folder(tmp_path), reader)


def test_every_tutorial_is_followed() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {"mlflow", "wandb", "tensorboard", "dvc"}
