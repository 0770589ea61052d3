import pytest

from envbuild.errors import SpecError
from envbuild.resolve.apt.requests import PackageRequest, parse_requests


def test_requests_are_sorted_and_each_once() -> None:
    asked = parse_requests(["git=1:2.39.5-0+deb12u2", "g++", "git", "g++", "libgomp1"])

    assert asked.requests == (
        PackageRequest("g++"),
        PackageRequest("git", "1:2.39.5-0+deb12u2"),
        PackageRequest("libgomp1"),
    )
    assert list(map(str, asked.requests)) == ["g++", "git=1:2.39.5-0+deb12u2", "libgomp1"]


def test_field_of_a_request_is_kept() -> None:
    asked = parse_requests(["git=1", "curl"], fields={"git=1": "system.packages[3]"})

    assert asked.where("git") == "system.packages[3]"
    assert asked.where("curl") == "system.packages"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("Git", "`Git` is not a package name", "package names are lower case"),
        ("git-", "`git-` is not a package name", "write `name` or `name=version`"),
        ("-oDebug=1", "`-oDebug` is not a package name", None),
        ("?essential", "`?essential` is not a package name", "write `name` or `name=version`"),
        ("git/sid", "`git/sid` is not a package name", "write `name` or `name=version`"),
        ("git>=2", "`git>` is not a package name", None),
        ("libc6:i386", "`libc6:i386` is not a package name", None),
        ("git=", "`` is not a version of a Debian package", None),
        ("git=new", "`new` is not a version of a Debian package", None),
    ],
)
def test_what_apt_would_take_for_something_else_is_refused(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(SpecError) as caught:
        parse_requests([text])

    (problem,) = caught.value.problems
    assert problem.where == "system.packages"
    if hint:
        assert (problem.message, problem.hint) == (message, hint)
    else:
        assert problem.message.split(" is ")[1] == message.split(" is ")[1]


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse_requests(["git=1", "git=2", "A"])

    assert [problem.message for problem in caught.value.problems] == [
        "`A` is not a package name",
        "`git` is asked for as 1 and as 2",
    ]
