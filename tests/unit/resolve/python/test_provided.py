import pytest

from envbuild.errors import NoSolutionError, SpecError
from tests.rig.index import make_wheel

# each starts uv, the real one
pytestmark = pytest.mark.slow

PROVIDED = ("arrays==1.26.4", "greetings==2.1")


def names(wheels):
    return [f"{wheel.name} {wheel.version}" for wheel in wheels]


def test_what_conda_provides_is_neither_looked_up_nor_installed(desk):
    make_wheel(desk.folder, "frames", "3.0", requires=["arrays>=1.26", "small"])
    make_wheel(desk.folder, "small", "1.0")

    wheels = desk.resolve("frames", provided=PROVIDED)

    assert names(wheels) == ["frames 3.0", "small 1.0"]
    assert wheels[0].requires == ("arrays>=1.26", "small")
    assert desk.index.requested("arrays") == 0


def test_the_newest_release_that_gets_along_with_conda_is_chosen(desk):
    make_wheel(desk.folder, "frames", "3.0", requires=["arrays>=2"])
    make_wheel(desk.folder, "frames", "2.0", requires=["arrays>=1"])
    make_wheel(desk.folder, "arrays", "2.0")

    assert names(desk.resolve("frames", provided=PROVIDED)) == ["frames 2.0"]


def test_a_package_asked_of_pip_and_provided_by_conda_is_conda_s(desk):
    assert desk.resolve("arrays>=1", "greetings", provided=PROVIDED) == ()


def test_a_direct_conflict_names_both_sides(desk):
    with pytest.raises(NoSolutionError) as caught:
        desk.resolve("arrays>=2", 'greetings<2; python_version < "3"', provided=PROVIDED)
    assert caught.value.message == "[pip] and [conda] contradict each other"
    assert [str(problem) for problem in caught.value.problems] == [
        "pip: `arrays>=2` is asked of pip, but conda provides arrays 1.26.4"
    ]


def test_an_indirect_conflict_names_what_conda_provides(desk):
    make_wheel(desk.folder, "frames", "3.0", requires=["arrays>=2"])
    make_wheel(desk.folder, "arrays", "2.0")
    with pytest.raises(NoSolutionError) as caught:
        desk.resolve("frames", provided=PROVIDED)
    assert caught.value.hint == (
        "conda provides arrays 1.26.4: ask for another version in [conda] packages, or leave it to pip"
    )
    assert "file:" not in f"{caught.value.message} {caught.value.detail}"


def test_pip_tools_cannot_see_conda(desk):
    with pytest.raises(SpecError) as caught:
        desk.resolve("frames", resolver="pip-tools", provided=PROVIDED)
    assert [str(problem) for problem in caught.value.problems] == [
        "pip.resolver: `pip-tools` cannot resolve against what conda provides"
    ]
