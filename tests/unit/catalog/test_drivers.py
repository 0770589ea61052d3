import pytest

from envbuild.catalog.drivers import branch_of, compat_package, lift_of


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


def test_branch_of_a_driver() -> None:
    branch = branch_of("580.95.05")

    assert branch is not None
    assert (branch.kind, branch.end_of_life) == ("LTS", "2028-06")
    assert branch_of("555.42.06") is None


def test_name_of_the_package() -> None:
    assert compat_package("12.6.3") == "cuda-compat-12-6"
