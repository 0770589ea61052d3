import pytest

from envbuild.catalog.drivers import compat_package, lift_of


@pytest.mark.parametrize(
    ("cuda", "driver", "lift"),
    [
        ("13.0", "535.104.05", "lifts"),
        ("13.0.2", "570", "lifts"),
        ("13.0", "580.95.05", "not-needed"),
        ("12.9", "580", "too-old"),
        ("13.0", "545.23.08", "unsupported"),
        ("13.0", "470.82.01", "unsupported"),
        ("13.5", "535", None),
    ],
)
def test_what_forward_compatibility_does(cuda: str, driver: str, lift: str | None) -> None:
    assert lift_of(cuda, driver) == lift


def test_name_of_the_package() -> None:
    assert compat_package("12.6.3") == "cuda-compat-12-6"
