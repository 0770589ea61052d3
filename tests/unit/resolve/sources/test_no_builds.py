"""Where nothing can be built, no message says to."""

import pytest

from envbuild.errors import NoSolutionError, SourcesNeededError, SpecError
from envbuild.spec.request import CondaRequest
from tests.rig.desk import Desk
from tests.rig.index import make_sdist, make_wheel
from tests.rig.source_builds import request_of, resolve_with_sources


@pytest.mark.slow
def test_a_conda_environment_is_told_what_it_can_have(desk: Desk) -> None:
    make_wheel(desk.folder, "app", "1.0")
    make_sdist(desk.folder, "app", "2.0")
    request = request_of("app").model_copy(update={"conda": CondaRequest(channels=("conda-forge",))})

    with pytest.raises(NoSolutionError) as caught:
        resolve_with_sources(desk, request)

    assert not isinstance(caught.value, SourcesNeededError)
    assert [str(problem) for problem in caught.value.problems] == [
        "`app`: wheels give 1.0, a source gives 2.0"
    ]
    assert caught.value.hint == (
        "take the package from a channel, in [conda] packages; "
        "or wheels-only = true in [pip] takes what wheels give"
    )


@pytest.mark.parametrize(
    "address", ["git+https://git.example.com/app.git@v1", "https://files.example.com/app-1.0.tar.gz"]
)
def test_a_source_by_its_address_is_refused_for_conda(desk: Desk, address: str) -> None:
    conda = CondaRequest(channels=("conda-forge",))
    request = request_of(f"app @ {address}").model_copy(update={"conda": conda})
    with pytest.raises(SpecError) as caught:
        resolve_with_sources(desk, request)
    (problem,) = caught.value.problems
    assert problem.message == "`app`: nothing is built from source for a conda environment yet"
