import pytest
from packaging.utils import NormalizedName, canonicalize_name

from envbuild.lock.model import Libc
from envbuild.platforms import AMD64
from envbuild.resolve.python.requirements import Activated, activate, left_out
from envbuild.resolve.python.target import TargetPython

ENVIRONMENT = TargetPython(AMD64, Libc(family="glibc", version="2.36"), "3.11.2").marker_environment


def activated(*asked: str, **declared: list[str]) -> dict[NormalizedName, Activated]:
    lines = {canonicalize_name(name): requires for name, requires in declared.items()}
    return activate(asked, lines, ENVIRONMENT)


def test_what_is_required_is_followed() -> None:
    found = activated("app", app=["lib>=1", "other"], lib=["base"], other=[], base=[])
    assert sorted(found) == ["app", "base", "lib", "other"]
    assert found[canonicalize_name("app")].requires == ("lib>=1", "other")


def test_what_nobody_requires_is_not_reached() -> None:
    assert sorted(activated("app", app=[], stray=["lib"], lib=[])) == ["app"]


def test_lines_of_other_platforms_and_pythons_do_not_hold() -> None:
    lines = [
        'win; sys_platform == "win32"',
        'old; python_version < "3.10"',
        'arm; platform_machine == "aarch64"',
        'new; python_full_version >= "3.11.2"',
    ]
    found = activated("app", app=lines, new=[])
    assert found[canonicalize_name("app")].requires == ('new; python_full_version >= "3.11.2"',)


def test_a_request_whose_marker_does_not_hold_asks_for_nothing() -> None:
    assert activated('app; sys_platform == "win32"', app=[]) == {}


def test_extras_count_only_when_asked_for_anywhere() -> None:
    app = ['fast; extra == "speed"', 'slow; extra == "size"', "lib[More_Things]"]
    lib = ['thing; extra == "more-things"', 'rest; extra == "rest"']
    found = activated("app[Speed]", app=app, lib=lib, fast=[], thing=[])
    assert sorted(found) == ["app", "fast", "lib", "thing"]
    assert found[canonicalize_name("app")].extras == {"speed"}
    assert found[canonicalize_name("app")].requires == ('fast; extra == "speed"', "lib[More_Things]")


def test_an_extra_asked_for_later_still_counts() -> None:
    found = activated("lib", "app", lib=['thing; extra == "x"'], app=["lib[x]"], thing=[])
    assert found[canonicalize_name("lib")].requires == ('thing; extra == "x"',)


def test_extras_of_oneself_unfold() -> None:
    app = ['app[a,b]; extra == "all"', 'one; extra == "a"', 'two; extra == "b"']
    assert sorted(activated("app[all]", app=app, one=[], two=[])) == ["app", "one", "two"]


def test_circles_end() -> None:
    assert sorted(activated("a", a=["b"], b=["a[x]"])) == ["a", "b"]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('lib; extra == "x" or python_version > "3"', id="or"),
        pytest.param('lib; extra != "y"', id="not equal"),
        pytest.param("extra-lib", id="a name with the word in it"),
    ],
)
def test_lines_that_only_speak_of_extras_are_evaluated(line: str) -> None:
    found = activated("app", app=[line])
    assert len(found[canonicalize_name("app")].requires) == 1


def test_the_same_line_twice_counts_once() -> None:
    found = activated("app[x,y]", app=["lib>=1", "lib >= 1"], lib=[])
    assert found[canonicalize_name("app")].requires == ("lib>=1",)


def test_what_a_resolver_left_out_is_found() -> None:
    found = activated("app", "gone", app=["lib", "setuptools"], lib=["setuptools"])
    assert list(left_out(found, {canonicalize_name(name) for name in ("app", "lib")})) == [
        ("gone", None),
        ("setuptools", "app"),
    ]


def test_a_marker_nobody_can_evaluate_does_not_hold() -> None:
    assert sorted(activated("app", app=['lib; os_name ~= "posix"'])) == ["app"]
