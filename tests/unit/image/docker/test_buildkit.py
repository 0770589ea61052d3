import base64
import json
import re
from pathlib import Path

import pytest

from envbuild.image.docker.buildkit import SCRIPTS, BuildLog, files_below, plain_step, readable_step
from tests.rig.paths import CHECKOUT

RECORDED = Path(__file__).parents[3] / "rig" / "buildkit" / "packages.jsonl"
"""Steps of a build of examples/sklearn, as buildx 0.13 reported them."""


def feed(log, *messages, indent=None):
    for message in messages:
        for line in json.dumps(message, indent=indent).splitlines():
            log.feed(line)


STEP = {"digest": "sha256:1", "name": "[stage-1 2/2] RUN install"}
STARTED = {"vertexes": [STEP | {"started": "now"}]}
FAILED = {"vertexes": [STEP | {"started": "now", "error": "exit code: 3"}]}


def output(text):
    return {"logs": [{"vertex": "sha256:1", "data": base64.b64encode(text.encode()).decode()}]}


def failing(indent):
    steps: list[str] = []
    log = BuildLog(steps.append)
    feed(log, STARTED, output("one\ntwo\n"), FAILED, indent=indent)
    log.feed("ERROR: failed to solve")
    return log, steps


def test_a_failed_step_is_named_with_its_last_lines_in_either_layout():
    for indent in (None, 2):
        log, steps = failing(indent)
        assert steps == ["[stage-1 2/2] RUN install"]
        assert log.failed_step == "[stage-1 2/2] RUN install"
        assert log.evidence() == "one\ntwo\nexit code: 3"


def test_without_a_failed_step_the_clients_words_are_the_evidence():
    log = BuildLog(lambda _: None)
    log.feed("ERROR: no such file")
    assert log.failed_step is None
    assert log.evidence() == "ERROR: no such file"


def test_only_the_last_lines_are_kept():
    log = BuildLog(lambda _: None)
    feed(log, STARTED, output("".join(f"{number}\n" for number in range(100))), FAILED)
    assert log.evidence().splitlines()[0] == "80"


def test_a_step_cancelled_because_another_failed_is_not_the_failure():
    log = BuildLog(lambda _: None)
    other = {"digest": "sha256:2", "name": "other", "started": "now", "error": "context canceled"}
    feed(log, STARTED, FAILED, {"vertexes": [other]})
    assert log.failed_step == "[stage-1 2/2] RUN install"


def test_a_step_is_told_without_the_options_of_run():
    name = '[2/3] RUN --network=none     --mount=type=bind,source=a,target=/b     ["/bin/sh", "x.sh"]'
    assert readable_step(name) == '[2/3] RUN ["/bin/sh", "x.sh"]'


FILES = {
    "/debs/base": ["base-files_12_amd64.deb", "bash_5_amd64.deb"],
    "/debs/system": ["git_2_amd64.deb", "libgomp1_12_amd64.deb", "perl_5_all.deb"],
    "/debs/one": ["git_2_amd64.deb"],
    "/conda": ["numpy-2.3.4-py311_0.conda", "tqdm-4.67.1-pyhd8ed1ab_0.conda"],
    "/tools": ["installer-1.1.0-py3-none-any.whl"],
    "/wheels/1": ["scikit_learn-1.7.2-cp311-cp311-linux_x86_64.whl"],
    "/wheels/5": [f"{name}-1.0-py3-none-any.whl" for name in ("a", "b", "c", "d", "e", "f")],
}


def files_in(folder):
    return FILES.get(folder, ())


def test_a_real_build_is_told_in_plain_words():
    told: list[str] = []
    log = BuildLog(told.append, files_in=files_in)
    for line in RECORDED.read_text().splitlines():
        log.feed(line)
    assert told == [
        "handing the artifacts to the engine",
        "preparing the base",
        "installing the 2 packages of the base",
        "preparing the base",
        "installing 3 system packages",
        "making the Python environment",
        "installing wheels: scikit-learn",
        "installing wheels",
        "installing wheels: a, b, c, d and 2 more",
        "adding the user and the lock",
        "setting the working directory",
        "exporting the image",
    ]


def run_of(script, *mounts):
    """Return the name of a step that runs a script of ours, as the Dockerfile's RUN makes it."""
    recipe = "type=bind,source=recipe,target=/dev/envbuild/recipe"
    options = "     ".join(f"--mount={mount}" for mount in (recipe, *mounts))
    return f'[stage-4 3/9] RUN --network=none     {options}     ["/bin/sh", "/dev/envbuild/recipe/{script}"]'


def mounted(source, origin="artifacts"):
    return f"type=bind,from={origin},source={source},target=/dev/envbuild/something"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("[internal] load metadata for docker.io/library/python:3.11-slim", ""),
        ("[auth] library/python:pull token for docker.io", ""),
        ("[stage-2 1/9] FROM docker.io/library/python:3.11-slim@sha256:0123", "fetching python:3.11-slim"),
        ("[base 1/1] FROM 127.0.0.1:5000/team/cuda@sha256:0123", "fetching 127.0.0.1:5000/team/cuda"),
        (run_of("python.sh", mounted("/python")), "unpacking Python"),
        (run_of("conda.sh", mounted("/tools"), mounted("/conda")), "laying 2 conda packages down"),
        (run_of("conda-layer.sh", mounted("/layers/2", "conda")), "adding conda packages, layer 2"),
        (run_of("system.sh", mounted("/debs/gone")), "installing system packages"),
        (run_of("system.sh", mounted("/debs/one")), "installing 1 system package"),
        ("exporting to oci image format", "exporting the image"),
        ("importing to docker", "loading the image into the engine"),
        ("[stage-0 2/2] RUN --network=none     make   it", "[stage-0 2/2] RUN make it"),
    ],
)
def test_a_step_is_told_in_the_words_of_its_user(name, told):
    assert plain_step(name, files_in) == told


def test_every_script_of_a_recipe_has_words():
    scripts = CHECKOUT / "templates" / "Dockerfile.j2"
    names = set(re.findall(r"/recipe/([a-z-]+)\.sh", scripts.read_text()))
    assert names == set(SCRIPTS)


def test_a_step_that_outlasts_a_later_one_is_told_again():
    told: list[str] = []
    log = BuildLog(told.append)
    slow, quick = (
        {"digest": "1", "name": "slow", "started": "1"},
        {"digest": "2", "name": "quick", "started": "2"},
    )
    feed(log, {"vertexes": [slow]}, {"vertexes": [quick]}, {"vertexes": [quick | {"completed": "3"}]})
    assert told == ["slow", "quick", "slow"]


def test_a_step_from_the_builders_cache_is_not_told():
    told: list[str] = []
    feed(BuildLog(told.append), {"vertexes": [STEP | {"started": "1", "completed": "1", "cached": True}]})
    assert told == []


def test_files_of_a_step_are_those_below_the_artifacts(tmp_path):
    (tmp_path / "wheels" / "1").mkdir(parents=True)
    for name in ("b.whl", "a.whl"):
        (tmp_path / "wheels" / "1" / name).touch()
    assert files_below(tmp_path)("/wheels/1") == ("a.whl", "b.whl")
    assert files_below(tmp_path)("/wheels/2") == ()
