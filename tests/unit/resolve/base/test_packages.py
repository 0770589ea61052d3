from datetime import date
from pathlib import Path

import pytest

from envbuild.errors import NetworkError, SpecError
from envbuild.platforms import AMD64
from envbuild.remote.apt import AptSettings
from envbuild.resolve.apt.client import Apt
from envbuild.resolve.base.packages import resolve_packages_base

pytestmark = pytest.mark.slow


def test_an_unknown_distribution_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        resolve_packages_base(
            Apt(tmp_path, environment={}),
            "debian:woody",
            python="3.11",
            platform=AMD64,
            settings=AptSettings(),
        )

    (problem,) = caught.value.problems
    assert str(problem) == "base.packages: `debian:woody` cannot be bootstrapped"
    assert problem.hint == "write `debian:bookworm` or `debian:trixie`"


def test_a_machine_that_knows_no_mirror_is_told_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(NetworkError) as caught:
        resolve_packages_base(
            Apt(tmp_path, environment={}),
            "debian:bookworm",
            python="3.11",
            platform=AMD64,
            settings=AptSettings(),
        )

    assert "ENVBUILD_APT_MIRROR" in str(caught.value.hint)


def test_a_snapshot_is_never_quietly_live(tmp_path: Path) -> None:
    live = AptSettings(mirrors={"": "http://mirror.example.com/debian"})

    with pytest.raises(SpecError) as caught:
        resolve_packages_base(
            Apt(tmp_path, environment={}),
            "debian:bookworm",
            python="3.11",
            platform=AMD64,
            settings=live,
            snapshot=date(2026, 3, 1),
        )

    assert [problem.where for problem in caught.value.problems] == ["snapshot"]
