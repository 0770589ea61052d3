import pytest

from envbuild.resolve.apt.output import Repository
from envbuild.resolve.apt.policy import parse_policy

TEXT = """\
git:
  Installed: (none)
  Candidate: 1:2.39.5-0+deb12u3
  Version table:
     1:2.47.1-1~bpo12+1 100
        100 http://mirror.example.com/debian bookworm-backports/main amd64 Packages
     1:2.39.5-0+deb12u3 500
        500 http://mirror.example.com/debian bookworm/main amd64 Packages
     1:2.39.5-0+deb12u2 500
        500 http://mirror.example.com/security bookworm-security/main amd64 Packages
tool:
  Installed: 1.0
  Candidate: 2.0
  Version table:
     2.0 500 (phased 20%)
        500 http://mirror.example.com/own ./ Packages
 *** 1.0 100
        100 /var/lib/dpkg/status
virtual:
  Installed: (none)
  Candidate: (none)
  Version table:
libc6:i386:
  Installed: (none)
  Candidate: 2.36
  Version table:
     2.36 500
        500 http://old.example.com buster/updates/main i386 Packages
"""


def test_candidates_and_versions_are_read() -> None:
    found = parse_policy(TEXT, [])

    assert list(found) == ["git", "tool", "virtual", "libc6:i386"]
    assert [(item.version, item.suites, item.is_security) for item in found["git"].versions] == [
        ("1:2.47.1-1~bpo12+1", ("bookworm-backports",), False),
        ("1:2.39.5-0+deb12u3", ("bookworm",), False),
        ("1:2.39.5-0+deb12u2", ("bookworm-security",), True),
    ]
    assert (found["git"].candidate, found["virtual"].candidate) == ("1:2.39.5-0+deb12u3", None)
    assert found["libc6:i386"].versions[0].is_security


def test_what_is_only_installed_is_no_offer() -> None:
    assert [item.version for item in parse_policy(TEXT, [])["tool"].versions] == ["2.0"]


def test_an_archive_is_one_of_security_updates_by_its_label_too() -> None:
    own = Repository(address="http://mirror.example.com/own/", label="Own-Security", origin="own")

    assert parse_policy(TEXT, [own])["tool"].versions[0].is_security


@pytest.mark.parametrize(
    ("locked", "update"),
    [
        pytest.param("1:2.39.5-0+deb12u1", "1:2.39.5-0+deb12u2", id="a point release took it over"),
        pytest.param("1:2.39.5-0+deb12u2", None, id="locked"),
        pytest.param("1:2.39.5-0+deb12u3", None, id="locked is newer"),
    ],
)
def test_security_updates_are_between_what_is_locked_and_the_candidate(
    locked: str, update: str | None
) -> None:
    assert parse_policy(TEXT, [])["git"].security_update(locked) == update


@pytest.mark.parametrize("text", ["", "\n\n", "W: something\n", "  Version table:\n     1.0 500\n"])
def test_what_is_no_answer_says_nothing(text: str) -> None:
    assert parse_policy(text, []) == {}
