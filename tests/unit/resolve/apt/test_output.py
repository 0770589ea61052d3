"""Texts are what apt 2.6.1 printed, with another host."""

from datetime import UTC, datetime

import pytest

from envbuild.errors import IntegrityError
from envbuild.resolve.apt.output import (
    Download,
    Repository,
    downgraded_packages,
    packages_without_candidate,
    packages_without_version,
    parse_downloads,
    parse_release_date,
    parse_repositories,
    providers,
    relations,
    removed_packages,
    unknown_packages,
    unmet_dependencies,
)

PLAN = """\
Reading package lists...
Building dependency tree...
The following NEW packages will be installed:
  gcc-12-base libcap2
0 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.
Need to get 64.9 kB of archives.
After this operation, 210 kB of additional disk space will be used.
'http://mirror.example.com/debian/pool/main/g/gcc-12/gcc-12-base_12.2.0-14%2bdeb12u1_amd64.deb' gcc-12-base_12.2.0-14+deb12u1_amd64.deb 37596 SHA256:1a03df5a57833d65b5bb08cfa19d50e76f29088dc9e64fb934af42d9023a0807
'http://mirror.example.com/debian/pool/main/libc/libcap2/libcap2_2.66-4%2bdeb12u3%2bb1_amd64.deb' libcap2_1%3a2.66-4+deb12u3+b1_amd64.deb 27312 MD5Sum:8e7e741807b1e1939df8f58323affdcb
"""  # noqa: E501 - apt does not wrap

REMOVING = """\
Reading package lists...
The following packages will be REMOVED:
  at-spi2-core dbus-user-session*
  systemd-sysv
The following NEW packages will be installed:
  initscripts insserv
5 upgraded, 6 newly installed, 11 to remove and 129 not upgraded.
"""

DOWNGRADING = """\
The following packages will be DOWNGRADED:
  git
0 upgraded, 0 newly installed, 1 downgraded, 0 to remove and 136 not upgraded.
"""

UNMET = """\
Some packages could not be installed. This may mean that you have
requested an impossible situation or if you are using the unstable
distribution that some required packages have not yet been created
or been moved out of Incoming.
The following information may help to resolve the situation:

The following packages have unmet dependencies:
 systemd-sysv : Conflicts: sysvinit-core but 3.06-4 is to be installed
 sysvinit-core : Conflicts: systemd-sysv but 252.39-1~deb12u2 is to be installed
                 Depends: initscripts
"""

VIRTUAL = """\
Package mail-transport-agent is a virtual package provided by:
  postfix 3.7.11-0+deb12u1
  dma 0.13-1+b1
  lsb-invalid-mta 11.6
    [Not candidate version]

Package awk is a virtual package provided by:
  mawk 1.3.4.20200120-3.1

"""

ERRORS = """\
E: Unable to locate package gti
E: Unable to locate package g
E: Version '9' for 'git' was not found
E: Version '9' for 'git' was not found
E: Package 'mail-transport-agent' has no installation candidate
E: Package mysql-server has no installation candidate
"""


def test_downloads() -> None:
    assert parse_downloads(PLAN) == (
        Download(
            uri="http://mirror.example.com/debian/pool/main/g/gcc-12/gcc-12-base_12.2.0-14+deb12u1_amd64.deb",
            name="gcc-12-base",
            version="12.2.0-14+deb12u1",
            architecture="amd64",
            size=37596,
            sha256="1a03df5a57833d65b5bb08cfa19d50e76f29088dc9e64fb934af42d9023a0807",
        ),
        Download(
            uri="http://mirror.example.com/debian/pool/main/libc/libcap2/libcap2_2.66-4+deb12u3+b1_amd64.deb",
            name="libcap2",
            version="1:2.66-4+deb12u3+b1",
            architecture="amd64",
            size=27312,
            sha256=None,
        ),
    )


def test_repositories_are_listed_once_and_unknown_fields_are_empty() -> None:
    text = (
        "http://mirror.example.com/debian/\tDebian\tDebian\n"
        "http://mirror.example.com/debian/\tDebian\tDebian\n"
        "file:/srv/a%2bb\t$(LABEL)\t$(ORIGIN)\n"
        "\n"
    )

    assert parse_repositories(text) == (
        Repository(address="file:/srv/a+b/", label="", origin=""),
        Repository(address="http://mirror.example.com/debian/", label="Debian", origin="Debian"),
    )


def test_release_date() -> None:
    date = parse_release_date({"Date": "Sat, 11 Jul 2026 10:16:37 UTC"})

    assert date == datetime(2026, 7, 11, 10, 16, 37, tzinfo=UTC)


@pytest.mark.parametrize("fields", [{}, {"Date": "yesterday"}])
def test_release_without_a_date_is_not_used(fields: dict[str, str]) -> None:
    with pytest.raises(IntegrityError, match="a Release file of the archive has no valid `Date`"):
        parse_release_date(fields)


def test_relations() -> None:
    assert relations("libc6 (>= 2.34),\n  debconf (>= 0.5) | debconf-2.0 , ") == (
        "libc6 (>= 2.34)",
        "debconf (>= 0.5) | debconf-2.0",
    )


def test_what_stands_in_the_way() -> None:
    assert removed_packages(REMOVING) == ("at-spi2-core", "dbus-user-session", "systemd-sysv")
    assert downgraded_packages(DOWNGRADING) == ("git",)
    assert unmet_dependencies(UNMET) == (
        "systemd-sysv : Conflicts: sysvinit-core but 3.06-4 is to be installed",
        "sysvinit-core : Conflicts: systemd-sysv but 252.39-1~deb12u2 is to be installed",
        "                Depends: initscripts",
    )
    assert (removed_packages(PLAN), downgraded_packages(PLAN), unmet_dependencies(PLAN)) == ((), (), ())


def test_what_is_wrong_with_names() -> None:
    assert unknown_packages(ERRORS) == {"gti", "g"}
    assert packages_without_version(ERRORS) == {"git"}
    assert packages_without_candidate(ERRORS) == {"mail-transport-agent", "mysql-server"}
    assert providers(VIRTUAL) == {
        "mail-transport-agent": ("dma", "lsb-invalid-mta", "postfix"),
        "awk": ("mawk",),
    }
