import pytest

from envbuild.lock.graph.debs import DebSet, parse_relations
from envbuild.lock.graph.model import LockedPackage


def package(name: str, version: str | None = "1.0") -> LockedPackage:
    return LockedPackage(kind="deb", name=name, version=version)


SYSTEM = DebSet()
for item, provides in (
    (package("libc6", "2.36-9"), ()),
    (package("mawk", "1.3.4"), ("awk",)),
    (package("gawk", "1:5.2"), ("awk",)),
    (package("exim4", "4.96"), ("mail-transport-agent",)),
    (package("python3", "3.11.2"), ("python3-supported-min (= 3.11)", "python3-profiler")),
    (package("libssl3", "3.0.22"), ()),
    (package("libssl3:i386", "3.0.22"), ()),
    (package("perlapi-user", "1"), ("perlapi (= 5.36), perlapi-alias",)),
    (package("old-api", "1"), ("api (= 1)",)),
    (package("new-api", "2"), ("api (= 2)",)),
    (package("bare-api", "3"), ("api",)),
):
    SYSTEM.add(item, provides)


@pytest.mark.parametrize(
    ("group", "found"),
    [
        pytest.param("libc6 (>= 2.34)", [("libc6", "")], id="a version"),
        pytest.param("libc6", [("libc6", "")], id="no version"),
        pytest.param("postfix | exim4", [("exim4", "")], id="the alternative that is there"),
        pytest.param(
            "exim4 | mail-transport-agent", [("exim4", ""), ("exim4", "mail-transport-agent")], id="x"
        ),
        pytest.param("awk", [("mawk", "awk"), ("gawk", "awk")], id="provided by two"),
        pytest.param("python3:any (>= 3.9)", [("python3", "")], id="an architecture qualifier"),
        pytest.param(
            "python3-supported-min (>= 3.9)", [("python3", "python3-supported-min")], id="versioned"
        ),
        pytest.param("perlapi (>= 5), libc6", [("perlapi-user", "perlapi")], id="provided in one text"),
        pytest.param("api (>= 2)", [("new-api", "api")], id="of several the version decides"),
        pytest.param("api (<< 2)", [("old-api", "api")], id="an older one"),
        pytest.param("api", [("old-api", "api"), ("new-api", "api"), ("bare-api", "api")], id="any of them"),
        pytest.param("nothing | of-this", [], id="not there"),
        pytest.param("", [], id="empty"),
        pytest.param("???", [], id="no relation"),
    ],
)
def test_alternatives_and_provided_names(group: str, found: list[tuple[str, str]]) -> None:
    edges = list(SYSTEM.edges(("environment", "deb", "asks"), [group]))

    assert [(edge.target[2], edge.via) for edge in edges] == found
    assert {edge.requirement for edge in edges} <= {group}


def test_a_package_does_not_require_itself() -> None:
    assert next(SYSTEM.edges(("environment", "deb", "mawk"), ["mawk | gawk"])).target[2] == "gawk"


def test_what_nothing_here_meets() -> None:
    groups = ["libc6", "init-system | sysv", "awk", "other (>= 2)"]

    assert list(SYSTEM.unanswered(groups)) == ["init-system", "other"]


@pytest.mark.parametrize(
    ("text", "bound"),
    [("a (<< 2)", "<< 2"), ("a (= 1:2-3)", "= 1:2-3"), ("a (<= 2~)", "<= 2~"), ("a (>= 2)", ""), ("a", "")],
)
def test_upper_bounds(text: str, bound: str) -> None:
    (relation,) = parse_relations(text, "|")

    assert relation.bound == bound
