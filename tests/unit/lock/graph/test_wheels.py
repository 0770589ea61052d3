from collections.abc import Mapping

import pytest
from packaging.requirements import Requirement

from envbuild.lock.graph.model import PackageKey, RequestedPackage, RequirementEdge
from envbuild.lock.graph.wheels import WheelSet, upper_bound, wheel_edges, without_marker
from envbuild.platforms import AMD64, ARM64, Platform, marker_environment


def key(name: str) -> PackageKey:
    return ("environment", "wheel", name)


def edges_of(
    *asked: str,
    provided: Mapping[str, tuple[PackageKey, str]] | None = None,
    platform: Platform = AMD64,
    python: str = "3.11.2",
    **requires: list[str],
) -> tuple[tuple[RequestedPackage, ...], tuple[RequirementEdge, ...]]:
    lines = {name.replace("_", "-"): tuple(found) for name, found in requires.items()}
    wheels = WheelSet(
        requires=lines,
        keys={name: key(name) for name in lines},
        provided=provided or {},
        environment=marker_environment(platform, python),
    )
    return wheel_edges(asked, wheels)


def pairs(edges: tuple[RequirementEdge, ...]) -> set[tuple[str, str, str]]:
    return {(edge.source[2], edge.target[2], edge.extra) for edge in edges}


@pytest.mark.parametrize(
    ("line", "holds"),
    [
        pytest.param('lib; python_version < "3.12"', True, id="python"),
        pytest.param('lib; python_version < "3.11"', False, id="older python"),
        pytest.param('lib; python_full_version >= "3.11.2"', True, id="patch release"),
        pytest.param('lib; sys_platform == "win32"', False, id="windows"),
        pytest.param('lib; platform_machine == "aarch64"', False, id="other machine"),
        pytest.param('lib; platform_machine == "x86_64" and os_name == "posix"', True, id="machine"),
        pytest.param('lib; implementation_name == "pypy"', False, id="implementation"),
        pytest.param('lib; extra == "x"', False, id="an extra nobody asked for"),
        pytest.param('lib; extra == "x" or python_version >= "3"', True, id="with or without an extra"),
        pytest.param('lib; os_name ~= "posix"', False, id="a marker nobody can evaluate"),
        pytest.param("lib (>=1.0.*)", True, id="no requirement by the rules of today"),
    ],
)
def test_a_line_counts_where_its_marker_holds(line: str, holds: bool) -> None:
    _, edges = edges_of("app", app=[line], lib=[])

    assert pairs(edges) == ({("app", "lib", "")} if holds else set())


def test_markers_are_those_of_the_target() -> None:
    _, edges = edges_of("app", app=['lib; platform_machine == "aarch64"'], lib=[], platform=ARM64)

    assert pairs(edges) == {("app", "lib", "")}


def test_a_requirement_of_the_spec_counts_where_its_marker_holds() -> None:
    asked, _ = edges_of('app; python_version < "3"', "lib>=1,<2", app=[], lib=[])

    assert asked == (RequestedPackage(table="pip", requirement="lib>=1,<2", target=key("lib"), bound="<2"),)


def test_extras_are_passed_along() -> None:
    _, edges = edges_of(
        "app[web]",
        app=['server[fast]; extra == "web"', 'docs; extra == "docs"'],
        server=['loop; extra == "fast"', "core", 'slow; extra == "slow"'],
        docs=[],
        loop=[],
        core=[],
        slow=[],
    )

    assert pairs(edges) == {("app", "server", "web"), ("server", "loop", "fast"), ("server", "core", "")}
    assert {edge.extras for edge in edges if edge.target[2] == "server"} == {("fast",)}


def test_an_extra_that_asks_for_other_extras_of_the_same_distribution() -> None:
    _, edges = edges_of(
        "app[all]",
        app=['app[x]; extra == "all"', 'lib; extra == "x"', 'other; extra == "y"'],
        lib=[],
        other=[],
    )

    assert pairs(edges) == {("app", "app", "all"), ("app", "lib", "x")}


def test_an_extra_asked_for_later_is_followed() -> None:
    _, edges = edges_of("app", "tool", app=['lib; extra == "x"'], tool=["app[x]"], lib=[])

    assert pairs(edges) == {("tool", "app", ""), ("app", "lib", "x")}


def test_distributions_that_require_each_other_come_to_an_end() -> None:
    _, edges = edges_of("a", a=["b"], b=["a"])

    assert pairs(edges) == {("a", "b", ""), ("b", "a", "")}


def test_names_are_compared_in_one_spelling() -> None:
    _, edges = edges_of("App", app=["My_Lib"], my_lib=[])

    assert pairs(edges) == {("app", "my-lib", "")}


def test_what_conda_brings_ends_the_way() -> None:
    conda: PackageKey = ("environment", "conda", "numpy")
    asked, edges = edges_of("numpy>=1", "app", app=["numpy<3"], provided={"numpy": (conda, "numpy==2.3.4")})

    assert [(one.target, one.via) for one in asked if one.requirement == "numpy>=1"] == [
        (conda, "numpy==2.3.4")
    ]
    assert [(edge.target, edge.via, edge.bound) for edge in edges] == [(conda, "numpy==2.3.4", "<3")]


def test_what_is_not_there_has_no_edge() -> None:
    assert edges_of("app", "gone", app=["gone"])[1] == ()


@pytest.mark.parametrize(
    ("text", "bound", "shown"),
    [
        ("a>=1,<2,!=1.5", "<2", "a!=1.5,<2,>=1"),
        ("a==1.0", "==1.0", "a==1.0"),
        ("a~=1.4", "~=1.4", "a~=1.4"),
        ("a>=1", "", "a>=1"),
        ("a", "", "a"),
        ("a[y,x]<=3; os_name == 'posix'", "<=3", "a[x,y]<=3"),
        ("a @ https://example.com/a-1-py3-none-any.whl", "@ https://example.com/a-1-py3-none-any.whl", None),
    ],
)
def test_upper_bounds(text: str, bound: str, shown: str | None) -> None:
    assert upper_bound(Requirement(text)) == bound
    assert without_marker(Requirement(text)) == (shown or text)
