"""The conda example, end to end: locked from a channel, built, verified, run, and tampered with."""

import json
import os
import shutil
from functools import partial

import pytest

from tests.rig.conda import ChannelServer, public_channel
from tests.rig.engine import docker, forget_at_the_end
from tests.rig.filesystem import differences, tree_of_image, tree_of_layout
from tests.rig.paths import CHECKOUT
from tests.rig.running import envbuild as run_envbuild

pytestmark = [
    pytest.mark.engine,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.xdist_group("conda-image"),
]


@pytest.fixture(scope="module")
def envbuild(tmp_path_factory, engine_host):
    """Return a function that runs envbuild in a copy of the example, conda-forge being on loopback."""
    folder = tmp_path_factory.mktemp("conda-example")
    shutil.copytree(CHECKOUT / "examples/conda", folder, dirs_exist_ok=True)
    spec = folder / "envbuild.toml"
    # a name of its own: another run on the same engine would have the same tag
    spec.write_text(spec.read_text().replace('name = "conda"', f'name = "conda-{os.getpid()}"'))
    channel = public_channel(tmp_path_factory.mktemp("channel") / "conda-forge")
    with ChannelServer(channel, "conda-forge") as server:
        environment = {"ENVBUILD_CHANNEL_CONDA_FORGE_URL": server.url}
        yield partial(run_envbuild, folder=folder, environment=environment)


@pytest.fixture(scope="module")
def image(envbuild):
    envbuild("lock")
    reference = envbuild("build").stdout.strip()
    forget_at_the_end(reference)
    return reference


@pytest.fixture(scope="module")
def tree(image, engine_host):
    """Return every path of the docker engine's image."""
    return tree_of_image(engine_host, image)


@pytest.fixture(scope="module")
def layout(envbuild, image, tmp_path_factory):
    """Return the local engine's image of the same lock, as an OCI layout."""
    folder = tmp_path_factory.mktemp("local") / "layout"
    envbuild("build", "--engine=local", "--output", f"oci:{folder}")
    return folder


@pytest.fixture(params=["docker", "local"])
def engine(request, image):
    """Return an engine that holds the image."""
    if request.param == "local":
        request.getfixturevalue("layout")
    return f"--engine={request.param}"


def failures(result):
    return {item["id"]: item for item in json.loads(result.stdout)["results"] if item["outcome"] == "failed"}


def test_both_engines_leave_the_same_files(tree, layout):
    assert tree["opt/conda/bin/python3.11"][0] == "file"
    assert differences(tree, tree_of_layout(layout)) == {}


def test_every_file_is_what_the_locked_packages_hold(envbuild, engine):
    document = json.loads(envbuild("verify", engine, "--deep", "--json").stdout)
    outcomes = {item["id"]: item["outcome"] for item in document["results"]}
    assert {"conda/numpy", "conda/python", "files/conda/numpy", "coverage"} <= set(outcomes)
    assert set(outcomes.values()) == {"passed"}
    assert document["coverage"]["accounted"]["conda packages"] > 1000
    assert (document["coverage"]["uncovered"], document["complete"]) == (0, True)


def test_the_example_runs_under_conda_s_python(envbuild, engine):
    said = envbuild("run", engine, "--copy", "fit.py", "--", "python", "fit.py").stdout
    assert said.startswith("slope 3.00")
    assert "in /opt/conda, numpy" in said


def test_nothing_of_the_builder_is_left(tree):
    programs = {path.rpartition("/")[2] for path in tree if "bin" in path.split("/")}
    assert "python3.11" in programs
    assert not programs & {"conda", "mamba", "micromamba", "rattler", "pip"}
    assert [path for path in tree if path.startswith(("tmp/", "layers"))] == []
    assert {path.split("/")[1] for path in tree if path.startswith("opt/")} == {"conda"}


def test_a_file_a_record_and_packages_that_were_changed_are_named(envbuild, image, tmp_path):
    (tmp_path / "Dockerfile").write_text(
        f"FROM {image}\nUSER 0\n"
        "RUN cd /opt/conda && echo '# x' >>lib/python3.11/this.py \\\n"
        ' && sed -i \'s/"version": "3.11.[0-9]*"/"version": "3.11.99"/\' conda-meta/python-*.json \\\n'
        " && rm -r conda-meta/numpy-*.json lib/python3.11/site-packages/numpy* \\\n"
        " && rm -r lib/python3.11/site-packages/tqdm*\n"
    )
    reference = f"conda-tampered:{tmp_path.name}"
    forget_at_the_end(reference)
    docker("buildx", "build", "--quiet", "--provenance=false", "--tag", reference, str(tmp_path))
    result = envbuild("verify", "--deep", "--json", reference, check=False)
    assert result.returncode == 8, result.stderr
    found = failures(result)
    assert "file/opt/conda/lib/python3.11/this.py" in found
    assert any(name.startswith("file/opt/conda/conda-meta/python-3.11.") for name in found)
    assert found["files/conda/numpy"]["found"] == "missing"
    assert found["files/conda/numpy"]["reason"].startswith("none of its ")
    # its script is still there
    assert found["file/opt/conda/lib/python3.11/site-packages/tqdm"]["found"] == "missing"
    # an image whose files differ is not asked
    assert {item["evidence"] for item in found.values()} == {"stored"}
