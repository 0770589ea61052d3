"""The lock and a container are asked the same of a GPU's code, so they must say the same.

One check knows the catalogue and writes sentences (`resolve.gpu.kernel_check`); the other travels inside the
probe, with nothing but the standard library (`verify.checks.cuda`).
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envbuild.catalog.capability import ComputeCapability
from envbuild.lock.gpu import GpuArchitectures
from envbuild.resolve.gpu.kernel_check import ENOUGH, judge_kernels
from envbuild.verify.checks import cuda
from envbuild.verify.checks.target import LockedArchitectures

pytestmark = pytest.mark.property

CAPABILITIES = ("50", "70", "75", "80", "86", "87", "89", "90", "90a", "100", "100a", "103", "110", "120")
COUNTS = st.sampled_from((1, 2, 200, 237, 238, 475))


def code(prefix: str) -> st.SearchStrategy[dict[str, int]]:
    return st.dictionaries(st.sampled_from([f"{prefix}_{name}" for name in CAPABILITIES]), COUNTS, max_size=6)


@given(
    st.sampled_from([name for name in CAPABILITIES if name.isdecimal()]),
    st.lists(st.tuples(code("sm"), code("compute")), min_size=1, max_size=3),
)
def test_both_checks_agree(name: str, libraries: list[tuple[dict[str, int], dict[str, int]]]) -> None:
    locked = [
        GpuArchitectures(wheel="a-1-x.whl", library=f"{number}.so", role="framework", cubins=sm, ptx=ptx)
        for number, (sm, ptx) in enumerate(libraries)
        if sm or ptx
    ]
    carried = [
        LockedArchitectures(
            wheel=item.wheel, library=item.library, role=item.role, cubins=item.cubins, ptx=item.ptx
        )
        for item in locked
    ]
    answer = judge_kernels(ComputeCapability.parse(name), None, locked, knows_ptx=True)
    expected = answer.state if answer.state in {"cubin", "ptx"} else None
    assert cuda.runs(f"sm_{name}", carried) == expected


def test_both_ask_for_the_same_share() -> None:
    assert cuda.ENOUGH == ENOUGH
