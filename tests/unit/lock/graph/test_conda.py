import pytest

from envbuild.lock.graph.conda import conda_constraints, conda_edges, spec_bound, spec_name
from envbuild.lock.graph.model import PackageKey

KEYS: dict[str, PackageKey] = {
    name: ("environment", "conda", name) for name in ("numpy", "python", "python_abi", "libblas")
}


@pytest.mark.parametrize(
    ("spec", "name", "bound"),
    [
        ("python >=3.11,<3.12.0a0", "python", "<3.12.0a0"),
        ("python_abi 3.11.* *_cp311", "python_abi", "3.11.*"),
        ("numpy", "numpy", ""),
        ("numpy *", "numpy", ""),
        ("numpy >=1.21", "numpy", ""),
        ("numpy >=1,!=1.5", "numpy", ""),
        ("numpy=1.26", "numpy", "=1.26"),
        ("numpy==1.26.4", "numpy", "==1.26.4"),
        ("conda-forge::numpy 2.3.4 py311_0", "numpy", "2.3.4"),
        ("numpy 1.*|2.*", "numpy", "1.* | 2.*"),
        ("numpy[version='>=2']", "numpy", ""),
        ("NumPy >=1.21,<3", "numpy", "<3"),
        ("__glibc >=2.17,<3.0.a0", "__glibc", "<3.0.a0"),
        ("", "", ""),
    ],
)
def test_match_specs(spec: str, name: str, bound: str) -> None:
    assert (spec_name(spec), spec_bound(spec)) == (name, bound)


def test_virtual_packages_are_in_no_lock() -> None:
    found = conda_edges({KEYS["numpy"]: ["__glibc >=2.17", "python >=3.11", "numpy", "gone"]}, KEYS)

    assert [(edge.target[2], edge.requirement) for edge in found] == [("python", "python >=3.11")]


def test_constraints_count_where_they_limit_what_is_there() -> None:
    specs = {"numpy-base 1": ["numpy 2.3.4", "blas * mkl", "libblas >=3"]}

    assert [(one.target[2], one.by, one.bound) for one in conda_constraints(specs, KEYS)] == [
        ("numpy", "numpy-base 1", "2.3.4")
    ]
