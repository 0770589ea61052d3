from dataclasses import replace

import pytest

from envbuild.errors import IntegrityError
from envbuild.resolve.apt.debs import compose_debs
from envbuild.resolve.apt.output import Download, Repository

DIGEST = "c" * 64
DOWNLOAD = Download(
    uri="http://mirror.example.com/debian-security/pool/updates/main/g/git/git_2+1_amd64.deb",
    name="git",
    version="1:2+1",
    architecture="amd64",
    size=7,
    sha256=DIGEST,
)
RECORD = {
    "Package": "git",
    "Version": "1:2+1",
    "Architecture": "amd64",
    "Source": "git (1:2)",
    "Pre-Depends": "dpkg (>= 1)",
    "Depends": "libc6,\n perl | perl-base",
    "Provides": "git-core",
    "Size": "7",
    "SHA256": DIGEST,
}
REPOSITORIES = (
    Repository(address="http://mirror.example.com/debian/", label="Debian", origin="Debian"),
    Repository(
        address="http://mirror.example.com/debian-security/", label="Debian-Security", origin="Debian"
    ),
    Repository(address="http://mirror.example.com/", label="", origin="Elsewhere"),
    Repository(address="file:/srv/", label="", origin=""),
)


def test_a_package_of_the_lock() -> None:
    (deb,) = compose_debs([DOWNLOAD], [RECORD], REPOSITORIES)

    assert deb.model_dump() == {
        "name": "git",
        "version": "1:2+1",
        "architecture": "amd64",
        "file": "git_1:2+1_amd64.deb",
        "size": 7,
        "sha256": DIGEST,
        "archive": "debian-security",
        "path": "pool/updates/main/g/git/git_2+1_amd64.deb",
        "source": "git (1:2)",
        "depends": ("dpkg (>= 1)", "libc6", "perl | perl-base"),
        "provides": ("git-core",),
        "essential": False,
    }


def test_debs_are_sorted_by_key() -> None:
    other = replace(DOWNLOAD, name="a")
    debs = compose_debs([DOWNLOAD, other], [RECORD, RECORD | {"Package": "a"}], REPOSITORIES)

    assert [deb.file for deb in debs] == ["a_1:2+1_amd64.deb", "git_1:2+1_amd64.deb"]


@pytest.mark.parametrize(
    ("uri", "archive", "path"),
    [
        ("http://mirror.example.com/x.deb", "elsewhere", "x.deb"),
        ("file:/srv/./x.deb", "unlabelled", "x.deb"),
    ],
)
def test_an_archive_without_label_goes_by_its_origin(uri: str, archive: str, path: str) -> None:
    (deb,) = compose_debs([replace(DOWNLOAD, uri=uri)], [RECORD], REPOSITORIES)

    assert (deb.archive, deb.path) == (archive, path)


def test_of_two_archives_with_the_same_version_the_file_decides() -> None:
    rebuilt = RECORD | {"SHA256": "d" * 64, "Depends": "other"}

    (deb,) = compose_debs([DOWNLOAD], [RECORD, rebuilt], REPOSITORIES)

    assert deb.sha256 == DIGEST
    assert "other" not in deb.depends


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"SHA256": "d" * 64}, "the archive describes two different files as git 1:2+1"),
        ({"Size": "8"}, "the archive describes two different files as git 1:2+1"),
        ({"SHA256": ""}, "the archive's index gives no sha256 for git 1:2+1"),
        ({"Version": "9"}, "the archive's index does not describe git 1:2+1"),
    ],
)
def test_plan_and_index_must_agree(record: dict[str, str], message: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        compose_debs([DOWNLOAD], [RECORD | record], REPOSITORIES)

    assert str(caught.value) == message


def test_a_file_from_nowhere_is_refused() -> None:
    with pytest.raises(IntegrityError, match="apt would take git from none of the archives it was given"):
        compose_debs([DOWNLOAD], [RECORD], REPOSITORIES[:1])
