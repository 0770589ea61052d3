import pytest

from tests.rig.program import SPEC, Program


@pytest.mark.network
@pytest.mark.slow
def test_an_unknown_system_package_is_named_with_those_near_it(locked: Program):
    locked.spec.write_text(SPEC.replace('packages = ["git"]', 'packages = ["gti", "libgompl1"]'))
    before = locked.lock.read_bytes()

    answer = locked("lock", "--quiet")

    said = answer.stderr.splitlines()
    assert (answer.code, answer.stdout) == (5, "")
    assert said[0] == "error: the archives of debian:bookworm do not have every package"
    assert said[1::2] == [
        "  • system.packages: there is no package `gti`",
        "  • system.packages: there is no package `libgompl1`",
    ]
    assert "`git`" in said[2]
    assert "`libgomp1`" in said[4]
    assert locked.lock.read_bytes() == before
