import pytest

from envbuild.catalog.frameworks import builds_of, system_cuda_of


@pytest.mark.parametrize(
    ("name", "version", "extras", "wants"),
    [
        ("tensorflow", "2.13.1", ("and-cuda",), ("11.8", "8.6")),
        ("tensorflow", "2.19.1", (), ("12.5", "9.3")),
        ("tensorflow", "2.19.1", ("and-cuda",), None),
        ("tensorflow", "2.9.0", (), None),
        ("onnxruntime-gpu", "1.18.1", (), ("11.8", "8")),
        ("onnxruntime-gpu", "1.22.0", ("cuda", "cudnn"), None),
        ("onnxruntime-gpu", "1.31.1", (), ("13", "9")),
        ("cupy-cuda12x", "13.6.0", ("ctk",), ("12", None)),
        ("cupy-cuda12x", "14.2.0", ("ctk",), None),
        ("jax-cuda13-plugin", "0.10.2", (), ("13", "9")),
        ("torch", "2.14.1", (), None),
        ("numpy", "2.0.0", (), None),
    ],
)
def test_what_a_framework_wants_of_the_system(name, version, extras, wants) -> None:
    found = system_cuda_of(name, version, extras)

    assert (None if found is None else (found.cuda, found.cudnn)) == wants
    assert found is None or found.is_known


def test_a_framework_newer_than_the_catalogue_gets_the_newest_row_and_says_so() -> None:
    found = system_cuda_of("tensorflow", "2.30.0rc1")

    assert found is not None
    assert (found.cuda, found.is_known) == ("12.5", False)


def test_builds_of_torch_are_in_order_and_end_where_the_next_begins() -> None:
    builds = [build for build in builds_of("torch") if build.build == "default"]

    assert [(build.since, build.until, build.cuda) for build in builds] == [
        ("1.13", "2.1", "11.7"),
        ("2.1", "2.5", "12.1"),
        ("2.5", "2.7", "12.4"),
        ("2.7", "2.8", "12.6"),
        ("2.8", "2.11", "12.8"),
        ("2.11", "2.15", "13.0"),
        ("2.15", None, "13.2"),
    ]
    assert [cubin.sm for cubin in builds[-1].cubins] == [
        "sm_75",
        "sm_80",
        "sm_86",
        "sm_90",
        "sm_100",
        "sm_120",
    ]
    assert builds_of("unheard-of") == ()
