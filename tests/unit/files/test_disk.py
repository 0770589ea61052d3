import errno
import os
from pathlib import Path

import pytest

from envbuild.errors import EnvbuildError
from envbuild.files.disk import DiskFullError, disk_errors

FOLDER = Path("cache")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_says_how_much_is_needed(number: int) -> None:
    with pytest.raises(DiskFullError) as caught, disk_errors(FOLDER, needed=lambda: 2_700_000_000):
        raise OSError(number, os.strerror(number))

    assert caught.value.message == "no room left in the cache folder cache: 2.7 GB more are needed"
    assert caught.value.hint == (
        "free some space (`envbuild cache prune`), or name another cache folder in ENVBUILD_CACHE_DIR"
    )


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "the cache folder cache cannot be used: Permission denied (cache/partial)"),
        (errno.EROFS, "the cache folder cache cannot be used: Read-only file system (cache/partial)"),
        (errno.ENOTDIR, "the cache folder cache cannot be used: Not a directory (cache/partial)"),
        (errno.EIO, "the cache folder cache cannot be used: Input/output error (cache/partial)"),
        (errno.ENOLCK, "the file system of the cache folder cache has no file locks"),
    ],
)
def test_other_faults_keep_the_systems_reason(number: int, message: str) -> None:
    with pytest.raises(EnvbuildError) as caught, disk_errors(FOLDER):
        raise OSError(number, os.strerror(number), "cache/partial")

    assert caught.value.message == message
    assert "ENVBUILD_CACHE_DIR" in (caught.value.hint or "")


def test_other_exceptions_pass() -> None:
    with pytest.raises(KeyError), disk_errors(FOLDER):
        raise KeyError
