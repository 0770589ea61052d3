import pytest

from envbuild.catalog.capability import ComputeCapability


def cc(text: str) -> ComputeCapability:
    return ComputeCapability.parse(text)


@pytest.mark.parametrize(
    ("text", "dotted", "sm", "compute"),
    [
        ("9.0", "9.0", "sm_90", "compute_90"),
        ("sm_90", "9.0", "sm_90", "compute_90"),
        ("sm_90a", "9.0a", "sm_90a", "compute_90a"),
        ("compute_120", "12.0", "sm_120", "compute_120"),
        ("103f", "10.3f", "sm_103f", "compute_103f"),
        ("75", "7.5", "sm_75", "compute_75"),
    ],
)
def test_all_spellings_are_read(text: str, dotted: str, sm: str, compute: str) -> None:
    assert (cc(text).dotted, cc(text).sm, cc(text).compute) == (dotted, sm, compute)


@pytest.mark.parametrize(
    "text", ["", "9", "sm_9", "sm90", "sm_090", "9.0.1", "90b", "T4", "-9.0", "1000", "９.０"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        cc(text)
    assert str(caught.value) == f"`{text}` is not a compute capability"


@pytest.mark.parametrize(
    ("gpu", "code", "runs"),
    [
        pytest.param("8.9", "8.6", True, id="smaller minor of the same major"),
        pytest.param("8.6", "8.9", False, id="larger minor"),
        pytest.param("12.0", "9.0", False, id="another major"),
        pytest.param("9.0", "9.0a", True, id="architecture-specific, this one"),
        pytest.param("10.3", "10.0a", False, id="architecture-specific, another of the family"),
        pytest.param("10.3", "10.0f", True, id="family-specific"),
        pytest.param("8.7", "8.6", False, id="desktop code on a Tegra"),
        pytest.param("8.7", "8.7", True, id="Tegra code on that Tegra"),
        pytest.param("8.9", "8.7", False, id="Tegra code on a desktop GPU"),
        pytest.param("12.1", "12.0", True, id="DGX Spark is no Tegra"),
    ],
)
def test_binary_compatibility(gpu: str, code: str, runs: bool) -> None:
    assert cc(gpu).runs_cubin_of(cc(code)) is runs


@pytest.mark.parametrize(
    ("gpu", "code", "runs"),
    [
        ("12.0", "9.0", True),
        ("9.0", "12.0", False),
        ("8.7", "8.0", True),
        ("12.0", "9.0a", False),
        ("9.0", "9.0a", True),
        ("12.0", "10.0f", False),
        ("10.3", "10.0f", True),
    ],
)
def test_ptx_compatibility(gpu: str, code: str, runs: bool) -> None:
    assert cc(gpu).runs_ptx_of(cc(code)) is runs


def test_order_is_that_of_numbers() -> None:
    assert sorted(map(cc, ["12.0", "9.0", "9.0a", "10.3", "7.5"])) == [
        cc("7.5"),
        cc("9.0"),
        cc("9.0a"),
        cc("10.3"),
        cc("12.0"),
    ]
