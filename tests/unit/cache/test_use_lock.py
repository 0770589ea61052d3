"""The lock of the cache folder."""

from pathlib import Path

import pytest

from envbuild.cache.use_lock import own, try_own, use
from envbuild.errors import EnvbuildError


def test_a_cache_in_use_is_not_owned(tmp_path: Path) -> None:
    with (
        use(tmp_path),
        use(tmp_path),
        pytest.raises(EnvbuildError) as caught,
        own(tmp_path, wait_seconds=0.1),
    ):
        pytest.fail("two hold the cache folder")

    assert caught.value.message == f"another envbuild is using the cache folder {tmp_path}"
    with own(tmp_path, wait_seconds=0):
        pass


def test_whoever_only_tries_to_own_it_is_told(tmp_path: Path) -> None:
    with use(tmp_path), try_own(tmp_path) as is_alone:
        assert not is_alone
    with try_own(tmp_path) as is_alone:
        assert is_alone


def test_a_cache_folder_is_made_with_a_tag_that_keeps_backups_out(tmp_path: Path) -> None:
    with use(tmp_path / "new/cache"):
        tag = (tmp_path / "new/cache/CACHEDIR.TAG").read_text()

    assert tag.startswith("Signature: 8a477f597d28d172789f06886806bc55\n")
