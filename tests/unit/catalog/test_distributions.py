import pytest

from envbuild.catalog.bases import DISTRIBUTIONS
from envbuild.catalog.distributions import (
    archive_of_label,
    archive_of_suite,
    distributions,
    families,
    family_of_archive,
)


@pytest.mark.parametrize(
    ("suite", "archive"),
    [
        ("bookworm", "debian"),
        ("trixie-updates", "debian"),
        ("bookworm-backports", "debian"),
        ("bookworm-security", "debian-security"),
        ("buster/updates", "debian-security"),
        ("noble-security", "ubuntu"),
        ("bookworm-pgdg", None),
        ("./", None),
    ],
)
def test_suite_tells_its_archive(suite: str, archive: str | None) -> None:
    assert archive_of_suite(suite) == archive


def test_label_is_the_archive_name_in_lower_case_but_for_suites_of_a_shared_pool() -> None:
    assert archive_of_label("Debian-Security") == "debian-security"
    assert archive_of_label("Debian Backports") == "debian"
    assert archive_of_label("NVIDIA CUDA") == "nvidia cuda"


def test_family_of_an_archive() -> None:
    debian = family_of_archive("debian-security")

    assert debian is not None
    assert debian.keyring_package == "debian-archive-keyring"
    assert family_of_archive("elsewhere") is None


def test_each_distribution_tells_its_python() -> None:
    assert {name: row.python for name, row in distributions().items()} == dict(DISTRIBUTIONS)
    assert DISTRIBUTIONS["debian:bookworm"] == "3.11"


def test_every_suite_of_a_distribution_belongs_to_its_family() -> None:
    for name, distribution in distributions().items():
        archives = {archive_of_suite(suite) for suite in distribution.suites}
        assert archives <= set(families()[distribution.family].archives), name
        assert name == f"{distribution.os.id}:{distribution.suites[0]}"
