import pytest

from envbuild.catalog.capability import ComputeCapability
from envbuild.catalog.cuda import (
    architectures_of,
    cuda_of_driver,
    driver_for,
    first_cuda_of,
    generation_of,
    newest_cuda,
)


@pytest.mark.parametrize(
    ("cuda", "branch", "toolkit", "packaged", "minimum"),
    [
        ("12.6", 560, "560.28.03", None, "525.60.13"),
        ("12.6.3", 560, "560.28.03", "560.35.05", "525.60.13"),
        ("13.0.2", 580, "580.65.06", "580.95.05", "580.65.06"),
        ("13.0.3", 580, "580.65.06", None, "580.65.06"),
        ("13.4", 615, None, None, "580.65.06"),
        ("13.5", 620, None, None, "580.65.06"),
        ("12.7", 565, None, None, "525.60.13"),
        ("11.8", 520, "520.61.05", None, "450.80.02"),
    ],
)
def test_drivers_of_a_cuda_version(cuda, branch, toolkit, packaged, minimum) -> None:
    driver = driver_for(cuda)

    assert driver is not None
    assert driver.is_known
    assert (driver.branch, driver.toolkit, driver.packaged, driver.minimum) == (
        branch,
        toolkit,
        packaged,
        minimum,
    )


@pytest.mark.parametrize("cuda", ["13.6", "13.9.1", "12.10"])
def test_a_version_newer_than_the_catalogue_or_in_a_gap_still_has_its_majors_minimum(cuda: str) -> None:
    driver = driver_for(cuda)

    assert driver is not None
    assert not driver.is_known
    assert (driver.branch, driver.toolkit, driver.full) == (None, None, None)
    assert driver.minimum == {"13": "580.65.06", "12": "525.60.13"}[cuda[:2]]


def test_an_unknown_major_has_no_drivers() -> None:
    assert driver_for("14.0") is None
    assert architectures_of("14.0") is None


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [
        ("580.95.05", "13.0"),
        ("580", "13.0"),
        ("589.99", "13.0"),
        ("570.26", "12.8"),
        ("525.60.13", "12.0"),
        ("700", "13.5"),
        ("418.87", None),
    ],
)
def test_what_a_driver_reports(driver: str, cuda: str | None) -> None:
    assert cuda_of_driver(driver) == cuda


def test_architectures_end_where_a_major_drops_them() -> None:
    volta = ComputeCapability.parse("7.0")

    assert volta in (architectures_of("12.9") or ())
    assert volta not in (architectures_of("13.0") or ())
    assert architectures_of("13.9") == architectures_of("13.0")
    found = generation_of(volta)
    assert found is not None
    assert (found[0], found[1].last_cuda_major, found[1].last_branch) == ("Volta", 12, 580)


@pytest.mark.parametrize(
    ("capability", "cuda"),
    [("9.0", "11.8"), ("12.0", "12.8"), ("10.3", "12.9"), ("8.6", "11.1"), ("13.0", None), ("7.5", None)],
)
def test_first_cuda_that_knows_a_capability(capability: str, cuda: str | None) -> None:
    assert first_cuda_of(ComputeCapability.parse(capability)) == cuda


def test_newest_cuda_is_one_whose_driver_is_known() -> None:
    assert newest_cuda() == "13.5"
