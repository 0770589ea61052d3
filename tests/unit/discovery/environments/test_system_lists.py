"""Lists of Debian packages."""

import pytest

from envbuild.discovery.content import FileContent
from envbuild.discovery.environments.system_lists import read_system_list


def left(content: FileContent) -> list[str]:
    return [str(problem) for problem in content.left]


def test_a_list_that_can_be_taken_whole_is_named():
    content = read_system_list("# fonts\ncm-super # for plots\ngit curl\n\n", "apt.txt")
    assert (content.tables, left(content)) == ({"system": {"files": ["apt.txt"]}}, [])
    assert [taken.what for taken in content.taken] == ["3 Debian packages"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (":repo:deb http://archive.example.com jammy main", "adds an archive of packages"),
        ("http://files.example.com/x.deb", "is a file, not a package"),
        ("./x.deb", "is a file, not a package"),
        ("git/stable", "`git/stable` names a suite"),
        ("Git", "`Git` is not a package name of the distribution"),
    ],
)
def test_a_line_that_cannot_be_taken_is_reported_and_the_others_are_written_down(line, message):
    content = read_system_list(f"a1\n{line}\nb1=2.0\n", "Aptfile")
    assert content.tables == {"system": {"packages": ["a1", "b1=2.0"]}}
    assert left(content) == [f"Aptfile:2: {message}"]


def test_a_list_of_pip_is_not_taken():
    content = read_system_list("numpy==1.26\n", "packages.txt")
    assert content.tables == {}
    assert left(content) == [
        "packages.txt: is not a list of Debian packages: it has versions as Python writes them"
    ]
