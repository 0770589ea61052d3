import pytest

from envbuild.workflows.packages.names import unknown_names
from tests.rig.locks import sample_lock


@pytest.mark.parametrize("name", ["scikit-learn", "Scikit_Learn", "git"])
def test_a_name_of_the_lock_is_known_however_it_is_spelled(name: str):
    assert unknown_names([name], [sample_lock()]) == ()


def test_another_name_is_a_problem_with_what_was_probably_meant():
    (problem,) = unknown_names(["scikit-lern"], [sample_lock()])

    assert str(problem) == "scikit-lern: the lock has no package of that name"
    assert problem.hint == "did you mean `scikit-learn`?"
