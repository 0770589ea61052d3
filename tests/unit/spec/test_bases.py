import re

from envbuild.catalog.bases import CATALOG_VERSION, DISTRIBUTIONS, IMAGES, default_image
from envbuild.catalog.distributions import distributions
from envbuild.spec import rules


def test_the_catalogue_has_a_version() -> None:
    assert re.fullmatch(r"20\d\d\.\d\d(\.\d+)?", CATALOG_VERSION)


def test_every_supported_python_has_a_default_image() -> None:
    for minor in range(10, 15):
        for python in (f"3.{minor}", f"3.{minor}.1"):
            assert rules.python(python) == python
            image = default_image(python)
            assert image == f"python:{python}-slim-bookworm"
            assert rules.image(image) == image
    assert list(IMAGES) == ["3.10", "3.11", "3.12", "3.13", "3.14"]


def test_every_distribution_of_the_catalogue_can_be_asked_for() -> None:
    assert set(DISTRIBUTIONS) == set(distributions())
