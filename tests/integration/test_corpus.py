"""Environments in the shapes of real repositories: `init` complete, the lock right, small ones imported."""

import os

import pytest

from tests.rig.corpus.environments import NEEDS_LATER, NEEDS_NETWORK, RIGHT, environments
from tests.rig.corpus.judged_lock import import_in_image, judge_lock
from tests.rig.corpus.rate import Judgement, summary
from tests.rig.corpus.written_spec import judge_spec, write_spec

ENVIRONMENTS = environments()
KINDS = frozenset(environment.kind for environment in ENVIRONMENTS)

LOCKED_IN_EVERY_RUN = frozenset(
    {
        "apt/crlf-comments",
        "binder/pyproject",
        "dockerfile/slim-server",
        "locks/uv-forks-by-python",
        "pipfile/with-lock",
        "pyproject/pdm-project",
        "requirements/uv-compiled",
        "scripts/inline",
        "setup/reads-requirements",
        "sources/hydra",
    }
)
BUILT_IN_EVERY_RUN = frozenset({"requirements/uv-compiled", "sources/c-extension"})


def cases(chosen, every_run):
    """Return environments as parameters; those outside ``every_run`` are for long runs."""
    return [
        pytest.param(
            environment,
            id=environment.name,
            marks=() if environment.name in every_run else pytest.mark.long,
        )
        for environment in chosen
    ]


LOCKED = cases([each for each in ENVIRONMENTS if each.lock == RIGHT], LOCKED_IN_EVERY_RUN)
BUILT = cases([each for each in ENVIRONMENTS if each.build], BUILT_IN_EVERY_RUN)


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """Take away index, engine and this machine's configuration: `init` needs none of them."""
    for variable in os.environ:
        if variable.startswith(("PIP_", "UV_", "ENVBUILD_")):
            monkeypatch.delenv(variable)
    (tmp_path / "home").mkdir()
    settings = {
        "DOCKER_HOST": "unix:///nonexistent",
        "ENVBUILD_CACHE_DIR": str(tmp_path / "cache"),
        "ENVBUILD_DATA_DIR": str(tmp_path / "data"),
        "HOME": str(tmp_path / "home"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "UV_HTTP_RETRIES": "0",
    }
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Return the variables of one cache folder for all of them: they stand on one base."""
    return {"ENVBUILD_CACHE_DIR": str(tmp_path_factory.mktemp("corpus-cache"))}


@pytest.mark.parametrize("environment", [pytest.param(each, id=each.name) for each in ENVIRONMENTS])
def test_init_is_complete(environment, tmp_path, offline):
    written = write_spec(environment, tmp_path / "project")
    assert judge_spec(environment, written) == ()


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.xdist_group("corpus")
@pytest.mark.parametrize("environment", LOCKED)
def test_the_lock_is_right(environment, tmp_path, cache):
    written = write_spec(environment, tmp_path / "project")
    assert judge_lock(environment, written, cache) == ()


@pytest.mark.network
@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.xdist_group("corpus")
@pytest.mark.parametrize("environment", BUILT)
def test_what_was_locked_is_built_and_imported(environment, tmp_path, cache):
    written = write_spec(environment, tmp_path / "project")
    assert judge_lock(environment, written, cache) == ()
    assert import_in_image(environment, written, cache) == ()


def test_each_says_what_is_expected_of_it():
    assert len(ENVIRONMENTS) >= 70
    for environment in ENVIRONMENTS:
        assert environment.kind == environment.folder.parent.name
        assert environment.shape
        assert environment.lock in {RIGHT, NEEDS_NETWORK, NEEDS_LATER}, environment.name
        assert bool(environment.reason) == (environment.lock == NEEDS_LATER), environment.name
        assert environment.build == bool(environment.imports), environment.name


def test_a_slice_of_each_kind_is_locked_in_every_run():
    names = {environment.name for environment in ENVIRONMENTS if environment.lock == RIGHT}
    assert names >= LOCKED_IN_EVERY_RUN
    assert {environment.name for environment in ENVIRONMENTS if environment.build} >= BUILT_IN_EVERY_RUN
    # conda's channels and most images of the other two cannot be reached where tests run
    assert {name.partition("/")[0] for name in LOCKED_IN_EVERY_RUN} >= KINDS - {
        "conda",
        "cog",
        "devcontainer",
    }


def test_the_rate_and_each_reason_are_told():
    first, second = ENVIRONMENTS[:2]
    assert first.kind == second.kind
    told = summary(
        [
            Judgement(environment=first, spec=(), lock=()),
            Judgement(environment=second, spec=("six is not asked for",)),
        ]
    )
    assert f"| {first.kind} | 2 | 1 of 2, 50 % | 1 of 1, 100 % |" in told
    assert f"| {second.name} | init | six is not asked for |" in told
